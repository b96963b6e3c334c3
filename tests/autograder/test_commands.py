"""The command line: every command helps, and what a user can mend is one sentence on stderr with exit status 2."""

import inspect
import json
import re
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

import autograder
from autograder import building, grading, releasing, statements
from autograder.checking import CheckResult
from autograder.commands import main
from autograder.errors import KitError

SET = "ps05_smoothing"
COMMANDS = ("build", "release", "grade", "precheck", "check", "statements", "export")
EXPORTS = ("canvas", "gradescope", "results")


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def fails_with(result, message: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("autograder: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), *(["export", name] for name in EXPORTS)])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_helps(command, option):
    result = run(*command, option)
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    assert "--help" in result.output


def test_help_names_every_option_with_a_sentence():
    assert set(main.commands) == set(COMMANDS)
    assert set(main.commands["export"].commands) == set(EXPORTS)
    for command in (*main.commands.values(), *main.commands["export"].commands.values()):
        assert command.help.strip().endswith(".")
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or parameter.help, f"{command.name} {parameter.name}"


def test_version():
    assert run("--version").output == f"autograder, version {autograder.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["build", "ps99"], ["release", "ps99", "--to", "x"], ["grade", "ps99", "x.ipynb", "--out", "x"], ["precheck", "ps99", "x.ipynb"], ["check", "ps99"]],
)
def test_an_unknown_set_lists_the_known_ones(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    fails_with(result, "unknown problem set 'ps99': ")
    assert SET in result.stderr
    assert not any(tmp_path.iterdir())


def test_a_name_is_wrong_before_anything_is_built(monkeypatch):
    monkeypatch.setattr(building, "build", lambda *_: pytest.fail("built"))
    fails_with(run("build", SET, "ps99"), "unknown problem set 'ps99'")


def test_build_builds_all_sets_or_those_named(monkeypatch):
    built = []
    monkeypatch.setattr(building, "build", built.append)
    assert run("build").output == "".join(f"built solutions/{name}/{name}.ipynb and assignments/{name}\n" for name in building.sets())
    assert run("build", SET).exit_code == 0
    assert built == [*building.sets(), SET]


def test_release_takes_one_set_or_all(monkeypatch, tmp_path):
    released = []
    monkeypatch.setattr(releasing, "release", lambda name, to, blank_from, update: released.append((name, blank_from, update)) or to / name)
    assert run("release", SET, "--to", tmp_path, "--update").output == f"released {tmp_path / SET}\n"
    assert run("release", "--all", "--to", tmp_path, "--blank-from", SET).exit_code == 0
    assert released == [(SET, None, True), *((name, SET, False) for name in building.sets())]
    fails_with(run("release", "--to", tmp_path), "name one set to release, or give --all")
    fails_with(run("release", SET, "--all", "--to", tmp_path), "name one set to release, or give --all")


def test_errors_of_the_kit_are_sentences_and_others_are_not_hidden(monkeypatch):
    def fail(_):
        raise KitError("what was wrong")

    monkeypatch.setattr(building, "build", fail)
    fails_with(run("build"), "autograder: what was wrong")
    monkeypatch.setattr(building, "build", lambda _: 1 / 0)
    assert isinstance(run("build").exception, ZeroDivisionError)


def test_statements_as_json_and_as_a_table():
    entries = json.loads(run("statements", "--json").output)
    assert [list(entry) for entry in entries] == [["id", "source", "statement", "implemented", "tests", "checks", "exercises"]] * len(entries)
    assert [entry["id"] for entry in entries] == [entry.id for entry in statements.ledger()]
    table = run("statements").output
    assert all(entry["id"] in table for entry in entries)
    assert f"of {len(entries)} statements are implemented, tested, checked and taught" in table


def test_check_lists_every_check_of_a_set():
    output = run("check", SET).output
    for exercise in building.exercises(SET):
        assert f"{exercise.name}: {exercise.points} points; false fail " in output
    declared = [[float(p) for p in re.findall(r"false_fail=([\d.e-]+)\)", path.read_text())] for path in grading.check_files(SET)]
    assert f"with probability at most {sum(map(sum, declared)):.3g}, the sum" in output
    assert output.count("  hidden  ") + output.count("  public  ") == output.count("  test_")


@pytest.fixture
def graded(monkeypatch):
    """Catches what `autograder grade` passes on."""
    from autograder import grading, reporting

    caught = []
    for name in ("grade", "grade_paths"):
        signature = inspect.signature(getattr(grading, name))

        def record(*args, signature=signature, name=name, **kwargs):
            caught.append((name, signature.bind(*args, **kwargs).arguments))
            return ("report", {}) if name == "grade_paths" else "report"

        monkeypatch.setattr(grading, name, record)
    monkeypatch.setattr(reporting, "write", lambda report, out, timings=None: caught.append(("write", out)))
    monkeypatch.setattr(reporting, "table", lambda report: f"table of {report}")
    return caught


def test_grade_writes_the_report_and_prints_the_table(graded, tmp_path):
    result = run("grade", SET, "a.ipynb", "b", "--out", tmp_path / "out", "--reseed", "ada", "--reseed", "ada", "--min-sandbox", "3")
    assert result.output == "table of report\n"
    (name, arguments), (_, out) = graded
    assert name == "grade_paths"
    assert arguments["paths"] == (Path("a.ipynb"), Path("b"))
    assert (arguments["reseed"], arguments["min_sandbox"], arguments["secret"]) == (("ada", "ada"), 3, None)
    assert out == tmp_path / "out"


def test_grade_takes_a_name_for_one_notebook_and_a_secret_from_a_file(graded, tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")
    (tmp_path / "key").write_bytes(b"s" * 32)
    arguments = ["grade", SET, tmp_path / "a.ipynb", "--out", tmp_path / "out", "--student", "ada", "--reseed", "ada"]
    assert run(*arguments, "--secret-file", tmp_path / "key", "--unsandboxed").exit_code == 0
    name, passed = graded[0]
    assert name == "grade"
    assert (passed["student"], passed["reseed"], passed["min_sandbox"], passed["secret"]) == ("ada", 1, 0, b"s" * 32)
    fails_with(run(*arguments, "--reseed", "bob"), "--student ada names who wrote one notebook")
    fails_with(run("grade", SET, tmp_path, "--out", tmp_path / "out", "--student", "ada"), "--student ada names who wrote one notebook")


def test_grade_refuses_a_secret_that_is_missing_or_short(graded, tmp_path):
    (tmp_path / "key").write_bytes(b"short")
    arguments = ["grade", SET, "a.ipynb", "--out", tmp_path / "out", "--secret-file"]
    fails_with(run(*arguments, tmp_path / "key"), "holds 5 bytes, and a secret has at least 32")
    fails_with(run(*arguments, tmp_path / "nowhere"), "cannot read the secret file")
    assert not graded


def test_grade_wants_an_output_folder_that_can_be_written(graded, tmp_path):
    (tmp_path / "file").write_text("")
    fails_with(run("grade", SET, "a.ipynb", "--out", tmp_path / "file"), "the output folder")
    assert not graded


def test_precheck_says_what_is_wrong_and_exits_with_1(monkeypatch):
    from autograder import precheck

    monkeypatch.setattr(precheck, "precheck", lambda _, path: ["no cells", "too large"] if path.name == "bad.ipynb" else [])
    assert (run("precheck", SET, "good.ipynb").output, run("precheck", SET, "good.ipynb").exit_code) == ("good.ipynb: nothing is wrong\n", 0)
    result = run("precheck", SET, "good.ipynb", "bad.ipynb")
    assert result.output == "good.ipynb: nothing is wrong\nbad.ipynb: no cells\nbad.ipynb: too large\n"
    assert result.exit_code == 1


def test_precheck_goes_on_after_a_path_that_cannot_be_read(tmp_path):
    (tmp_path / "bad.ipynb").write_text("no notebook")
    result = run("precheck", SET, tmp_path / "nowhere.ipynb", tmp_path / "bad.ipynb")
    assert [line.split(": ")[0] for line in result.output.splitlines()] == [str(tmp_path / "nowhere.ipynb"), str(tmp_path / "bad.ipynb")]
    assert result.exit_code == 1


GRADEBOOK = 'Student,ID,SIS Login ID,Section,PS05 smoothing (7)\n    Points Possible,,,,9\n"Doe, Ann",1,ann,A,\n"Roe, Bob",2,bob,A,\n'


@pytest.fixture
def out(tmp_path) -> Path:
    """A folder that `grade` wrote, with one submission."""
    from autograder import reporting

    question = reporting.Question("predict", 4, 9, (CheckResult("test_p", "cohen-thm-1", True, 9, False, "the hidden input was 271828"),))
    report = reporting.Report(SET, "e", {}, "f", 3, (reporting.Submission("ann", "ann.ipynb", 4, 9, (), (question,)),))
    reporting.write(report, tmp_path / "out")
    (tmp_path / "gradebook.csv").write_text(GRADEBOOK)
    return tmp_path / "out"


def test_export_fills_canvass_gradebook_or_makes_a_small_one(out, tmp_path):
    result = run("export", "canvas", out, "--to", tmp_path / "filled.csv", "--gradebook", tmp_path / "gradebook.csv")
    assert (
        result.output
        == f"""wrote {tmp_path / "filled.csv"}
1 of 1 scores are in the column 'PS05 smoothing (7)'
no submission, cell left as it was: Roe, Bob
"""
    )
    assert (tmp_path / "filled.csv").read_text() == GRADEBOOK.replace("ann,A,", "ann,A,4")
    assert run("export", "canvas", out / "report.json", "--to", tmp_path / "small.csv", "--assignment", "PS 5 (7)").exit_code == 0
    assert (tmp_path / "small.csv").read_text().endswith("Section,PS 5 (7)\n    Points Possible,,,,,9\nann,,,ann,,4\n")


def test_export_writes_results_for_gradescope(out, tmp_path):
    assert run("export", "results", out, "--to", tmp_path / "results", "--hidden", "visible").output == f"wrote 1 files to {tmp_path / 'results'}\n"
    record = json.loads((tmp_path / "results" / "ann.json").read_text())
    assert (record["score"], record["tests"][0]["visibility"]) == (4, "visible")
    assert "271828" not in json.dumps(record)


def test_export_makes_gradescopes_zip_with_a_key_of_its_own(tmp_path):
    (tmp_path / "key").write_bytes(b"s" * 32)
    result = run("export", "gradescope", SET, "--to", tmp_path / "gs.zip", "--secret-file", tmp_path / "key")
    assert result.output == f"wrote {tmp_path / 'gs.zip'}\n"
    with zipfile.ZipFile(tmp_path / "gs.zip") as archive:
        assert {"setup.sh", "run_autograder", "secret.key"} <= set(archive.namelist())
        assert archive.read("secret.key") not in (b"s" * 32, b"")


def test_export_says_in_one_sentence_what_it_cannot_use(out, tmp_path):
    to = tmp_path / "to"
    fails_with(run("export", "canvas", tmp_path / "nowhere", "--to", to), "cannot read")
    fails_with(run("export", "results", tmp_path / "gradebook.csv", "--to", to), "is no report of `autograder grade`")
    fails_with(run("export", "canvas", out, "--to", to, "--gradebook", out / "grades.csv"), "is no gradebook that Canvas exported")
    fails_with(run("export", "canvas", out, "--to", to, "--gradebook", tmp_path / "gradebook.csv", "--assignment", "PS 6"), "'PS05 smoothing (7)'")
    fails_with(run("export", "canvas", out, "--to", tmp_path / "no" / "x.csv"), "cannot write")
    fails_with(run("export", "gradescope", "ps99", "--to", to), "unknown problem set 'ps99'")
    assert not to.exists()


def test_grade_fills_the_gradebook_too_and_reads_it_first(out, tmp_path, monkeypatch):
    from autograder import grading, reporting

    monkeypatch.setattr(grading, "grade_paths", lambda *_, **__: (reporting.read_report(out), {}))
    arguments = ["grade", SET, "a.ipynb", "--out", tmp_path / "again", "--canvas", tmp_path / "gradebook.csv"]
    result = run(*arguments, "--assignment", "7")
    assert (tmp_path / "again" / "canvas.csv").read_text() == GRADEBOOK.replace("ann,A,", "ann,A,4")
    assert "1 of 1 scores are in the column" in result.output
    monkeypatch.setattr(grading, "grade_paths", lambda *_, **__: pytest.fail("graded"))
    fails_with(run(*arguments, "--assignment", "8"), "--assignment '8' names no columns")
    fails_with(run("grade", SET, "a.ipynb", "--out", tmp_path / "again", "--assignment", "8"), "--canvas GRADEBOOK")
