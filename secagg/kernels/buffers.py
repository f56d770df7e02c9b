"""Memory for vectors: aligned to cache lines, as the kernels like it best, and wiped."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from secagg.errors import InputError
from secagg.kernels.arguments import check_array
from secagg.kernels.selection import implementation

ALIGNMENT: Final = 64

LEAST_KEPT: Final = 1 << 20
"""Bytes from which on a buffer is kept for the next one of its size."""

MOST_KEPT: Final = 4
"""Buffers of one size that are kept at most."""

MOST_BYTES_KEPT: Final = 1 << 28


def aligned(length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of `length` elements that begins with a cache line; its contents are arbitrary.

    The first write to fresh memory can cost more than the arithmetic, page by page. So a few large
    buffers are kept when the last array on them is gone, with what was in them, and used again by
    the next array of that size.
    """
    size = length * np.dtype(dtype).itemsize
    if size < LEAST_KEPT:
        return _aligned_memory(size).view(dtype)
    kept = _kept.get(size)
    # Another thread may take the last one between the question and the pop.
    try:
        memory = kept.pop() if kept else _aligned_memory(size)
    except IndexError:
        memory = _aligned_memory(size)
    return np.asarray(_Loan(memory)).view(dtype)


def _aligned_memory(size: int) -> npt.NDArray[np.uint8]:
    memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
    skip = -memory.ctypes.data % ALIGNMENT
    return memory[skip : skip + size]


_kept: dict[int, list[npt.NDArray[np.uint8]]] = {}


class _Loan:
    """The base of every array on a buffer: when it goes, the buffer is free."""

    __slots__ = ("__array_interface__", "_memory")

    def __init__(self, memory: npt.NDArray[np.uint8]) -> None:
        self._memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if ending():  # the names of this module may be gone
            return
        same = _kept.setdefault(self._memory.nbytes, [])
        if len(same) < MOST_KEPT and _bytes_kept() + self._memory.nbytes <= MOST_BYTES_KEPT:
            same.append(self._memory)


def _bytes_kept() -> int:
    return sum(size * len(buffers) for size, buffers in list(_kept.items()))


def wipe(buffer: bytearray | npt.NDArray[Any]) -> None:
    """Overwrite a buffer with zeros; it keeps its size.

    Raises:
        InputError: not a bytearray or a writable, contiguous array of numbers.
    """
    if isinstance(buffer, np.ndarray):
        check_array("buffer", buffer, buffer.dtype, shape=buffer.shape, write=True)
        if buffer.dtype.hasobject:
            raise InputError("buffer: expected an array of numbers, got one of objects")
    elif not isinstance(buffer, bytearray):
        raise InputError(f"buffer: expected a bytearray or an array, got {type(buffer).__name__}")
    implementation().wipe(buffer)
