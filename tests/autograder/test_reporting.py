"""Every form of a report: complete, deterministic, and harmless whatever a student is called or makes a check say."""

import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from nbconvert.filters import clean_html

from autograder import reporting
from autograder.errors import KitError
from autograder.reporting import CheckResult, Question, Report, Submission, clean, file_names, load, merge, read_report, table, write

HIDDEN = "the hidden input was 271828"
EVIL = "<script>alert(1)</script>"
NAMES = ["ann", "Ann", "Zoë Ünal", "", "../../etc/passwd", "a/b\\c", EVIL, '=HYPERLINK("http://x")', "-1+1", "@x", "\t=1"]
NAMES += ["a\u202egnp.exe", "\ud800", "x" * 5000]


def check(**changes) -> CheckResult:
    usual = {"name": "test_radius_is_zero_at_the_coin_flip", "statement": "cohen-thm-1", "hidden": False, "points": 2, "passed": True, "message": ""}
    return CheckResult(**usual | changes)


def submission(student: str, message: str = "wrong at p = 0.5: expected 0, got 0.1") -> Submission:
    checks = (check(), check(points=1, passed=False, message=message), check(hidden=True, passed=False, name="test_x", message=HIDDEN))
    questions = (Question("certified_radius", 2, 5, checks), Question("predict", 4, 4, (check(points=4),)))
    return Submission(student, f"submitted/{student}/x.ipynb", 6, 9, (f"a cell has the unknown id {EVIL}",), questions)


def report(names=NAMES, **how) -> Report:
    refused = Submission("zed", "zed.ipynb", 0, 9, ("the file is not JSON",), (Question("certified_radius", 0, 5), Question("predict", 0, 4)))
    return Report("ps05_smoothing", "edition", {"torch": "2.13.0"}, "fingerprint", 3, (*(submission(name, **how) for name in names), refused))


class Page(HTMLParser):
    """The elements of a page and their attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


def files(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_report_has_exactly_the_published_keys():
    record = report(["ann"]).to_json()
    assert list(record) == ["set", "edition", "versions", "secret_fingerprint", "sandbox", "submissions"]
    assert list(record["submissions"][0]) == ["student", "path", "score", "max_score", "flags", "questions"]
    assert list(record["submissions"][0]["questions"][0]) == ["name", "score", "max_score", "checks"]
    assert list(record["submissions"][0]["questions"][0]["checks"][0]) == ["name", "statement", "hidden", "points", "passed", "message"]
    assert load(json.loads(json.dumps(record))).to_json() == record


def test_files_that_name_no_student_are_in_every_form_where_there_are_any(tmp_path):
    found = replace(report(["ann"]), refused=(f"class.zip/../{EVIL}.ipynb lies outside its archive\x1b[31m",))
    write(found, tmp_path)
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["refused"] == [f"class.zip/../{EVIL}.ipynb lies outside its archive [31m"]
    assert load(record).to_json() == record
    assert merge([found, report(["bob"])]).refused == found.refused
    assert "refused: class.zip/../" in table(found)
    page = (tmp_path / "class.html").read_text()
    assert "lies outside its archive" in page
    assert EVIL not in page


def test_a_report_is_read_from_its_folder_or_its_file(tmp_path):
    write(report(["ann"]), tmp_path)
    assert read_report(tmp_path) == read_report(tmp_path / "report.json")
    assert read_report(tmp_path).to_json() == report(["ann"]).to_json()
    for content in (b"", b"{}", b"[]", b'{"submissions": 5}', b'{"submissions": [{"questions": [{"checks": 3}]}]}', b"[" * 100_000):
        (tmp_path / "report.json").write_bytes(content)
        with pytest.raises(KitError, match=r"report\.json is no report"):
            read_report(tmp_path)
    with pytest.raises(KitError, match="cannot read .*: No such file"):
        read_report(tmp_path / "nowhere")


def test_everything_is_written_and_the_bytes_are_the_same_twice(tmp_path):
    write(report(), tmp_path / "one")
    write(report(), tmp_path / "deep" / "two")
    assert files(tmp_path / "one") == files(tmp_path / "deep" / "two")
    assert {"report.json", "grades.csv", "class.html", "feedback/zed.html"} <= set(files(tmp_path / "one"))
    assert len(files(tmp_path / "one")) == 3 + len(NAMES) + 1
    write(report(["ann"]), tmp_path / "three", timings={"ann": 1.5})
    assert json.loads((tmp_path / "three/timings.json").read_text()) == {"ann": 1.5}
    assert "feedback/ann.html" in files(tmp_path / "three")


def test_no_output_holds_anything_of_a_hidden_check(tmp_path):
    write(report(), tmp_path)
    text = table(report()) + reporting.question_text(submission("ann").questions[0]) + reporting.question_html(submission("ann").questions[0])
    for content in [*files(tmp_path).values(), text.encode()]:
        assert b"271828" not in content
    assert "hidden check of" in (tmp_path / "feedback" / file_names(NAMES)["Ann"]).read_text()


def test_pages_run_nothing_and_load_nothing(tmp_path):
    write(report(message=f"got {EVIL} \" onload='x' {{{{ 7*7 }}}} javascript:alert(1)"), tmp_path)
    for name, content in files(tmp_path).items():
        if not name.endswith(".html"):
            continue
        page = Page(content.decode())
        policy = next(attrs for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy")
        assert policy["content"].startswith("default-src 'none'")
        for tag, attrs in page.elements:
            assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form")
            assert not any(key.startswith("on") for key in attrs)
            assert re.fullmatch(r"width: [\d.]+%", attrs.get("style", "width: 0%"))
            assert attrs.get("src", "data:image/svg+xml").startswith("data:image/svg+xml")
            assert attrs.get("href", "feedback/").startswith("feedback/")
            assert "/" not in attrs.get("href", "feedback/x").removeprefix("feedback/")
        assert b"49" not in content or b"7*7" in content
        assert b"\xe2\x80\xae" not in content


def test_file_names_are_safe_unique_and_stay_in_the_folder():
    names = file_names(NAMES)
    assert len({name.casefold() for name in names.values()}) == len(NAMES)
    for name in names.values():
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
        assert len(name) <= 120
        assert not name.startswith(".")
    assert file_names(["ann", "bob"]) == {"ann": "ann.html", "bob": "bob.html"}


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a\x00b\x1b[31mc\nd\te", "a b [31mc d e"),
        ("a\u202eb\u2066c\u200d\ufeff", "abc"),
        ("\ud800x", "x"),
        ("ü" * 600, "ü" * 499 + "…"),
        (None, "None"),
    ],
)
def test_texts_are_cleaned_and_cut(text, shown):
    assert clean(text) == shown


def test_the_terminal_table_says_who_got_what_and_why():
    text = table(report([EVIL, "[red]bob[/red]"]), width=160)
    assert "6/9" in text
    assert EVIL in text
    assert "[red]bob[/red]" in text
    assert "certified_radius: wrong at p = 0.5" in text
    assert "the file is not JSON" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 160


def test_a_hidden_check_that_failed_first_is_named_by_its_statement():
    lost = Submission("ann", "", 0, 2, (), (Question("predict", 0, 2, (check(hidden=True, passed=False, message=HIDDEN),)),))
    assert reporting.losses(lost) == [("predict", "hidden check of cohen-thm-1: " + clean(reporting.statements()["cohen-thm-1"]))]


def test_nbconverts_sanitiser_leaves_the_checks_as_they_are():
    markup = reporting.question_html(submission("ann", EVIL).questions[0])
    assert clean_html(markup) == markup
    assert EVIL not in markup
    assert "&lt;script&gt;" in markup


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    write(report(["ann"]), tmp_path)
    before = files(tmp_path)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        reporting.write_file(tmp_path / "report.json", b"new")
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KitError):  # found out before anything is written
        write(report(["bob"]), tmp_path)
    assert files(tmp_path) == before


@pytest.mark.parametrize("place", ["file", "/proc/nothing"])
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="cannot be written") as caught:
        reporting.prepare(tmp_path / place)
    assert "\n" not in str(caught.value)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "feedback").write_text("")
    with pytest.raises(KitError, match="cannot be written"):
        reporting.prepare(tmp_path / "half")


def test_reports_are_merged_in_the_order_of_students():
    merged = merge([report(["bob"]), report(["ann"])])
    assert [one.student for one in merged.submissions] == ["ann", "bob", "zed", "zed"]
    with pytest.raises(KitError, match="none"):
        merge([])


def test_an_empty_class_has_a_page(tmp_path):
    write(Report("ps05_smoothing", "e", {}, "f", 3), tmp_path)
    assert "0 submissions" in (tmp_path / "class.html").read_text()
