"""Names are read off the bytecode, so that the answer is Python's own."""

import pytest

from autograder.naming import BUILTINS, Import, Library, bound, definitions, imports, needed


@pytest.mark.parametrize(
    "source, needs, binds",
    [
        ("x = x + 1", {"x"}, {"x"}),
        ("total += 1", {"total"}, {"total"}),
        ("for s in range(3):\n    show(s)", {"show"}, {"s"}),
        ("[k for k in rows]", {"rows"}, set()),
        ("def f(a: T = start) -> U:\n    inner: V = 1\n    return inner + given(a)", {"T", "U", "start", "given"}, {"f"}),
        ("def f(n):\n    return f(n - 1)", set(), {"f"}),
        ("class A:\n    q = 1\n    r = q + w\n    def m(self):\n        return A, outside", {"w", "outside"}, {"A"}),
        ("import a.b as c, d.e\nfrom g import h", set(), {"c", "d", "h"}),
        ("def f():\n    global total\n    total = 1", set(), {"f", "total"}),
        ("with opened() as file, (y := other()):\n    pass", {"opened", "other"}, {"file", "y"}),
        ("x = 1\ndef f():\n    return x + lambda_needed\nshow = lambda: y", {"lambda_needed", "y"}, {"x", "f", "show"}),
        ("await arrived", {"arrived"}, set()),
    ],
)
def test_needed_and_bound_names(source, needs, binds):
    assert needed(source) - BUILTINS == needs
    assert bound(source) == binds


def test_what_is_needed_is_what_raises_a_name_error():
    for source in ("x = x + 1", "y = 1\nprint(y, z)", "[k for k in rows]", "class A:\n    r = w"):
        for name in needed(source) - BUILTINS:
            with pytest.raises(NameError, match=f"'{name}'"):
                exec(compile(source, "cell", "exec"), {})


def test_imports_in_branches_count_and_relative_ones_are_resolved():
    source = "import os\ntry:\n    import a.b\nexcept ImportError:\n    from .c import d as e\ndef f():\n    import hidden\n"
    found = imports(source, "p.q")
    assert found == {"os": [Import("os")], "a": [Import("a.b")], "e": [Import("p.q.c", "d", "e")]}
    assert imports("from .. import x", "p.q") == {"x": [Import("p", "x")]}
    assert definitions(source) == {"f"}


def test_origin_follows_re_exports(tmp_path):
    package = tmp_path / "backdoors"
    package.mkdir()
    (package / "__init__.py").write_text("from backdoors.a import f as g\nfrom .loop import h\n")
    (package / "a.py").write_text("from .b import f\n")
    (package / "b.py").write_text("def f(): ...\n")
    (package / "loop.py").write_text("from backdoors import h\n")
    library = Library(tmp_path)
    assert library.origin("backdoors", "g") == ("backdoors.b", "f")
    assert library.origin("math", "sin") == ("math", "sin")
    assert library.origin("backdoors", "h") in {("backdoors", "h"), ("backdoors.loop", "h")}


def test_lines_say_what_python_reads():
    assert [Import("a.b").line, Import("a", "", "c").line, Import("a", "b").line, Import("a", "b", "c").line] == [
        "import a.b",
        "import a as c",
        "from a import b",
        "from a import b as c",
    ]
    assert [Import("a.b").binds, Import("a", "", "c").binds, Import("a", "b").binds] == ["a", "c", "b"]
