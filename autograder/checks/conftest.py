"""`pytest autograder/checks --submission reference`: the checks on the command line, for whoever writes them."""

import pytest

from autograder.trials import open_submission


def pytest_addoption(parser):
    group = parser.getgroup("autograder", "checks of problem sets")
    group.addoption("--submission", default="reference", help="'reference' (the solved notebook), or the file of a notebook or of functions (.ipynb, .py)")
    group.addoption("--secret", default="reference", help="text that seeds the inputs, with --student")
    group.addoption("--student", default="", help="whose inputs to draw")
    group.addoption("--sandbox", action="store_true", help="run the submission in the sandbox, through the real pipe, in place of this process")


def pytest_configure(config):
    if config.pluginmanager.has_plugin("checks"):
        return
    try:
        plugin = open_submission(config.getoption("--submission"), config.getoption("--secret"), config.getoption("--student"), config.getoption("--sandbox"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(plugin, "checks")
