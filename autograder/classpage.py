"""The page of the class: how the scores spread, which submissions a person must look at, which statements fail and why, which checks are slow.

One static file: its picture is inside, it runs nothing and loads nothing. It is for instructors, and still shows of a hidden check only the statement
that it tests. What a student did to the notebook's cells is told, never punished: the grade rests on what the functions do.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, median

from autograder.protocol import clean
from autograder.reporting import NAME, Report, Submission, file_names, losses, question_names, template

SLOWEST = 10  # checks and submissions that are listed
LIMIT = "Reached a limit of time, memory or disk, or ended its process"
CELLS = "Cells deleted, copied or edited"
HANDED = "Handed in late, or more than one file"
PATTERNS = {  # what a submission's flags and messages say, by what a person should look for
    LIMIT: (
        r"CPU time|CPU limit|limit of time|one of its limits|did not answer|process (has )?ended"
        r"|MB of disk|disk of the grader|grader itself work|broke the rules of the pipe|was left out"
    ),
    CELLS: r"is missing|more than once; the first|unknown id|was changed; it was put back|had become a|more of this kind",
    HANDED: r"handed in|stands in its archive|versions of one file|lies outside its archive",
}
UNREADABLE = "Not graded: no points"
OTHER = "Other notes"
ORDINARY = r"was checked with the reference's"  # said of everybody whose earlier exercise failed
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")


@dataclass(frozen=True)
class Failure:
    """A statement that checks found violated.

    Attributes:
        exercises: (name, submissions) of the exercises whose checks of it failed, the most frequent first.
        failed: how many submissions, of `of` that could be read, failed a check of it.
        message: what a public check said most often, one example; empty where only hidden checks failed.
        count: to how many submissions it said that, numbers aside.
    """

    statement: str
    exercises: tuple[tuple[str, int], ...]
    failed: int
    of: int
    message: str
    count: int

    @property
    def percent(self) -> float:
        return 100 * self.failed / self.of


@dataclass(frozen=True)
class Slow:
    """CPU seconds of a check, or without an exercise of something else, over the class, and whose submission took longest."""

    exercise: str
    check: str
    median: float
    longest: float
    student: str


def class_page(report: Report, pages: dict[str, str] | None = None, timings: dict | None = None) -> str:
    """The page as HTML.

    Args:
        pages: the name of every student's page in the folder feedback.
        timings: by student, seconds or {"seconds": wall seconds, "checks": {"exercise.test": CPU seconds}}.
    """
    students = [submission.student for submission in report.submissions]
    timings = {student: timings[student] for student in students if student in timings} if timings else {}
    names = question_names(report)
    scores = [submission.score for submission in report.submissions]
    return template("class.html").render(
        report=report,
        pages=pages or file_names(students),
        questions=names,
        picture=_picture(report, names) if names else None,
        summary={"mean": mean(scores), "median": median(scores), "most": max(s.max_score for s in report.submissions)} if scores else None,
        attention=attention(report),
        failures=failures(report),
        slow_checks=slow_checks(timings),
        slow_submissions=slow_submissions(timings),
        losses=losses,
    )


def attention(report: Report) -> dict[str, list[tuple[str, list[str]]]]:
    """What a person should look at: by kind, (student, sentences), in the order of the report; kinds that nobody shows are left out."""
    found: dict[str, list[tuple[str, list[str]]]] = {kind: [] for kind in (UNREADABLE, *PATTERNS, OTHER)}
    for submission in report.submissions:
        said: dict[str, list[str]] = defaultdict(list)
        for flag in submission.flags:
            said[_kind(flag, submission)].append(clean(flag))
        for exercise, message in _limits(submission):
            said[LIMIT].append(f"{exercise}: {message}" if message else f"{exercise}: in a hidden check")
        for kind, sentences in said.items():
            if kind:
                found[kind].append((submission.student, list(dict.fromkeys(sentences))))
    return {kind: who for kind, who in found.items() if who}


def failures(report: Report) -> list[Failure]:
    """The statements that failed, the most frequent first."""
    readable = [submission for submission in report.submissions if _readable(submission)]
    failed: Counter[str] = Counter()
    exercises: dict[str, Counter[str]] = defaultdict(Counter)
    messages: dict[str, Counter[str]] = defaultdict(Counter)
    examples: dict[tuple[str, str], str] = {}
    for submission in readable:
        here: dict[str, set[str]] = defaultdict(set)
        said: dict[tuple[str, str], str] = {}
        for question in submission.questions:
            for check in question.checks:
                if not check.passed:
                    here[check.statement].add(clean(question.name, NAME))
                    if check.message and not check.hidden:
                        message = clean(check.message)
                        said.setdefault((check.statement, NUMBER.sub("#", message)), message)
        failed.update(list(here))
        for statement, names in here.items():
            exercises[statement].update(sorted(names))
        for (statement, kind), message in said.items():
            messages[statement][kind] += 1
            examples.setdefault((statement, kind), message)
    found = []
    for statement, number in sorted(failed.items(), key=lambda item: (-item[1], item[0])):
        kind, count = min(messages[statement].items(), key=lambda item: (-item[1], item[0]), default=("", 0))
        example = examples.get((statement, kind), "")
        found.append(Failure(statement, tuple(exercises[statement].most_common()), number, len(readable), example, count))
    return found


def slow_checks(timings: dict) -> list[Slow]:
    """The checks that take most CPU time, by their median over the class."""
    taken: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for student, one in timings.items():
        for name, seconds in (one.get("checks", {}) if isinstance(one, dict) else {}).items():
            taken[name].append((seconds, student))
    found = []
    for name, all_of in taken.items():
        exercise, point, check = name.partition(".")
        found.append(Slow(exercise if point else "", check or name, median(seconds for seconds, _ in all_of), *max(all_of)))
    return sorted(found, key=lambda slow: (-slow.median, slow.exercise, slow.check))[:SLOWEST]


def slow_submissions(timings: dict) -> list[tuple[str, float]]:
    """(student, seconds) of the submissions that took longest."""
    taken = [(student, one["seconds"] if isinstance(one, dict) else one) for student, one in timings.items()]
    return sorted(taken, key=lambda one: (-one[1], one[0]))[:SLOWEST]


def _readable(submission: Submission) -> bool:
    return any(question.checks for question in submission.questions)


def _kind(flag: str, submission: Submission) -> str:
    """Under which kind a flag is told; empty where it is nothing to look at."""
    if re.search(ORDINARY, flag):
        return ""
    kind = next((kind for kind, pattern in PATTERNS.items() if re.search(pattern, flag)), OTHER)
    return kind if _readable(submission) else UNREADABLE


def _limits(submission: Submission) -> Iterable[tuple[str, str]]:
    """(exercise, message) of the checks that ended by a limit, the message empty where the check is hidden; those not run for it left out."""
    for question in submission.questions:
        for check in question.checks:
            if not check.passed and re.search(PATTERNS[LIMIT], check.message) and not check.message.startswith("not run"):
                yield clean(question.name, NAME), "" if check.hidden else clean(check.message)


def _picture(report: Report, names: list[str]) -> str:
    """How many students reached each score, question by question and in all, as an SVG data address."""
    import base64
    import io

    import matplotlib
    from matplotlib.figure import Figure

    scores = {name: [q for s in report.submissions for q in s.questions if q.name == name] for name in names}
    panels = [(clean(name, 40), [q.score for q in found], max(q.max_score for q in found)) for name, found in scores.items()]
    panels.append(("all", [s.score for s in report.submissions], max(s.max_score for s in report.submissions)))
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    with matplotlib.rc_context({"svg.hashsalt": "backdoors", "svg.fonttype": "path", "font.size": 8, "text.parse_math": False}):
        figure = Figure(figsize=(2.6 * columns, 2.0 * rows), layout="constrained")
        for index, (title, values, top) in enumerate(panels):
            axes = figure.add_subplot(rows, columns, index + 1)
            step = int(top) // 15 + 1  # points a bar
            axes.hist(values, bins=[edge - 0.5 for edge in range(0, int(top) + step + 1, step)], color="#4878a8", rwidth=0.9)
            axes.set(title=title, xlim=(-0.6, top + step - 0.4), xlabel="points", ylabel="students")
            if index < len(names):  # one scale for all questions
                axes.set_ylim(0, len(report.submissions))
            axes.locator_params(integer=True, nbins=6)
        image = io.BytesIO()
        figure.savefig(image, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(image.getvalue()).decode()
