"""Stock nbgrader with this grader inside, on the tiny course; the challenger is stood in for where its answer is not the point."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader.api import Gradebook

from autograder import building, grading, releasing, submissions, trials
from autograder.checking import CheckResult
from autograder.course import ROOT, exercises
from autograder.errors import KitError
from autograder.nbgrader import INTERNAL
from autograder.rendering import is_harmless
from autograder.reporting import Question, Report, Submission
from autograder.submissions import SubmissionError

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning", "ignore:Non-unique cell id")
SET = "ps01_tiny"
HIDDEN = "the hidden input was 271828"
EVIL = "<script>alert('owned')</script>"


def graded(problem_set, notebook, student, root, **_) -> Report:
    """What the challenger would say: double is right, pair is half right."""
    checks = (
        CheckResult("test_pair_holds_the_double", "cohen-certify", False, 1, False, f"got {EVIL} for 3"),
        CheckResult("test_pair_shifts", "cohen-certify", True, 3, False, HIDDEN),
    )
    double = Question("double", 2, 2, (CheckResult("test_double_is_a_sum", "cohen-certify", False, 2, True, ""),))
    submission = Submission(student, str(notebook), 2, 6, (f"a flag with {EVIL}",), (double, Question("pair", 0, 4, checks)))
    return Report(problem_set, "edition", {}, "fingerprint", 3, (submission,))


BUILT: list[Path] = []  # the tiny course, built and in nbgrader's gradebook: made by the first test that asks, copied for the others


@pytest.fixture
def course(course, tmp_path_factory, monkeypatch):
    """The tiny course, built and in nbgrader's gradebook, with `api`, nbgrader's own interface to it."""
    from nbgrader.apps.api import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config, PyFileConfigLoader

    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))  # nbgrader runs alembic by name
    monkeypatch.setattr(grading, "grade", graded)
    config = Config(PyFileConfigLoader("nbgrader_config.py", path=str(course.root)).load_config())
    config.CourseDirectory.root = config.Grade.root = config.Sanitize.root = config.Release.checkout = str(course.root)
    config.Exchange.root = str(course.root / "exchange")
    if BUILT:
        shutil.copytree(BUILT[0], course.root, dirs_exist_ok=True)
    api = NbGraderAPI(CourseDirectory(config=config), config=config)
    if not BUILT:
        building.build(SET, course.root)
        assert api.generate_assignment(SET, force=True)["success"]
        BUILT.append(shutil.copytree(course.root, tmp_path_factory.mktemp("built") / "course"))
    object.__setattr__(course, "api", api)
    return course


def released(course) -> nbformat.NotebookNode:
    return nbformat.read(course.root / "assignments" / SET / f"{SET}.ipynb", as_version=4)


def hand_in(course, nb, student: str = "ann") -> Path:
    folder = course.root / "submitted" / student / SET
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{SET}.ipynb"
    path.write_text(nb if isinstance(nb, str) else json.dumps(nb))
    return path


def autograde(course, student: str = "ann") -> nbformat.NotebookNode:
    result = course.api.autograde(SET, student, force=True)
    assert result["success"], result["log"] + str(result.get("error"))
    return nbformat.read(course.root / "autograded" / student / SET / f"{SET}.ipynb", as_version=4)


def feedback(course, student: str = "ann") -> str:
    result = course.api.generate_feedback(SET, student, force=True)
    assert result["success"], result["log"] + str(result.get("error"))
    return (course.root / "feedback" / student / SET / f"{SET}.html").read_text()


def grades(course, student: str = "ann") -> dict:
    with course.api.gradebook as gradebook:
        notebook = gradebook.find_submission_notebook(SET, SET, student)
        return {grade.name: (grade.auto_score, grade.manual_score, grade.needs_manual_grade) for grade in notebook.grades}


def cell(nb, grade_id: str) -> nbformat.NotebookNode:
    return next(c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def test_scores_come_from_the_challenger_and_written_answers_wait(course):
    nb = released(course)
    cell(nb, "f1").source = "Because adding is multiplying."
    for code in nb.cells:
        if code.cell_type == "code":  # forged outputs and noise on stderr count for nothing
            code.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "4"}), nbformat.v4.new_output("stream", text="x", name="stderr")]
    hand_in(course, nb)
    graded_notebook = autograde(course)
    assert grades(course) == {"check-double": (2.0, None, False), "check-pair": (0.0, None, False), "f1": (None, None, True)}
    assert HIDDEN not in json.dumps(graded_notebook)
    assert [len(c.get("outputs", [])) for c in graded_notebook.cells if c.cell_type == "code"].count(1) == 2


def test_a_blank_answer_is_zero_and_a_manual_score_stays(course):
    hand_in(course, released(course))
    autograde(course)
    assert grades(course)["f1"] == (0.0, None, False)
    with course.api.gradebook as gradebook:
        gradebook.find_grade("check-pair", SET, SET, "ann").manual_score = 3
        gradebook.db.commit()
    autograde(course)
    assert grades(course)["check-pair"] == (0.0, 3.0, True)


def test_students_have_names(course):
    hand_in(course, released(course))
    autograde(course)
    with course.api.gradebook as gradebook:
        assert gradebook.find_student("ann").last_name == "ann"


def test_feedback_holds_no_script_and_nothing_hidden(course):
    nb = released(course)
    cell(nb, "f1").source = f"My answer {EVIL}"
    nb.cells.insert(0, new_markdown_cell(f"# hello {EVIL}\n\n[x](javascript:alert(1)) <img src=x onerror=alert(2)>"))
    nb.cells.append(new_code_cell("1", outputs=[nbformat.v4.new_output("display_data", {"text/html": EVIL, "application/javascript": "alert(3)"})]))
    nb.cells.append(new_markdown_cell("![gone](attachment:gone.png)"))
    nb.cells.append(nbformat.v4.new_raw_cell(EVIL, metadata={"raw_mimetype": "text/html"}))
    nb.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": EVIL}}
    nb.metadata.title = EVIL
    path = hand_in(course, nb)
    (path.parent / "page.html").write_text(EVIL)
    (path.parent / "picture.png").symlink_to("/etc/passwd")
    (path.parent / "notes.txt").symlink_to("/etc/passwd")
    (path.parent / "submission_secret.txt").symlink_to("/etc/passwd")
    (path.parent / "more").mkdir()
    (path.parent / "more" / "timestamp.txt").write_text(EVIL)
    (path.parent / "timestamp.txt").write_text("2030-01-01 12:00:00 UTC")
    autograde(course)
    page = feedback(course)
    assert "owned" in page  # it is shown, as text
    assert EVIL not in page
    assert "javascript:alert" not in page.replace("](javascript:alert", "")
    assert "<img src=x" not in page
    assert HIDDEN not in page
    assert "271828" not in page
    assert "hidden check of" in page
    assert "&lt;tbody&gt;" not in page
    plain = json.loads(json.dumps(released(course)))
    hand_in(course, plain, "bob")
    autograde(course, "bob")
    assert page.count("<script") == feedback(course, "bob").count("<script")
    names = {file.name for folder in ("autograded", "feedback") for file in (course.root / folder / "ann").rglob("*") if file.is_file()}
    assert names == {f"{SET}.ipynb", f"{SET}.html", "numbers.csv", "timestamp.txt"}
    assert json.loads((course.root / "reports" / SET / "nbgrader" / "ann.json").read_text())["submissions"][0]["path"] == f"submitted/ann/{SET}/{SET}.ipynb"


def test_a_link_in_place_of_the_notebook_shows_nothing(course, monkeypatch):
    monkeypatch.undo()  # the challenger itself refuses it, before it needs a sandbox
    monkeypatch.setenv(grading.SECRET_VARIABLE, "a secret of 32 bytes or more, for nbgrader")
    nb = released(course)
    cell(nb, "f1").source = "The answer of a classmate."
    path = hand_in(course, nb, "bob")
    link = hand_in(course, nb)
    link.unlink()
    link.symlink_to(path)
    graded_notebook = autograde(course)
    assert "is a link" in graded_notebook.cells[0].source
    assert "classmate" not in json.dumps(graded_notebook)
    assert grades(course) == {"check-double": (0.0, None, False), "check-pair": (0.0, None, False), "f1": (0.0, None, False)}


def test_a_gradebook_that_knows_other_points_or_cells_is_told(course, monkeypatch):
    def regraded(*arguments, **settings):
        report = graded(*arguments, **settings)
        double, pair = report.submissions[0].questions
        return replace(report, submissions=(replace(report.submissions[0], questions=(double, replace(pair, max_score=3))),))

    monkeypatch.setattr(grading, "grade", regraded)
    course.edit("autograder/checks/ps01_tiny/hidden.py", "points=3", "points=2")
    building.build(SET, course.root)
    with course.api.gradebook as gradebook:
        gradebook.db.delete(gradebook.find_source_cell("check-double", SET, SET))
        gradebook.db.delete(gradebook.find_grade_cell("check-double", SET, SET))
        gradebook.db.commit()
    hand_in(course, released(course))
    notes = autograde(course).cells[0].source
    assert INTERNAL not in notes
    assert "check-pair is worth 3 points, and 4.0 in the gradebook; run" in notes
    assert "check-double is worth 2 points, and nothing in the gradebook; run" in notes
    assert grades(course) == {"check-pair": (0.0, None, False), "f1": (0.0, None, False)}


def test_the_exchange_gets_what_students_need(course):
    (course.root / "exchange").mkdir()
    result = course.api.release_assignment(SET)
    assert result["success"], result.get("error")
    folder = course.root / "exchange" / "backdoors" / "outbound" / SET
    assert (folder / f"{SET}.ipynb").read_bytes() == (course.root / "assignments" / SET / f"{SET}.ipynb").read_bytes()
    assert "raise NotImplementedError" in (folder / "backdoors" / "numbers.py").read_text()
    assert {path.name for path in (folder / "autograder" / "checks" / SET).iterdir()} == {"public.py"}


def test_a_second_notebook_is_released_and_never_overwritten(course):
    extra = nbformat.v4.new_notebook(cells=[new_markdown_cell("# Another part")])
    nbformat.write(extra, course.root / "solutions" / SET / "extra.ipynb")
    assert course.api.generate_assignment(SET)["success"]
    folder = releasing.release(SET, course.root / "students", root=course.root)
    (folder / "extra.ipynb").write_text("a student's work")
    releasing.release(SET, course.root / "students", update=True, root=course.root)
    assert (folder / "extra.ipynb").read_text() == "a student's work"


def test_copied_renamed_and_missing_cells_survive_and_are_noted(course):
    nb = released(course)
    copied = json.loads(json.dumps(cell(nb, "double")))
    renamed = cell(nb, "check-double")
    renamed.metadata.nbgrader["grade_id"] = "check-everything"
    renamed.metadata.nbgrader["points"] = 1000
    nb.cells.remove(cell(nb, "check-pair"))
    nb.cells.remove(cell(nb, "pair"))
    nb.cells.append(nbformat.from_dict(copied))
    nb.cells.append(new_code_cell("0", metadata={"nbgrader": ["odd"]}))
    nb.cells.append(new_code_cell("0", metadata={"nbgrader": {"schema_version": 99}}))
    hand_in(course, nb)
    notes = autograde(course).cells[0].source
    assert "flag with &lt;script&gt;" in notes
    assert grades(course)["check-double"][0] == 2.0


@pytest.mark.parametrize(
    "damage",
    [
        {"cell_type": "code"},
        {"cell_type": "nonsense", "source": 3, "metadata": "x"},
        {"cell_type": "code", "source": "\ud800", "metadata": {"nbgrader": {"grade_id": {}}}, "outputs": "x"},
        {"cell_type": "code", "source": ["a", 1], "metadata": {"tags": 7}, "id": 5, "outputs": [{}]},
    ],
)
def test_a_damaged_cell_does_not_cost_the_submission(course, damage):
    nb = json.loads(json.dumps(released(course)))
    nb["cells"].append(damage)
    hand_in(course, json.dumps(nb))
    try:
        autograde(course)
    except AssertionError as error:  # nbformat itself may refuse it before any preprocessor sees it: those are nbgrader's words
        assert "Traceback" in str(error) and "autograder/nbgrader.py" not in str(error)  # noqa: PT017, PT018
    else:
        assert grades(course)["check-double"][0] == 2.0


def test_a_notebook_of_another_set_gets_nothing_and_a_note(course, monkeypatch):
    def refuse(*_, **__):
        raise SubmissionError("the notebook is of the set ps02_tiny, not of ps01_tiny")

    monkeypatch.setattr(grading, "grade", refuse)
    hand_in(course, nbformat.v4.new_notebook(cells=[new_code_cell("PROBLEM_SET = 'ps02_tiny'")]))
    notes = autograde(course).cells[0].source
    assert "ps02_tiny" in notes
    assert grades(course)["check-double"] == (0.0, None, False)


def test_an_internal_failure_waits_for_a_person(course, monkeypatch):
    def fail(*_, **__):
        raise KitError("no sandbox")

    monkeypatch.setattr(grading, "grade", fail)
    hand_in(course, released(course))
    assert INTERNAL in autograde(course).cells[0].source
    assert grades(course)["check-double"] == (None, None, True)


def test_a_failure_to_restore_waits_for_a_person(course, monkeypatch):
    monkeypatch.setattr(submissions, "restore", lambda *_: 1 / 0)
    hand_in(course, released(course))
    assert INTERNAL in autograde(course).cells[0].source
    assert grades(course)["check-double"][0] == 2.0  # Grade itself still worked


@pytest.mark.parametrize(
    "source",
    [
        "plain *text* with $a<b$, `x<y`, &lt; and AT&T",
        "$$\\sum_{i<n} x_i$$\n\n| a | b |\n|---|---|\n| 1 | 2 |",
        "```python\nif a < b: print('<script>')\n```",
        "[paper](https://arxiv.org/abs/1902.02918)",
        "![p](attachment:p.png)",
    ],
)
def test_honest_markdown_is_harmless(source):
    assert is_harmless(source, {"p.png": {"image/png": "aGk="}})


@pytest.mark.parametrize(
    "source",
    [
        EVIL,
        "a <b>b</b>",
        "<!-- x -->",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&colon;alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x][1]\n\n[1]: javascript:alert(1)",
        "<javascript:alert(1)>",
        "![x](https://example.org/x.png)",
        "![x](//example.org/x.png)",
        "![x](http:example.org/x.png)",
        "![x](attachment:gone.png)",
        "![x](data:image/svg+xml;base64,AAAA)",
        "```mermaid\n<img src=x onerror=alert(1)>\n```",
        "x" * 200_000,
    ],
)
def test_hostile_markdown_is_not_harmless(source):
    assert not is_harmless(source)


def test_the_stock_commands_grade_the_real_set(tmp_path):
    """generate_assignment, autograde, generate_feedback and export as an instructor types them, in a course folder of its own, through the sandbox;
    with a plugin for late penalties as nbgrader's manual has it."""
    real = "ps05_smoothing"
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        grading.SECRET_VARIABLE: "a secret of 32 bytes or more, for nbgrader",
    }

    def nbgrader(*arguments):
        done = subprocess.run(["nbgrader", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "ERROR" not in done.stderr, done.stderr

    shutil.copytree(ROOT / "solutions" / real, tmp_path / "solutions" / real)
    plugin = "c.AssignLatePenalties.plugin_class = 'late.SubMarks'\n"
    (tmp_path / "nbgrader_config.py").write_text((ROOT / "nbgrader_config.py").read_text() + plugin)
    (tmp_path / "late.py").write_text(
        "from nbgrader.plugins import BasePlugin\n\n\nclass SubMarks(BasePlugin):\n"
        "    def late_submission_penalty(self, student_id, score, total_seconds_late):\n        return round(total_seconds_late / 3600, 0)\n"
    )
    wrong = "def lower_confidence_bound(successes, trials, alpha):\n    print('noise', file=__import__('sys').stderr)\n    return successes / trials"
    for student, notebook in {"ann": trials.solved(real), "bob": trials.submission(real, wrong), "cem": trials.released(real)}.items():
        place = tmp_path / "submitted" / student / real / f"{real}.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(notebook, place)
    nbgrader("generate_assignment", real)
    assert (tmp_path / "assignments" / real / f"{real}.ipynb").read_bytes() == (ROOT / "assignments" / real / f"{real}.ipynb").read_bytes()
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        gradebook.update_or_create_assignment(real, duedate="2030-01-01 12:00:00 UTC")
    (tmp_path / "submitted" / "ann" / real / "timestamp.txt").write_text("2030-01-01 15:00:00 UTC")
    (tmp_path / "nbgrader_config.py").open("a").write(f"c.Grade.reseed = {{{real!r}: ['cem']}}\n")
    nbgrader("autograde", real)
    assert len(list((tmp_path / "results" / real).iterdir())) == 3  # what `autograder grade --course` takes instead of grading again
    nbgrader("generate_feedback", real)
    nbgrader("export", "--to", "grades.csv")
    with open(tmp_path / "grades.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    scores = {row["student_id"]: (float(row["raw_score"]), row["last_name"]) for row in rows}
    assert {row["student_id"]: float(row["raw_score"]) - float(row["score"]) for row in rows} == {"ann": 3, "bob": 0, "cem": 0}
    points = {one.name: one.points for one in exercises(real)}
    assert scores["ann"] == (sum(points.values()), "ann")
    assert scores["cem"] == (0, "cem")
    assert sum(points.values()) - points["lower_confidence_bound"] <= scores["bob"][0] < sum(points.values())
    pages = {student: (tmp_path / "feedback" / student / real / f"{real}.html").read_text() for student in scores}
    assert "Late submission penalty (Score: -3.0)" in pages["ann"]
    assert "lower_confidence_bound(" in pages["bob"]
    assert "hidden check of" in pages["ann"]
    assert {student for student, page in pages.items() if "drawn anew" in page} == {"cem"}
    hidden = (ROOT / "autograder" / "checks" / real / "hidden.py").read_text()
    names = [name.replace("_", " ") for name in re.findall(r"^def test_(\w+)", hidden, re.MULTILINE)]
    assert names
    assert not [name for name in names for page in pages.values() if name in page or name.replace(" ", "_") in page]
