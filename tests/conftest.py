"""Which tests may be skipped, and why: nothing else may. And where the CPU time of a run goes, by what it is spent on, at the end of its report."""

import os
import re
from collections import Counter

import pytest

ALLOWED = {  # part of the reason -> whether .ci/run installs what is missing, so that with CI set the skip is a failure
    "needs Debian's chromium": True,
    "needs Debian's dataset-fashion-mnist": True,
    "needs Debian's postgresql": True,
    "needs a CUDA device": False,
    "only root can make another user": False,
    "level 2 does not hold here": False,  # a kernel without Landlock
}
TOGETHER = ("tests/autograder/test_grading", "tests/autograder/test_sandbox", "tests/autograder/test_scheduling", "tests/lib/neural_cleanse")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests that share what takes long to make, a warm process or a trained model, share a worker."""
    for item in items:
        for place in TOGETHER:
            if item.nodeid.startswith(place):
                item.add_marker(pytest.mark.xdist_group(place.rpartition("/")[2]))


def pytest_addoption(parser):
    parser.addoption("--secrets", type=int, default=1, help="under how many secrets mistakes and honest variants are judged, each with other inputs")
    parser.addoption("--frames", type=int, default=5_000, help="how many hostile frames are sent to the challenger's end; make study sends 100,000")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        installed = next((here for part, here in ALLOWED.items() if part in reason), None)
        if installed is None or (installed and os.environ.get("CI")):
            report.outcome = "failed"
            report.longrepr = f"a skip that is not allowed {'with CI set' if installed else 'by tests/conftest.py'}: {reason}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    before = _cpu()
    try:
        return (yield)
    finally:
        SPENT[_area(item.nodeid)] += _cpu() - before


SPENT: Counter[str] = Counter()  # CPU seconds by area, of this process and the children that it waited for


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _area(node: str) -> str:
    """A problem set where the test names one, else the folder, and of the grader the file."""
    named = re.search(r"ps\d\d_[a-z_]+", node)
    return named[0] if named else re.match(r"tests/(autograder/\w+|\w+(/\w+)?)", node)[0]


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["cpu"] = dict(SPENT)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    SPENT.update(getattr(node, "workeroutput", {}).get("cpu", {}))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("CPU seconds")
    for area, seconds in SPENT.most_common():
        if seconds >= 1:
            terminalreporter.write_line(f"{seconds:7.0f}  {area}")
