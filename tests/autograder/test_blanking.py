"""Bodies are cut out by position: what stands around them stays to the byte, and what cannot be cut is refused."""

import ast
import heapq
import statistics
import textwrap
from inspect import getsource

import pytest

from autograder import blanking
from autograder.errors import KitError

PLAIN = '''\
import math

def area(radius: float,
         scale=(lambda x: {"a": 1}[x])) -> float:  # of a disc
    """Its area.

    In the plane.
    """
    # squared, then scaled

    return math.pi * radius**2
    # and that is all

# below
CONSTANT = 1
'''
BLANK = '''\
import math

def area(radius: float,
         scale=(lambda x: {"a": 1}[x])) -> float:  # of a disc
    """Its area.

    In the plane.
    """
    # YOUR CODE HERE
    raise NotImplementedError()

# below
CONSTANT = 1
'''


def test_only_the_body_with_its_comments_becomes_the_stub():
    assert blanking.blanked(PLAIN, ["area"], "m") == BLANK


def test_marks_stand_around_the_body_and_nbgrader_would_leave_the_blank():
    marked = blanking.marked(PLAIN, "area", "m").split("\n")
    begin, end = marked.index("    ### BEGIN SOLUTION"), marked.index("    ### END SOLUTION")
    assert marked[begin + 1 : end] == ["    # squared, then scaled", "", "    return math.pi * radius**2", "    # and that is all"]
    stub = ["    " + line for line in blanking.STUB]
    assert "\n".join(marked[:begin] + stub + marked[end + 1 :]) == blanking.text(BLANK, "area", "m")


@pytest.mark.parametrize("module", [heapq, statistics, textwrap], ids=lambda module: module.__name__)
def test_every_other_definition_of_a_real_module_stays_what_it_was(module):
    source = getsource(module)
    for node in ast.parse(source).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        try:
            blank = blanking.blanked(source, [node.name], "m")
        except KitError:
            continue
        before, after = ast.parse(source).body, ast.parse(blank).body
        assert len(before) == len(after)
        for old, new in zip(before, after, strict=True):
            if getattr(old, "name", None) == node.name:
                old, new = _without_body(old), _without_body(new)
            assert ast.dump(old) == ast.dump(new), f"{module.__name__}.{node.name}"


def _without_body(node: ast.FunctionDef) -> ast.FunctionDef:
    docstring = ast.get_docstring(node, clean=False)
    node.body = [ast.Expr(ast.Constant(docstring))]
    return node


def test_line_ends_and_form_feeds_of_a_file_are_kept():
    source = 'x = 1\r\n\x0c\r\ndef f():\r\n    """One."""\r\n    return 1\r\n'
    assert blanking.blanked(source, ["f"], "m") == source.replace("return 1", "# YOUR CODE HERE\r\n    raise NotImplementedError()")


def test_a_body_at_the_end_of_a_file_without_a_line_end_is_marked_and_blanked():
    source = "def f():\n    return 1"
    assert blanking.marked(source, "f", "m") == "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION"
    assert blanking.blanked(source, ["f"], "m") == "def f():\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"


def test_several_functions_are_blanked_at_once_and_decorators_stay():
    source = "@cache\ndef f():\n    return 1\n\n\ndef g():\n  if True:\n    return 2\n"
    stub = "# YOUR CODE HERE\n{0}raise NotImplementedError()\n"
    expected = "@cache\ndef f():\n    " + stub.format("    ") + "\n\ndef g():\n  " + stub.format("  ")
    assert blanking.blanked(source, ["f", "g"], "m") == expected
    assert blanking.text(source, "f", "m") == "@cache\ndef f():\n    return 1"


@pytest.mark.parametrize(
    "source, message",
    [
        ("def f(): return 1\n", "line of the def"),
        ("def f(x,\n      y): return 1\n", "line of the def"),
        ('def f():\n    """Doc."""; return 1\n', "docstring's line 2"),
        ('def f():\n    """Doc."""\n', "no body"),
        ('def f():\n    """Doc."""\n    ...\n', "no body"),
        ("def f():\n    pass\n", "no body"),
        ("async def f():\n    return 1\n", "async"),
        ("class f:\n    x = 1\n", "a class"),
        ("def g():\n    def f():\n        return 1\n", "nested"),
        ("if True:\n    def f():\n        return 1\n", "nested"),
        ("class A:\n    def f(self):\n        return 1\n", "nested"),
        ("def f():\n    return 1\n\n\ndef f():\n    return 2\n", "more than once"),
        ("def g():\n    return 1\n", "no function or class named 'f'"),
        ("def f(:\n", "not valid Python"),
    ],
)
def test_what_a_slice_cannot_express_is_refused(source, message):
    with pytest.raises(KitError, match=message):
        blanking.locate(source, "f", "m")


def test_telling_statements_are_long_ones_and_comments_and_nothing_of_the_signature():
    source = '''\
def f(first_argument_of_it=compute_the_default_value()):
    """Documentation of twenty-five characters and more."""
    # a reason
    short = 1
    for index in range(first_argument_of_it):  # aside
        total = accumulate(index,
                           short)  # again
    return total
'''
    assert set(blanking.telling(source, "f", "m")) == {
        "for index in range(first_argument_of_it):",
        "total = accumulate(index, short)",
        "# a reason",
        "# aside",
        "# again",
    }


def test_size_counts_lines_of_code():
    assert blanking.size(PLAIN, "area", "m") == 1
