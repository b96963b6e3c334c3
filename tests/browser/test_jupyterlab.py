"""The students' edition opened where students open it: JupyterLab in headless Chromium."""

import re

import pytest

from autograder import releasing

SET = "ps05_smoothing"
SOLUTION = """def lower_confidence_bound(successes, trials, alpha):
    return float(beta.ppf(alpha, successes, trials - successes + 1)) if successes else 0.0"""

pytestmark = pytest.mark.browser


def test_a_student_opens_the_set_and_runs_a_check(page, serve, pictures, tmp_path):
    from playwright.sync_api import expect

    page.goto(serve(releasing.release(SET, tmp_path / "course"))(f"lab/tree/{SET}.ipynb"))
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    cells.first.wait_for()
    page.get_by_text("| Idle").wait_for()  # before that, JupyterLab forgets what it is asked to run

    def run(cell):
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))

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
