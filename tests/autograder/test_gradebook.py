"""What an instructor does with stock nbgrader over a term: late penalties, manual grades, regrades, a second notebook in a set, a gradebook on a
PostgreSQL server, which the tests start. The challenger is stood in for: its answer is not the point here."""

import contextlib
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.course import ROOT

pytestmark = [pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"), pytest.mark.xdist_group("gradebook")]
SET, OTHER = "ps01_small", "written"
FULL = {"check-double": 2.0, "check-pair": 3.0}
POINTS = sum(FULL.values())
HIDDEN = "271828"
FILES = {
    f"solutions/{SET}/{SET}.md": "The manuscript of the set.",
    "late.py": """
from nbgrader.plugins import BasePlugin


class SubMarks(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        # 1 mark per hour late
        return round(total_seconds_late / 3600, 0)
""",
    "standin.py": """
from pathlib import Path

from autograder import nbgrader
from autograder.checking import CheckResult
from autograder.reporting import Question, Report, Submission


class Grade(nbgrader.Grade):
    # what the challenger would say: all is right, but for pair where the notebook holds the word WRONG

    def _report(self, task):
        path = Path("submitted", task["student"], task["assignment"], task["notebook"] + ".ipynb")
        pair = 0 if "WRONG" in path.read_text() else 3
        check = CheckResult("test_it", "cohen-certify", True, 3, bool(pair), "")
        questions = (Question("double", 2, 2), Question("pair", pair, 3, (check,)))
        submission = Submission(task["student"], str(path), 2 + pair, 5, (), questions)
        return Report(task["assignment"], "edition", {}, "fingerprint", 3, (submission,))
""",
    "settings.py": """
c.CourseDirectory.db_url = {url!r}
c.Sanitize.root = c.Grade.root = {root!r}
c.Autograde.autograde_preprocessors[0] = "standin.Grade"
""",
}


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The db_url of a server of its own, that listens on a socket in a temporary folder only."""
    folders = [*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))), os.environ["PATH"]]
    initdb = shutil.which("initdb", path=os.pathsep.join(folders))
    if initdb is None:
        pytest.skip("needs Debian's postgresql")
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}  # the server refuses to be root's

    def run(tool, *arguments):
        subprocess.run([Path(initdb).with_name(tool), *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, **user)

    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        if user:
            shutil.chown(folder, "postgres", "postgres")
        run("initdb", "--pgdata=data", "--username=grader", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
        run("pg_ctl", "start", "--pgdata=data", "--log=log", "--wait", f"--options=-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off")
        try:
            run("createdb", f"--host={folder}", "--username=grader", "gradebook")
            yield f"postgresql+psycopg://grader@/gradebook?host={folder}"
        finally:
            run("pg_ctl", "stop", "--pgdata=data", "--mode=immediate")


@dataclass(frozen=True)
class Course:
    """A course's folder, and nbgrader's own interface to it."""

    root: Path
    config: object

    def api(self, **settings):
        """NbGraderAPI with the course's configuration and, of it, these settings of late penalties changed."""
        from nbgrader.apps.api import NbGraderAPI
        from nbgrader.coursedir import CourseDirectory

        config = self.config.copy()
        for name, value in settings.items():
            config[name].merge(value)
        return NbGraderAPI(CourseDirectory(config=config), config=config)

    @property
    def gradebook(self):
        return self.api().gradebook

    def hand_in(self, student: str, answer: str | None = None, code: str = "", other: nbformat.NotebookNode | None = None, time: str = "") -> Path:
        """Hands in the solved notebook with an answer to its question and a cell of code, and the second notebook where given."""
        folder = self.root / "submitted" / student / SET
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        notebook = self.released(SET)
        if answer is not None:
            cell(notebook, "f1").source = answer
        notebook.cells.append(new_code_cell(code))
        nbformat.write(notebook, folder / f"{SET}.ipynb")
        if other is not None:
            nbformat.write(other, folder / f"{OTHER}.ipynb")
        if time:
            (folder / "timestamp.txt").write_text(time)
        return folder

    def released(self, notebook: str) -> nbformat.NotebookNode:
        return nbformat.read(self.root / "assignments" / SET / f"{notebook}.ipynb", as_version=4)

    def autograde(self, student: str, **settings) -> None:
        result = self.api(**settings).autograde(SET, student, force=True)
        assert result["success"], result["log"] + str(result.get("error"))

    def feedback(self, student: str) -> dict[str, str]:
        result = self.api().generate_feedback(SET, student, force=True)
        assert result["success"], result["log"] + str(result.get("error"))
        return {page.stem: page.read_text() for page in (self.root / "feedback" / student / SET).glob("*.html")}

    def grades(self, student: str, notebook: str = SET) -> dict[str, tuple]:
        with self.gradebook as gradebook:
            grades = gradebook.find_submission_notebook(notebook, SET, student).grades
            return {grade.name: (grade.auto_score, grade.manual_score, grade.needs_manual_grade) for grade in grades}

    def mark(self, student: str, notebook: str, name: str, score: float, comment: str = "", extra: float | None = None) -> None:
        """What formgrader does when a person types a score, a comment, extra credit."""
        with self.gradebook as gradebook:
            grade = gradebook.find_grade(name, notebook, SET, student)
            grade.manual_score, grade.extra_credit, grade.needs_manual_grade = score, extra, False
            if comment:
                gradebook.find_comment(name, notebook, SET, student).manual_comment = comment
            gradebook.db.commit()

    def totals(self, student: str) -> set[float]:
        """The student's score for the set as the gradebook, the export and the feedback pages say it."""
        from nbgrader.plugins import CsvExportPlugin

        with self.gradebook as gradebook:
            submission = gradebook.find_submission(SET, student)
            kept = submission.score - submission.late_submission_penalty
            exporter = CsvExportPlugin()
            exporter.to = str(self.root / "grades.csv")
            exporter.export(gradebook)
        with open(exporter.to, newline="") as file:
            exported = next(float(row["score"]) for row in csv.DictReader(file) if row["student_id"] == student)
        told = [float(re.search(r"<h4>\w+ \(Score: ([\d.]+) / [\d.]+\)", page)[1]) for page in self.feedback(student).values()]
        return {kept, exported, sum(told)}


def marked(new, source: str, name: str, **settings) -> nbformat.NotebookNode:
    """A cell with nbgrader's metadata."""
    given = {"schema_version": 3, "grade_id": name, "grade": False, "solution": False, "locked": False, "task": False}
    return new(source, metadata={"nbgrader": given | settings})


def solution(name: str) -> nbformat.NotebookNode:
    return marked(new_code_cell, f"def {name}(x):\n    ### BEGIN SOLUTION\n    return 3 * x\n    ### END SOLUTION", name, solution=True)


def ours() -> list[nbformat.NotebookNode]:
    """A set's own notebook."""
    checks = [marked(new_code_cell, f"{name}()", name, grade=True, locked=True, points=points) for name, points in FULL.items()]
    answer = marked(new_markdown_cell, "A model answer.", "f1", grade=True, solution=True, points=4)
    return [new_code_cell(f"PROBLEM_SET = {SET!r}"), solution("double"), checks[0], solution("pair"), checks[1], answer]


def other() -> list[nbformat.NotebookNode]:
    """A notebook as instructors write them for stock nbgrader: a written answer, a tested function, a task."""
    test = f"assert triple(1) == 3\n### BEGIN HIDDEN TESTS\nassert triple({HIDDEN}) == 3 * {HIDDEN}\n### END HIDDEN TESTS"
    return [
        new_markdown_cell("# Written part"),
        marked(new_markdown_cell, "An essay.", "essay", grade=True, solution=True, points=5),
        solution("triple"),
        marked(new_code_cell, test, "test-triple", grade=True, locked=True, points=2),
        marked(new_markdown_cell, "Draw a circle.", "circle", task=True, locked=True, points=3),
    ]


def write(path: Path, cells: list[nbformat.NotebookNode], minor: int) -> None:
    notebook = new_notebook(cells=cells, metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}})
    notebook.nbformat_minor = minor
    if minor < 5:
        for one in notebook.cells:
            one.pop("id")
    nbformat.write(notebook, path)


def cell(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    return next(one for one in notebook.cells if one.metadata.get("nbgrader", {}).get("grade_id") == name)


@contextlib.contextmanager
def opened(root: Path, url: str) -> Iterator[Course]:
    """A course with one set of two notebooks, in nbgrader's gradebook at `url`, due at noon of the first day of 2030."""
    from traitlets.config import Config, PyFileConfigLoader

    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.format(url=url, root=str(root)) if name == "settings.py" else text)
    (root / "nbgrader_config.py").write_text((ROOT / "nbgrader_config.py").read_text() + (root / "settings.py").read_text())
    write(root / "solutions" / SET / f"{SET}.ipynb", ours(), minor=5)
    write(root / "solutions" / SET / f"{OTHER}.ipynb", other(), minor=4)  # cells without ids, as older programs write them
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))  # nbgrader runs alembic by name
        patch.syspath_prepend(root)  # as nbgrader's own programs do
        config = Config(PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config())
        config.CourseDirectory.root = str(root)
        course = Course(root, config)
        assert course.api().generate_assignment(SET)["success"]
        with course.gradebook as gradebook:
            gradebook.update_or_create_assignment(SET, duedate="2030-01-01 12:00:00 UTC")
        yield course


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    with opened(root, f"sqlite:///{root / 'gradebook.db'}") as course:
        yield course


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A course whose gradebook is a PostgreSQL server's."""
    with postgresql() as url, opened(tmp_path_factory.mktemp("shared"), url) as course:
        yield course


@pytest.mark.parametrize(
    "settings, penalty",
    [
        ({}, 0),
        ({"LateSubmissionPlugin": {"penalty_method": "zero"}}, POINTS),
        ({"AssignLatePenalties": {"plugin_class": "late.SubMarks"}}, 3),
    ],
)
def test_late_penalties_are_the_same_everywhere(course, settings, penalty):
    course.hand_in("ann", time="2030-01-01 15:00:00 UTC")
    course.autograde("ann", **settings)
    assert course.totals("ann") == {POINTS - penalty}
    course.hand_in("ann", time="2030-01-01 11:00:00 UTC")
    course.autograde("ann", **settings)
    assert course.totals("ann") == {POINTS}


def test_a_penalty_follows_a_manual_grade_when_graded_again(course):
    zero = {"LateSubmissionPlugin": {"penalty_method": "zero"}}
    course.hand_in("bob", "An answer.", time="2030-01-02 12:00:00 UTC")
    course.autograde("bob", **zero)
    course.mark("bob", SET, "f1", 4)
    assert course.totals("bob") == {4}  # the penalty is what it was when the notebook was graded
    course.autograde("bob", **zero)
    assert course.totals("bob") == {0}


@pytest.mark.parametrize("where", ["course", "shared"])
def test_what_a_person_gave_survives_a_regrade_and_a_new_submission(where, request):
    course = request.getfixturevalue(where)
    course.hand_in("cem", "An answer.")
    course.autograde("cem")
    assert course.grades("cem") == {name: (points, None, False) for name, points in FULL.items()} | {"f1": (None, None, True)}
    course.mark("cem", SET, "f1", 4, comment="But why?")
    course.mark("cem", SET, "check-double", None, extra=1.5)
    for code in ("", "# WRONG"):
        course.hand_in("cem", "An answer, again.", code)
        course.autograde("cem")
        lost = 3 if code else 0
        assert course.grades("cem")["f1"] == (None, 4, True)  # nbgrader asks for a second look
        assert course.grades("cem")["check-pair"] == (3 - lost, None, False)
        assert course.totals("cem") == {POINTS - lost + 4 + 1.5}
        assert "But why?" in course.feedback("cem")[SET]
    course.hand_in("cem")  # no answer any more
    course.autograde("cem")
    assert course.grades("cem")["f1"] == (0, 4, True)
    assert "But why?" in course.feedback("cem")[SET]


def test_a_second_notebook_is_never_run_and_waits_for_a_person(course):
    ran = course.root / "ran"
    answered = course.released(OTHER)
    assert HIDDEN not in str(answered)
    cell(answered, "essay").source = "My essay."
    cell(answered, "triple").source = f"open({str(ran)!r}, 'w')\n# ### BEGIN HIDDEN TESTS\ndef triple(x): return 3 * x"
    course.hand_in("dan", "An answer.", other=answered)
    course.autograde("dan")
    assert not ran.exists()
    assert course.grades("dan")["check-pair"] == (3, None, False)
    assert course.grades("dan", OTHER) == {"essay": (None, None, True), "test-triple": (None, None, True), "circle": (None, None, True)}
    page = course.feedback("dan")[OTHER]
    assert "a person must grade test-triple" in page
    assert HIDDEN not in page  # nbgrader itself would show its hidden tests
    for name, score in {"essay": 5, "test-triple": 2, "circle": 3}.items():
        course.mark("dan", OTHER, name, score)
    course.autograde("dan")
    assert course.totals("dan") == {POINTS + 10}
    assert course.grades("dan", OTHER) == {"essay": (None, 5, True), "test-triple": (None, 2, True), "circle": (None, 3, False)}


def test_a_blank_second_notebook_has_nothing_but_what_a_person_gives(course):
    course.hand_in("eve", other=course.released(OTHER))
    course.autograde("eve")
    assert course.grades("eve", OTHER) == {"essay": (0, None, False), "test-triple": (None, None, True), "circle": (None, None, True)}
    assert "No response." in course.feedback("eve")[OTHER]


def test_a_missing_second_notebook_has_no_points_until_it_comes(course):
    course.hand_in("fay")
    course.autograde("fay")
    assert course.grades("fay", OTHER) == {"essay": (0, None, False), "test-triple": (0, None, False), "circle": (0, None, False)}
    assert course.totals("fay") == {POINTS}
    assert course.feedback("fay").keys() == {SET}
    folder = course.hand_in("fay", other=course.released(OTHER))
    course.autograde("fay")
    assert course.grades("fay", OTHER) == {"essay": (0, None, False), "test-triple": (None, None, True), "circle": (None, None, True)}
    (folder / f"{SET}.ipynb").unlink()  # and the other way round
    course.autograde("fay")
    assert course.grades("fay")["check-pair"] == (0, None, False)
    assert course.totals("fay") == {0}


def test_two_processes_grade_into_one_postgresql_gradebook(shared):
    """As an instructor types it: `--student` takes a pattern."""
    students = ["two-1", "two-2", "two-3", "two-4"]
    for student in students:
        shared.hand_in(student)
    commands = [["nbgrader", "autograde", SET, f"--student=two-[{numbers}]"] for numbers in ("12", "34")]
    running = [subprocess.Popen(command, cwd=shared.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for command in commands]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)
    for student in students:
        assert shared.grades(student) == {name: (points, None, False) for name, points in FULL.items()} | {"f1": (0, None, False)}
