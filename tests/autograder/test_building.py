"""The build on a tiny course: what it makes, to the byte, and everything that it refuses."""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest

from autograder import blanking, building
from autograder.errors import KitError
from autograder.naming import Import
from autograder.notebooks import import_block

MANUSCRIPT = "solutions/ps01_tiny/ps01_tiny.md"
NUMBERS = "lib/backdoors/numbers.py"
PUBLIC = "autograder/checks/ps01_tiny/public.py"
HIDDEN = "autograder/checks/ps01_tiny/hidden.py"


def tree(*folders: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()}


def cells(path: Path) -> dict[str, nbformat.NotebookNode]:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}


def test_exercises_carry_what_library_and_checks_say_of_them(course):
    assert building.exercises("ps01_tiny", course.root) == [
        building.Exercise("double", "backdoors.numbers", 2, ("tiny-thm-1",), (), 2),
        building.Exercise("pair", "backdoors.numbers", 4, ("tiny-thm-1", "tiny-thm-2"), ("double",), 1),
    ]


def test_the_solved_notebook_holds_each_cell_of_the_manuscript_and_three_for_an_exercise(course):
    building.build("ps01_tiny", course.root)
    notebook = nbformat.read(course.root / "solutions/ps01_tiny/ps01_tiny.ipynb", as_version=4)
    found = [cell.metadata.get("nbgrader", {}).get("grade_id") or cell.source.split("\n")[0] for cell in notebook.cells]
    assert found == [
        "# What is twice?",
        "# The backdoors/ and autograder/ beside this notebook are the ones it needs.",
        "size = 3",
        "## A hole",
        "**Exercise `double`**: about 2 lines, 2 points. Its checks verify `tiny-thm-1` (Tiny, Thm 1).",
        "double",
        "check-double",
        "import math",
        "**Exercise `pair`**: about 1 line, 4 points. Its checks verify `tiny-thm-1` (Tiny, Thm 1), `tiny-thm-2` (Tiny, Thm 2).",
        "pair",
        "check-pair",
        "def total(x: int) -> int:",
        "question-f1",
        "f1",
        "The end.",
    ]
    assert notebook.metadata == {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}


def test_cells_bear_the_marks_that_nbgrader_needs(course):
    building.build("ps01_tiny", course.root)
    for folder in ("solutions", "assignments"):
        found = cells(course.root / folder / "ps01_tiny/ps01_tiny.ipynb")
        marks = {name: (cell.metadata.nbgrader.grade, cell.metadata.nbgrader.solution, cell.metadata.nbgrader.locked) for name, cell in found.items()}
        assert marks["pair"] == (False, True, False)
        assert marks["check-pair"] == (True, False, True)
        assert marks["question-f1"] == (False, False, True)
        assert marks["f1"] == (True, True, False)
        assert {name: cell.metadata.nbgrader.get("points") for name, cell in found.items() if cell.metadata.nbgrader.grade} == {
            "check-double": 2,
            "check-pair": 4,
            "f1": 4,
        }
        assert found["check-pair"].source == 'check("pair")'
        assert found["f1"].cell_type == "markdown"


def test_released_exercises_are_blank_as_they_are_in_the_library(course):
    building.build("ps01_tiny", course.root)
    released = {cell.grade_id: cell for cell in building.released_cells("ps01_tiny", course.root)}
    source = (course.root / NUMBERS).read_text()
    for name in ("double", "pair"):
        assert released[name].source == blanking.text(blanking.blanked(source, ["double", "pair"], "m"), name, "m")
    assert released["f1"].source == "YOUR ANSWER HERE"
    assert released["question-f1"].source == "Why is twice a sum?"


def test_exploration_tags_survive_into_the_released_notebook(course):
    building.build("ps01_tiny", course.root)
    tagged = [cell for cell in building.released_cells("ps01_tiny", course.root) if cell.tags]
    assert [(cell.cell_type, cell.source.split("\n")[1], cell.tags) for cell in tagged] == [
        ("code", "picture = [double(number) for number in range(size)]", ("explore",))
    ]


def test_data_of_a_set_is_released_and_its_manuscript_is_not(course):
    (course.root / "solutions/ps01_tiny/scratch.ipynb").write_text("not a notebook, and none of the course's")
    building.build("ps01_tiny", course.root)
    assert [name.removeprefix(str(course.root)) for name in tree(course.root / "assignments")] == [
        "/assignments/ps01_tiny/data/numbers.csv",
        "/assignments/ps01_tiny/ps01_tiny.ipynb",
    ]


def test_two_builds_are_equal_to_the_byte(course):
    folders = (course.root / "solutions", course.root / "assignments")
    building.build("ps01_tiny", course.root)
    first = tree(*folders)
    building.build("ps01_tiny", course.root)
    assert tree(*folders) == first
    assert "ümlauts".encode() in first[str(course.root / "assignments/ps01_tiny/ps01_tiny.ipynb")]
    assert not any((course.root / "build").iterdir())


def test_ids_follow_from_the_grade_id_or_from_place_and_text(course):
    building.build("ps01_tiny", course.root)
    ids = [cell["id"] for cell in json.loads((course.root / "solutions/ps01_tiny/ps01_tiny.ipynb").read_text())["cells"]]
    assert {"double", "check-double", "f1"} <= set(ids)
    assert all(re.fullmatch("double|pair|check-double|check-pair|f1|question-f1|c-[0-9a-f]{12}", i) for i in ids)


@pytest.mark.parametrize(("package", "found"), [(type("Package", (), {"__edition__": "ps02_tiny"}), "ps02_tiny"), (None, "missing")])
def test_the_first_cell_names_a_wrong_or_missing_edition(course, monkeypatch, package, found):
    building.build("ps01_tiny", course.root)
    source = building.released_cells("ps01_tiny", course.root)[1].source
    monkeypatch.setitem(sys.modules, "backdoors", package)
    with pytest.raises(ImportError, match=f"made for ps01_tiny, and the one that Python finds is '{found}': start JupyterLab in the folder"):
        exec(source, {})


def test_the_first_cell_imports_what_the_exercises_need_and_nothing_else(course):
    lines = building.notebooks.first_cell(building.resolve("ps01_tiny", course.root)).split("\n\n")[1:]
    assert lines == ["import math", "from autograder import check\nfrom backdoors.numbers import UNIT, Pair\nfrom backdoors.tools import LIMIT, shifted"]


def test_imports_stand_as_isort_orders_them():
    lines = [Import("torch"), Import("scipy.stats", "norm"), Import("scipy.stats", "beta"), Import("numpy", "", "np"), Import("math", "inf"), Import("os")]
    names = [Import("backdoors.m", name) for name in ("zeta", "Pair", "LIMIT", "_require")]
    assert import_block(lines + names) == (
        "import os\nfrom math import inf\n\n"
        "import numpy as np\nimport torch\nfrom scipy.stats import beta, norm\n\n"
        "from backdoors.m import LIMIT, Pair, _require, zeta"
    )
    long = import_block([Import("backdoors.m", f"a_rather_long_name_{i}") for i in range(6)])
    assert long.startswith("from backdoors.m import (\n    a_rather_long_name_0,\n")
    assert long.endswith(",\n)")


def test_an_exercise_reaches_what_its_callees_use(course):
    course.edit(NUMBERS, "both = pair(x)\n    return", "both = pair(x)\n    # sum\n    return")
    course.edit(MANUSCRIPT, ":copy: backdoors.numbers.total", ":exercise: backdoors.numbers.total")
    course.add(PUBLIC, '\n@declare("total", points=1, statement="tiny-thm-2", false_fail=0)\ndef test_total(student):\n    pass\n')
    assert building.exercises("ps01_tiny", course.root)[2].uses == ("double", "pair")


def test_a_copied_function_passes_on_what_it_uses(course):
    course.add(NUMBERS, '\n\ndef twice_total(x):\n    """Twice."""\n    return 2 * total(x)\n')
    course.edit(MANUSCRIPT, "+++ {", "```{code-cell} ipython3\n:exercise: backdoors.numbers.twice_total\n```\n\n+++ {")
    course.add(PUBLIC, '\n@declare("twice_total", points=1, statement="tiny-thm-2", false_fail=0)\ndef test_twice(student):\n    pass\n')
    assert building.exercises("ps01_tiny", course.root)[2].uses == ("double", "pair")


FAULTS = {
    "unknown name": (NUMBERS, "math.fsum", "maths.fsum", "uses 'maths', which backdoors.numbers neither defines nor imports"),
    "exercise below": (NUMBERS, "math.fsum([x, x])", "math.fsum([x, x]) + 0 * pair.first", "uses pair, which stands below it"),
    "copy below": (NUMBERS, "math.fsum([x, x])", "math.fsum([x, x]) + 0 * total(x)", "uses total, which stands below it"),
    "later set": (NUMBERS, "shifted(y) if y", "tripled(y) if y", "uses tripled, an exercise of the later set ps02_tiny", "LIMIT, shifted", "LIMIT, tripled"),
    "alias": (NUMBERS, "LIMIT, shifted", "LIMIT, tripled as shifted", "uses shifted, an exercise of the later set"),
    "attribute": (NUMBERS, "shifted(y) if y", "tools.tripled(y) if y", "by its plain name, tripled", "LIMIT, shifted", "LIMIT\nfrom . import tools"),
    "two meanings": (NUMBERS, "import math", "import math\nimport cmath as math", "but the notebook has `import math`: one name, two meanings"),
    "same name from two modules": (
        MANUSCRIPT,
        ":copy: backdoors.numbers.total\n```",
        ":copy: backdoors.numbers.total\n```\n\n```{code-cell} ipython3\n:copy: backdoors.tools.total\n```",
        "defines total, which another cell defines too",
    ),
    "given cell uses a module": (MANUSCRIPT, "size = 3", "from backdoors import numbers\nsize = numbers.double", "cell 2 uses numbers.double: an exercise"),
    "no module": (MANUSCRIPT, "backdoors.numbers.double", "backdoors.letters.double", "has no module backdoors.letters"),
    "no function": (MANUSCRIPT, "backdoors.numbers.double", "backdoors.numbers.treble", "defines no function or class named 'treble'"),
    "verb": (MANUSCRIPT, "backdoors.numbers.double", "backdoors.numbers.train", "no exercise may be named train"),
    "twice": (MANUSCRIPT, "backdoors.numbers.pair", "backdoors.numbers.double", "unique in the course, and double stands in ps01_tiny already"),
    "in two sets": (MANUSCRIPT, "backdoors.numbers.double", "backdoors.tools.tripled", "unique in the course, and tripled stands in ps01_tiny already"),
    "copied exercise": (MANUSCRIPT, ":copy: backdoors.numbers.total", ":copy: backdoors.numbers.pair", "copies backdoors.numbers.pair, an exercise"),
    "non-ASCII name": (MANUSCRIPT, "backdoors.numbers.double", "backdoors.numbers.dóuble", "must be ASCII letters"),
    "long name": (MANUSCRIPT, "backdoors.numbers.double", "backdoors.numbers." + "d" * 59, "at most 58 characters"),
    "no dotted name": (MANUSCRIPT, "backdoors.numbers.double", "double", "'double' is no dotted name"),
    "typing error": (MANUSCRIPT, ":exercise: backdoors.numbers.double", ":excercise: backdoors.numbers.double", "known about the metadata excercise"),
    "not empty": (MANUSCRIPT, ":exercise: backdoors.numbers.double", ":exercise: backdoors.numbers.double\n\nx = 1", "must be empty"),
    "tags": (MANUSCRIPT, ":exercise: backdoors.numbers.double", ":exercise: backdoors.numbers.double\n:tags: [explore]", "have no meaning on a cell with"),
    "wrong kind of cell": (MANUSCRIPT, '"question": "f1"', '"exercise": "f1"', "nothing is known about the metadata points"),
    "exercise in text": (MANUSCRIPT, '"question": "f1", "points": 4', '"exercise": "a.b"', "'exercise' belongs to a code cell"),
    "question id": (MANUSCRIPT, '"question": "f1"', '"question": "f 1"', "the question's id 'f 1' must be"),
    "question id taken": (MANUSCRIPT, '"question": "f1"', '"question": "pair"', "two cells of the notebook have the id 'pair'"),
    "question points": (MANUSCRIPT, '"points": 4', '"points": 0', "must have points, a positive integer, got 0"),
    "no model answer": (MANUSCRIPT, "**Model answer.**\n", "", "the line \\*\\*Model answer"),
    "broken metadata": (MANUSCRIPT, ":tags: [explore]", ":tags: [explore", "is not a manuscript in MyST Markdown: .*"),
    "broken front matter": (MANUSCRIPT, "kernelspec: {", "kernelspec: {{", "is not a manuscript in MyST Markdown: .*"),
    "broken cell": (MANUSCRIPT, "size = 3", "size = = 3", "cell 2 is not valid Python: line 1"),
    "given cell imports a blank": (MANUSCRIPT, "size = 3", "from backdoors.numbers import double as d", "cell 2 imports double, which is blank"),
    "given cell binds an exercise": (MANUSCRIPT, "size = 3", "pair = size = 3", "cell 2 binds 'pair', the name of an exercise"),
    "exploration binds what a given cell uses": (
        MANUSCRIPT,
        "size = 3",
        "size = 3\ndef later():\n    return picture",
        "cell 2 uses 'picture', which the exploration cell 5 binds",
    ),
    "exploration binds what an exercise uses": (MANUSCRIPT, "import math\n", "import cmath as math\n", "uses 'math', which the exploration cell 5 binds"),
    "no check": (PUBLIC, '@declare("double"', '@declare("pair"', "no check in autograder/checks/ps01_tiny declares the exercise double"),
    "check of nothing": (PUBLIC, '@declare("double"', '@declare("treble"', "test_double_is_a_sum checks 'treble', which is no exercise"),
    "unknown statement": (HIDDEN, "tiny-thm-2", "tiny-thm-9", "test_pair_shifts names the statement 'tiny-thm-9'"),
    "no statement": (HIDDEN, ', statement="tiny-thm-2"', "", "must declare the statement that it verifies by its id, got None"),
    "no points": (HIDDEN, "points=3", "points=0", "must declare its points as a positive integer, got 0"),
    "true points": (HIDDEN, "points=3", "points=True", "must declare its points as a positive integer, got True"),
    "half points": (HIDDEN, "points=3", "points=1.5", "must declare its points as a positive integer, got 1.5"),
    "no false fail": (HIDDEN, ", false_fail=0", "", "must declare its false_fail as a probability below 1, got None"),
    "computed points": (HIDDEN, "points=3", "points=len('abc')", "must be written out, not computed"),
    "undeclared": (HIDDEN, '@declare("pair", points=3, statement="tiny-thm-2", false_fail=0)\n', "", "test_pair_shifts must be a function under one @declare"),
    "same name": (HIDDEN, "test_pair_shifts", "test_double_is_a_sum", "two checks of ps01_tiny are named test_double_is_a_sum"),
    "broken check": (HIDDEN, "def test", "def def test", "hidden.py is not valid Python: line 5"),
    "statement listed twice": ("autograder/statements.tsv", "tiny-thm-2", "tiny-thm-1", "lists the statement 'tiny-thm-1' twice"),
    "solution in the text": (MANUSCRIPT, "The end.", "total_of_both_summands  = math.fsum([x,x])", "the solution of backdoors.numbers.double: total_of"),
    "comment in the text": (MANUSCRIPT, "The end.", "# addition is the cheaper way", "would give away the solution of backdoors.numbers.double: # addition is"),
    "solution in a given cell": (MANUSCRIPT, "size = 3", "size = 3  # back to an integer", "would give away the solution of backdoors.numbers.double: # back"),
    "answer in the text": (MANUSCRIPT, "The end.", "Because multiplication by two\nadds a number to itself.", "would give away the solution of f1"),
    "solution in the data": ("solutions/ps01_tiny/data/numbers.csv", "1,2", "# back to an integer", "data/numbers.csv would give away"),
    "nested marks": (NUMBERS, "# back to an integer", "### BEGIN SOLUTION", "nbgrader could not make assignments/ps01_tiny"),
    "another stub": ("nbgrader_config.py", '"\\n".join(STUB)', '"pass"', "nbgrader left another blank of double than the library's"),
}  # fmt: skip


def build_all(root: Path) -> None:
    for problem_set in building.sets(root):
        building.build(problem_set, root)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_and_leaves_what_was_built(course, fault):
    building.build("ps01_tiny", course.root)
    path, old, new, message, *more = FAULTS[fault]
    course.edit(path, old, new)
    if more:
        course.edit(path, *more)
    folders = (course.root / "solutions", course.root / "assignments")
    before = tree(*folders)
    with pytest.raises(KitError, match=message):
        build_all(course.root)
    assert tree(*folders) == before
    assert not any((course.root / "build").iterdir())


def test_an_import_must_not_take_the_name_of_an_exercise_of_another_module(course):
    course.edit(NUMBERS, "import LIMIT, shifted", "import LIMIT\nfrom math import floor as shifted")
    course.edit(MANUSCRIPT, ":copy: backdoors.numbers.total", ":copy: backdoors.tools.shifted")
    with pytest.raises(KitError, match="needs `from math import floor as shifted`, but the notebook has `backdoors.tools.shifted`: one name, two meanings"):
        building.build("ps01_tiny", course.root)


def test_what_stands_in_the_library_outside_exercises_may_stand_in_the_text(course):
    course.edit("lib/backdoors/tools.py", "return x + 1", "# addition is the cheaper way\n    return x + 1")
    course.edit(MANUSCRIPT, "The end.", "# addition is the cheaper way")
    building.build("ps01_tiny", course.root)


def test_an_exploration_cell_may_import_what_is_always_imported_and_bind_what_others_bind_themselves(course):
    course.edit(MANUSCRIPT, "size = 3", "size = 3\nfor number in range(2):\n    print(number)")
    course.edit(MANUSCRIPT, "picture = [double(number) for number in range(size)]", "for number in range(size):\n    print(number)")
    building.build("ps01_tiny", course.root)


def test_magics_in_given_cells_are_no_syntax_errors(course):
    course.edit(MANUSCRIPT, "size = 3", "%matplotlib inline\nsize = 3")
    building.build("ps01_tiny", course.root)


def test_an_earlier_sets_exercise_is_imported_from_the_library(course):
    course.edit("lib/backdoors/tools.py", "LIMIT = 10", "from backdoors.numbers import double\n\nLIMIT = 10")
    course.edit("lib/backdoors/tools.py", "range(3)) + 0", "range(3)) + 0 * double(x)")
    assert Import("backdoors.numbers", "double") in course_imports(course)
    assert building.exercises("ps02_tiny", course.root)[0].uses == ()


def course_imports(course) -> tuple[Import, ...]:
    return building.resolve("ps02_tiny", course.root).imports


def test_sets_are_the_folders_with_a_manuscript_in_order(course):
    (course.root / "solutions/drafts").mkdir()
    assert building.sets(course.root) == ("ps01_tiny", "ps02_tiny")


@pytest.mark.parametrize("name", ["ps1", "", "../ps01_tiny", "ps01_tiny/"])
def test_an_unknown_set_lists_the_known_ones(course, name):
    with pytest.raises(KitError, match="unknown problem set .* holds ps01_tiny, ps02_tiny"):
        building.build(name, course.root)


def test_released_cells_want_a_build(course):
    with pytest.raises(KitError, match="run `autograder build ps01_tiny` first"):
        building.released_cells("ps01_tiny", course.root)


def test_a_build_needs_the_configuration_of_nbgrader(course):
    (course.root / "nbgrader_config.py").unlink()
    with pytest.raises(KitError, match="nbgrader_config.py does not exist"):
        building.build("ps01_tiny", course.root)


def test_a_build_is_out_of_date_when_the_library_changes(course):
    assert not building.is_built("ps01_tiny", course.root)
    building.build("ps01_tiny", course.root)
    assert building.is_built("ps01_tiny", course.root)
    course.edit(NUMBERS, '"""Twice x.', '"""Two times x.')
    assert not building.is_built("ps01_tiny", course.root)


def test_the_root_is_the_checkout():
    assert (building.ROOT / "setup.cfg").is_file()
