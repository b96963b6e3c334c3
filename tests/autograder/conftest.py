"""A course of two tiny problem sets, for tests of building, releasing and the ledger; it needs no torch and builds in a second."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]

FILES = {
    "lib/backdoors/__init__.py": '''\
        """A tiny library."""

        __edition__ = "full"  # or the name of a set
        ''',
    "lib/backdoors/numbers.py": '''\
        """Arithmetic."""

        import math
        from dataclasses import dataclass

        from backdoors.tools import LIMIT, shifted

        UNIT = 1


        @dataclass(frozen=True)
        class Pair:
            """Two numbers."""

            first: int
            second: int


        def double(x: int) -> int:
            """Twice x.

            Statement: tiny-thm-1.
            """
            # addition is the cheaper way
            total_of_both_summands = math.fsum([x, x])

            return int(total_of_both_summands)  # back to an integer


        # between the functions


        def pair(
            x: int,
            y: int = UNIT,
        ) -> Pair:
            """x doubled, and y.

            Statement: tiny-thm-1, tiny-thm-2.
            """
            return Pair(double(x), shifted(y) if y < LIMIT else max(y, 0))


        def total(x: int) -> int:
            """The sum of a pair."""
            both = pair(x)
            return both.first + both.second
        ''',
    "lib/backdoors/tools.py": '''\
        """What exercises stand on."""

        LIMIT = 10


        def shifted(x: int) -> int:
            """One more than x."""
            return x + 1


        def tripled(x: int) -> int:
            """Three times x; an exercise of the second set.

            Statement: tiny-thm-2.
            """
            return sum(x for _ in range(3)) + 0
        ''',
    "autograder/statements.tsv": """\
        id\tsource\tstatement\twhere
        tiny-thm-1\tTiny, Thm 1\ttwice is a sum\tnumbers
        tiny-thm-2\tTiny, Thm 2\tpairs "add up"\tnumbers
        """,
    "autograder/checks/ps01_tiny/public.py": """\
        from autograder import declare


        @declare("double", points=2, statement="tiny-thm-1", false_fail=0)
        def test_double_is_a_sum(student):
            assert student.double(3) == 6, "3 and 3 are 6"


        @declare("pair", points=1, statement="tiny-thm-1", false_fail=0)
        def test_pair_holds_the_double(student):
            assert student.pair(3).first == 6
        """,
    "autograder/checks/ps01_tiny/hidden.py": """\
        from autograder import declare


        @declare("pair", points=3, statement="tiny-thm-2", false_fail=0)
        def test_pair_shifts(student):
            assert student.pair(3, 4).second == 5
        """,
    "autograder/checks/ps02_tiny/public.py": """\
        from autograder import declare


        @declare("tripled", points=1, statement="tiny-thm-2", false_fail=0)
        def test_tripled(student):
            assert student.tripled(3) == 9
        """,
    "solutions/ps01_tiny/data/numbers.csv": "1,2\n",
    "solutions/ps01_tiny/ps01_tiny.md": """\
        ---
        kernelspec: {name: python3, display_name: Python 3}
        backdoors: {title: "What is twice?"}
        ---

        # What is twice?

        A story with $\\alpha$ and ümlauts.

        ```{code-cell} ipython3
        size = 3
        ```

        +++

        ## A hole

        ```{code-cell} ipython3
        :exercise: backdoors.numbers.double
        ```

        ```{code-cell} ipython3
        :tags: [explore]

        import math
        picture = [double(number) for number in range(size)]
        ```

        ```{code-cell} ipython3
        :exercise: backdoors.numbers.pair
        ```

        ```{code-cell} ipython3
        :copy: backdoors.numbers.total
        ```

        +++ {"question": "f1", "points": 4}

        Why is twice a sum?

        **Model answer.**
        Because multiplication by two adds a number to itself.

        +++

        The end.
        """,
    "solutions/ps02_tiny/ps02_tiny.md": """\
        # Thrice

        ```{code-cell} ipython3
        :exercise: backdoors.tools.tripled
        ```
        """,
    "tests/lib/test_numbers.py": """\
        import pytest


        @pytest.mark.statement("tiny-thm-1", "tiny-thm-2")
        def test_double():
            pass


        @pytest.mark.statement("tiny-thm-2")
        class TestPair:
            def test_first(self):
                pass
        """,
}


@dataclass(frozen=True)
class Course:
    """A course's folder, and a way to edit its files."""

    root: Path

    def edit(self, path: str, old: str, new: str) -> None:
        """Replaces a text that the file must hold exactly once."""
        text = (self.root / path).read_text()
        assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
        (self.root / path).write_text(text.replace(old, new))

    def add(self, path: str, text: str) -> None:
        """Writes one more text at the end of a file."""
        with (self.root / path).open("a") as file:
            file.write(dedent(text))


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A fresh copy of the tiny course."""
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(dedent(text))
    for path in ("nbgrader_config.py", "setup.cfg"):
        shutil.copyfile(ROOT / path, tmp_path / path)
    return Course(tmp_path)
