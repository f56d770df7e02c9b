from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fl import data, idx
from secagg.errors import DecodeError, UnavailableError

LABELS = np.arange(40, dtype=np.uint8) % 10
PIXELS = np.arange(40 * 6, dtype=np.uint8).reshape(40, 3, 2)


def raw(array: npt.NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The four files of a tiny set, two of them packed."""
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(raw(PIXELS)))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(raw(LABELS)))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(raw(PIXELS[:10]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(raw(LABELS[:10]))
    return tmp_path


def test_the_variable_names_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(idx.VARIABLE, str(folder))
    federation = data.load("fashion-mnist", 3, seed=1)
    assert federation.name == "fashion-mnist"
    assert str(folder) in federation.source
    assert federation.classes == 10
    assert federation.features == 6
    assert sum(map(len, federation.clients)) == 40
    np.testing.assert_array_equal(
        federation.test.inputs, PIXELS[:10].reshape(10, 6).astype(np.float32) / 255
    )
    np.testing.assert_array_equal(federation.test.targets, LABELS[:10])


def test_a_path_is_as_good_as_a_name(folder: Path) -> None:
    assert data.load(str(folder), 2).name == folder.name


def test_packing_does_not_change_the_checksum(folder: Path) -> None:
    before = idx.read_folder(folder).checksum
    packed = folder / "train-images-idx3-ubyte.gz"
    (folder / "train-images-idx3-ubyte").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert idx.read_folder(folder).checksum == before
    (folder / "t10k-labels-idx1-ubyte").write_bytes(raw(LABELS[1:11]))
    assert idx.read_folder(folder).checksum != before


def test_an_absent_set_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(idx.VARIABLE, raising=False)
    monkeypatch.setattr(idx, "FASHION_MNIST", tmp_path / "absent")
    with pytest.raises(UnavailableError, match="apt-get install dataset-fashion-mnist"):
        data.load("fashion-mnist")
    monkeypatch.setenv(idx.VARIABLE, str(tmp_path / "also absent"))
    with pytest.raises(UnavailableError, match="also absent"):
        data.load("fashion-mnist")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UnavailableError, match="t10k-labels-idx1-ubyte"):
        idx.read_folder(folder)


def test_a_good_file_is_parsed() -> None:
    np.testing.assert_array_equal(idx.parse(raw(PIXELS), 3, "x"), PIXELS)


@pytest.mark.parametrize("cut", range(17))
def test_a_cut_header_is_refused(cut: int) -> None:
    with pytest.raises(DecodeError):
        idx.parse(raw(PIXELS)[:cut], 3, "x")


@pytest.mark.parametrize("change", [-1, 1, 100])
def test_too_few_or_too_many_bytes_are_refused(change: int) -> None:
    good = raw(PIXELS)
    with pytest.raises(DecodeError, match="expected 240 elements"):
        idx.parse(good[:change] if change < 0 else good + bytes(change), 3, "x")


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_bad_magic_number_is_refused(position: int) -> None:
    bad = bytearray(raw(PIXELS))
    bad[position] += 1
    with pytest.raises(DecodeError, match="not an IDX file"):
        idx.parse(bytes(bad), 3, "x")


def test_images_are_not_taken_for_labels() -> None:
    with pytest.raises(DecodeError, match="1 dimensions"):
        idx.parse(raw(PIXELS), 1, "x")


def test_an_empty_array_and_an_absurd_one_are_refused() -> None:
    with pytest.raises(DecodeError, match="empty"):
        idx.parse(raw(np.zeros((0, 2, 2), np.uint8)), 3, "x")
    with pytest.raises(DecodeError, match="elements"):
        idx.parse(struct.pack(">BBBBIII", 0, 0, 8, 3, *[2**32 - 1] * 3), 3, "x")


def test_damaged_gzip_data_are_refused(folder: Path) -> None:
    packed = folder / "train-images-idx3-ubyte.gz"
    good = packed.read_bytes()
    for bad in (b"no gzip", good[:-9], good[:20] + b"\xff\xff" + good[22:]):
        packed.write_bytes(bad)
        with pytest.raises(DecodeError, match="damaged gzip"):
            idx.read_folder(folder)


def test_a_file_that_unpacks_beyond_the_limit_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idx, "LARGEST", 100)
    with pytest.raises(DecodeError, match="more than 100"):
        idx.read_folder(folder)


def test_images_and_labels_that_do_not_match_are_refused(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").write_bytes(raw(LABELS[:9]))
    with pytest.raises(DecodeError, match="10 images and 9 labels"):
        idx.read_folder(folder)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(raw(LABELS[:10]))
    (folder / "t10k-images-idx3-ubyte").write_bytes(raw(PIXELS[:10, :2]))
    with pytest.raises(DecodeError, match="differ in size"):
        idx.read_folder(folder)
