"""The machine that makes mutants makes what it promises, stops what does not stop, and its committed report is today's."""

import ast
import json
import os
import random
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent, indent

import pytest

from autograder.course import sets
from autograder.errors import KitError

sys.path.insert(0, str(Path(__file__).parents[1] / "mutation"))

import killing  # noqa: E402
import ledger  # noqa: E402
import mutants as command  # noqa: E402
from killing import KILLED, SECRETS, Job, fates, of_set  # noqa: E402
from ledger import Fate, Row  # noqa: E402
from mutating import Mutant, mutants  # noqa: E402

LEAST = 0.95
SAMPLE = 4


def toy(body: str, signature: str = "") -> str:
    return f"def toy({signature}):\n{indent(dedent(body).strip(), '    ')}\n"


def bodies(body: str, signature: str = "", known: dict | None = None) -> set[str]:
    """The bodies of a toy's mutants."""
    found = mutants(toy(body, signature), "toy", known or {})
    return {as_written(mutant.source.split("\n", 1)[1]) for mutant in found}


def as_written(text: str) -> str:
    return ast.unparse(ast.parse(dedent(text)))


EXPRESSIONS = [  # signature, expression, all that its mutants are
    ("n", "n - 1", "n + 1; n * 1; n / 1; n // 1; n % 1; n ** 1; n; -1; n - 2; n - 0; n - -1"),
    ("a, b", "a | b", "a & b; a ^ b; a; b; a | a; b | b"),
    ("n: int", "n", "n + 1; n - 1"),
    ("p: float", "p", "p / 2; 2 * p; 1 - p; p ** 2; -p"),
    ("p: float, n: int, x: Tensor, f: Callable", "f(x)", "f()"),
    ("n: int, p: float", "n", "p; n + 1; n - 1"),
    ("a, b", "a < b", "a <= b; a > b; a >= b; a == b; a != b; b < b; a < a"),
    ("a", "a in (0, 5)", "a not in (0, 5); a in (1, 5); a in (-1, 5); a in (0, 6); a in (0, 4); a in (0, 0); a in (0, 10); a in (0, -5)"),
    ("a", "a is None", "a is not None"),
    ("a", "not a", "a"),
    ("f: F, g: G", "f and g", "f or g; f; g; not f and g; f and (not g)"),
    ("f: F, g: G, t: bool", "f if t else g", "g if t else f; f; g"),
    ("", "True", "False"),
    ("", "3.5", "4.5; 2.5; 0.0; 7.0; -3.5"),
    ("x", "norm.cdf(x)", "norm.sf(x); norm.ppf(x); norm.pmf(x); norm.pdf(x); norm.cdf()"),
    ("x", "norm.ppf(x)", "norm.isf(x); norm.cdf(x); norm.ppf()"),
    ("x: Tensor", "x.norm()", "x.norm(1); x.norm(float('inf')); x.norm() ** 2"),
    ("x: Tensor", "torch.linalg.norm(x, 1)", "torch.linalg.norm(1, x); torch.linalg.norm(x); torch.linalg.norm(x, 2); "
     "torch.linalg.norm(x, float('inf')); torch.linalg.norm(x, 1) ** 2; torch.linalg.norm(x, 0); torch.linalg.norm(x, -1)"),
    ("x: Tensor", "x.argmax(dim=key)", "x.argmin(dim=key); x.argmax()"),
    ("x: Tensor", "x.mean()", "x.sum(); x.median()"),
    ("x: Tensor", "floor(x)", "ceil(x); round(x); floor(); x"),
    ("x: Tensor, y: Y", "max(x, y)", "min(x, y); x; y; max(x)"),
    ("x: Tensor", "x.clamp(0.5)", "x; x.clamp(); x.clamp(1.5); x.clamp(-0.5); x.clamp(0.0); x.clamp(1.0); x.clamp(-0.5)"),
    ("f: F, g: G", "h(f, g)", "h(g, f); h(f)"),
    ("x: Tensor", "range(x)", "range(x + 1); range(x - 1); range(1, x); range()"),
    ("x: Tensor, n: int", "x[n:]", "x[n + 1:]; x[n - 1:]; x[n:-1]"),
    ("x: Tensor", "x[:, key]", "x[1:, key]; x[:-1, key]; x[:, key + 1]; x[:, key - 1]"),
    ("", "LIMIT", "8; 6; 0; 14; -7"),
]  # fmt: skip


@pytest.mark.parametrize("signature, expression, wanted", EXPRESSIONS, ids=[case[1] for case in EXPRESSIONS])
def test_an_expression_has_exactly_the_mutants_that_are_promised(signature, expression, wanted):
    known = {"LIMIT": 7, "ceil": round, "floor": round}
    assert bodies(f"return {expression}", signature, known) == {as_written(f"return {text}") for text in wanted.split("; ")}


STATEMENTS = [  # body, some of its mutants
    ("x = f(x)\nreturn x", "return x"),
    ("if x:\n    x = f(x)\nreturn x", "x = f(x)\nreturn x", "if not x:\n    x = f(x)\nreturn x", "return x"),
    ("if x:\n    g()\nelse:\n    h()", "if x:\n    h()\nelse:\n    g()", "g()", "h()"),
    ("for i in y:\n    g()\n", "pass", "for i in y:\n    pass", "for i in y:\n    g()\n    break"),
    ("x += y", "x -= y", "x *= y", "x = y", "pass"),
    ("for i in y:\n    x = x + i\nreturn x", "return x"),
    ("x = g(x)\nx = f(x)\nreturn x", "x = g(x)\nreturn x"),
    ("if x:\n    return 0.5\ng()\nreturn x", "g()\nreturn x"),
    ("return [i for i in y if i < x]", "return [i for i in y if i <= x]", "return [x for i in y if i < x]"),
    ("def inner(z):\n    return z\nreturn inner", "def inner(z):\n    return x\nreturn inner"),
]


@pytest.mark.parametrize("body, wanted", [(body, wanted) for body, *wanted in STATEMENTS], ids=[repr(case[0]) for case in STATEMENTS])
def test_a_statement_has_the_mutants_that_are_promised(body, wanted):
    assert bodies(body, "x, y") >= {as_written(text) for text in wanted}


def test_a_name_is_not_left_unbound():
    """What any check would catch is not made: no mutant drops the only binding of a name, or uses a name before it is bound."""
    found = bodies("t = f(x)\nu = g(t)\nreturn u", "x: Tensor")
    assert found == {
        as_written(f"t = {a}\nu = {b}\nreturn {c}")
        for a, b, c in [("f()", "g(t)", "u"), ("f(x)", "g()", "u"), ("f(x)", "g(x)", "u"), ("f(x)", "g(t)", "x"), ("f(x)", "g(t)", "t")]
    }


def test_a_validator_is_dropped_and_not_mutated():
    assert bodies("_require(n, 1 < n)\nreturn f(3)", "n: int") >= {"return f(3)"}
    assert all("_require(n, 1 < n)" in body or "_require" not in body for body in bodies("_require(n, 1 < n)\nreturn f(3)", "n: int"))


def test_what_is_raised_is_not_mutated():
    assert bodies("if x:\n    raise ValueError(f'{x} is {1 + 1}')\nreturn x", "x: X") == {
        as_written(text)
        for text in (
            "raise ValueError(f'{x} is {1 + 1}')\nreturn x",
            "return x",
            "if x: pass\nreturn x",
            "if not x: raise ValueError(f'{x} is {1 + 1}')\nreturn x",
        )
    }


def test_signature_and_docstring_are_not_mutated():
    made = mutants(toy('"""Twice."""\nreturn n * 2', "n: int = 1"), "toy", {})
    assert made
    assert all(mutant.source.startswith("def toy(n: int=1):") for mutant in made)


def test_no_two_mutants_and_no_mutant_and_the_reference_do_the_same():
    """Constants are folded: 2 + 2, 2 * 2 and 2 ** 2 are one program, and so are 2 - 2 and 2 % 2."""
    assert bodies("return 2 + 2") & {"return 2 * 2", "return 2 ** 2"} == set()
    assert len(bodies("return 2 + 2") & {"return 2 - 2", "return 2 % 2"}) == 1


def test_ids_are_distinct_and_do_not_depend_on_what_stands_elsewhere():
    body = "y = f(1)\ny = f(1)\nreturn y"
    made = [mutant.id for mutant in mutants(toy(body), "toy", {})]
    assert len(set(made)) == len(made)
    later = [mutant.id for mutant in mutants("import math\n\n\n" + toy('"""A docstring."""\n# a comment\n' + body), "toy", {})]
    assert later == made
    grown = {mutant.id for mutant in mutants(toy("g()\n" + body), "toy", {})}
    assert grown > set(made)


# judging


@pytest.fixture
def told(monkeypatch):
    """Judges functions written here as mutants of certified_radius, with little time and memory."""
    monkeypatch.setattr(killing, "CPU", 2)
    monkeypatch.setattr(killing, "MEMORY", 1 << 29)

    def judge(*sources: str) -> list[str]:
        said = {}
        jobs = [Job(Mutant(str(i), "certified_radius", "", "", source), "first") for i, source in enumerate(sources)]
        fates("ps05_smoothing", jobs, lambda job, what: said.update({job.mutant.id: what}))
        return [said[str(i)] for i in range(len(sources))]

    return judge


def test_a_mutant_is_told_by_how_it_ends(told):
    head, right = (
        "def certified_radius(p_lower, sigma, p_upper=None):\n    ",
        "max(0.0, sigma / 2 * float(norm.ppf(p_lower) - norm.ppf(p_upper or 1 - p_lower)))",
    )
    assert told(
        f"{head}return {right}",
        f"{head}return 2 * {right}",
        f"{head}return 1 / 0",
        f"{head}while True: pass",
        f"{head}import os; os._exit(0)",
        f"{head}import os; os.kill(os.getpid(), 9)",
    ) == ["survived", "value", "raised", "stopped", "stopped", "stopped"]
    assert told(f"{head}return bytearray(1 << 40)")[0] in ("raised", "stopped")


def test_a_reference_that_fails_stops_the_run(told, monkeypatch):
    notebook = killing.trials.solved("ps05_smoothing")
    (cell,) = (cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "certified_radius")
    cell.source = "certified_radius = None"
    monkeypatch.setattr(killing.trials, "solved", lambda _: notebook)
    with pytest.raises(KitError, match="the reference of certified_radius fails its checks at the secret"):
        told("def certified_radius(): pass")


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch):
    made = [fate(name).mutant for name in ("one", "two")]
    asked = []

    def judge(problem_set, jobs, tell, processes):
        for job in jobs:
            if len(asked) == 4:
                raise KeyboardInterrupt
            asked.append((job.mutant.id, job.secret))
            tell(job, "value")

    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "_state", lambda _: "state")
    monkeypatch.setattr(command, "fates", judge)
    with pytest.raises(KeyboardInterrupt):
        command._judged("ps00", made, 2)
    (file,) = (tmp_path / "build" / "mutants").iterdir()
    with file.open("a") as half:
        half.write('\n["two", "sec')
    first, asked[:] = list(asked), []
    assert command._judged("ps00", made, 2) == dict.fromkeys([(one.id, secret) for one in made for secret in SECRETS], "value")
    assert not set(first) & set(asked)
    asked.clear()
    assert len(command._judged("ps00", made, 2)) == 6
    assert asked == []


def test_an_unknown_exercise_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mutants", "--exercise", "nothing"])
    with pytest.raises(SystemExit, match="--exercise must be one of .*, lower_confidence_bound, .*, got nothing"):
        command.main()


# the report


def fate(name: str, *said: str) -> Fate:
    return Fate(Mutant(name, "toy", "operator", f"- {name}\n+ other", ""), said)


FATES = {"toy": [fate("dead", *["value"] * 3), fate("loud", *["raised"] * 3), fate("flaky", "value", "survived", "value"), fate("alike", *["survived"] * 3)]}


def test_a_report_counts_and_is_read_back(tmp_path):
    text = ledger.section("ps00", FATES, {"alike": ("equivalent", "x is never 0")})
    assert ledger.read(text) == ({"toy": Row(4, 2, 1, 1, 1, ledger.digest([one.mutant for one in FATES["toy"]]))}, {"flaky", "alike"})
    assert "killed at 2 of 3 secrets" in text
    assert "x is never 0" in text
    ledger.write("ps01", "## ps01\n\nother\n", tmp_path / "report.md")
    ledger.write("ps00", text, tmp_path / "report.md")
    ledger.write("ps00", text, tmp_path / "report.md")
    assert {name: ledger.read(part) for name, part in ledger.sections(tmp_path / "report.md").items()} == {"ps00": ledger.read(text), "ps01": ({}, set())}


def test_a_flaky_mutant_counts_as_alive_and_an_equivalent_one_not_at_all():
    assert Row(made=10, killed=7, raised=2, survived=1, equivalent=2, digest="").scores == (7 / 8, 5 / 6)


def test_a_reason_must_match_a_mutant_that_lives(tmp_path):
    reasons = tmp_path / "reasons.toml"
    entry = '[[ps00.equivalent]]\nexercise = "toy"\nmutants = ["alike"]\nwhy = "because"\n'
    made = [one.mutant for one in FATES["toy"]]
    reasons.write_text(entry)
    assert ledger.reasons("ps00", made, reasons) == {"alike": ("equivalent", "because")}
    reasons.write_text(entry * 2)
    with pytest.raises(KitError, match="two reasons for the mutant alike"):
        ledger.reasons("ps00", made, reasons)
    reasons.write_text(entry.replace("alike", "gone"))
    with pytest.raises(KitError, match="the mutant gone of toy, and there is none"):
        ledger.reasons("ps00", made, reasons)
    with pytest.raises(KitError, match="that are killed: toy dead"):
        ledger.section("ps00", FATES, {"dead": ("equivalent", "because")})


@pytest.fixture(scope="module", params=sets())
def reported(request) -> tuple[str, dict[str, list[Mutant]], dict[str, Row], set[str]]:
    """A set, today's mutants by exercise, and what the report says: counts by exercise, and the mutants that live."""
    rows, alive = ledger.read(ledger.sections().get(request.param, ""))
    return request.param, of_set(request.param), rows, alive


def test_the_report_is_of_todays_mutants(reported):
    problem_set, made, rows, alive = reported
    stale = [name for name in made if name not in rows or (rows[name].made, rows[name].digest) != (len(made[name]), ledger.digest(made[name]))]
    assert not stale, f"the references of {', '.join(stale)} have changed since {ledger.REPORT} was written: run make mutants"
    assert list(rows) == list(made)
    assert alive <= {mutant.id for exercise in made.values() for mutant in exercise}
    assert len(alive) == sum(row.survived + row.equivalent for row in rows.values())
    why = ledger.reasons(problem_set, [mutant for exercise in made.values() for mutant in exercise])
    assert set(why) <= alive, "reasons.toml names mutants that the report does not: run make mutants"
    assert sum(kind == "equivalent" for kind, _ in why.values()) == sum(row.equivalent for row in rows.values()), "reasons.toml has changed: run make mutants"


def test_reasons_are_of_sets_that_there_are():
    assert set(tomllib.loads(ledger.REASONS.read_text(encoding="utf-8"))) <= set(sets())


def test_at_least_95_percent_of_the_mutants_that_are_not_equivalent_die(reported):
    _, _, rows, _ = reported
    assert rows
    assert min(ledger.total(rows.values()).scores) >= LEAST


def test_a_sample_of_the_mutants_that_the_report_says_are_killed_is_killed(reported):
    problem_set, made, _, alive = reported
    code = f"import test_mutation; test_mutation.tell_fates_of_sample({problem_set!r})"  # a fork of this process, which has computed with threads, would hang
    place = os.pathsep.join([str(Path(__file__).parent), str(ledger.REPORT.parent)])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": place}
    done = subprocess.run([sys.executable, "-B", "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    for job in sampled(problem_set, made, alive):
        assert said[job.mutant.id] in KILLED, f"{job.mutant.exercise}: this mutant lives today: run make mutants\n{job.mutant.diff}"


def sampled(problem_set: str, made: dict[str, list[Mutant]], alive: set[str]) -> list[Job]:
    """A few that are killed at every secret, each at one of them."""
    dice = random.Random(problem_set)
    sample = dice.sample([mutant for exercise in made.values() for mutant in exercise if mutant.id not in alive], SAMPLE)
    return [Job(mutant, dice.choice(SECRETS)) for mutant in sample]


def tell_fates_of_sample(problem_set: str) -> None:
    said = {}
    jobs = sampled(problem_set, of_set(problem_set), ledger.read(ledger.sections()[problem_set])[1])
    fates(problem_set, jobs, lambda job, what: said.update({job.mutant.id: what}))
    print(json.dumps(said))
