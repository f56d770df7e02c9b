"""Fixed point: floats to ring elements, masked in the same pass if wanted, and sums back."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from secagg.errors import InputError, ParameterError
from secagg.kernels.arguments import check_array, check_range, check_stream, check_vector
from secagg.kernels.backend import Encoding, MaskStream, Status
from secagg.kernels.buffers import aligned, wipe
from secagg.kernels.selection import implementation
from secagg.kernels.threads import check_threads, over_ranges
from secagg.types import Ring, RingVector


def encode_fixed(
    values: npt.NDArray[np.float32],
    *,
    clip: float,
    scale: float,
    ring: Ring,
    randomness: MaskStream | npt.NDArray[np.uint16] | None,
    mask: MaskStream | None = None,
    out: RingVector | None = None,
    threads: int | None = None,
) -> tuple[RingVector, int]:
    """Clamp to [-clip, clip], scale, round, and represent modulo 2**ring.bits.

    With q = clamp(x) * scale in double precision and |q| = whole + part, the result is q rounded
    half to even without randomness. With it, it is q's sign times whole, plus one if the element's
    16 random bits are less than part * 2**16 rounded half to even: unbiased, up to 2**-17. The
    magnitude never exceeds ceil(clip * scale).

    Args:
        values: float32, one-dimensional.
        clip: finite, positive.
        scale: finite, positive. A power of two is faster, and so is a clip that is a float32.
        ring: must hold +-ceil(clip * scale).
        randomness: a word for each element, or a keystream that is read as such words; never used
            twice. None to round to nearest.
        mask: a keystream to add to the result in the same pass, as `apply_masks` does; the lanes
            may then hold anything above the ring's bits.
        out: where to put the result, or None for new memory.
        threads: see above.

    Returns:
        The vector, and how many values had a magnitude above clip.

    Raises:
        InputError: not a vector of float32, randomness not uint16 of the same length, out not a
            vector of the ring of that length or overlapping memory, or a value infinite or NaN
            (out is then zero); the message names the index of the first, never the value.
        ParameterError: clip or scale is not finite and positive, ceil(clip * scale) does not fit
            the ring's signed range, a malformed stream or one with sign -1, or threads < 1.
    """
    check_array("values", values, np.float32, shape=(None,))
    count = check_threads(threads)
    length = len(values)
    if isinstance(randomness, MaskStream):
        _check_addition("randomness", randomness, length, 2)
    elif randomness is not None:
        check_array("randomness", randomness, np.uint16, shape=values.shape)
    if mask is not None:
        _check_addition("mask", mask, length, ring.dtype.itemsize)
    _check_scale(clip, scale, ring)
    if out is None:
        out = aligned(length, ring.dtype)
    check_array("out", out, ring.dtype, shape=values.shape, write=True)
    if np.may_share_memory(out, values):
        raise InputError("out and values: expected separate arrays, got overlapping memory")
    vector = out
    backend = implementation()

    def work(begin: int, end: int) -> tuple[Status, int]:
        words = randomness[begin:end] if isinstance(randomness, np.ndarray) else randomness
        encoding = Encoding(float(clip), float(scale), ring.bits, words, mask)
        status, report = backend.encode_fixed(vector[begin:end], values[begin:end], encoding, begin)
        return status, report if status is Status.OK else begin + report

    reports = over_ranges(work, length, values.nbytes + out.nbytes, count)
    for status, report in reports:
        if status is Status.NOT_FINITE:
            wipe(out)
            raise InputError(f"values[{report}]: expected a finite number, got infinity or NaN")
        if status is not Status.OK:
            raise AssertionError(f"arguments were not checked: {status.name}")
    return out, sum(report for _, report in reports)


def _check_addition(name: str, stream: MaskStream, length: int, element_bytes: int) -> None:
    check_range(0, length, element_bytes)
    check_stream(name, stream)
    if stream.sign != 1:
        raise ParameterError(f"{name}: expected sign +1, got {stream.sign}")


def _check_scale(clip: float, scale: float, ring: Ring) -> None:
    for name, number in (("clip", clip), ("scale", scale), ("clip * scale", clip * scale)):
        if not (math.isfinite(number) and number > 0):
            raise ParameterError(f"{name}: expected a finite positive number, got {number}")
    if math.ceil(clip * scale) >= 1 << (ring.bits - 1):
        raise ParameterError(
            f"clip * scale: expected to round up to less than 2**{ring.bits - 1} in a ring of"
            f" {ring.bits} bits, got {clip * scale}"
        )


def decode_signed(total: RingVector, ring: Ring) -> npt.NDArray[np.int64]:
    """The centred representatives, in [-2**(bits-1), 2**(bits-1)).

    Raises:
        InputError: not a vector of this ring.
    """
    check_vector("total", total, ring)
    out = np.empty(len(total), dtype=np.int64)
    implementation().decode_signed(out, total, ring.bits)
    return out


def decode_fixed(
    total: RingVector, ring: Ring, divisor: float, *, threads: int | None = None
) -> npt.NDArray[np.float64]:
    """The centred representatives as doubles, divided by `divisor` (the scale, or its multiple).

    Raises:
        InputError: not a vector of this ring.
        ParameterError: divisor is not finite and positive, or fewer than one thread.
    """
    check_vector("total", total, ring)
    if not (math.isfinite(divisor) and divisor > 0):
        raise ParameterError(f"divisor: expected a finite positive number, got {divisor}")
    count = check_threads(threads)
    out = aligned(len(total), np.float64)
    backend = implementation()

    def work(begin: int, end: int) -> None:
        backend.decode_fixed(out[begin:end], total[begin:end], ring.bits, float(divisor))

    over_ranges(work, len(total), total.nbytes + out.nbytes, count)
    return out
