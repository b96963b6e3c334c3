"""The page of the class: the right figures, nothing hidden, nothing of a student's that runs, and something sensible for no, one and a thousand."""

import ast
import inspect
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autograder import challenging, classpage, submissions, trials
from autograder.classpage import CELLS, HANDED, LIMIT, attention, class_page, failures, slow_checks, slow_submissions
from autograder.reporting import CheckResult, Question, Report, Submission, file_names

SET = "ps05_smoothing"
EVIL = "<img src=x onerror=alert(1)>"
CHROMIUM = Path("/usr/bin/chromium")


def check(statement: str = "cohen-thm-1", passed: bool = False, message: str = "", hidden: bool = False) -> CheckResult:
    return CheckResult("test_x", statement, hidden, 1, passed, message)


def one(student: str, *checks: CheckResult, flags: tuple[str, ...] = (), name: str = "predict") -> Submission:
    score = sum(check.points for check in checks if check.passed)
    return Submission(student, f"{student}.ipynb", score, 3, flags, (Question(name, score, 3, checks),))


def of(*found: Submission, refused: tuple[str, ...] = ()) -> Report:
    return Report(SET, "e", {"torch": "2"}, "f", 3, found, refused)


class Page(HTMLParser):
    """The text of a page, its elements, and the text of each link by its address."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.text, self.links, self._link = [], "", {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._link = dict(attrs).get("href", "") if tag == "a" else self._link

    def handle_endtag(self, tag):
        self._link = "" if tag == "a" else self._link

    def handle_data(self, data):
        self.text += data
        if self._link:
            self.links.setdefault(self._link, data)


# what a person must look at


def test_flags_of_the_reader_are_told_by_kind():
    """The sentences are those that reading really makes, so that a new wording cannot lose its kind."""
    release = trials.released(SET)
    marked = [cell for cell in release.cells if "nbgrader" in cell.metadata]
    solution = next(cell for cell in marked if cell.metadata.nbgrader["solution"] and cell.cell_type == "code")
    check_cell = next(cell for cell in marked if cell.metadata.nbgrader["locked"] and cell.cell_type == "code")

    def flags_after(change) -> list[str]:
        notebook = trials.released(SET)
        change(notebook)
        return submissions.restore(submissions.normalise(notebook), release, SET)[1]

    def find(notebook, cell):
        return next(other for other in notebook.cells if other.id == cell.id)

    changes = {
        "deleted": lambda notebook: notebook.cells.remove(find(notebook, solution)),
        "deleted a check": lambda notebook: notebook.cells.remove(find(notebook, check_cell)),
        "deleted given code": lambda notebook: notebook.cells.remove(next(c for c in notebook.cells if c.cell_type == "code" and "nbgrader" not in c.metadata)),
        "copied": lambda notebook: notebook.cells.append(find(notebook, solution)),
        "edited": lambda notebook: find(notebook, check_cell).update(source="pass"),
        "renamed": lambda notebook: find(notebook, solution).metadata.nbgrader.update(grade_id="mine"),
        "made text": lambda notebook: find(notebook, solution).update(cell_type="markdown"),
        "many": lambda notebook: notebook.cells.extend([find(notebook, solution)] * 100),
    }
    for what, change in changes.items():
        flags = flags_after(change)
        assert flags, what
        found = attention(of(one("ann", check(passed=True), flags=tuple(flags))))
        assert list(found) == [CELLS], what
        assert found[CELLS] == [("ann", list(dict.fromkeys(flags)))]


@pytest.mark.parametrize(
    "flag",
    [
        "the cell predict was left out: the cell predict took more than 20 s of CPU time",
        "the cell predict was left out: the process ended by its CPU limit or a kill",
        "the cell number 3 was left out: the cell number 3 filled more than 64 MB of disk",
    ],
)
def test_flags_of_limits_are_told_as_such(flag):
    assert attention(of(one("ann", check(passed=True), flags=(flag,)))) == {LIMIT: [("ann", [flag])]}


def test_every_sentence_about_a_limit_has_its_kind():
    """The sentences are read out of the grader's source, with x for what it fills in."""
    found = []
    for call in ast.walk(ast.parse(inspect.getsource(challenging))):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("StudentTimeout", "Starved", "kind") and call.args:
            parts = getattr(call.args[0], "values", call.args[:1])
            found.append("".join(part.value if isinstance(part, ast.Constant) else "x" for part in parts))
    assert len(found) >= 4
    for sentence in found:
        assert list(attention(of(one("ann", check(message=sentence))))) == [LIMIT], sentence


def test_checks_that_ended_by_a_limit_are_told_once_an_exercise():
    message = "predict took more than 20 s of CPU time"
    checks = (check(message=message), check(message=f"not run: an earlier check of predict ended with: {message}"), check(passed=True))
    assert attention(of(one("ann", *checks))) == {LIMIT: [("ann", [f"predict: {message}"])]}
    hidden = check(message="the process ended by a crash (SIGSEGV) at 271828", hidden=True)
    assert attention(of(one("ann", hidden))) == {LIMIT: [("ann", ["predict: in a hidden check"])]}
    assert attention(of(one("ann", check(message="expected 0, got 1")))) == {}


def test_what_could_not_be_read_is_told_first_whatever_the_reason():
    found = attention(of(one("ann", flags=("the file is not JSON",)), one("bob", flags=("bob.ipynb is a link", "handed in late, Canvas says"))))
    assert found == {classpage.UNREADABLE: [("ann", ["the file is not JSON"]), ("bob", ["bob.ipynb is a link", "handed in late, Canvas says"])]}


def test_late_work_and_versions_are_told_and_lent_references_are_not():
    flags = ("handed in late, Canvas says", "2 versions of one file were handed in; the newest counts: x-1.ipynb, upload 7")
    lent = "predict was checked with the reference's count_votes"
    assert attention(of(one("ann", check(), flags=(*flags, lent)))) == {HANDED: [("ann", list(flags))]}
    reseed = "the inputs were drawn anew at an instructor's word (reseed 1)"
    assert attention(of(one("ann", check(), flags=(reseed,)))) == {classpage.OTHER: [("ann", [reseed])]}


# what fails


def test_statements_are_counted_by_student_and_show_what_public_checks_say_most_often():
    report = of(
        one("ann", check(message="expected 0 at p = 0.5, got 1"), check(message="something else"), check("cohen-limits")),
        one("bob", check(message="expected 0 at p = 0.25, got -2e-3"), check(message="expected 0 at p = 0.1, got 3")),
        one("cat", check(message="the hidden input was 271828", hidden=True), check("cohen-limits", passed=True)),
        one("dan", check(passed=True), name="certify"),
        one("eve", flags=("the file is not JSON",)),
    )
    first, second = failures(report)
    assert (first.statement, first.exercises, first.failed, first.of) == ("cohen-thm-1", (("predict", 3),), 3, 4)
    assert (first.message, first.count) == ("expected 0 at p = 0.5, got 1", 2)
    assert first.percent == 75
    assert (second.statement, second.failed, second.message, second.count) == ("cohen-limits", 1, "", 0)
    page = class_page(report)
    assert "271828" not in page
    assert "3 of 4" in page
    assert "only hidden checks failed" in page


# what takes long

TIMES = {
    "ann": {"seconds": 3.0, "checks": {"predict.test_a": 1.0, "predict.test_b": 9.0, "the notebook": 0.1}},
    "bob": {"seconds": 5.0, "checks": {"predict.test_a": 3.0, "predict.test_b": 0.1}},
    "cat": {"seconds": 4.0, "checks": {"predict.test_a": 2.0, "predict.test_b": 0.1}},
}


def test_the_slowest_checks_are_those_that_are_slow_for_most():
    found = slow_checks(TIMES)
    assert [(slow.exercise, slow.check, slow.median, slow.longest, slow.student) for slow in found] == [
        ("predict", "test_a", 2.0, 3.0, "bob"),
        ("", "the notebook", 0.1, 0.1, "ann"),
        ("predict", "test_b", 0.1, 9.0, "ann"),
    ]
    assert slow_submissions(TIMES) == [("bob", 5.0), ("cat", 4.0), ("ann", 3.0)]


def test_seconds_alone_are_times_too_and_others_times_are_left_out():
    times = {"ann": 1.5, "bob": 2.5, "nobody": 99.0}
    assert slow_checks(times) == []
    page = Page(class_page(of(one("ann", check()), one("bob", check())), timings=times))
    assert "99" not in page.text
    assert re.search(r"bob\s+2\.5,\s+ann\s+1\.5", page.text)


# the page


def test_every_student_is_linked_to_the_own_page_wherever_the_name_stands():
    names = ["ann", "Ann", EVIL, "", "../../x", "=1+1"]
    report = of(*(one(name, check(message=f"got {EVIL}"), flags=(f"a cell has the unknown id {EVIL}",)) for name in names), refused=(f"{EVIL} is a link",))
    times = {name: {"seconds": 1.0, "checks": {f"predict.test_{EVIL}": 1.0}} for name in names}
    text = class_page(report, timings=times)
    page, pages = Page(text), file_names(names)
    assert {address: name for address, name in page.links.items() if name != "(no name)"} == {f"feedback/{pages[name]}": name for name in names if name}
    assert page.links[f"feedback/{pages['']}"] == "(no name)"
    assert EVIL not in text
    assert {tag for tag, _ in page.elements} & {"script", "iframe", "object", "embed", "link", "base", "form"} == set()
    assert all(attrs["src"].startswith("data:image/svg+xml;base64,") for tag, attrs in page.elements if tag == "img")
    assert not any(key.startswith("on") for _, attrs in page.elements for key in attrs)


def test_nobody_has_a_page_too():
    page = Page(class_page(of()))
    assert "0 submissions" in page.text
    assert "Nobody has handed in yet" in page.text
    assert "NaN" not in page.text
    assert "Everybody" not in page.text
    assert "x.zip is no archive" in Page(class_page(of(refused=("x.zip is no archive",)))).text


def test_a_class_of_which_nobody_could_be_read_has_a_page():
    page = Page(class_page(of(one("ann", flags=("the file is not JSON",)))))
    assert "1 submission" in page.text
    assert "What fails most" not in page.text


def test_the_same_report_and_times_give_the_same_bytes():
    report = of(one("ann", check(message="x")), one("bob", check(passed=True)))
    assert class_page(report, timings=TIMES) == class_page(report, timings=json.loads(json.dumps(TIMES)))


def thousand(number: int = 1000) -> tuple[Report, dict]:
    """A class of which everybody fails several checks, with long names and messages."""
    students = [f"student_{'x' * (i % 30)}{i}" for i in range(number)]
    questions = [f"exercise_{i}" for i in range(8)]
    found = []
    for i, student in enumerate(students):
        checks = [(check(f"statement-{j % 5}", (i + j) % 3 == 0, f"expected {i} at p = {j}, got " + "y" * 150),) * 3 for j in range(8)]
        flags = (f"the cell exercise_{i % 8} is missing",) if i % 10 == 0 else ()
        parts = tuple(Question(name, sum(c.passed for c in part), 3, part) for name, part in zip(questions, checks, strict=True))
        found.append(Submission(student, student, sum(q.score for q in parts), 24, flags, parts))
    times = {student: {"seconds": i % 7, "checks": {f"{name}.test_{j}": i % 5 for name in questions for j in range(3)}} for i, student in enumerate(students)}
    return of(*found), times


def test_a_thousand_submissions_make_a_page_that_opens():
    """Measured: 1.4 s of CPU and 1.0 MB for a class that loses what classes lose; here everybody loses nearly everything."""
    report, times = thousand()
    started = time.process_time()
    text = class_page(report, timings=times)
    assert time.process_time() - started < 15
    assert len(text.encode()) < 4 * 2**20
    assert len(Page(text).links) == 1000


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")
def test_a_browser_shows_the_page_whole_and_loads_nothing(tmp_path):
    from playwright.sync_api import sync_playwright

    report, times = thousand(50)
    (tmp_path / "class.html").write_text(class_page(report, timings=times), encoding="utf-8")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto((tmp_path / "class.html").as_uri())
        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "class.html").as_uri()]
        assert page.evaluate("document.images[0].naturalWidth") > 300
        assert page.evaluate("document.documentElement.scrollWidth") <= 1100
        page.set_viewport_size({"width": 420, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= 420
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 718, "height": 900})  # A4 at 96 dots an inch, less the margins
        assert page.evaluate("document.documentElement.scrollWidth") <= 718
        browser.close()
