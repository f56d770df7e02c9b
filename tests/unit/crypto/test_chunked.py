from __future__ import annotations

import pytest

from secagg.crypto import chunked
from secagg.errors import VerificationError
from secagg.types import Secret

KEY = Secret(bytes(32))
CHUNK = chunked.CHUNK_BYTES
STEP = CHUNK + chunked.TAG_BYTES


def seal(size: int) -> bytearray:
    return chunked.seal(KEY, memoryview(bytes(size)), b"place")


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_is_sealed_opens(size: int) -> None:
    sealed = seal(size)
    assert len(sealed) == chunked.sealed_size(size)
    assert chunked.open_sealed(KEY, memoryview(sealed), b"place") == bytes(size)


@pytest.mark.parametrize("size", range(25))
@pytest.mark.parametrize("ending", range(20))
def test_an_ending_is_sealed_as_the_end_of_the_plaintext(
    size: int, ending: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked, "CHUNK_BYTES", 8)
    whole = bytes(range(size + ending))
    expected = chunked.seal(KEY, memoryview(whole), b"place")
    assert len(expected) == chunked.sealed_size(len(whole))
    sealed = chunked.seal(
        KEY, memoryview(whole)[:size], b"place", ending=whole[size:], clear=b"in the clear"
    )
    assert sealed == b"in the clear" + expected
    assert chunked.open_sealed(KEY, memoryview(expected), b"place") == whole


def test_chunks_cannot_be_moved_dropped_repeated_or_cut() -> None:
    sealed = bytes(seal(3 * CHUNK))
    first, second, third = sealed[:STEP], sealed[STEP : 2 * STEP], sealed[2 * STEP :]
    for bad in (
        second + first + third,
        first + third,
        first + second,
        first + second + second + third,
        first + second + third[:-1],
        first + second + third + third,
        b"",
        third,
    ):
        with pytest.raises(VerificationError, match="does not open"):
            chunked.open_sealed(KEY, memoryview(bad), b"place")
    with pytest.raises(VerificationError):
        chunked.open_sealed(KEY, memoryview(sealed), b"elsewhere")
    with pytest.raises(VerificationError):
        chunked.open_sealed(Secret(bytes(31) + b"\1"), memoryview(sealed), b"place")
