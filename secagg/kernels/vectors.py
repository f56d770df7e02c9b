"""Vectors in Z/2^b: addition, reduction, masks, and the packed form on the wire."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

from secagg.errors import DecodeError, InputError, ParameterError
from secagg.kernels.arguments import (
    as_bytes,
    check_pair,
    check_range,
    check_stream,
    check_vector,
)
from secagg.kernels.backend import Buffer, MaskStream, Status
from secagg.kernels.buffers import aligned
from secagg.kernels.selection import implementation
from secagg.kernels.threads import check_threads, over_ranges
from secagg.types import Ring, RingVector


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


def within(vector: RingVector, ring: Ring, bound: int) -> bool:
    """Whether every element, as a signed number of the ring, lies in -bound..bound.

    An element with a bit above the ring's does not.

    Raises:
        InputError: not a vector of this ring.
        ParameterError: the bound is negative, or not below 2**(ring.bits - 1).
    """
    check_vector("vector", vector, ring)
    if not 0 <= bound < 1 << (ring.bits - 1):
        raise ParameterError(
            f"bound: expected 0..{(1 << (ring.bits - 1)) - 1} in a ring of {ring.bits} bits,"
            f" got {bound}"
        )
    return implementation().within(vector, ring.bits, bound)


def pack(vector: RingVector, ring: Ring, *, threads: int | None = None) -> bytearray:
    """The vector on the wire: `ring.packed_size(len(vector))` bytes.

    Element i becomes the bits [i*b, (i+1)*b), bit j being bit j % 8 of byte j // 8. Bits above
    the ring's are left out; the padding bits of the last byte are zero.

    Raises:
        InputError: not a vector of this ring.
        ParameterError: fewer than one thread.
    """
    check_vector("vector", vector, ring)
    count = check_threads(threads)
    packed = bytearray(ring.packed_size(len(vector)))
    view = memoryview(packed)
    backend = implementation()

    def work(begin: int, end: int) -> None:
        place = view[begin * ring.bits // 8 : ring.packed_size(end)]
        backend.pack(place, vector[begin:end], ring.bits)

    over_ranges(work, len(vector), 2 * vector.nbytes, count)
    return packed


def pack_masked(
    vector: RingVector,
    streams: Sequence[MaskStream],
    ring: Ring,
    *,
    threads: int | None = None,
) -> memoryview:
    """`pack` of the vector plus all keystreams with their signs; the vector stays as it is.

    Raises:
        InputError: not a vector of this ring.
        ParameterError: a malformed stream, a vector longer than a stream, or threads < 1.
    """
    check_vector("vector", vector, ring)
    count = check_threads(threads)
    chosen = _checked_streams(streams, 0, vector)
    packed = aligned(ring.packed_size(len(vector)), np.uint8).data
    backend = implementation()

    def work(begin: int, end: int) -> None:
        place = packed[begin * ring.bits // 8 : ring.packed_size(end)]
        backend.pack_masked(place, vector[begin:end], chosen, begin, ring.bits)

    if len(vector):
        over_ranges(work, len(vector), (len(chosen) + 2) * vector.nbytes, count)
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
    vector: RingVector = aligned(length, ring.dtype)
    _check_padding(implementation().unpack(vector, data, ring.bits))
    return vector


def check_packed(packed: Buffer, ring: Ring, length: int) -> None:
    """Refuse what `unpack` would refuse, without unpacking.

    Raises:
        DecodeError: not exactly `ring.packed_size(length)` bytes, or a padding bit is set.
        InputError: not contiguous bytes.
    """
    _checked_packed(packed, ring, length)


def unpack_add(
    total: RingVector, packed: Buffer, ring: Ring, *, threads: int | None = None
) -> None:
    """`sum_packed` of one vector."""
    sum_packed(total, [packed], ring, threads=threads)


def sum_packed(
    total: RingVector, packed: Sequence[Buffer], ring: Ring, *, threads: int | None = None
) -> None:
    """Add unpack(one, ring, len(total)) of every one to total, with no vectors in between.

    Four at a time pass over the total together: sums of several cost less than several sums.

    Raises:
        DecodeError: not exactly `ring.packed_size(len(total))` bytes, or a padding bit is set, in
            any of them; total is unchanged.
        InputError: not a writable vector of this ring, or not contiguous bytes, or both overlap.
        ParameterError: fewer than one thread.
    """
    check_vector("total", total, ring, write=True)
    count = check_threads(threads)
    vectors = [_checked_packed(one, ring, len(total)) for one in packed]
    if not vectors or not len(total):
        return
    for data in vectors:
        if np.may_share_memory(total, np.frombuffer(data, dtype=np.uint8)):
            raise InputError("total and packed: expected separate memory, got overlapping memory")
    backend = implementation()

    def work(begin: int, end: int) -> Status:
        place = slice(begin * ring.bits // 8, ring.packed_size(end))
        return backend.sum_packed(total[begin:end], [data[place] for data in vectors], ring.bits)

    for status in over_ranges(work, len(total), len(vectors) * len(vectors[0]), count):
        if status is not Status.OK:
            raise AssertionError("the padding was not checked")


def _packed_bytes(packed: Buffer, ring: Ring, length: int) -> memoryview:
    data = as_bytes("packed", packed)
    if len(data) != ring.packed_size(length):
        raise DecodeError(
            f"packed: expected {ring.packed_size(length)} bytes for {length} elements of"
            f" {ring.bits} bits, got {len(data)}"
        )
    return data


def _checked_packed(packed: Buffer, ring: Ring, length: int) -> memoryview:
    data = _packed_bytes(packed, ring, length)
    used = length * ring.bits % 8
    if used and data[-1] >> used:
        _check_padding(Status.NOT_CANONICAL)
    return data


def _check_padding(status: Status) -> None:
    if status is Status.NOT_CANONICAL:
        raise DecodeError("packed: expected zero padding bits in the last byte, got others")


def apply_masks(
    total: RingVector,
    streams: Sequence[MaskStream],
    offset: int = 0,
    *,
    threads: int | None = None,
) -> None:
    """Add to total, in place, the sum of the keystreams with their signs.

    A keystream is read as little-endian lanes of total's type, from its element number `offset`
    on, and equals AES-CTR of any other library byte for byte. Sums wrap in the lane; reduce to
    the ring afterwards. Disjoint parts of a vector may be masked by separate calls.

    Raises:
        InputError: total is not a writable vector of lanes.
        ParameterError: a stream is malformed, offset is negative, or the vector would need more
            than 2**32 blocks of 16 bytes of a stream; or fewer than one thread.
    """
    check_vector("total", total, write=True)
    count = check_threads(threads)
    offset = operator.index(offset)  # numpy's integers could wrap below
    chosen = _checked_streams(streams, offset, total)
    backend = implementation()

    def work(begin: int, end: int) -> None:
        backend.apply_masks(total[begin:end], chosen, offset + begin)

    if len(total) and chosen:  # an empty vector's offset may lie one past the last block
        over_ranges(work, len(total), len(chosen) * total.nbytes, count)


def _checked_streams(
    streams: Sequence[MaskStream], offset: int, vector: RingVector
) -> list[MaskStream]:
    chosen = list(streams)
    check_range(offset, len(vector), vector.itemsize)
    for number, stream in enumerate(chosen):
        check_stream(f"streams[{number}]", stream)
    return chosen
