"""The students' edition opened where students open it: JupyterLab in headless Chromium."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from autograder import releasing
from autograder.course import ROOT

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SET = "ps05_smoothing"
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is in the page, also those out of sight
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
SOLUTION = """def lower_confidence_bound(successes, trials, alpha):
    return float(beta.ppf(alpha, successes, trials - successes + 1)) if successes else 0.0"""
TOKEN = "a-token-of-the-tests"
PATIENCE = 40_000  # milliseconds: machines under load are slow, a fault is a fault

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")]


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab that runs in the folder of a freshly released set."""
    folder = releasing.release(SET, tmp_path / "course")
    for name, settings in SETTINGS.items():
        path = tmp_path / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folders = {name: str(tmp_path / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
    environment = os.environ | folders | {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5)
                break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.1)
        yield f"{address}/lab/tree/{SET}.ipynb?token={TOKEN}"
    finally:
        server.terminate()
        server.wait(30)


def test_a_student_opens_the_set_and_runs_a_check(lab):
    from playwright.sync_api import expect, sync_playwright

    pictures = ROOT / "build" / "screenshots"
    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(PATIENCE)
        page.goto(lab)
        cells = page.locator(".jp-Notebook .jp-CodeCell")
        cells.first.wait_for()
        page.get_by_text("| Idle").wait_for()  # before that, JupyterLab forgets what it is asked to run

        def run(cell):
            cell.locator(".cm-content").click()
            page.keyboard.press("Shift+Enter")
            expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"), timeout=PATIENCE)

        run(cells.nth(0))
        assert cells.nth(0).locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
        page.screenshot(path=pictures / "jupyterlab_first_cell.png")

        check = cells.filter(has_text='check("lower_confidence_bound")')
        run(check)
        table = check.locator(".jp-OutputArea-output table")
        table.wait_for()
        table.scroll_into_view_if_needed()
        page.screenshot(path=pictures / "jupyterlab_check.png")
        assert "Public checks of lower_confidence_bound" in table.inner_text()
        assert "failed" in table.inner_text()

        solution = cells.filter(has_text="def lower_confidence_bound").first
        solution.locator(".cm-content").click()
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(SOLUTION)
        page.keyboard.press("Shift+Enter")
        run(check)
        check.locator("table", has_text="passed").wait_for()
        check.locator("table").scroll_into_view_if_needed()
        page.screenshot(path=pictures / "jupyterlab_passed.png")
        browser.close()
