"""The checks that `secagg.kernels` makes before a backend sees an argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from secagg.errors import InputError, ParameterError
from secagg.kernels.backend import PRIME, STREAM_BYTES, Buffer, MaskStream, Words
from secagg.types import LANE_BITS, Ring, RingVector

_LANE_TYPES = tuple(np.dtype(f"u{bits // 8}") for bits in LANE_BITS)


def check_array(
    name: str,
    array: npt.NDArray[Any],
    *dtypes: npt.DTypeLike,
    shape: tuple[int | None, ...],
    write: bool = False,
) -> None:
    """Refuse an array of another type or shape (None: any length), or one with gaps.

    Raises:
        InputError: says what was expected and what came.
    """
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name}: expected a numpy array, got {type(array).__name__}")
    if array.dtype not in dtypes:
        expected = " or ".join(str(np.dtype(dtype)) for dtype in dtypes)
        raise InputError(f"{name}: expected elements of {expected}, got {array.dtype}")
    if len(array.shape) != len(shape) or any(
        want not in (None, got) for want, got in zip(shape, array.shape, strict=True)
    ):
        expected = ", ".join("any" if want is None else str(want) for want in shape)
        raise InputError(f"{name}: expected shape ({expected}), got {array.shape}")
    if not array.flags.c_contiguous or not array.flags.aligned:
        raise InputError(f"{name}: expected a C-contiguous, aligned array, got one that is not")
    if write and not array.flags.writeable:
        raise InputError(f"{name}: expected a writable array, got a read-only one")


def check_vector(
    name: str, vector: RingVector, ring: Ring | None = None, *, write: bool = False
) -> None:
    """Refuse what is no vector of lanes, or not of this ring's.

    Raises:
        InputError: says what was expected and what came.
    """
    dtypes = _LANE_TYPES if ring is None else (ring.dtype,)
    check_array(name, vector, *dtypes, shape=(None,), write=write)


def check_pair(total: RingVector, vector: RingVector) -> None:
    """Refuse vectors that do not match, or share memory.

    Raises:
        InputError: says what was expected and what came.
    """
    check_vector("total", total, write=True)
    check_array("vector", vector, total.dtype, shape=total.shape)
    # Exact for contiguous arrays, whose bounds are all there is to them.
    if np.may_share_memory(total, vector):
        raise InputError("total and vector: expected separate arrays, got overlapping memory")


def check_pair_of_bytes(to: npt.NDArray[np.uint8], source: npt.NDArray[np.uint8]) -> None:
    """Refuse vectors of bytes that do not match, or share memory.

    Raises:
        InputError: says what was expected and what came.
    """
    check_array("to", to, np.uint8, shape=(None,), write=True)
    check_array("source", source, np.uint8, shape=to.shape)
    if np.may_share_memory(to, source):
        raise InputError("to and source: expected separate arrays, got overlapping memory")


def as_bytes(name: str, buffer: Buffer) -> memoryview:
    """A flat view of the bytes.

    Raises:
        InputError: not a contiguous bytes-like object.
    """
    if not isinstance(buffer, bytes | bytearray | memoryview):
        raise InputError(f"{name}: expected bytes, got {type(buffer).__name__}")
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise InputError(f"{name}: expected contiguous bytes, got a view with gaps")
    return view.cast("B") if view.nbytes else memoryview(b"")


def check_range(offset: int, length: int, element_bytes: int) -> None:
    """Refuse more of a stream than its counter can number.

    Raises:
        ParameterError: says what was expected and what came.
    """
    if offset < 0 or (offset + length) * element_bytes > STREAM_BYTES:
        raise ParameterError(
            f"a keystream has elements 0..{STREAM_BYTES // element_bytes - 1} of"
            f" {element_bytes} bytes, got {offset}..{offset + length - 1}"
        )


def check_stream(name: str, stream: MaskStream) -> None:
    """Refuse a malformed stream.

    Raises:
        ParameterError: says what was expected and what came.
    """
    if len(stream.key) not in (16, 32):
        raise ParameterError(f"{name}: expected a key of 16 or 32 bytes, got {len(stream.key)}")
    if len(stream.iv) != 12:
        raise ParameterError(f"{name}: expected an IV of 12 bytes, got {len(stream.iv)}")
    if stream.sign not in (1, -1):
        raise ParameterError(f"{name}: expected sign +1 or -1, got {stream.sign}")


def check_points(points: Words) -> None:
    """Refuse evaluation points that are zero, no field elements, or repeated.

    Raises:
        InputError: not a vector of uint64.
        ParameterError: says what was expected.
    """
    check_array("points", points, np.uint64, shape=(None,))
    if not len(points):
        raise ParameterError("points: expected at least one, got none")
    if points.min() < 1 or points.max() >= PRIME:
        raise ParameterError(f"points: expected 1..2**61-2, got {points.min()}..{points.max()}")
    if len(np.unique(points)) != len(points):
        raise ParameterError("points: expected distinct points, got repeated ones")
