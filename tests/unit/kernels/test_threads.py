"""Long vectors among threads: the same bytes for any number, and errors from wherever they are."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from secagg import kernels
from secagg.errors import DecodeError, ParameterError
from secagg.kernels import threads as module
from secagg.kernels.threads import LEAST_BYTES, UNIT, over_ranges
from secagg.types import Ring, RingVector

LENGTH = 70_001
"""Several units, and an end that fills no byte."""


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads even where they do not pay."""
    monkeypatch.setattr(module, "LEAST_BYTES", 1)


def streams(key_bytes: int, count: int) -> list[kernels.MaskStream]:
    keys = [bytes((number + i) % 256 for i in range(key_bytes)) for number in range(count)]
    return [
        kernels.MaskStream(key, bytes(range(number, number + 12)), (-1) ** number)
        for number, key in enumerate(keys)
    ]


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("key_bytes", [16, 32])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.usefixtures("eager")
def test_masks_equal_another_aes_ctr(threads: int, key_bytes: int, dtype: Any) -> None:
    offset = 12_345
    chosen = streams(key_bytes, 3)
    total: RingVector = np.zeros(LENGTH, dtype=dtype)
    kernels.apply_masks(total, chosen, offset, threads=threads)
    expected: RingVector = np.zeros(LENGTH, dtype=dtype)
    for stream in chosen:
        block, skip = divmod(offset * total.itemsize, 16)
        mode = modes.CTR(stream.iv + block.to_bytes(4, "big"))
        text = (
            Cipher(algorithms.AES(stream.key), mode).encryptor().update(bytes(skip + total.nbytes))
        )
        mask = np.frombuffer(text, dtype=dtype, offset=skip)
        expected += mask if stream.sign > 0 else -mask
    np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize("bits", [13, 16, 29, 32, 45, 63, 64])
@pytest.mark.parametrize("threads", [2, 5])
@pytest.mark.usefixtures("eager")
def test_packing_masking_and_summing(threads: int, bits: int) -> None:
    ring = Ring(bits)
    length = 5 * UNIT + 3
    vector = (np.arange(length, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(ring.dtype)
    chosen = streams(16, 2)
    packed = kernels.pack(vector, ring, threads=threads)
    assert packed == kernels.pack(vector, ring, threads=1)
    masked = vector.copy()
    kernels.apply_masks(masked, chosen, threads=1)
    together = kernels.pack_masked(vector, chosen, ring, threads=threads)
    assert together == kernels.pack(masked, ring, threads=1)

    kernels.ring_reduce(vector, ring)
    kernels.ring_reduce(masked, ring)
    both: list[bytearray | memoryview] = [packed, together]
    for count in (1, 2, 3, 6):
        chosen_vectors = (both * count)[:count]
        total: RingVector = np.zeros(length, dtype=ring.dtype)
        kernels.sum_packed(total, chosen_vectors, ring, threads=1)
        again: RingVector = np.zeros(length, dtype=ring.dtype)
        kernels.sum_packed(again, chosen_vectors, ring, threads=threads)
        np.testing.assert_array_equal(total, again)


def test_one_bad_vector_spoils_nothing() -> None:
    ring = Ring(13)
    good = kernels.pack(np.ones(LENGTH, dtype=np.uint16), ring)
    bad = bytearray(good)
    bad[-1] |= 0x80
    total = np.zeros(LENGTH, dtype=np.uint16)
    kernels.check_packed(good, ring, LENGTH)
    with pytest.raises(DecodeError, match="zero padding bits"):
        kernels.check_packed(bad, ring, LENGTH)
    with pytest.raises(DecodeError, match=f"expected {len(good)} bytes"):
        kernels.check_packed(good[:-1], ring, LENGTH)
    with pytest.raises(DecodeError, match="zero padding bits"):
        kernels.sum_packed(total, [good, bad], ring, threads=2)
    assert not total.any()


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_than_one_thread_is_refused(threads: int) -> None:
    vector = np.zeros(4, dtype=np.uint32)
    for call in (
        lambda: kernels.apply_masks(vector, [], threads=threads),
        lambda: kernels.pack(vector, Ring(20), threads=threads),
        lambda: kernels.pack_masked(vector, [], Ring(20), threads=threads),
        lambda: kernels.sum_packed(vector, [], Ring(20), threads=threads),
        lambda: kernels.decode_fixed(vector, Ring(20), 1.0, threads=threads),
    ):
        with pytest.raises(ParameterError, match=f"threads: expected at least 1, got {threads}"):
            call()
    with (
        pytest.raises(ParameterError, match="threads: expected at least 1"),
        kernels.using_threads(threads),
    ):
        pass


def test_the_default_is_what_this_process_may_use() -> None:
    assert kernels.threads_in_use() == kernels.usable_cpus() == len(os.sched_getaffinity(0))
    with kernels.using_threads(3):
        assert kernels.threads_in_use() == 3
        with kernels.using_threads(1):
            assert kernels.threads_in_use() == 1
        assert kernels.threads_in_use() == 3
    assert kernels.threads_in_use() == kernels.usable_cpus()


@pytest.mark.parametrize("length", [0, 1, UNIT - 1, UNIT, UNIT + 1, 10 * UNIT + 1])
@pytest.mark.parametrize("threads", [1, 2, 3, 64])
def test_ranges_cover_everything_once_and_begin_with_units(length: int, threads: int) -> None:
    names = set()

    def work(begin: int, end: int) -> tuple[int, int]:
        names.add(threading.current_thread().name)
        return begin, end

    ranges = over_ranges(work, length, 100 * LEAST_BYTES, threads)
    assert len(ranges) <= max(1, min(threads, length // UNIT))
    assert ranges[0][0] == 0
    assert ranges[-1][1] == length
    for (_, end), (begin, _) in pairwise(ranges):
        assert end == begin
        assert begin % UNIT == 0
    if len(ranges) > 1:
        assert threading.current_thread().name not in names


def test_short_work_stays_in_this_thread() -> None:
    def work(begin: int, end: int) -> str:
        return threading.current_thread().name

    assert over_ranges(work, 10 * UNIT, 2 * LEAST_BYTES - 1, 8) == [threading.current_thread().name]


def test_the_first_error_comes_out_when_all_have_ended() -> None:
    ended = []

    def work(begin: int, end: int) -> None:
        ended.append(begin)
        if begin:
            raise ValueError(str(begin))

    with pytest.raises(ValueError, match=f"^{UNIT}$"):
        over_ranges(work, 3 * UNIT, 100 * LEAST_BYTES, 3)
    assert sorted(ended) == [0, UNIT, 2 * UNIT]


def test_a_child_after_a_fork_has_threads_of_its_own() -> None:
    vector = np.zeros(1 << 20, dtype=np.uint32)
    kernels.apply_masks(vector, streams(16, 1), threads=2)
    child = os.fork()
    if child == 0:
        again = np.zeros(1 << 20, dtype=np.uint32)
        kernels.apply_masks(again, streams(16, 1), threads=2)
        os._exit(0 if np.array_equal(again, vector) else 1)
    assert os.waitpid(child, 0)[1] == 0
