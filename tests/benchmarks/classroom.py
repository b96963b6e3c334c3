"""Two course folders with one class in each: this kit's, and stock nbgrader's with asserts of the same content in autograded cells.

A workload is a problem set. `blank` is made here: four exercises of one line and twelve checks that do next to nothing, in a notebook that imports torch, so
that what grading takes is the grader's own. `ps05_smoothing` is the course's.

The notebooks of stock nbgrader are this kit's without the exploration cells (training, plots: this grader does not run them either) and without the look at
the students' edition, and a cell `check("f")` holds asserts there: the same expressions in the blank set, calls of the same check functions in ps05_smoothing.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLANK = "ps01_blank"
EXERCISES = {
    "doubled": ("x: Tensor", "x + x", ["tolist() == [2.0, 2.0]", "shape == (2,)", "sum() == 4"], "torch.ones(2)"),
    "total": ("x: Tensor", "x.sum()", ["item() == 2.0", "ndim == 0", "dtype == torch.float32"], "torch.ones(2)"),
    "shifted": ("x: Tensor, by: float", "x + by", ["tolist() == [4.0, 4.0]", "shape == (2,)", "min() == 4"], "torch.ones(2), 3.0"),
    "scaled": ("x: Tensor, by: float", "x * by", ["tolist() == [3.0, 3.0]", "shape == (2,)", "max() == 3"], "torch.ones(2), 3.0"),
}
LIBRARY = '"""Arithmetic of vectors."""\n\nfrom torch import Tensor\n'
FUNCTION = '''

def {name}({arguments}) -> Tensor:
    """A vector.

    Statement: blank-1.
    """
    return {value}
'''
CHECK = """

@declare("{name}", points=1, statement="blank-1", false_fail=0)
def test_{name}_{number}(student):
    assert student.{name}({arguments}).{holds}
"""
MANUSCRIPT = (
    "---\nkernelspec: {name: python3, display_name: Python 3}\nbackdoors: {title: Nothing}\n---\n\n# Nothing\n\n```{code-cell} ipython3\nimport torch\n```\n"
)
CONTENT = '''\
"""The checks of the kit, called by asserts of stock nbgrader in the student's own process."""

import hashlib
import sys
from types import SimpleNamespace

sys.path.insert(0, {checks!r})
import hidden
import public
from autograder.checking import Challenger
from autograder.plugin import Reference
from backdoors.smoothing import certify

CHECKS = [check for module in (public, hidden) for name, check in vars(module).items() if name.startswith("test_")]


def passes(exercise, namespace):
    for check in CHECKS:
        mark = next(mark for mark in check.pytestmark if mark.name == "exercise")
        if mark.args[0] == exercise:
            challenger = Challenger(hashlib.sha256(check.__name__.encode()).digest(), mark.kwargs["false_fail"])
            known = {{"student": SimpleNamespace(**namespace), "challenger": challenger, "reference": Reference(vars(certify))}}
            check(**{{name: known[name] for name in check.__code__.co_varnames[: check.__code__.co_argcount]}})
    return True
'''
STOCK_CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "stock"\nc.Execute.timeout = 600\n'


@dataclass(frozen=True)
class Classroom:
    """A class that handed in `problem_set` in blocks: ours/handed-in/<block>/<student>.ipynb, and students <block>-... of stock/submitted."""

    problem_set: str
    folder: Path
    blocks: tuple[str, ...]
    size: int

    @property
    def ours(self) -> Path:
        return self.folder / "ours"

    @property
    def stock(self) -> Path:
        return self.folder / "stock"


def make(workload: str, folder: Path, blocks: int, size: int) -> Classroom:
    """Makes both course folders; every block is a part of the class, of `size` students, all of whom have everything right. Block 0 is for warming up."""
    names = tuple(f"b{number:02}" for number in range(blocks + 1))
    room = Classroom(BLANK if workload == "blank" else workload, folder, names, size)
    _make_ours(room)
    notebook = json.loads((room.ours / "solutions" / room.problem_set / f"{room.problem_set}.ipynb").read_text())
    _make_stock(room, stock_notebook(notebook, room.problem_set))
    for block in names:
        for number in range(size if block != names[0] else 1):
            student = f"{block}-{number:02}"
            _hand_in(notebook, room.ours / "handed-in" / block / f"{student}.ipynb", student)
            stock = stock_notebook(notebook, room.problem_set)
            _hand_in(stock, room.stock / "submitted" / student / room.problem_set / f"{room.problem_set}.ipynb", student)
    return room


def environment(room: Classroom, base: dict[str, str]) -> dict[str, str]:
    """The environment in which the kit's copy in the course folder is the one that Python finds. One thread, as in the grader."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return base | single | {"PYTHONPATH": f"{room.ours}:{room.ours / 'lib'}", "PATH": f"{Path(sys.executable).parent}:{base.get('PATH', '')}"}


def stock_notebook(notebook: dict, problem_set: str) -> dict:
    """The solved notebook as stock nbgrader grades it."""
    cells = []
    for cell in notebook["cells"]:
        source, grade_id = "".join(cell["source"]), cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        if "explore" in cell["metadata"].get("tags", []):
            continue
        if 'edition = "missing"' in source:
            source = f'PROBLEM_SET = "{problem_set}"\n' + "\n\n".join(_imports(source))
        if grade_id.startswith("check-"):
            source = _asserts(grade_id.removeprefix("check-"), problem_set)
        cells.append(cell | {"source": source})
    return notebook | {"cells": cells}


def _imports(source: str) -> list[str]:
    """The imports of the first cell, but for the kit's own `check`, which only notebooks in the kit's hands use."""
    lines = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return [ast.unparse(node) for node in lines if getattr(node, "module", "") != "autograder"]


def _asserts(exercise: str, problem_set: str) -> str:
    if problem_set != BLANK:
        return f'import content\nassert content.passes("{exercise}", globals())'
    _, _, holds, arguments = EXERCISES[exercise]
    return "\n".join(f"assert {exercise}({arguments}).{one}" for one in holds)


def _hand_in(notebook: dict, path: Path, student: str) -> None:
    """A student's copy; no two are equal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    note = {"cell_type": "markdown", "id": "name", "metadata": {}, "source": f"I am {student}."}
    path.write_text(json.dumps(notebook | {"cells": [*notebook["cells"], note]}, indent=1))


def _make_ours(room: Classroom) -> None:
    """A checkout: the kit itself and a course of one set."""
    ignored = shutil.ignore_patterns("__pycache__", "ps*")
    shutil.copytree(ROOT / "autograder", room.ours / "autograder", ignore=ignored)
    for name in ("nbgrader_config.py", "setup.cfg"):
        shutil.copyfile(ROOT / name, room.ours / name)
    if room.problem_set != BLANK:
        for part in ("lib", "solutions", "assignments", "autograder/checks"):
            inner = "backdoors" if part == "lib" else room.problem_set
            shutil.copytree(ROOT / part / inner, room.ours / part / inner, ignore=shutil.ignore_patterns("__pycache__"))
        return
    library, manuscript, public, hidden = (
        LIBRARY,
        MANUSCRIPT,
        "import torch\nfrom autograder import declare\n",
        "import torch\nfrom autograder import declare\n",
    )
    for name, (parameters, value, holds, arguments) in EXERCISES.items():
        library += FUNCTION.format(name=name, arguments=parameters, value=value)
        manuscript += f"\n```{{code-cell}} ipython3\n:exercise: backdoors.vectors.{name}\n```\n"
        checks = [CHECK.format(name=name, number=number, arguments=arguments, holds=one) for number, one in enumerate(holds)]
        public, hidden = public + "".join(checks[:2]), hidden + "".join(checks[2:])
    checks = Path("autograder/checks") / BLANK
    files = {
        "lib/backdoors/__init__.py": '"""A tiny library."""\n\n__edition__ = "full"  # or the name of a set\n',
        "lib/backdoors/vectors.py": library,
        "autograder/statements.tsv": "id\tsource\tstatement\twhere\nblank-1\tNobody, Thm 1\tnothing\tvectors\n",
        f"{checks}/public.py": public,
        f"{checks}/hidden.py": hidden,
        f"solutions/{BLANK}/{BLANK}.md": manuscript,
    }
    for path, text in files.items():
        (room.ours / path).parent.mkdir(parents=True, exist_ok=True)
        (room.ours / path).write_text(text)
    code = "from autograder.commands import main; main()"
    _run([sys.executable, "-c", code, "build"], room)


def _make_stock(room: Classroom, notebook: dict) -> None:
    """A course folder of stock nbgrader 0.9.6 with its own configuration and gradebook; the release is made by nbgrader itself."""
    source = room.stock / "source" / room.problem_set
    source.mkdir(parents=True)
    (source / f"{room.problem_set}.ipynb").write_text(json.dumps(notebook, indent=1))
    (room.stock / "nbgrader_config.py").write_text(STOCK_CONFIG)
    if room.problem_set != BLANK:
        (source / "content.py").write_text(CONTENT.format(checks=str(room.ours / "autograder" / "checks" / room.problem_set)))
    _run([sys.executable, "-m", "nbgrader", "generate_assignment", room.problem_set], room, room.stock)


def _run(command: list[str], room: Classroom, folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder or room.ours, env=environment(room, dict(os.environ)), capture_output=True, text=True, timeout=300)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
