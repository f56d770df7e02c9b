"""Keystreams against published vectors and `cryptography`, wherever they begin and end."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg import kernels
from secagg.errors import InputError, ParameterError
from secagg.kernels import MaskStream
from secagg.types import RingVector

VECTORS = Path(__file__).parents[2] / "vectors" / "aes-ctr"
LANES = [np.uint16, np.uint32, np.uint64]
KEY = bytes(range(32))
IV = bytes(range(100, 112))
LAST_BLOCK = 2**32 - 1


def keystream(stream: MaskStream, start: int, size: int) -> bytes:
    """Bytes of the stream, by seeking to the block and dropping what comes before."""
    block, skip = divmod(start, 16)
    mode = modes.CTR(stream.iv + block.to_bytes(4, "big"))
    return Cipher(algorithms.AES(stream.key), mode).encryptor().update(bytes(skip + size))[skip:]


def applied(length: int, dtype: Any, streams: list[MaskStream], offset: int = 0) -> RingVector:
    total: RingVector = np.zeros(length, dtype=dtype)
    kernels.apply_masks(total, streams, offset)
    return total


def check_vector(key: str, counter: str, plaintext: str, ciphertext: str) -> None:
    """The counter's first 12 bytes are the IV, its last four the block we start from."""
    initial, text = bytes.fromhex(counter), bytes.fromhex(plaintext)
    stream = MaskStream(bytes.fromhex(key), initial[:12], 1)
    block = int.from_bytes(initial[12:], "big")
    for dtype in LANES:
        itemsize = np.dtype(dtype).itemsize
        length = (len(text) + itemsize - 1) // itemsize
        lanes = applied(length, dtype, [stream], block * 16 // itemsize)
        masked = bytes(a ^ b for a, b in zip(text, lanes.tobytes(), strict=False))
        assert masked == bytes.fromhex(ciphertext)


@pytest.mark.parametrize("bits", [128, 256])
def test_nist_sp_800_38a(bits: int) -> None:
    cases = json.loads((VECTORS / "sp800-38a_ctr.json").read_text())
    chosen = [case for case in cases if len(case["key"]) == bits // 4]
    assert chosen
    for case in chosen:
        check_vector(case["key"], case["initial_counter"], case["plaintext"], case["ciphertext"])


@pytest.mark.parametrize("bits", [128, 256])
def test_rfc_3686(bits: int) -> None:
    text = (VECTORS / f"aes-{bits}-ctr.txt").read_text()
    cases = re.findall(r"KEY = (\w+)\nIV = (\w+)\nPLAINTEXT = (\w+)\nCIPHERTEXT = (\w+)", text)
    assert len(cases) == 3
    for case in cases:
        check_vector(*case)


# Bytes: block, register, chunk of eight registers (128 and 256) and tile (32 and 256 KiB), +-1.
BOUNDARIES = sorted(
    {
        size + change
        for size in (0, 16, 32, 64, 128, 256, 512, 32768, 65536, 262144)
        for change in (-16, -8, 0, 8, 16)
        if size + change >= 0
    }
)


@pytest.mark.parametrize("dtype", LANES)
@pytest.mark.parametrize("key_size", [16, 32])
def test_boundary_lengths_and_offsets(key_size: int, dtype: Any) -> None:
    itemsize = np.dtype(dtype).itemsize
    stream = MaskStream(KEY[:key_size], IV, 1)
    whole = keystream(stream, 0, 2 * BOUNDARIES[-1] + 64)
    for size in BOUNDARIES:
        for start in (0, itemsize, 8, 16, 16 - itemsize, 24, 128, 248, 32768 - itemsize, 262144):
            for more in (0, 1):
                length = size // itemsize + more
                start_index = start // itemsize
                masked = applied(length, dtype, [stream], start_index)
                begin = start_index * itemsize
                assert masked.tobytes() == whole[begin : begin + length * itemsize]


@pytest.mark.parametrize("dtype", LANES)
def test_many_streams_of_mixed_sizes_and_signs(dtype: Any) -> None:
    generator = np.random.default_rng(1)
    streams = [
        MaskStream(generator.bytes(16 if i % 3 else 32), generator.bytes(12), 1 if i % 2 else -1)
        for i in range(37)
    ]
    total = np.frombuffer(
        bytes(i % 251 for i in range(5003 * np.dtype(dtype).itemsize)), dtype=dtype
    ).copy()
    expected = total.copy()
    for stream in streams:
        mask: RingVector = np.frombuffer(
            keystream(stream, 5 * total.itemsize, total.nbytes), dtype=dtype
        )
        expected = expected + mask if stream.sign > 0 else expected - mask
    kernels.apply_masks(total, streams, 5)
    np.testing.assert_array_equal(total, expected)


@given(
    dtype=st.sampled_from(LANES),
    key=st.one_of(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32)),
    iv=st.binary(min_size=12, max_size=12),
    sign=st.sampled_from([1, -1]),
    offset=st.integers(0, 2**33),
    length=st.integers(0, 700),
)
@settings(deadline=None, max_examples=150)
def test_equals_cryptography_and_the_reference(
    dtype: Any, key: bytes, iv: bytes, sign: int, offset: int, length: int
) -> None:
    offset %= (LAST_BLOCK + 1) * 16 // np.dtype(dtype).itemsize - length
    stream = MaskStream(key, iv, sign)
    masked = applied(length, dtype, [stream], offset)
    size = np.dtype(dtype).itemsize
    mask: RingVector = np.frombuffer(keystream(stream, offset * size, length * size), dtype=dtype)
    np.testing.assert_array_equal(masked, mask if sign > 0 else 0 - mask)
    with kernels.using_level("reference"):
        np.testing.assert_array_equal(masked, applied(length, dtype, [stream], offset))


def test_any_cut_gives_the_same_vector() -> None:
    streams = [MaskStream(KEY[:16], IV, 1), MaskStream(KEY, IV, -1)]
    whole = applied(40000, np.uint32, streams, 3)
    generator = np.random.default_rng(2)
    cuts = [0, *sorted(generator.integers(0, 40000, 30).tolist()), 40000]
    parts = np.zeros(40000, dtype=np.uint32)
    for begin, end in pairwise(cuts):
        kernels.apply_masks(parts[begin:end], streams, 3 + begin)
    np.testing.assert_array_equal(parts, whole)


def test_masks_of_a_pair_cancel() -> None:
    total = applied(12345, np.uint32, [MaskStream(KEY, IV, 1)])
    assert total.any()
    kernels.apply_masks(total, [MaskStream(KEY, IV, -1)])
    assert not total.any()


@pytest.mark.parametrize("dtype", LANES)
@pytest.mark.parametrize("key_size", [16, 32])
def test_the_last_block_is_the_end(key_size: int, dtype: Any) -> None:
    stream = MaskStream(KEY[:key_size], IV, 1)
    itemsize = np.dtype(dtype).itemsize
    elements = (LAST_BLOCK + 1) * 16 // itemsize
    for length in (1, 3, 16 // itemsize, 16 // itemsize + 1, 500, 5000):
        masked = applied(length, dtype, [stream], elements - length)
        size = length * itemsize
        assert masked.tobytes() == keystream(stream, (LAST_BLOCK + 1) * 16 - size, size)
        with pytest.raises(ParameterError, match="a keystream has elements"):
            applied(length, dtype, [stream], elements - length + 1)
    assert len(applied(0, dtype, [stream], elements)) == 0
    with pytest.raises(ParameterError, match="a keystream has elements"):
        applied(0, dtype, [stream], elements + 1)
    with pytest.raises(ParameterError, match="a keystream has elements"):
        applied(1, dtype, [stream], 2**70)


def test_threads_do_not_disturb_each_other() -> None:
    streams = [MaskStream(KEY, IV, 1), MaskStream(KEY[:16], IV, -1)]
    expected = applied(50000, np.uint32, streams)
    with ThreadPoolExecutor(4) as pool:
        for total in pool.map(lambda _: applied(50000, np.uint32, streams), range(16)):
            np.testing.assert_array_equal(total, expected)


def test_nothing_to_add() -> None:
    assert not applied(10, np.uint32, []).any()
    assert len(applied(0, np.uint32, [MaskStream(KEY, IV, 1)], 7)) == 0


def test_arguments_stay_as_they_were() -> None:
    total: RingVector = np.arange(10, dtype=np.uint32)
    stream = MaskStream(KEY, IV, 1)
    with pytest.raises(ParameterError):
        kernels.apply_masks(total, [stream, MaskStream(KEY, IV, 0)])
    np.testing.assert_array_equal(total, np.arange(10, dtype=np.uint32))


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (MaskStream(bytes(24), IV, 1), "expected a key of 16 or 32 bytes, got 24"),
        (MaskStream(b"", IV, 1), "expected a key of 16 or 32 bytes, got 0"),
        (MaskStream(KEY, bytes(16), 1), "expected an IV of 12 bytes, got 16"),
        (MaskStream(KEY, IV, 2), r"expected sign \+1 or -1, got 2"),
    ],
)
def test_malformed_streams(stream: MaskStream, message: str) -> None:
    with pytest.raises(ParameterError, match=rf"streams\[1\]: {message}"):
        applied(4, np.uint32, [MaskStream(KEY, IV, 1), stream])


def test_offsets_may_be_numpy_integers() -> None:
    stream = MaskStream(KEY, IV, 1)
    np.testing.assert_array_equal(
        applied(9, np.uint32, [stream], np.uint16(65535)),  # type: ignore[arg-type]
        applied(9, np.uint32, [stream], 65535),
    )


def test_malformed_vectors() -> None:
    stream = MaskStream(KEY, IV, 1)
    with pytest.raises(ParameterError, match="a keystream has elements"):
        applied(4, np.uint32, [stream], -1)
    with pytest.raises(InputError, match="expected elements of"):
        applied(4, np.uint8, [stream])
    with pytest.raises(InputError, match="read-only"):
        kernels.apply_masks(np.frombuffer(bytes(8), dtype=np.uint32), [stream])
    with pytest.raises(InputError, match="contiguous"):
        kernels.apply_masks(np.zeros(8, dtype=np.uint32)[::2], [stream])


def test_a_stream_never_prints_its_key() -> None:
    stream = MaskStream(b"0123456789abcdef", IV, -1)
    assert repr(stream) == str(stream) == "MaskStream(key=..., iv=..., sign=-1)"
