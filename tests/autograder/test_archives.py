"""Zip archives made by hand, byte by byte where need be: what is wrong with an entry is told of it alone, and no archive fills the memory."""

import io
import stat
import struct
import tracemalloc
import zipfile

import pytest

from autograder import archives
from autograder.archives import entries, open_archive, unpack
from autograder.errors import SubmissionError

LIMIT = 20 * 2**20


def packed(*files: tuple, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of (name or ZipInfo, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, pytest.MonkeyPatch.context() as quiet:
        quiet.setattr("warnings.warn", lambda *_, **__: None)  # of names that stand twice
        for name, content in files:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, content)
    return out.getvalue()


def by_hand(*files: tuple[bytes, bytes], utf8: bool = False) -> bytes:
    """An archive of (raw name, content), stored; the list may name what it likes."""
    body, listed = b"", b""
    for name, content in files:
        flags, crc = (0x800 if utf8 else 0), zipfile.crc32(content)
        listed += (
            struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, flags, 0, 0, 33, crc, len(content), len(content), len(name), 0, 0, 0, 0, 0, len(body)) + name
        )
        body += struct.pack("<4s2B4HL2L2H", b"PK\3\4", 20, 0, flags, 0, 0, 33, crc, len(content), len(content), len(name), 0) + name + content
    return body + listed + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(files), len(files), len(listed), len(body), 0)


def look(content: bytes) -> dict[str, str]:
    """What is said of each entry; an entry that is sound and can be unpacked says nothing."""
    archive = open_archive(io.BytesIO(content), "class.zip")
    found = {}
    for entry in entries(archive, "class.zip"):
        fault = str(entry.fault or "")
        if not fault:
            try:
                unpack(archive, entry.index, entry.name, LIMIT)
            except SubmissionError as error:
                fault = str(error)
        assert "\n" not in fault
        found[entry.name] = fault
    return found


def test_a_sound_archive_is_read_whole():
    content = packed(("ann.ipynb", b"{}"), ("sub/bob.ipynb", b"[]"), ("sub/", b""), ("Zoë.ipynb", b"1"))
    archive = open_archive(io.BytesIO(content), "x")
    found = {entry.name: unpack(archive, entry.index, entry.name, LIMIT) for entry in entries(archive, "x")}
    assert found == {"ann.ipynb": b"{}", "sub/bob.ipynb": b"[]", "Zoë.ipynb": b"1"}


@pytest.mark.parametrize(
    "name", ["../up.ipynb", "a/../../up.ipynb", "/root.ipynb", "C:/drive.ipynb", "C:\\drive.ipynb", "..\\up.ipynb", "\\\\host\\share.ipynb"]
)
def test_a_name_that_leaves_the_archive_is_refused_and_the_others_are_read(name):
    found = look(by_hand((name.encode(), b"{}"), (b"ann.ipynb", b"{}")))
    assert found.pop("ann.ipynb") == ""
    (fault,) = found.values()
    assert "lies outside its archive" in fault


def test_a_name_with_a_zero_in_it_is_refused():
    assert "lies outside" in look(by_hand((b"ann.ipynb\0.txt", b"{}")))["ann.ipynb"]


@pytest.mark.parametrize("kind, word", [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "no"), (stat.S_IFCHR, "no"), (stat.S_IFBLK, "no"), (stat.S_IFSOCK, "no")])
def test_what_is_no_file_is_refused(kind, word):
    info = zipfile.ZipInfo("odd.ipynb")
    info.external_attr = (kind | 0o777) << 16
    info.create_system = 3
    found = look(packed((info, b"/etc/passwd"), ("ann.ipynb", b"{}")))
    assert found["ann.ipynb"] == ""
    assert word in found["odd.ipynb"]


def test_a_password_and_a_rare_method_are_refused():
    content = bytearray(packed(("ann.ipynb", b"{}"), ("bob.ipynb", b"{}")))
    content[content.index(b"PK\3\4") + 6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    found = look(bytes(content))
    assert found["bob.ipynb"] == ""
    assert "password" in found["ann.ipynb"]
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        assert "another method" in look(packed(("ann.ipynb", b"{}"), method=method))["ann.ipynb"]


@pytest.mark.parametrize(
    "one, two", [("ann.ipynb", "ann.ipynb"), ("ann.ipynb", "ANN.ipynb"), ("straße.ipynb", "STRASSE.ipynb"), ("Zoe\u0308.ipynb", "zoë.ipynb")]
)
def test_a_name_that_stands_twice_is_refused_both_times(one, two):
    content = packed((one, b"{}"), (two, b"[]"), ("bob.ipynb", b"{}"))
    found = [str(entry.fault or "") for entry in entries(open_archive(io.BytesIO(content), "x"), "x")]
    assert ["more than once" in fault for fault in found] == [True, True, False]


@pytest.mark.parametrize(
    "raw, utf8, shown",
    [
        ("Zoë.ipynb".encode(), True, "Zoë.ipynb"),
        ("Zoë.ipynb".encode(), False, "Zoë.ipynb"),  # Canvas, macOS
        ("Zoe\u0308.ipynb".encode(), False, "Zoë.ipynb"),  # macOS takes letters apart
        ("Zoë.ipynb".encode("cp437"), False, "Zoë.ipynb"),
        ("佐藤.ipynb".encode(), False, "佐藤.ipynb"),
        ("佐藤.ipynb".encode("shift-jis"), False, "佐藤.ipynb".encode("shift-jis").decode("cp437").replace("\\", "/")),
        (b"sub\\hw.ipynb", False, "sub/hw.ipynb"),  # old packers of Windows
    ],
)
def test_names_are_read_in_the_encoding_that_they_have(raw, utf8, shown):
    assert look(by_hand((raw, b"{}"), utf8=utf8)) == {shown: ""}


def test_a_name_that_claims_utf8_and_is_none_refuses_the_archive():
    with pytest.raises(SubmissionError, match="not a zip archive that can be read"):
        open_archive(io.BytesIO(by_hand((b"\xff\xfe.ipynb", b""), utf8=True)), "x")


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 100, packed(("a.ipynb", b"{}"))[:-30], packed(("a.ipynb", b"{}"))[10:40], b"PK\5\6" + b"\xff" * 18])
def test_what_is_no_archive_is_one_sentence(content):
    with pytest.raises(SubmissionError, match=r"x\.zip .*zip archive") as caught:
        open_archive(io.BytesIO(content), "x.zip")
    assert "\n" not in str(caught.value)


def test_entries_that_share_their_bytes_are_refused():
    """Two entries of the list that lead to one content, and one whose content holds another's: the bombs of Fifield (2019)."""
    one, two = packed(("a.ipynb", b"1" * 50), ("b.ipynb", b"2" * 50), ("c.ipynb", b"3"), method=zipfile.ZIP_STORED), bytearray()
    second = one.index(b"PK\3\4", 4)
    content = one.replace(struct.pack("<L", second) + b"b.ipynb", struct.pack("<L", 0) + b"b.ipynb")
    assert content != one
    found = look(content)
    assert [name for name, fault in found.items() if "shares its bytes" in fault] == ["a.ipynb", "b.ipynb"]
    assert found["c.ipynb"] == ""
    two = bytearray(one)
    listed = two.index(b"PK\1\2")
    struct.pack_into("<2L", two, listed + 20, 150, 150)  # a's content reaches over b
    assert "shares its bytes" in look(bytes(two))["a.ipynb"]


def peak(content: bytes, what) -> int:
    """Megabytes that reading takes at its worst, the archive itself apart."""
    tracemalloc.start()
    try:
        what(content)
        return tracemalloc.get_traced_memory()[1] // 2**20
    finally:
        tracemalloc.stop()


def test_a_bomb_is_refused_by_name_and_takes_no_memory():
    zeros = b"\0" * 2**20
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("bomb.ipynb", "w") as file:
            for _ in range(300):
                file.write(zeros)
        archive.writestr("ann.ipynb", "{}")
    honest = out.getvalue()
    assert len(honest) < 2**20
    size = struct.pack("<L", 300 * 2**20)
    for content in (honest, honest.replace(size, struct.pack("<L", 5)), honest.replace(size, struct.pack("<L", LIMIT))):  # it may lie about its size
        found = {}
        assert peak(content, lambda content, found=found: found.update(look(content))) < 60
        assert found["ann.ipynb"] == ""
        assert found["bomb.ipynb"]


def test_a_list_of_a_million_entries_is_refused_before_it_is_parsed():
    record = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    listed = record * 1_000_000
    bomb = listed + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(listed), 0, 0)  # says that it has one

    def refused(content):
        with pytest.raises(SubmissionError, match="its list of entries has 45 MB; at most 8 are read"):
            open_archive(io.BytesIO(content), "x.zip")

    assert peak(bomb, refused) < 30 + len(bomb) // 2**20  # BytesIO copies
    few = record * 150_000
    with pytest.raises(SubmissionError, match="150000 entries; an archive may have at most 20000"):
        open_archive(io.BytesIO(few + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(few), 0, 0)), "x.zip")


def test_damage_anywhere_costs_at_most_the_entries_it_hits():
    """Every single byte of an archive changed in turn: no exception but SubmissionError, and names or contents stay those of an archive."""
    content = packed(("ann.ipynb", b"{1}"), ("bob.ipynb", b"{2}"))
    readable = 0
    for place in range(len(content)):
        for change in (0xFF, 0x01):
            damaged = bytearray(content)
            damaged[place] ^= change
            try:
                readable += sum(not fault for fault in look(bytes(damaged)).values())
            except SubmissionError:
                continue
    assert readable > len(content)


def test_more_than_is_asked_for_is_refused():
    assert archives.bounded(io.BytesIO(b"12345"), "x", 5) == b"12345"
    with pytest.raises(SubmissionError, match="x has 6 MB; at most 5 are read"):
        archives.bounded(io.BytesIO(b" " * (6 * 2**20)), "x", 5 * 2**20)
