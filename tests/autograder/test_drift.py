"""What architecture.md promises of this course: library, solved notebook, assignment and checks say the same, and nothing tells a solution."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from autograder import building, declarations, releasing, trials

ROOT = building.ROOT
SETS = building.sets()
INPUTS = ("lib", "solutions", "autograder/checks", "autograder/statements.tsv", "nbgrader_config.py", "setup.cfg")
RUNNER = """
import contextlib, io, json, sys
from pathlib import Path
from IPython.core.inputtransformer2 import TransformerManager

sys.path.insert(0, "")
here, namespace, tables = Path.cwd(), {"__name__": "__main__", "get_ipython": lambda: None}, {}
for cell in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["cells"]:
    source, name = "".join(cell["source"]), cell["metadata"].get("nbgrader", {}).get("grade_id", "")
    if cell["cell_type"] == "code":
        with contextlib.redirect_stdout(io.StringIO()):
            if name.startswith("check-"):
                tables[name.removeprefix("check-")] = repr(eval(source, namespace))
            else:
                exec(compile(TransformerManager().transform_cell(source), cell["id"], "exec"), namespace)
files = {name: module.__file__ for name, module in sys.modules.items() if name.split(".")[0] in ("autograder", "backdoors")}
foreign = [file for file in files.values() if here not in Path(file).parents]
heavy = sorted({"click", "jupytext", "nbgrader"} & {name.split(".")[0] for name in sys.modules})
print(json.dumps({"tables": tables, "foreign": foreign, "heavy": heavy}))
"""


def files(*folders: Path) -> dict[str, bytes]:
    hidden = ("__pycache__", ".ipynb_checkpoints")
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file() and not set(hidden) & set(path.parts)]
    return {path.as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory) -> Path:
    """A copy of everything that a build reads, built."""
    root = tmp_path_factory.mktemp("course")
    for name in INPUTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.ipynb"))
        else:
            shutil.copyfile(ROOT / name, root / name)
    for problem_set in SETS:
        building.build(problem_set, root)
    return root


@pytest.fixture(scope="module", params=SETS)
def edition(request, tmp_path_factory) -> Path:
    """The folder of a set that students get."""
    return releasing.release(request.param, tmp_path_factory.mktemp("release"))


def test_there_is_a_problem_set():
    assert SETS


def test_rebuilding_changes_no_byte_of_what_is_committed(rebuilt):
    for folder in ("solutions", "assignments"):
        committed = {name.removeprefix(f"{ROOT}/"): content for name, content in files(ROOT / folder).items()}
        made = {name.removeprefix(f"{rebuilt}/"): content for name, content in files(rebuilt / folder).items()}
        assert made.keys() == committed.keys()
        assert [name for name in made if made[name] != committed[name]] == []


@pytest.mark.parametrize("problem_set", SETS)
def test_every_solution_passes_and_every_blank_fails_every_check(problem_set):
    declared = {check.name for check in declarations.checks(problem_set, ROOT)}
    for notebook, passes in ((trials.solved(problem_set), True), (trials.released(problem_set), False)):
        results = [check for found in trials.results(problem_set, notebook, "drift").values() for check in found]
        assert {check.name for check in results} == declared
        assert [(check.name, check.message) for check in results if check.passed != passes] == []


@pytest.mark.parametrize("problem_set", SETS)
def test_every_exercise_is_checked_by_a_stated_statement(problem_set):
    known = declarations.statements(ROOT)
    for exercise in building.exercises(problem_set):
        assert exercise.statements
        assert set(exercise.statements) <= set(known)
        assert exercise.points >= 1


@pytest.mark.parametrize("problem_set", SETS)
@pytest.mark.parametrize("folder", ["solutions", "assignments"])
def test_ids_are_unique_and_the_notebook_is_valid(problem_set, folder):
    notebook = nbformat.read(ROOT / folder / problem_set / f"{problem_set}.ipynb", as_version=4)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    grade_ids = [cell.metadata.nbgrader.grade_id for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert len(set(ids)) == len(ids)
    assert len(set(grade_ids)) == len(grade_ids)
    assert all(cell.get("outputs", []) == [] for cell in notebook.cells)


def test_no_line_of_a_solution_stands_in_what_students_get(edition):
    problem_set = edition.name
    lines = {line for cell in trials.solved(problem_set).cells for line in solution_lines(cell)}
    assert lines
    library = {path.relative_to(ROOT / "lib"): path.read_text() for path in (ROOT / "lib").rglob("*.py")}
    blank = {path.relative_to(edition): path.read_text() for path in (edition / "backdoors").rglob("*.py")}
    notebook = json.loads((edition / f"{problem_set}.ipynb").read_text())
    texts = ["".join(cell["source"]) for cell in notebook["cells"]]
    texts += [content.decode() for name, content in files(edition / "autograder").items()]
    for line in lines:
        assert sum(text.count(line) for text in library.values()) > sum(text.count(line) for text in blank.values()), line
        assert any(line in text for text in blank.values()) or not any(line in text for text in texts), line


def solution_lines(cell) -> list[str]:
    """The longer lines of code between nbgrader's marks."""
    lines = [line.strip() for line in cell.source.split("\n")]
    if "### BEGIN SOLUTION" not in lines:
        return []
    return [line for line in lines[lines.index("### BEGIN SOLUTION") + 1 : lines.index("### END SOLUTION")] if len(line) >= 25]


def test_the_solved_notebook_runs_whole_in_its_students_edition(edition):
    solved = ROOT / "solutions" / edition.name / f"{edition.name}.ipynb"
    environment = os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", RUNNER, solved], cwd=edition, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["tables"].keys() == {exercise.name for exercise in building.exercises(edition.name)}
    assert [table for table in said["tables"].values() if "failed" in table or "passed" not in table] == []
    assert said["foreign"] == [], "the notebook imported something of the kit from outside its folder"
    assert said["heavy"] == [], "a student's machine need not have these"
