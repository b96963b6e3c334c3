"""Which tests may be skipped, and why: nothing else may."""

import os

import pytest

ALLOWED = {  # part of the reason -> whether .ci/run installs what is missing, so that with CI set the skip is a failure
    "needs Debian's chromium": True,
    "needs Debian's dataset-fashion-mnist": True,
    "needs Debian's postgresql": True,
    "needs a CUDA device": False,
    "only root can make another user": False,
    "level 2 does not hold here": False,  # a kernel without Landlock
}


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
