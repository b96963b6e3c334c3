"""Hostile bytes: what is in a notebook, and what of it is graded."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from autograder import submissions
from autograder.errors import KitError
from autograder.precheck import precheck
from autograder.submissions import SubmissionError, normalise, read, sanitise

SET = "ps05_smoothing"


def marked(source: str, grade_id: str, cell=new_code_cell, tags=(), **marks) -> nbformat.NotebookNode:
    usual = {"grade": False, "grade_id": grade_id, "locked": False, "schema_version": 3, "solution": False, "task": False}
    return cell(source, id=grade_id.replace("_", "-"), metadata={"nbgrader": usual | marks})


def make_release() -> nbformat.NotebookNode:
    return new_notebook(
        cells=[
            new_markdown_cell("# Title", id="c-0"),
            new_code_cell(f'import backdoors\n\nPROBLEM_SET = "{SET}"', id="c-1"),
            marked("locked = 1", "given_data", locked=True),
            marked("def f(x):\n    raise NotImplementedError()", "f", solution=True),
            marked('check("f")', "check-f", grade=True, locked=True, points=3),
            new_code_cell("plot(f)", id="c-2", metadata={"tags": ["explore"]}),
            marked("def g(x):\n    raise NotImplementedError()", "g", solution=True),
            marked('check("g")', "check-g", grade=True, locked=True, points=2),
            marked("YOUR ANSWER HERE", "f1", new_markdown_cell, grade=True, solution=True, points=5),
        ]
    )


@pytest.fixture
def release(monkeypatch) -> nbformat.NotebookNode:
    """The released notebook; what the tests do to it is what a student does."""
    monkeypatch.setattr(submissions, "released", lambda *_: make_release())
    monkeypatch.setattr("autograder.precheck.released", lambda *_: make_release())
    return make_release()


def cell(nb, grade_id):
    return next(c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def kinds(cells) -> list[tuple]:
    return [(c["kind"], c["name"]) for c in cells]


# what is run

PLAIN = [("given", None), ("given", "given_data"), ("solution", "f"), ("solution", "g")]


def test_checks_and_unchanged_exploration_are_not_run(release):
    cells, flags = sanitise(release, SET)
    assert kinds(cells) == PLAIN
    assert flags == []


def test_added_and_changed_cells_are_run_and_told_apart(release):
    release.cells.insert(3, new_code_cell("helper = 1"))
    release.cells[6].source = "plot(f, 'mine')"
    cells, flags = sanitise(release, SET)
    assert kinds(cells) == [*PLAIN[:2], ("added", None), PLAIN[2], ("explore", None), PLAIN[3]]
    assert cells[2]["source"] == "helper = 1"
    assert flags == []


def test_a_tag_of_the_students_makes_no_exploration(release):
    release.cells.append(new_code_cell("x = 1", metadata={"tags": ["explore"]}))
    assert kinds(sanitise(release, SET)[0])[-1] == ("added", None)


def test_locked_cells_are_put_back(release):
    cell(release, "given_data").source = "locked = 2"
    cell(release, "check-f").source = "pass"
    cells, flags = sanitise(release, SET)
    assert cells[1]["source"] == "locked = 1"
    assert flags == ["the locked cell given_data was changed; it was put back", "the locked cell check-f was changed; it was put back"]


def test_white_space_in_a_locked_cell_is_no_flag(release):
    cell(release, "check-f").source += "\n"
    assert sanitise(release, SET)[1] == []


def test_the_first_copy_counts(release):
    copy = json.loads(json.dumps(cell(release, "f")))
    copy["source"] = "def f(x): return 1"
    release.cells.append(nbformat.from_dict(copy))
    cells, flags = sanitise(release, SET)
    assert kinds(cells) == [*PLAIN, ("added", None)]
    assert flags == ["the cell f is there more than once; the first counts"]


def test_a_renamed_cell_is_an_added_one_and_its_stub_does_not_cover_it(release):
    cell(release, "f").source = "def f(x): return 1"
    cell(release, "f").metadata.nbgrader["grade_id"] = "e"
    cells, flags = sanitise(release, SET)
    assert [c["source"] for c in cells if "def f" in c["source"]] == ["def f(x): return 1"]
    assert flags == ["a cell has the unknown id 'e'", "the cell f is missing"]


def test_missing_cells_are_flagged_and_locked_ones_run(release):
    release.cells = [c for c in release.cells if c.id in ("g", "f1")]
    cells, flags = sanitise(release, SET)
    assert kinds(cells) == [("given", "given_data"), ("solution", "g")]
    assert flags == [
        "the cell given_data is missing; it was put back",
        "the cell f is missing",
        "the cell check-f is missing; it was put back",
        "the cell check-g is missing; it was put back",
        "the given cell that begins with 'import backdoors' is missing",
    ]


def test_restored_cells_stand_in_the_release_order(release):
    release.cells = [c for c in release.cells if c.id not in ("check-f", "given-data", "g")]
    nb, _, put_back = submissions.restore(normalise(release), make_release(), SET)
    order = [c.metadata.nbgrader.grade_id for c in nb.cells if "nbgrader" in c.metadata]
    assert order == ["given_data", "f", "check-f", "g", "check-g", "f1"]
    assert put_back == {"check-f", "given_data", "g"}
    nbformat.validate(nb)


def test_forged_metadata_is_the_releases_again(release):
    mine = cell(release, "check-f").metadata.nbgrader
    mine.update(points=1000, grade=False, solution=True, locked=False, schema_version=1)
    nb, _, _ = submissions.restore(normalise(release), make_release(), SET)
    assert cell(nb, "check-f").metadata == cell(make_release(), "check-f").metadata


def test_a_solution_turned_into_text_is_code_again(release):
    index = release.cells.index(cell(release, "f"))
    old = release.cells[index]
    release.cells[index] = new_markdown_cell("def f(x): return 1", metadata=old.metadata)
    cells, flags = sanitise(release, SET)
    assert {"source": "def f(x): return 1", "kind": "solution", "name": "f"} in cells
    assert flags == ["the cell f had become a markdown cell; it is a code cell again"]


def test_a_stolen_id_is_given_back(release):
    cell(release, "f").id = "mine"
    release.cells.insert(0, new_code_cell("1", id="f"))
    nb, _, _ = submissions.restore(normalise(release), make_release(), SET)
    assert cell(nb, "f").id == "f"
    assert len({c.id for c in nb.cells}) == len(nb.cells)


def test_a_notebook_of_another_set_is_refused(release):
    with pytest.raises(SubmissionError, match="of the set ps03_white_box, not of ps05_smoothing"):
        sanitise(new_notebook(cells=[new_code_cell('PROBLEM_SET = "ps03_white_box"'), *release.cells[2:]]), SET)
    with pytest.raises(SubmissionError, match="none of the 6 marked cells of ps05_smoothing"):
        sanitise(new_notebook(cells=[new_code_cell("print(1)")]), SET)


def test_flags_are_bounded(release):
    release.cells += [new_code_cell("", metadata={"nbgrader": {"grade_id": f"x{i}"}}) for i in range(500)]
    flags = sanitise(release, SET)[1]
    assert len(flags) == submissions.FLAGS + 1
    assert flags[-1] == "and 460 more of this kind"


# what is read


def as_bytes(nb) -> bytes:
    return json.dumps(nb).encode()


def test_reading_keeps_sources_and_drops_the_rest():
    nb = new_notebook(metadata={"widgets": {"x": 1}})
    nb.cells = [
        new_code_cell("1", metadata={"evil": 1, "tags": ["explore", "<script>"]}, outputs=[nbformat.v4.new_output("stream", text="forged")]),
        new_markdown_cell("![a](attachment:a.png)", attachments={"a.png": {"image/png": "aGk=", "image/svg+xml": "<svg/>"}, "b": {"image/png": '">'}}),
        new_raw_cell("<script>", metadata={"raw_mimetype": "text/html"}),
    ]
    read_back = read(as_bytes(nb))
    nbformat.validate(read_back)
    assert "widgets" not in read_back.metadata
    assert read_back.cells[0].outputs == []
    assert read_back.cells[0].metadata == {"tags": ["explore"]}
    assert read_back.cells[1].attachments == {"a.png": {"image/png": "aGk="}}
    assert read_back.cells[2].metadata == {}


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "not JSON"),
        (b"\x00\xff\xfe", "not JSON"),
        (b"PK\x03\x04", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 100_000, "not JSON"),
        (b"[]", "not a notebook"),
        (b"{}", "not a notebook"),
        (b'{"nbformat": "4"}', "not a notebook"),
        (b'{"nbformat": 4}', "no list of cells"),
        (b'{"nbformat": 4, "cells": {}}', "no list of cells"),
        (b'{"nbformat": 4, "cells": [1]}', "no list of cells"),
        (b'{"nbformat": 7, "cells": []}', "newer than 4"),
        (b'{"nbformat": 3, "worksheets": 5}', "old format 3"),
        (b'{"nbformat": -1}', "old format -1"),
        (json.dumps({"nbformat": 4, "cells": [{}] * 3000}).encode(), "3000 cells; at most 2000"),
    ],
)
def test_what_is_no_notebook_is_one_sentence(content, why):
    with pytest.raises(SubmissionError, match=why) as caught:
        read(content)
    assert "\n" not in str(caught.value)


def test_an_old_notebook_is_upgraded():
    old = nbformat.convert(new_notebook(cells=[new_code_cell("x = 1"), new_markdown_cell("text")]), 3)
    assert [c.source for c in read(as_bytes(old)).cells] == ["x = 1", "text"]


def test_a_byte_order_mark_is_no_fault():
    assert read(b"\xef\xbb\xbf" + as_bytes(new_notebook())).cells == []


@pytest.mark.parametrize(
    "damage",
    [
        {},
        {"cell_type": "code", "source": None},
        {"cell_type": ["code"], "metadata": []},
        {"cell_type": "code", "source": ["a\n", 5, "b"], "id": "no good", "metadata": {"nbgrader": [], "tags": {}}},
        {"cell_type": "code", "source": "\ud800", "metadata": {"nbgrader": {"grade_id": ["f"]}}},
        {"cell_type": "markdown", "attachments": {"a": 1, "b": {"image/png": 3}}, "metadata": {"nbgrader": None}},
    ],
)
def test_odd_cells_become_valid_ones(release, damage):
    nb = json.loads(as_bytes(release))
    nb["cells"] += [damage, damage]
    read_back = read(as_bytes(nb))
    nbformat.validate(read_back)
    nbformat.writes(read_back).encode()
    cells, _ = sanitise(read_back, SET)
    assert [c for c in kinds(cells) if c[0] != "added"] == PLAIN


def test_more_bytes_than_a_notebook_may_have_are_refused_unparsed():
    with pytest.raises(SubmissionError, match="has 21 MB"):
        read(b" " * (21 * 2**20))


# before grading


def write(path: Path, content: bytes = b"{}") -> Path:
    path.write_bytes(content)
    return path


def test_precheck_says_what_is_wrong_and_nothing_else(release, tmp_path):
    good = write(tmp_path / "good.ipynb", as_bytes(release))
    assert precheck(SET, good) == []
    release.cells.remove(cell(release, "f"))
    assert precheck(SET, write(tmp_path / "missing.ipynb", as_bytes(release))) == ["the cell f is missing"]
    assert "not JSON" in precheck(SET, write(tmp_path / "text.ipynb", b"hello"))[0]
    assert "none of the 6 marked cells" in precheck(SET, write(tmp_path / "other.ipynb", as_bytes(new_notebook())))[0]
    assert len(precheck(SET, tmp_path)) == 3
    assert all(sentence.startswith(str(tmp_path)) for sentence in precheck(SET, tmp_path))


def test_precheck_refuses_an_unknown_set(tmp_path):
    with pytest.raises(KitError, match="unknown problem set 'ps99'"):
        precheck("ps99", write(tmp_path / "a.ipynb"))
