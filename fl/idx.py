"""Reads image sets in the IDX format of MNIST, such as Fashion-MNIST.

The format: two zero bytes, the element type (8: unsigned byte), the number of dimensions, each
dimension as a big-endian 32-bit integer, then the elements. Anything that does not match to the
byte is refused.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fl.federation import Examples
from secagg.errors import DecodeError, UnavailableError

FASHION_MNIST: Final = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist puts its files."""

VARIABLE: Final = "SECAGG_FASHION_MNIST"
UNSIGNED_BYTE: Final = 0x08
LARGEST: Final = 1 << 31
"""Elements that a file may announce: far above any such set, far below filling the memory."""
_STEP: Final = 1 << 20


@dataclass(frozen=True, eq=False)
class Images:
    """A train and a test set, pixels in 0..1, and the SHA-256 of the four files, uncompressed."""

    train: Examples
    test: Examples
    checksum: str


def fashion_mnist_folder() -> Path:
    """The folder in SECAGG_FASHION_MNIST if that is set, or else the Debian package's.

    Raises:
        UnavailableError: it does not exist; the message says how to get it.
    """
    folder = Path(os.environ.get(VARIABLE) or FASHION_MNIST)
    if not folder.is_dir():
        raise UnavailableError(
            f"Fashion-MNIST is not in {folder}: apt-get install dataset-fashion-mnist, or set"
            f" {VARIABLE} to a folder with its IDX files"
        )
    return folder


def read_folder(folder: Path) -> Images:
    """The four files of an MNIST-like set, each plain or with .gz.

    Raises:
        UnavailableError: a file is missing.
        DecodeError: a file is damaged, or images and labels do not belong together.
    """
    digest = hashlib.sha256()
    parts = []
    for part in ("train", "t10k"):
        image_file, label_file = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
        raw_images, raw_labels = _read(folder, image_file), _read(folder, label_file)
        digest.update(raw_images)
        digest.update(raw_labels)
        pixels = parse(raw_images, 3, image_file)
        labels = parse(raw_labels, 1, label_file)
        if len(pixels) != len(labels):
            raise DecodeError(f"{part}: {len(pixels)} images and {len(labels)} labels in {folder}")
        # Pixels are bytes: a public constant scales them, nobody's data is looked at.
        inputs = pixels.reshape(len(pixels), -1).astype(np.float32)
        inputs /= 255
        parts.append(Examples(inputs, labels.astype(np.int64)))
    train, test = parts
    if train.inputs.shape[1] != test.inputs.shape[1]:
        raise DecodeError(f"train and test images in {folder} differ in size")
    return Images(train, test, digest.hexdigest())


def parse(raw: bytes, dimensions: int, name: str) -> npt.NDArray[np.uint8]:
    """The array in the bytes of one IDX file.

    Raises:
        DecodeError: another type or number of dimensions, no elements, too few or too many.
    """
    header = 4 + 4 * dimensions
    if raw[:4] != bytes((0, 0, UNSIGNED_BYTE, dimensions)) or len(raw) < header:
        raise DecodeError(f"{name}: not an IDX file of bytes with {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", raw[4:header])
    if not math.prod(shape):
        raise DecodeError(f"{name}: empty, shape {shape}")
    if len(raw) - header != math.prod(shape):
        raise DecodeError(
            f"{name}: expected {math.prod(shape)} elements for shape {shape},"
            f" got {len(raw) - header}"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def _read(folder: Path, name: str) -> bytes:
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        return plain.read_bytes()
    if packed.is_file():
        return _unpack(packed)
    raise UnavailableError(f"{folder} has neither {plain.name} nor {packed.name}")


def _unpack(path: Path) -> bytes:
    raw = bytearray()
    try:
        with gzip.open(path) as file:
            # In steps: a buffer of all that may come would be made before anything came.
            while piece := file.read(_STEP):
                raw += piece
                if len(raw) > LARGEST:
                    raise DecodeError(f"{path.name}: unpacks to more than {LARGEST} bytes")
    except (OSError, EOFError, zlib.error) as error:
        raise DecodeError(f"{path.name}: damaged gzip data: {error}") from error
    return bytes(raw)
