"""Arithmetic on ring vectors, masks, fixed point and Shamir shares, at the best level that runs.

Every function here checks its arguments (type, shape, contiguity, overlap, range), so the
implementations below can trust them: `reference` in Python and `native` in C. `levels` chooses.
All of them give the same bytes. Vectors of length zero are allowed and change nothing. Native
calls release the interpreter's lock; nobody may write to the arguments meanwhile.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from secagg.errors import DecodeError, InputError, ParameterError, VerificationError
from secagg.kernels.arguments import (
    as_bytes,
    check_array,
    check_pair,
    check_points,
    check_streams,
    check_vector,
)
from secagg.kernels.backend import LIMBS, PRIME, SECRET_BYTES, Buffer, MaskStream, Status, Words
from secagg.kernels.selection import (
    implementation,
    level,
    levels,
    mask_level,
    native_available,
    native_missing,
    select_level,
    using_level,
)
from secagg.types import Ring, RingVector

__all__ = [
    "PRIME",
    "MaskStream",
    "apply_masks",
    "decode_fixed",
    "decode_signed",
    "encode_fixed",
    "level",
    "levels",
    "mask_level",
    "native_available",
    "native_missing",
    "pack",
    "ring_add",
    "ring_reduce",
    "ring_subtract",
    "select_level",
    "shamir_combine",
    "shamir_lagrange",
    "shamir_split",
    "unpack",
    "unpack_add",
    "using_level",
    "wipe",
]


def ring_add(total: RingVector, vector: RingVector) -> None:
    """Add vector to total in place, wrapping in the lane.

    Raises:
        InputError: types or lengths differ, memory overlaps, or total is read-only.
    """
    check_pair(total, vector)
    implementation().ring_add(total, vector)


def ring_subtract(total: RingVector, vector: RingVector) -> None:
    """Subtract vector from total in place, wrapping in the lane.

    Raises:
        InputError: types or lengths differ, memory overlaps, or total is read-only.
    """
    check_pair(total, vector)
    implementation().ring_subtract(total, vector)


def ring_reduce(total: RingVector, ring: Ring) -> None:
    """Clear in place what stands above the ring's bits.

    Raises:
        InputError: not a writable vector of this ring.
    """
    check_vector("total", total, ring, write=True)
    implementation().ring_reduce(total, ring.bits)


def pack(vector: RingVector, ring: Ring) -> bytearray:
    """The vector on the wire: `ring.packed_size(len(vector))` bytes.

    Element i becomes the bits [i*b, (i+1)*b), bit j being bit j % 8 of byte j // 8. Bits above
    the ring's are left out; the padding bits of the last byte are zero.

    Raises:
        InputError: not a vector of this ring.
    """
    check_vector("vector", vector, ring)
    packed = bytearray(ring.packed_size(len(vector)))
    implementation().pack(packed, vector, ring.bits)
    return packed


def unpack(packed: Buffer, ring: Ring, length: int) -> RingVector:
    """The vector of `length` elements that `pack` made these bytes from.

    Raises:
        DecodeError: not exactly `ring.packed_size(length)` bytes, or a padding bit is set.
        InputError: not contiguous bytes.
        ParameterError: a negative length.
    """
    if length < 0:
        raise ParameterError(f"length: expected at least 0, got {length}")
    data = _packed_bytes(packed, ring, length)
    vector: RingVector = np.empty(length, dtype=ring.dtype)
    _check_padding(implementation().unpack(vector, data, ring.bits))
    return vector


def unpack_add(total: RingVector, packed: Buffer, ring: Ring) -> None:
    """Add unpack(packed, ring, len(total)) to total in place, without a vector in between.

    Raises:
        DecodeError: not exactly `ring.packed_size(len(total))` bytes, or a padding bit is set;
            total is unchanged.
        InputError: not a writable vector of this ring, or not contiguous bytes, or both overlap.
    """
    check_vector("total", total, ring, write=True)
    data = _packed_bytes(packed, ring, len(total))
    if len(total) and np.may_share_memory(total, np.frombuffer(data, dtype=np.uint8)):
        raise InputError("total and packed: expected separate memory, got overlapping memory")
    _check_padding(implementation().unpack_add(total, data, ring.bits))


def _packed_bytes(packed: Buffer, ring: Ring, length: int) -> memoryview:
    data = as_bytes("packed", packed)
    if len(data) != ring.packed_size(length):
        raise DecodeError(
            f"packed: expected {ring.packed_size(length)} bytes for {length} elements of"
            f" {ring.bits} bits, got {len(data)}"
        )
    return data


def _check_padding(status: Status) -> None:
    if status is Status.NOT_CANONICAL:
        raise DecodeError("packed: expected zero padding bits in the last byte, got others")


def apply_masks(total: RingVector, streams: Sequence[MaskStream], offset: int = 0) -> None:
    """Add to total, in place, the sum of the keystreams with their signs.

    A keystream is read as little-endian lanes of total's type, from its element number `offset`
    on, and equals AES-CTR of any other library byte for byte. Sums wrap in the lane; reduce to
    the ring afterwards. Disjoint parts of a vector may be masked by separate calls.

    Raises:
        InputError: total is not a writable vector of lanes.
        ParameterError: a stream is malformed, offset is negative, or the vector would need more
            than 2**32 blocks of 16 bytes of a stream.
    """
    check_vector("total", total, write=True)
    chosen = list(streams)
    offset = operator.index(offset)  # numpy's integers could wrap below
    check_streams(total, chosen, offset)
    backend = implementation()
    if len(total):  # else the offset may lie one past the last block
        backend.apply_masks(total, chosen, offset)


def encode_fixed(
    values: npt.NDArray[np.float32],
    *,
    clip: float,
    scale: float,
    ring: Ring,
    randomness: npt.NDArray[np.uint32] | None,
) -> tuple[RingVector, int]:
    """Clamp to [-clip, clip], scale, round, and represent modulo 2**ring.bits.

    With q = clamp(x) * scale in double precision, the result is q rounded half to even without
    randomness, and floor(q + r / 2**32) with it: unbiased, up to 2**-32. Its magnitude never
    exceeds ceil(clip * scale).

    Returns:
        The vector, and how many values had a magnitude above clip.

    Raises:
        InputError: not a vector of float32, randomness not uint32 of the same length, or a value
            infinite or NaN; the message names the index of the first, never the value.
        ParameterError: clip or scale is not finite and positive, or ceil(clip * scale) does not
            fit the ring's signed range.
    """
    check_array("values", values, np.float32, shape=(None,))
    if randomness is not None:
        check_array("randomness", randomness, np.uint32, shape=values.shape)
    for name, number in (("clip", clip), ("scale", scale), ("clip * scale", clip * scale)):
        if not (math.isfinite(number) and number > 0):
            raise ParameterError(f"{name}: expected a finite positive number, got {number}")
    if math.ceil(clip * scale) >= 1 << (ring.bits - 1):
        raise ParameterError(
            f"clip * scale: expected to round up to less than 2**{ring.bits - 1} in a ring of"
            f" {ring.bits} bits, got {clip * scale}"
        )
    vector: RingVector = np.empty(len(values), dtype=ring.dtype)
    status, report = implementation().encode_fixed(
        vector, values, randomness, float(clip), float(scale), ring.bits
    )
    if status is Status.NOT_FINITE:
        raise InputError(f"values[{report}]: expected a finite number, got infinity or NaN")
    return vector, report


def decode_signed(total: RingVector, ring: Ring) -> npt.NDArray[np.int64]:
    """The centred representatives, in [-2**(bits-1), 2**(bits-1)).

    Raises:
        InputError: not a vector of this ring.
    """
    check_vector("total", total, ring)
    out = np.empty(len(total), dtype=np.int64)
    implementation().decode_signed(out, total, ring.bits)
    return out


def decode_fixed(total: RingVector, ring: Ring, divisor: float) -> npt.NDArray[np.float64]:
    """The centred representatives as doubles, divided by `divisor` (the scale, or its multiple).

    Raises:
        InputError: not a vector of this ring.
        ParameterError: divisor is not finite and positive.
    """
    check_vector("total", total, ring)
    if not (math.isfinite(divisor) and divisor > 0):
        raise ParameterError(f"divisor: expected a finite positive number, got {divisor}")
    out = np.empty(len(total), dtype=np.float64)
    implementation().decode_fixed(out, total, ring.bits, float(divisor))
    return out


def shamir_split(secrets: Buffer, count: int, coefficients: Words, points: Words) -> Words:
    """Shares of `count` 32-byte secrets, over the field of 2**61 - 1.

    Each secret is cut into five little-endian limbs of 7, 7, 7, 7 and 4 bytes, and each limb is
    the value at zero of a polynomial of its own.

    Args:
        secrets: 32 * count bytes.
        count: at least 1.
        coefficients: shape (count, 5, threshold - 1); [s, l, k] belongs to x**(k + 1). Uniform
            below 2**61 - 1, drawn by the caller, never used twice.
        points: shape (holders,), distinct, in 1..2**61-2; public.

    Returns:
        Shape (count, holders, 5).

    Raises:
        InputError: a wrong type, shape or size.
        ParameterError: a bad count or point, a threshold above the number of holders, or a
            coefficient that is no field element.
    """
    if count < 1:
        raise ParameterError(f"count: expected at least 1, got {count}")
    data = as_bytes("secrets", secrets)
    if len(data) != SECRET_BYTES * count:
        raise InputError(
            f"secrets: expected {SECRET_BYTES * count} bytes for {count} secrets, got {len(data)}"
        )
    check_points(points)
    check_array("coefficients", coefficients, np.uint64, shape=(count, LIMBS, None))
    if coefficients.shape[2] >= len(points):
        raise ParameterError(
            f"threshold: expected at most {len(points)}, the number of holders,"
            f" got {coefficients.shape[2] + 1}"
        )
    shares = np.empty((count, len(points), LIMBS), dtype=np.uint64)
    status = implementation().shamir_split(shares, data, coefficients, points)
    if status is Status.NOT_CANONICAL:
        raise ParameterError(
            "coefficients: expected field elements below 2**61-1, got a larger one"
        )
    return shares


def shamir_lagrange(points: Words) -> Words:
    """The weights with which shares at these public points add up to the value at zero.

    Args:
        points: shape (threshold,).

    Returns:
        Shape (threshold,), for `shamir_combine`.

    Raises:
        InputError: not a vector of uint64.
        ParameterError: no points, or one is zero, 2**61 - 1 or more, or repeated.
    """
    check_points(points)
    lagrange = np.empty(len(points), dtype=np.uint64)
    if implementation().shamir_lagrange(lagrange, points) is not Status.OK:
        raise AssertionError("points were not checked")
    return lagrange


def shamir_combine(shares: Words, lagrange: Words) -> bytearray:
    """The secrets, 32 bytes each, from shares and their weights.

    Args:
        shares: shape (count, threshold, 5).
        lagrange: shape (threshold,), as `shamir_lagrange` made it for the holders' points.

    Raises:
        DecodeError: a share is not a field element.
        InputError: a wrong type or shape.
        ParameterError: no secret, or a weight is not a field element.
        VerificationError: a combined limb is too large for its bytes: these are not enough
            shares of one secret, or one is wrong. Most wrong shares are found like this, but not
            all: compare the result with a commitment.
    """
    check_array("lagrange", lagrange, np.uint64, shape=(None,))
    check_array("shares", shares, np.uint64, shape=(None, len(lagrange), LIMBS))
    if not shares.size:
        raise ParameterError(f"shares: expected at least one, got shape {shares.shape}")
    if (lagrange >= PRIME).any():
        raise ParameterError("lagrange: expected field elements below 2**61-1, got a larger one")
    secrets = bytearray(SECRET_BYTES * len(shares))
    status = implementation().shamir_combine(secrets, shares, lagrange)
    if status is Status.NOT_CANONICAL:
        raise DecodeError("shares: expected field elements below 2**61-1, got a larger one")
    if status is Status.INCONSISTENT:
        raise VerificationError("shares: expected shares of one secret, got others")
    return secrets


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
