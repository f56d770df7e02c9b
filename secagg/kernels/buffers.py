"""Memory for vectors: aligned to cache lines, as the kernels like it best, and wiped."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from secagg.errors import InputError
from secagg.kernels.arguments import check_array
from secagg.kernels.selection import implementation

ALIGNMENT: Final = 64


def aligned(length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of `length` elements that begins with a cache line; its contents are arbitrary.

    It comes from the process's heap, on purpose: the first write to fresh pages can cost more than
    the arithmetic, and the heap gives back what was freed before, up to 32 MB at a time.
    """
    size = length * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
    skip = -memory.ctypes.data % ALIGNMENT
    return memory[skip : skip + size].view(dtype)


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
