"""An instructor's afternoon in formgrader, in headless Chromium: generate, release, autograde, grade by hand, regrade, give feedback."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell

from autograder import grading, trials
from autograder.course import ROOT, exercises

SET = "ps05_smoothing"
STUDENTS = ("ann", "bob")
RIGHT = """def lower_confidence_bound(successes, trials, alpha):
    return float(beta.ppf(alpha, successes, trials - successes + 1)) if successes else 0.0"""
ANSWER = "The noise has level sets that are *half-spaces*."
COMMENT = "But why are they half-spaces?"

pytestmark = pytest.mark.browser


@pytest.fixture
def course(tmp_path) -> Path:
    """A course's folder as an instructor has it when the submissions are in."""
    root = tmp_path / "course"
    shutil.copytree(ROOT / "solutions" / SET, root / "solutions" / SET)
    (root / "exchange").mkdir()
    settings = (ROOT / "nbgrader_config.py").read_text()
    (root / "nbgrader_config.py").write_text(f"{settings}c.Exchange.root = {str(root / 'exchange')!r}\n")
    for student in STUDENTS:
        notebook = trials.submission(SET, RIGHT, base="released")
        answer = next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "f1")
        answer.source = ANSWER
        notebook.cells.insert(0, new_markdown_cell("# f1\n\n# f1-comment"))  # headings like this must not take the place of formgrader's own fields
        place = root / "submitted" / student / SET / f"{SET}.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(notebook, place)
    return root


def test_a_manual_grade_and_a_comment_survive_a_regrade(course, page, serve, pictures):
    from playwright.sync_api import expect

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader runs alembic by name
    environment = {"PATH": path, grading.SECRET_VARIABLE: "a secret of 32 bytes or more, for nbgrader"}
    address = serve(course, **environment)
    points = {one.name: one.points for one in exercises(SET)}
    score = f"{points['lower_confidence_bound']} / {sum(points.values()) + 5}"

    def press(icon, row):
        """Clicks a button of a row and closes the window that tells of success."""
        row.locator(f".glyphicon-{icon}").click()
        page.locator(".modal.in").wait_for()
        assert page.locator(".modal.in").get_attribute("id") == "success-modal", page.locator(".modal.in").inner_text()
        page.locator(".modal.in .modal-footer button").click()
        page.locator(".modal").wait_for(state="detached")

    def row(name):
        return page.locator("tbody tr").filter(has=page.get_by_role("link", name=re.compile(f"^{name}\\b")))

    page.goto(address("formgrader"))
    press("education", row(SET))  # generate
    press("cloud-upload", row(SET))  # release
    expect(page.locator("#warning-exchange")).to_have_count(0)
    page.screenshot(path=pictures / "formgrader_assignments.png")
    assert (course / "exchange" / "backdoors" / "outbound" / SET / "backdoors" / "__init__.py").is_file()
    assert (course / "assignments" / SET / f"{SET}.ipynb").read_bytes() == (ROOT / "assignments" / SET / f"{SET}.ipynb").read_bytes()

    row(SET).get_by_role("link", name="2", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.screenshot(path=pictures / "formgrader_submissions_before.png")
    press("flash", page.locator("tbody tr", has_text="ann"))  # autograde
    expect(row("ann").locator(".score")).to_have_text(score)
    expect(row("ann").locator(".status")).to_have_text("needs manual grading")
    expect(page.locator("tbody tr", has_text="bob").locator(".status")).to_have_text("needs autograding")
    page.screenshot(path=pictures / "formgrader_submissions.png")

    page.get_by_role("link", name="Manual Grading").click()
    for link in (SET, SET, "Submission #1"):
        page.locator("tbody").get_by_role("link", name=link).click()
    answer = page.locator(".nbgrader_cell", has=page.locator("input#f1"))
    expect(answer.locator(".text_cell_render")).to_have_text("The noise has level sets that are half-spaces.")
    expect(answer.locator("input.score")).to_have_class(re.compile("needs_manual_grade"))
    page.screenshot(path=pictures / "formgrader_submission.png")
    answer.locator("input.score").scroll_into_view_if_needed()

    def typed(field, text):
        with page.expect_response(lambda response: response.request.method == "PUT" and response.ok):
            answer.locator(field).fill(text)
            answer.locator(field).blur()

    typed("input.score", "4")
    typed("textarea.comment", COMMENT)
    expect(answer.locator("input.score")).not_to_have_class(re.compile("needs_manual_grade"))
    answer.scroll_into_view_if_needed()
    page.screenshot(path=pictures / "formgrader_answer.png")

    command = ["nbgrader", "autograde", SET, "--force", "--student=ann"]
    done = subprocess.run(command, cwd=course, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page.reload()
    expect(answer.locator("input.score")).to_have_value("4")
    expect(answer.locator("textarea.comment")).to_have_value(COMMENT)
    expect(answer.locator(".mark-graded")).to_be_visible()  # nbgrader asks for a second look
    answer.scroll_into_view_if_needed()
    page.screenshot(path=pictures / "formgrader_regraded.png")

    page.goto(address(f"formgrader/manage_submissions/{SET}"))
    press("comment", row("ann"))  # feedback for one
    page.goto(address("formgrader/manage_assignments"))
    press("comment", row(SET))  # feedback for the set
    page.goto((course / "feedback" / "ann" / SET / f"{SET}.html").as_uri())
    expect(page.locator("h4").first).to_contain_text(f"Score: {points['lower_confidence_bound'] + 4}.0")
    expect(page.get_by_text(COMMENT)).to_be_visible()
    expect(page.locator("ul.checks").first.locator("li").first).to_contain_text("passed")
    page.screenshot(path=pictures / "feedback.png")
    page.locator("ul.checks").nth(1).scroll_into_view_if_needed()
    page.screenshot(path=pictures / "feedback_checks.png")
