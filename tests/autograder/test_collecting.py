"""Whose a file is, which of several counts, and what is refused: names as Canvas's `content_zipper.rb` and Moodle's `downloader.php` make them."""

import io
import os
import re
import stat
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from autograder import collecting
from autograder.collecting import gather, pick
from autograder.errors import KitError, SubmissionError

SET = "ps05_smoothing"


def write(path: Path, content: bytes = b"{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def packed(entries: dict) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def canvas(sortable_name: str, user: int | str, upload: int, file: str, late: bool = False) -> str:
    """A name in Canvas's archive, by its own rules: a word's characters stay, numbers between underscores lose these, the name is in small letters."""
    name = re.sub(r"_(\d+)_", r"\1", sortable_name).lower() if sortable_name else None
    prefix = "_".join(part for part in (name, "LATE" if late else None, str(user)) if part)
    return re.sub(r"[^\w\u0300-\u036f]", "", prefix) + f"_{upload}_" + re.sub(r'[\x00/\\:*?"<>|]+', "_", file)


def moodle(full_name: str, number: int, kind: str = "file", folders: str | None = "") -> str:
    """The beginning of a name in Moodle's archive: of a folder, before 4.1 with a last underscore, or of a flat file's name."""
    return f"{full_name.replace('_', ' ')}_{number}_assignsubmission_{kind}{folders}"


def found(*paths, set=SET) -> dict:
    """student -> bytes of the notebook, or the sentence that says why there is none."""
    result = {}
    for handin in gather(paths, set)[0]:
        try:
            result[handin.student] = handin.read()
        except SubmissionError as error:
            result[handin.student] = str(error)
    assert not any("\n" in why for why in result.values() if isinstance(why, str))
    return result


def class_zip(path: Path, entries: dict) -> Path:
    return write(path, packed(entries))


# Canvas


def test_canvas_names_students(tmp_path):
    names = {
        canvas("Doe, Jane", 12345, 900001, f"{SET}.ipynb"): "doejane_12345",
        canvas("O'Neil-Smith, Zoë", 12346, 900002, f"{SET}-1.ipynb"): "oneilsmithzoë_12346",
        canvas("佐藤, 花子", 12347, 900003, "homework final (2).ipynb"): "佐藤花子_12347",
        canvas("under_score, x", 12348, 900004, f"{SET}.ipynb", late=True): "under_scorex_12348",
        canvas("trick_77_er", 12349, 900005, "1_2_3.ipynb"): "trick77er_12349",
        canvas("late", 12350, 900006, f"LATE_{SET}.ipynb", late=True): "late_12350",
        canvas("", "anon_aB3dE", 900007, f"{SET}.ipynb"): "anon_aB3dE",
        canvas("", "anon_Zz9Yy", 900008, "888_hw.ipynb", late=True): "anon_Zz9Yy",
        canvas("Doe, Jane", 12351, 900009, f"{SET}.ipynb"): "doejane_12351",  # another one of that name
    }
    path = class_zip(tmp_path / "submissions.zip", dict.fromkeys(names, b"{}"))
    handins, refused = gather([path], SET)
    assert {handin.student for handin in handins} == set(names.values())
    assert refused == []
    late = [handin.student for handin in handins if "handed in late, Canvas says" in handin.flags]
    assert late == sorted(["under_scorex_12348", "late_12350", "anon_Zz9Yy"])
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert set(found(tmp_path / "unpacked")) == set(names.values())
    assert set(found(*(tmp_path / "unpacked").iterdir())) == set(names.values())


def test_the_names_of_uploads_do_not_change_who_a_student_is(tmp_path):
    """Nobody rolls new dice by renaming a file, and a name that looks like another's number is part of the file's name."""
    ids = set()
    for upload, file in ((1, "hw.ipynb"), (22, "4_5_hw.ipynb"), (333, "LATE_6_7_x.ipynb"), (44, "anon_aaaaa_1_x.ipynb")):
        (student,) = found(class_zip(tmp_path / "c.zip", {canvas("Doe, Jane", 7, upload, file): b"{}"}))
        ids.add(student)
    assert ids == {"doejane_7"}


def test_the_newest_version_in_canvas_counts(tmp_path):
    names = [canvas("Doe, Jane", 7, upload, file) for upload, file in ((101, f"{SET}-1.ipynb"), (99, f"{SET}.ipynb"), (105, f"{SET}-2.ipynb"))]
    path = class_zip(tmp_path / "c.zip", {name: name.encode() for name in names})
    (handin,) = gather([path], SET)[0]
    assert handin.read() == names[2].encode()
    assert handin.flags == (f"3 versions of one file were handed in; the newest counts: {SET}-2.ipynb, upload 105",)


def test_of_several_files_the_one_with_the_sets_name_counts(tmp_path):
    own = canvas("Doe, Jane", 7, 5, f"{SET}-1.ipynb")
    path = class_zip(tmp_path / "c.zip", {own: b"own", canvas("Doe, Jane", 7, 6, "scratch.ipynb"): b"x", canvas("Doe, Jane", 7, 8, "report.pdf"): b"x"})
    (handin,) = gather([path], SET)[0]
    assert handin.read() == b"own"
    assert handin.flags == ("also handed in, and not graded: scratch.ipynb",)


def test_where_nothing_says_which_counts_nothing_is_graded_and_the_class_goes_on(tmp_path):
    entries = {canvas("Doe, Jane", 7, 5, "a.ipynb"): b"x", canvas("Doe, Jane", 7, 6, "b.ipynb"): b"x", canvas("Roe, Al", 8, 9, "hw.ipynb"): b"{}"}
    result = found(class_zip(tmp_path / "c.zip", entries))
    assert result["roeal_8"] == b"{}"
    assert all(word in result["doejane_7"] for word in ("doejane_7_5_a.ipynb", "doejane_7_6_b.ipynb", f"keep the one named {SET}.ipynb"))


def test_what_is_no_notebook_is_said(tmp_path):
    entries = {canvas("Doe, Jane", 7, 5, "hw.pdf"): b"x", "roeal_8_text.html": b"x", "LATE_anon_aaaaa_link.html": b"x", "poele_LATE_9_10_hw.rar": b"x"}
    result = found(class_zip(tmp_path / "c.zip", entries))
    assert set(result) == {"doejane_7", "roeal_8", "anon_aaaaa", "poele_9"}
    assert all("which is no notebook; hand in the .ipynb file" in text for text in result.values())
    assert "hw.pdf" in result["doejane_7"]


def test_an_archive_that_a_student_packed_is_opened(tmp_path):
    folder = {
        f"{SET}/{SET}.ipynb": b"own",
        f"{SET}/data/digits.csv": b"x",
        f"{SET}/.ipynb_checkpoints/{SET}-checkpoint.ipynb": b"old",
        f"__MACOSX/{SET}/._{SET}.ipynb": b"",
    }
    entries = {
        canvas("Doe, Jane", 7, 5, "hw.zip"): packed(folder),
        canvas("Roe, Al", 8, 6, "hw-1.zip"): packed({"solution final.ipynb": b"al"}),
        canvas("Poe, Le", 9, 7, f"{SET}.ipynb"): b"le",
        canvas("Poe, Le", 9, 8, "all.zip"): packed({f"{SET}.ipynb": b"no"}),
    }
    path = class_zip(tmp_path / "c.zip", entries)
    assert found(path) == {"doejane_7": b"own", "roeal_8": b"al", "poele_9": b"le"}
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert found(tmp_path / "unpacked") == found(path)
    one = tmp_path / "unpacked" / canvas("Roe, Al", 8, 6, "hw-1.zip")
    assert found(one) == {"roeal_8": b"al"}


def test_names_in_a_students_archive_name_nobody(tmp_path):
    mine = {"submitted/victim/ps05_smoothing/ps05_smoothing.ipynb": b"mine"}
    for name in ("victim_3_4_hw.ipynb", "Victim_3_assignsubmission_file_/hw.ipynb", *mine):
        path = class_zip(tmp_path / "c.zip", {canvas("Doe, Jane", 7, 5, "hw.zip"): packed({name: b"mine"})})
        assert found(path) == {"doejane_7": b"mine"}
        path = class_zip(tmp_path / "m.zip", {f"{moodle('Jane Doe', 7)}/hw.zip": packed({name: b"mine"})})
        assert found(path) == {"Jane Doe_7": b"mine"}


def test_the_traps_in_a_students_archive_are_the_students_alone(tmp_path):
    link = zipfile.ZipInfo(f"{SET}.ipynb")
    link.external_attr, link.create_system = (stat.S_IFLNK | 0o777) << 16, 3
    traps = {
        "up": packed({f"../{SET}.ipynb": b"x"}),
        "link": packed({link: b"/etc/passwd"}),
        "broken": b"PK\3\4 nonsense",
        "text": b"not an archive",
        "none": packed({"hw.py": b"x"}),
        "deep": packed({"a.zip": packed({f"{SET}.ipynb": b"{}"})}),
        "two": packed({"a.ipynb": b"1", "b.ipynb": b"2"}),
        "copies": packed({f"a/{SET}.ipynb": b"1", f"b/{SET}.ipynb": b"2"}),
        "many": packed({f"{i}.txt": b"" for i in range(20_001)}),
        "large": packed({f"{SET}.ipynb": b" " * (21 * 2**20)}),
    }
    entries = {canvas(name, 10 + i, 20 + i, "hw.zip"): content for i, (name, content) in enumerate(traps.items())}
    result = found(class_zip(tmp_path / "c.zip", entries | {canvas("ann", 1, 2, "hw.ipynb"): b"{}"}))
    said = {student.split("_")[0]: text for student, text in result.items()}
    assert said.pop("ann") == b"{}"
    expected = {
        "up": "lies outside its archive",
        "link": "is a link",
        "broken": "is not a zip archive",
        "text": "is not a zip archive",
        "none": "holds no notebook",
        "deep": "an archive in an archive is not opened",
        "two": "nothing says which counts",
        "copies": "nothing says which counts",
        "many": "20001 entries",
        "large": "has 21 MB",
    }
    assert {name: word for name, word in expected.items() if word not in said[name]} == {}
    good = packed({f"../{SET}.ipynb": b"x", f"{SET}.ipynb": b"good"})
    (handin,) = gather([class_zip(tmp_path / "d.zip", {canvas("ann", 1, 2, "hw.zip"): good})], SET)[0]
    assert handin.read() == b"good"
    assert "lies outside its archive" in handin.flags[0]


# Moodle


@pytest.mark.parametrize("last", ["", "_"])
def test_moodle_names_students(tmp_path, last):
    entries = {
        f"{moodle('Erin Fox', 77, folders=last)}/hw.ipynb": b"erin",
        f"{moodle('Zoë_von Ünal', 78, folders=last)}/sub/folder/{SET}.ipynb": b"zoe",
        f"{moodle('Zoë_von Ünal', 78, 'onlinetext', last)}/onlinetext.html": b"<p>see file</p>",
        f"{moodle('Participant', 79, folders=last)}/hw.zip": packed({"x.ipynb": b"blind"}),
        f"{moodle('Group A', 4, folders=last)}/hw.ipynb": b"group",
        f"{moodle('Only Text', 80, 'onlinetext', last)}/onlinetext.html": b"<p>print(1)</p>",
        f"{moodle('Erin Fox', 81, folders=last)}/hw.ipynb": b"another Erin",
    }
    path = class_zip(tmp_path / "m.zip", entries)
    result = found(path)
    said = result.pop("Only Text_80")
    assert result == {
        "Erin Fox_77": b"erin",
        "Zoë von Ünal_78": b"zoe",
        "Participant_79": b"blind",
        "Group A_4": b"group",
        "Erin Fox_81": b"another Erin",
    }
    assert "onlinetext.html, which is no notebook" in said
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert found(tmp_path / "unpacked") == found(*(tmp_path / "unpacked").iterdir())
    assert set(found(tmp_path / "unpacked")) == set(result) | {"Only Text_80"}


def test_moodles_flat_names_are_read_too(tmp_path):
    entries = {
        f"{moodle('Erin Fox', 77)}_hw.ipynb": b"erin",
        f"{moodle('Al_x', 78)}_{moodle('Erin Fox', 77)}_hw.ipynb": b"al",
        "Al x_78_assignsubmission_onlinetext_onlinetext.html": b"",
    }
    assert found(class_zip(tmp_path / "m.zip", entries)) == {"Erin Fox_77": b"erin", "Al x_78": b"al"}


def test_a_folder_inside_a_moodle_submission_names_nobody(tmp_path):
    entries = {f"{moodle('Al', 78)}/{moodle('Erin Fox', 77)}/hw.ipynb": b"al", f"{moodle('Bo', 79)}/submitted/erin/{SET}/{SET}.ipynb": b"bo"}
    assert found(class_zip(tmp_path / "m.zip", entries)) == {"Al_78": b"al", "Bo_79": b"bo"}


def test_two_notebooks_in_one_moodle_submission_are_no_reason_to_stop(tmp_path):
    name = moodle("Erin Fox", 77)
    result = found(class_zip(tmp_path / "m.zip", {f"{name}/a.ipynb": b"1", f"{name}/b.ipynb": b"2", f"{moodle('Al', 78)}/a.ipynb": b"al"}))
    assert result["Al_78"] == b"al"
    assert f"{name}/a.ipynb" in result["Erin Fox_77"]
    assert f"{name}/b.ipynb" in result["Erin Fox_77"]
    assert found(class_zip(tmp_path / "n.zip", {f"{name}/a.ipynb": b"1", f"{name}/{SET}.ipynb": b"2"})) == {"Erin Fox_77": b"2"}


# files and folders


def test_folders_name_students(tmp_path, monkeypatch):
    write(tmp_path / "submitted/bob" / SET / f"{SET}.ipynb")
    write(tmp_path / "submitted/ann" / SET / f"{SET}.ipynb")
    write(tmp_path / "submitted/roe_1_2_x" / SET / f"{SET}.ipynb")
    write(tmp_path / "submitted/ann" / SET / "scratch.ipynb")
    write(tmp_path / "submitted/ann" / SET / "all.zip")
    write(tmp_path / "submitted/ann/ps01_warmup/ps01_warmup.ipynb")
    write(tmp_path / "submitted/ann" / SET / ".ipynb_checkpoints" / f"{SET}-checkpoint.ipynb")
    assert gather([tmp_path / "submitted"], SET)[1] == []
    assert list(found(tmp_path / "submitted")) == ["ann", "bob", "roe_1_2_x"]
    assert list(found(*sorted((tmp_path / "submitted").glob(f"*/{SET}")))) == ["ann", "bob", "roe_1_2_x"]
    monkeypatch.chdir(tmp_path / "submitted/ann")
    assert list(found(Path(SET))) == ["ann"]


def test_files_name_students(tmp_path):
    write(tmp_path / "a/carol.ipynb")
    write(tmp_path / f"d/frank/{SET}.ipynb")
    assert list(found(tmp_path / "a", tmp_path / "d")) == ["carol", "frank"]
    assert list(found(tmp_path / "a/carol.ipynb")) == ["carol"]
    assert list(found(class_zip(tmp_path / "grace.zip", {f"{SET}.ipynb": b"{}"}))) == ["grace"]
    assert list(found(class_zip(tmp_path / "henry.zip", {f"work/{SET}/{SET}.ipynb": b"{}"}))) == ["work"]
    assert list(found(class_zip(tmp_path / "class.zip", {"ida.ipynb": b"{}", f"submitted/zoe/{SET}/{SET}.ipynb": b"{}", "notes.txt": b""}))) == ["ida", "zoe"]


def test_two_notebooks_of_one_student_are_an_error_that_names_both(tmp_path):
    one, two = write(tmp_path / "a/ann.ipynb"), write(tmp_path / "b/ann.ipynb")
    with pytest.raises(KitError, match="both belong to the student 'ann'") as caught:
        gather([one, tmp_path / "b"])
    assert str(one) in str(caught.value)
    assert str(two) in str(caught.value)


def test_what_is_given_twice_is_an_error(tmp_path):
    canvas_zip = class_zip(tmp_path / "c.zip", {canvas("Doe, Jane", 7, 5, "hw.ipynb"): b"x"})
    moodle_zip = class_zip(tmp_path / "m.zip", {f"{moodle('Erin Fox', 77)}/hw.ipynb": b"x"})
    for path in (canvas_zip, moodle_zip):
        with pytest.raises(KitError, match="both belong to"):
            gather([path, write(tmp_path / "copy" / path.name, path.read_bytes())], SET)
    later = class_zip(tmp_path / "later.zip", {canvas("Doe, Jane", 7, 6, "hw-1.ipynb"): b"y"})
    assert found(canvas_zip, later) == {"doejane_7": b"y"}


def test_what_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(KitError, match="does not exist"):
        gather([tmp_path / "gone.ipynb"])
    with pytest.raises(KitError, match="no notebook"):
        gather([tmp_path])
    with pytest.raises(KitError, match="no notebook of ps05_smoothing was found in .*broken.zip: .* is not a zip archive"):
        gather([write(tmp_path / "broken.zip", b"PK\3\4 nonsense")], SET)


def test_links_and_pipes_in_folders_are_refused_and_the_others_read(tmp_path):
    secret = write(tmp_path / "secret.ipynb", b"secret")
    folder = tmp_path / "class"
    write(folder / "ann.ipynb", b"{}")
    (folder / "bob.ipynb").symlink_to(secret)
    os.mkfifo(folder / "carol.ipynb")
    (folder / "more").symlink_to(tmp_path)
    (folder / canvas("Doe, Jane", 7, 5, "hw.zip")).symlink_to(class_zip(tmp_path / "x.zip", {f"{SET}.ipynb": b"secret"}))
    result = found(folder)
    assert set(result) == {"ann", "bob", "carol", "doejane_7"}
    assert result["ann"] == b"{}"
    for student, why in (("bob", "is a link"), ("carol", "is not a file"), ("doejane_7", "is a link")):
        assert why in result[student]


def test_a_file_swapped_for_a_link_after_it_was_listed_is_not_followed(tmp_path):
    path = write(tmp_path / "class/ann.ipynb")
    (handin,) = gather([tmp_path / "class"])[0]
    path.unlink()
    with pytest.raises(SubmissionError, match="cannot be read"):
        handin.read()
    path.symlink_to(write(tmp_path / "secret.ipynb", b"secret"))
    with pytest.raises(SubmissionError, match="is a link"):
        handin.read()


def test_a_notebook_of_100_megabytes_is_refused_unread(tmp_path):
    path = tmp_path / "ann.ipynb"
    with open(path, "wb") as file:
        file.truncate(100 * 2**20)
    assert "has 100 MB; at most 20 are read" in found(path)["ann"]
    with pytest.raises(SubmissionError, match="has 100 MB"):
        collecting.read_file(path)


# refused where no student can be named


def test_files_that_name_nobody_are_listed_and_the_others_read(tmp_path):
    entries = {"ann.ipynb": b"{}", "../up.ipynb": b"{}", "/root.ipynb": b"{}", "C:\\drive.ipynb": b"{}", "somebody.zip": packed({f"{SET}.ipynb": b"{}"})}
    path = class_zip(tmp_path / "class.zip", entries)
    broken = write(tmp_path / "broken.zip", b"PK\3\4 nonsense")
    handins, refused = gather([path, broken], SET)
    assert [handin.student for handin in handins] == ["ann"]
    for text, name in zip(refused, ["../up.ipynb", "/root.ipynb", "C:/drive.ipynb", "somebody.zip", "broken.zip"], strict=True):
        assert text.startswith((f"{path}/{name} ", f"{broken} "))
    assert all("\n" not in text for text in refused)


def test_names_of_any_length_and_kind_are_read_at_once(tmp_path):
    names = [
        "a_1_" + "9" * 5000 + "_x.ipynb",
        "a" + "_1" * 30_000 + "\n.ipynb",
        "a" + "_assignsubmission_" * 3000 + "\n.ipynb",
        "٣_٣_٣_x.ipynb",
        "\x1b[31m.ipynb",
    ]
    started = time.process_time()
    handins, refused = gather([class_zip(tmp_path / "c.zip", dict.fromkeys(names, b"{}"))], SET)
    assert len(handins) + len(refused) == len(names)
    assert time.process_time() - started < 5


# one folder that is one student's: Gradescope


def test_the_notebook_in_a_folder_of_one_student_is_picked(tmp_path):
    write(tmp_path / "one/anything.ipynb", b"1")
    assert pick(tmp_path / "one", "ann@x.edu", SET).read() == b"1"
    write(tmp_path / f"one/{SET}.ipynb", b"2")
    handin = pick(tmp_path / "one", "ann@x.edu", SET)
    assert (handin.student, handin.read()) == ("ann@x.edu", b"2")
    write(tmp_path / "zip/victim_3_4_hw.zip", packed({f"victim/{SET}.ipynb": b"3"}))
    handin = pick(tmp_path / "zip", "ann@x.edu", SET)
    assert (handin.student, handin.read()) == ("ann@x.edu", b"3")
    write(tmp_path / "pdf/hw.pdf")
    with pytest.raises(SubmissionError, match="hw.pdf, which is no notebook"):
        pick(tmp_path / "pdf", "ann@x.edu", SET).read()
    write(tmp_path / "two/a_1_2_x.ipynb")
    write(tmp_path / "two/a_1_3_x.ipynb")
    with pytest.raises(SubmissionError, match="nothing says which counts"):
        pick(tmp_path / "two", "ann@x.edu", SET).read()
    (tmp_path / "none").mkdir()
    with pytest.raises(KitError, match="nothing was handed in"):
        pick(tmp_path / "none", "ann@x.edu", SET)


# memory


def test_memory_does_not_grow_with_the_class(tmp_path):
    """60 notebooks of 5 MB in Canvas's archive, and one of a student with a bomb in an archive in it: one at a time is held."""
    zeros, notebook = b"\0" * 2**20, b" " * (5 * 2**20)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(f"{SET}.ipynb", "w") as file:
        for _ in range(200):
            file.write(zeros)
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(60):
            archive.writestr(canvas("x", i, 100 + i, "hw.ipynb"), notebook)
        archive.writestr(canvas("bomb", 99, 999, "hw.zip"), bomb.getvalue())
    collecting._opened.cache_clear()
    tracemalloc.start()
    try:
        sizes, refused = [], []
        for handin in gather([tmp_path / "c.zip"], SET)[0]:
            try:
                sizes.append(len(handin.read()))
            except SubmissionError as error:
                refused.append(str(error))
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()
    assert sizes == [len(notebook)] * 60
    assert len(refused) == 1
    assert "has 200 MB" in refused[0]
