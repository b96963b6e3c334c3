"""Stock nbgrader with this grader inside, on the tiny course; the challenger is stood in for where its answer is not the point."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from autograder import building, grading, submissions, trials
from autograder.checking import CheckResult
from autograder.course import ROOT, exercises
from autograder.errors import KitError
from autograder.nbgrader import INTERNAL, is_harmless
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
    config.CourseDirectory.root = config.Grade.root = config.Sanitize.root = str(course.root)
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
    assert names <= {f"{SET}.ipynb", f"{SET}.html", "numbers.csv"}
    assert json.loads((course.root / "reports" / SET / "ann.json").read_text())["submissions"][0]["path"] == f"submitted/ann/{SET}/{SET}.ipynb"


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
    """generate_assignment, autograde, generate_feedback and export as an instructor types them, in a course folder of its own, through the sandbox."""
    real = "ps05_smoothing"
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        grading.SECRET_VARIABLE: "a secret of 32 bytes or more, for nbgrader",
    }

    def nbgrader(*arguments):
        done = subprocess.run(["nbgrader", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    shutil.copytree(ROOT / "solutions" / real, tmp_path / "solutions" / real)
    shutil.copyfile(ROOT / "nbgrader_config.py", tmp_path / "nbgrader_config.py")
    wrong = "def lower_confidence_bound(successes, trials, alpha):\n    print('noise', file=__import__('sys').stderr)\n    return successes / trials"
    for student, notebook in {"ann": trials.solved(real), "bob": trials.submission(real, wrong), "cem": trials.released(real)}.items():
        place = tmp_path / "submitted" / student / real / f"{real}.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(notebook, place)
    nbgrader("generate_assignment", real)
    assert (tmp_path / "assignments" / real / f"{real}.ipynb").read_bytes() == (ROOT / "assignments" / real / f"{real}.ipynb").read_bytes()
    nbgrader("autograde", real)
    nbgrader("generate_feedback", real)
    nbgrader("export", "--to", "grades.csv")
    with open(tmp_path / "grades.csv", newline="") as file:
        scores = {row["student_id"]: (float(row["raw_score"]), row["last_name"]) for row in csv.DictReader(file)}
    points = {one.name: one.points for one in exercises(real)}
    assert scores["ann"] == (sum(points.values()), "ann")
    assert scores["cem"] == (0, "cem")
    assert sum(points.values()) - points["lower_confidence_bound"] <= scores["bob"][0] < sum(points.values())
    pages = {student: (tmp_path / "feedback" / student / real / f"{real}.html").read_text() for student in scores}
    assert "lower_confidence_bound(" in pages["bob"]
    assert "hidden check of" in pages["ann"]
    hidden = (ROOT / "autograder" / "checks" / real / "hidden.py").read_text()
    names = [name.replace("_", " ") for name in re.findall(r"^def test_(\w+)", hidden, re.MULTILINE)]
    assert names
    assert not [name for name in names for page in pages.values() if name in page or name.replace(" ", "_") in page]
