"""Finds a data set by name and splits it over clients.

Nothing is downloaded. What is absent is refused with the command that installs it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import numpy as np

from fl import idx, opt, sampling
from fl.federation import Examples, Federation
from secagg.errors import ParameterError, UnavailableError

DEFAULT_CLIENTS: Final = 10
NAMES: Final = ("digits", "opt", "fashion-mnist")
TEST_FRACTION: Final = 0.2


def load(
    name_or_path: str, clients: int | None = None, seed: int = 0, alpha: float = 0.5
) -> Federation:
    """A data set, split.

    Args:
        name_or_path: "digits" (inside scikit-learn), "opt" (four hospitals, ships with this
            package), "fashion-mnist" (a Debian package), or a folder with the four IDX files of
            an MNIST-like set.
        clients: how many; 10 unless told. "opt" has four hospitals, and no other number.
        seed: decides the split between clients and, where the set has none, the test set.
        alpha: the Dirichlet parameter of a split by class; "opt" is split by hospital and
            ignores it.

    Raises:
        ParameterError: an unknown name, or a number of clients that the data does not allow.
        UnavailableError: the data or scikit-learn is not installed; the message says how to get it.
        DecodeError: a file is damaged or not what its checksum says.
    """
    if seed < 0:
        raise ParameterError(f"a seed is not negative, got {seed}")
    if name_or_path == "opt":
        return opt.load(clients, seed)
    number = DEFAULT_CLIENTS if clients is None else clients
    if name_or_path == "digits":
        return _digits(number, seed, alpha)
    if name_or_path == "fashion-mnist":
        return _images("fashion-mnist", idx.fashion_mnist_folder(), number, seed, alpha)
    folder = Path(name_or_path)
    if folder.is_dir():
        return _images(folder.name, folder, number, seed, alpha)
    raise ParameterError(
        f"no data set {name_or_path!r}: expected {', '.join(NAMES)} or a folder with IDX files"
    )


def _digits(clients: int, seed: int, alpha: float) -> Federation:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UnavailableError("digits needs scikit-learn: pip install 'secagg[fl]'") from error

    pixels, labels = load_digits(return_X_y=True)
    raw = pixels.astype(np.uint8).tobytes() + labels.astype(np.uint8).tobytes()
    # Pixels are counts of 0..16: a public constant scales them, nobody's data is looked at.
    everything = Examples((pixels / 16).astype(np.float32), labels.astype(np.int64))
    draws = sampling.stream("digits", seed)
    train_rows, test_rows = sampling.held_out(draws, np.arange(len(labels)), TEST_FRACTION)
    train = everything.take(train_rows)
    split = sampling.split_by_label(draws, train.targets, clients, alpha)
    return Federation(
        name="digits",
        kind="classification",
        clients=tuple(train.take(rows) for rows in split),
        test=everything.take(test_rows),
        classes=10,
        source=f"scikit-learn load_digits; 20% for the test; Dirichlet({alpha}), seed {seed}",
        checksum=hashlib.sha256(raw).hexdigest(),
    )


def _images(name: str, folder: Path, clients: int, seed: int, alpha: float) -> Federation:
    images = idx.read_folder(folder)
    split = sampling.split_by_label(
        sampling.stream("images", seed), images.train.targets, clients, alpha
    )
    return Federation(
        name=name,
        kind="classification",
        clients=tuple(images.train.take(rows) for rows in split),
        test=images.test,
        classes=1 + int(max(images.train.targets.max(), images.test.targets.max())),
        source=f"IDX files in {folder}; Dirichlet({alpha}), seed {seed}",
        checksum=images.checksum,
    )
