"""Memory for vectors: aligned, used again when nobody can see it, never before."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from secagg import kernels
from secagg.kernels import buffers


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_kept", {})


def address(array: np.ndarray[tuple[int, ...], np.dtype[np.uint32]]) -> int:
    return int(array.ctypes.data)


@pytest.mark.parametrize("length", [0, 1, 1000, buffers.LEAST_KEPT // 4, buffers.LEAST_KEPT])
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.float64])
def test_arrays_begin_with_a_cache_line(length: int, dtype: type) -> None:
    array = kernels.aligned(length, dtype)
    assert array.shape == (length,)
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    # Without elements it has no memory to begin.
    assert not length or array.ctypes.data % buffers.ALIGNMENT == 0


def test_a_large_buffer_is_used_again_when_nobody_can_see_it() -> None:
    length = buffers.LEAST_KEPT
    first = kernels.aligned(length, np.uint32)
    where = address(first)
    view, part = first.data, first[5:]
    del first
    gc.collect()
    second = kernels.aligned(length, np.uint32)
    assert address(second) != where
    del view
    assert address(kernels.aligned(length, np.uint32)) != where
    del part
    gc.collect()
    assert address(kernels.aligned(length, np.uint32)) == where


def test_small_ones_are_not_kept() -> None:
    array = kernels.aligned(10, np.uint32)
    del array
    assert not buffers._kept


def test_only_a_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    size = buffers.LEAST_KEPT
    arrays = [kernels.aligned(size, np.uint8) for _ in range(buffers.MOST_KEPT + 3)]
    arrays.clear()
    assert len(buffers._kept[size]) == buffers.MOST_KEPT
    monkeypatch.setattr(buffers, "MOST_BYTES_KEPT", buffers.MOST_KEPT * size)
    other = kernels.aligned(size + 64, np.uint8)
    del other
    assert not buffers._kept[size + 64]


def test_threads_never_share_a_buffer() -> None:
    failures = []

    def work(mark: int) -> None:
        for _ in range(200):
            array = kernels.aligned(buffers.LEAST_KEPT, np.uint8)
            array[::4096] = mark
            if not np.all(array[::4096] == mark):
                failures.append(mark)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
