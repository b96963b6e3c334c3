"""Results on disk: what is read back is what was written, and whatever else lies there is no result."""

import json
import multiprocessing
import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from autograder import storing
from autograder.checking import CheckResult
from autograder.errors import KitError
from autograder.grading import Result, Task, course_digest
from autograder.reporting import Question, Submission
from autograder.sandbox import Limits
from autograder.storing import Basis, Store

BASIS = Basis("ps", "c" * 64, {"python": "3.11", "torch": "2.13"}, "f" * 12, 3, Limits())
TASK = Task("ps", "ann", b"{}", 0)
CHECKS = (CheckResult("test_a", "thm-1", True, 2, False, "got 3 for \x1b \ud800"), CheckResult("test_b", "thm-2", False, 1, True, ""))
RESULT = Result(Submission("ann\udcff", "", 1, 3, ("a flag",), (Question("double", 1, 3, CHECKS),)), 1.25, {"double.test_a": 0.1})
KEY = "0" * 64


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def test_what_was_saved_is_loaded_with_every_message(store):
    store.save(KEY, RESULT)
    assert Store(store.folder).load(KEY) == RESULT
    assert [path.name for path in store.folder.iterdir()] == [f"{KEY}.json"]


def test_a_key_under_which_nothing_lies_has_no_result(store):
    assert store.load(KEY) is None


def test_a_folder_of_results_is_for_its_owner_alone(store):
    assert store.folder.stat().st_mode & 0o077 == 0


def test_whatever_lies_beside_the_checks_is_part_of_the_course_but_its_bytecode(course):
    digest, folder = course_digest("ps01_tiny", course.root), course.root / "autograder" / "checks" / "ps01_tiny"
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "public.pyc").write_bytes(b"compiled")
    assert course_digest("ps01_tiny", course.root) == digest
    (folder / "networks.safetensors").write_bytes(b"weights")
    assert course_digest("ps01_tiny", course.root) != digest


def test_a_key_names_everything_that_a_grade_rests_on_and_nothing_else():
    others = [
        storing.key(replace(TASK, content=b"{} "), BASIS),
        storing.key(replace(TASK, student="bob"), BASIS),
        storing.key(replace(TASK, reseed=1), BASIS),
        storing.key(TASK, replace(BASIS, problem_set="ps2")),
        storing.key(TASK, replace(BASIS, course="d" * 64)),
        storing.key(TASK, replace(BASIS, versions=BASIS.versions | {"torch": "2.14"})),
        storing.key(TASK, replace(BASIS, fingerprint="e" * 12)),
        storing.key(TASK, replace(BASIS, level=2)),
        *(storing.key(TASK, replace(BASIS, limits=replace(Limits(), **{name: 1}))) for name in vars(Limits())),
    ]
    assert len({storing.key(TASK, BASIS), *others}) == 1 + len(others)
    reordered = replace(BASIS, versions=dict(reversed(BASIS.versions.items())))
    assert storing.key(TASK, reordered) == storing.key(Task("ps", "ann", b"{}"), BASIS)
    assert re.fullmatch("[0-9a-f]{64}", storing.key(replace(TASK, student="\udcff"), BASIS))


def test_a_key_is_the_same_in_every_process():
    """Whatever a hash seed could change would make every restart grade anew."""
    code = (
        "from autograder.storing import *; from autograder.grading import Task; "
        "print(key(Task('ps', 'ann', b'{}'), Basis('ps', 'c' * 64, {'torch': '2.13', 'python': '3.11'}, 'f' * 12, 3, Limits())))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": "17"}, capture_output=True, text=True)
    assert done.stdout.strip() == storing.key(TASK, BASIS)


def _spoilt(content: bytes) -> dict[str, bytes]:
    at = content.index(b'"score": 1')
    return {
        "empty": b"",
        "cut": content[: len(content) // 2],
        "one digit changed": content[: at + 9] + b"3" + content[at + 10 :],
        "one bit changed": bytes([content[0] ^ 1]) + content[1:],
        "of another program": json.dumps({"key": KEY, "result": RESULT.to_json()}).encode(),
        "not text": bytes(range(256)),
        "deep": b"[" * 100_000,
    }


@pytest.mark.parametrize("how", _spoilt(b'"score": 1').keys())
def test_a_damaged_or_foreign_file_is_no_result_and_is_replaced(store, how):
    store.save(KEY, RESULT)
    path = store.folder / f"{KEY}.json"
    path.write_bytes(_spoilt(path.read_bytes())[how])
    assert store.load(KEY) is None
    store.save(KEY, RESULT)
    assert store.load(KEY) == RESULT


def test_a_result_under_another_name_is_no_result(store):
    store.save(KEY, RESULT)
    other = "1" * 64
    (store.folder / f"{KEY}.json").rename(store.folder / f"{other}.json")
    assert store.load(other) is None


def test_a_whole_file_of_another_form_is_no_result(store):
    """Bytes that are as they were written, by another version of this kit."""

    class Older(Result):
        def to_json(self):
            return {"submission": {"student": "ann"}, "seconds": 1, "checks": {}}

    store.save(KEY, Older(RESULT.submission))
    assert store.load(KEY) is None


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir])
def test_what_is_not_a_file_is_no_result(store, make):
    make(store.folder / f"{KEY}.json")
    assert store.load(KEY) is None


def test_writers_at_the_same_time_leave_a_whole_result(store):
    def write():
        for _ in range(40):
            store.save(KEY, RESULT)
            assert store.load(KEY) == RESULT

    writers = [multiprocessing.get_context("fork").Process(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert [path.name for path in store.folder.iterdir()] == [f"{KEY}.json"]


def test_temporary_files_of_killed_processes_go_and_those_of_living_ones_stay(store):
    old, young = store.folder / f".{KEY}.json.1", store.folder / f".{KEY}.json.2"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    Store(store.folder)
    assert not old.exists()
    assert young.exists()


def test_a_folder_that_cannot_be_made_or_written_is_named(tmp_path, store):
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match=f"the folder of results {tmp_path}/file/results cannot be made"):
        Store(tmp_path / "file" / "results")
    (store.folder / f"{KEY}.json").mkdir()
    with pytest.raises(KitError, match=f"a result cannot be written to {store.folder}"):
        store.save(KEY, RESULT)
