"""The kernels in Python: slow, obvious, and the oracle that the native ones are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from secagg.kernels.backend import (
    BLOCK_BYTES,
    LIMB_BYTES,
    LIMBS,
    PRIME,
    SECRET_BYTES,
    Buffer,
    Encoding,
    MaskStream,
    Status,
    Words,
)
from secagg.types import RingVector

_PIECE: Final = 1 << 16
"""Elements turned into bits at a time, a multiple of 8: each piece then fills whole bytes."""


def ring_add(total: RingVector, vector: RingVector) -> None:
    """Add vector to total, wrapping in the lane."""
    np.add(total, vector, out=total)


def ring_subtract(total: RingVector, vector: RingVector) -> None:
    """Subtract vector from total, wrapping in the lane."""
    np.subtract(total, vector, out=total)


def ring_reduce(total: RingVector, bits: int) -> None:
    """Keep the low `bits` bits of every element."""
    np.bitwise_and(total, total.dtype.type((1 << bits) - 1), out=total)


def within(vector: RingVector, bits: int, bound: int) -> bool:
    """By the definition."""
    signed = np.empty(len(vector), dtype=np.int64)
    decode_signed(signed, vector, bits)
    reduced = vector & vector.dtype.type((1 << bits) - 1)
    return bool(np.all(reduced == vector) and np.all((signed >= -bound) & (signed <= bound)))


def pack(packed: memoryview, vector: RingVector, bits: int) -> None:
    """Element i becomes the bits [i*bits, (i+1)*bits), in little-endian bit order."""
    shifts = np.arange(bits, dtype=vector.dtype)
    for start in range(0, len(vector), _PIECE):
        piece = vector[start : start + _PIECE, np.newaxis]
        ones = ((piece >> shifts) & piece.dtype.type(1)).astype(np.uint8)
        data = np.packbits(ones, bitorder="little").tobytes()
        position = start * bits // 8
        packed[position : position + len(data)] = data


def unpack(vector: RingVector, packed: Buffer, bits: int) -> Status:
    """The inverse of `pack`."""
    used = len(vector) * bits % 8
    if used and packed[-1] >> used:
        return Status.NOT_CANONICAL
    data = np.frombuffer(packed, dtype=np.uint8)
    shifts = np.arange(bits, dtype=vector.dtype)
    for start in range(0, len(vector), _PIECE):
        piece = vector[start : start + _PIECE]
        position = start * bits // 8
        size = (len(piece) * bits + 7) // 8
        ones = np.unpackbits(
            data[position : position + size], count=len(piece) * bits, bitorder="little"
        )
        columns = ones.reshape(len(piece), bits).astype(vector.dtype) << shifts
        np.bitwise_or.reduce(columns, axis=1, out=piece)
    return Status.OK


def sum_packed(total: RingVector, packed: Sequence[Buffer], bits: int) -> Status:
    """`unpack` of every one, then `ring_add`."""
    vectors = [np.empty_like(total) for _ in packed]
    if any(
        unpack(vector, data, bits) is not Status.OK
        for vector, data in zip(vectors, packed, strict=True)
    ):
        return Status.NOT_CANONICAL
    for vector in vectors:
        ring_add(total, vector)
    return Status.OK


def keystream(stream: MaskStream, block: int) -> CipherContext:
    """The stream from a block on: `update` of zero bytes yields it."""
    counter = stream.iv + block.to_bytes(4, "big")
    return Cipher(algorithms.AES(stream.key), modes.CTR(counter)).encryptor()


def apply_masks(total: RingVector, streams: Sequence[MaskStream], offset: int) -> None:
    """Each keystream as one vector in memory, added or subtracted."""
    block, skip = divmod(offset * total.itemsize, BLOCK_BYTES)
    for stream in streams:
        data = keystream(stream, block).update(bytes(skip + total.nbytes))
        mask: RingVector = np.frombuffer(data, dtype=total.dtype, offset=skip)
        if stream.sign > 0:
            ring_add(total, mask)
        else:
            ring_subtract(total, mask)


def pack_masked(
    packed: memoryview, vector: RingVector, streams: Sequence[MaskStream], offset: int, bits: int
) -> None:
    """`apply_masks` to a copy, then `pack`."""
    masked = vector.copy()
    apply_masks(masked, streams, offset)
    pack(packed, masked, bits)


def keystream_words(stream: MaskStream, offset: int, count: int) -> npt.NDArray[np.uint16]:
    """Elements offset, offset + 1, ... of a stream, read as 16-bit words."""
    block, skip = divmod(2 * offset, BLOCK_BYTES)
    data = keystream(stream, block).update(bytes(skip + 2 * count))
    return np.frombuffer(data, dtype=np.uint16, offset=skip)


def encode_fixed(
    out: RingVector, values: npt.NDArray[np.float32], encoding: Encoding, offset: int
) -> tuple[Status, int]:
    """Round q = +-(whole + part): every step after q is exact."""
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        out.fill(0)
        return Status.NOT_FINITE, int(bad[0])
    x = values.astype(np.float64)
    q = np.clip(x, -encoding.clip, encoding.clip) * encoding.scale
    whole = np.floor(np.abs(q))
    part = np.abs(q) - whole
    magnitude = whole.astype(np.int64)
    randomness = encoding.randomness
    if isinstance(randomness, MaskStream):
        randomness = keystream_words(randomness, offset, len(values))
    if randomness is None:
        magnitude += (part > 0.5) | ((part == 0.5) & (magnitude % 2 == 1))
    else:
        magnitude += randomness < np.rint(part * 65536.0)  # rint rounds half to even
    signed = np.where(q < 0, -magnitude, magnitude)
    out[:] = (signed.view(np.uint64) & np.uint64((1 << encoding.bits) - 1)).astype(out.dtype)
    if encoding.mask is not None:
        apply_masks(out, [encoding.mask], offset)
    return Status.OK, int(np.count_nonzero(np.abs(x) > encoding.clip))


def decode_signed(out: npt.NDArray[np.int64], vector: RingVector, bits: int) -> None:
    """Shift the ring's top bit to the word's, and back with its sign."""
    shift = 64 - bits
    out[:] = (vector.astype(np.uint64) << np.uint64(shift)).view(np.int64) >> np.int64(shift)


def decode_fixed(
    out: npt.NDArray[np.float64], vector: RingVector, bits: int, divisor: float
) -> None:
    """Centred representatives over `divisor`."""
    signed = np.empty(len(vector), dtype=np.int64)
    decode_signed(signed, vector, bits)
    np.divide(signed.astype(np.float64), divisor, out=out)


def shamir_split(shares: Words, secrets: Buffer, coefficients: Words, points: Words) -> Status:
    """Evaluate each limb's polynomial at each point, in Python integers."""
    if (coefficients >= PRIME).any():
        shares.fill(0)
        return Status.NOT_CANONICAL
    for number in range(len(secrets) // SECRET_BYTES):
        rest = bytes(secrets[number * SECRET_BYTES : (number + 1) * SECRET_BYTES])
        for limb, size in enumerate(LIMB_BYTES):
            polynomial = [
                int.from_bytes(rest[:size], "little"),
                *coefficients[number, limb].tolist(),
            ]
            rest = rest[size:]
            for holder, x in enumerate(points.tolist()):
                terms = (a * pow(x, k, PRIME) for k, a in enumerate(polynomial))
                shares[number, holder, limb] = sum(terms) % PRIME
    return Status.OK


def shamir_lagrange(lagrange: Words, points: Words) -> Status:
    """The textbook formula, in Python integers."""
    xs = points.tolist()
    if len(set(xs)) < len(xs) or not all(0 < x < PRIME for x in xs):
        lagrange.fill(0)
        return Status.PARAMETER
    for i, x in enumerate(xs):
        weight = 1
        for j, other in enumerate(xs):
            if j != i:
                weight = weight * other * pow(other - x, -1, PRIME) % PRIME
        lagrange[i] = weight
    return Status.OK


def shamir_combine(secrets: bytearray, shares: Words, lagrange: Words) -> Status:
    """Weighted sums of the shares, in Python integers."""
    if (shares >= PRIME).any():
        return Status.NOT_CANONICAL
    weights = lagrange.tolist()
    parts = []
    for number in range(len(shares)):
        for limb in range(LIMBS):
            column = shares[number, :, limb].tolist()
            value = sum(w * s for w, s in zip(weights, column, strict=True)) % PRIME
            if value >> (8 * LIMB_BYTES[limb]):
                return Status.INCONSISTENT
            parts.append(value.to_bytes(LIMB_BYTES[limb], "little"))
    secrets[:] = b"".join(parts)
    return Status.OK


def keystream_passes(out: npt.NDArray[np.uint8], passes: int, stream: MaskStream) -> None:
    """As `cryptography` makes it."""
    cipher = keystream(stream, 0)
    zeros = bytes(len(out))
    # update_into asks for room for one more block.
    scratch = np.empty(len(out) + BLOCK_BYTES, dtype=np.uint8)
    for _ in range(passes):
        cipher.update_into(zeros, scratch.data)
    out[:] = scratch[: len(out)]


def read(buffer: npt.NDArray[np.uint8]) -> int:
    """The sum of the words, by numpy."""
    return int(buffer[: len(buffer) // 8 * 8].view(np.uint64).sum())


def copy(to: npt.NDArray[np.uint8], source: npt.NDArray[np.uint8]) -> None:
    """By numpy."""
    np.copyto(to, source)


def wipe(buffer: bytearray | npt.NDArray[Any]) -> None:
    """Overwrite with zeros; nothing in Python removes a store."""
    if isinstance(buffer, bytearray):
        for position in range(len(buffer)):
            buffer[position] = 0
    else:
        buffer.fill(0)
