"""What this machine can do at best at the level in use: what the kernels are measured against."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from secagg.errors import ParameterError
from secagg.kernels.arguments import check_array, check_pair_of_bytes, check_stream
from secagg.kernels.backend import STREAM_BYTES, MaskStream
from secagg.kernels.selection import implementation

KEYSTREAM_STEP: Final = 256

Bytes = npt.NDArray[np.uint8]


def keystream_passes(out: Bytes, passes: int, stream: MaskStream) -> None:
    """Fill `out` with keystream `passes` times over, each pass going on where the last one ended.

    Nothing is added to anything. Into a buffer of the first-level cache, this is the fastest that
    masks can be expanded at this level.

    Raises:
        InputError: not a writable vector of bytes.
        ParameterError: a size that is no multiple of 256, a malformed stream, or more than it has.
    """
    check_array("out", out, np.uint8, shape=(None,), write=True)
    check_stream("stream", stream)
    if len(out) % KEYSTREAM_STEP:
        raise ParameterError(f"out: expected a multiple of {KEYSTREAM_STEP} bytes, got {len(out)}")
    if passes < 0 or passes * len(out) > STREAM_BYTES:
        raise ParameterError(f"passes: expected at most {STREAM_BYTES} bytes in all, got {passes}")
    implementation().keystream_passes(out, passes, stream)


def read(buffer: Bytes) -> int:
    """Read everything, and return something that depends on all of it.

    Raises:
        InputError: not a vector of bytes.
    """
    check_array("buffer", buffer, np.uint8, shape=(None,))
    return implementation().read(buffer)


def copy(to: Bytes, source: Bytes) -> None:
    """Copy all bytes.

    Raises:
        InputError: not vectors of bytes of one length, read-only, or overlapping.
    """
    check_pair_of_bytes(to, source)
    implementation().copy(to, source)
