"""What a backend of the kernels must offer, and the vocabulary that backends share.

A backend trusts its arguments: `secagg.kernels` has checked them. Verdicts that depend on the
values (a padding bit, a share that is no field element) come back as a `Status`, and the public
function turns them into exceptions, so that every backend fails with the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from secagg.types import RingVector

Buffer: TypeAlias = bytes | bytearray | memoryview
Words: TypeAlias = npt.NDArray[np.uint64]

PRIME: Final = (1 << 61) - 1
"""The order of the field of Shamir shares."""

SECRET_BYTES: Final = 32
LIMB_BYTES: Final = (7, 7, 7, 7, 4)
"""How a secret is cut into little-endian field elements, all of them below 2**56 < PRIME."""

LIMBS: Final = len(LIMB_BYTES)

BLOCK_BYTES: Final = 16
STREAM_BYTES: Final = BLOCK_BYTES << 32
"""Bytes of a keystream before its 32-bit block index would repeat."""


class Status(IntEnum):
    """The verdict of a backend; the values are those of csrc/secagg.h."""

    OK = 0
    UNAVAILABLE = -1
    PARAMETER = -2
    NOT_CANONICAL = -3
    NOT_FINITE = -4
    INCONSISTENT = -5


class MaskStream(NamedTuple):
    """One keystream and the sign with which it enters a vector.

    The stream is AES-CTR under `key` with the counter blocks iv || be32(0), iv || be32(1), ...

    Attributes:
        key: 16 or 32 bytes, for AES-128 or AES-256. Secret.
        iv: 12 bytes.
        sign: +1 adds the stream, -1 subtracts it.
    """

    key: bytes
    iv: bytes
    sign: int

    def __repr__(self) -> str:
        return f"MaskStream(key=..., iv=..., sign={self.sign:+d})"


class Encoding(NamedTuple):
    """How floats become lanes. See `secagg.kernels.encode_fixed`."""

    clip: float
    scale: float
    bits: int
    randomness: MaskStream | npt.NDArray[np.uint16] | None
    mask: MaskStream | None


class Backend(Protocol):
    """The kernels proper. See the functions of the same names in `secagg.kernels`."""

    def ring_add(self, total: RingVector, vector: RingVector) -> None:
        """Add vector to total."""

    def ring_subtract(self, total: RingVector, vector: RingVector) -> None:
        """Subtract vector from total."""

    def ring_reduce(self, total: RingVector, bits: int) -> None:
        """Keep the low `bits` bits of every element."""

    def within(self, vector: RingVector, bits: int, bound: int) -> bool:
        """Whether all are numbers of the ring in -bound..bound."""
        ...

    def pack(self, packed: memoryview, vector: RingVector, bits: int) -> None:
        """Fill `packed`, which has the exact size."""

    def unpack(self, vector: RingVector, packed: Buffer, bits: int) -> Status:
        """Fill `vector`; OK, or NOT_CANONICAL and nothing is written."""
        ...

    def sum_packed(self, total: RingVector, packed: Sequence[Buffer], bits: int) -> Status:
        """Add all to `total`; OK, or NOT_CANONICAL and nothing is written."""
        ...

    def apply_masks(self, total: RingVector, streams: Sequence[MaskStream], offset: int) -> None:
        """Add every stream with its sign, from element `offset` on."""

    def pack_masked(
        self,
        packed: memoryview,
        vector: RingVector,
        streams: Sequence[MaskStream],
        offset: int,
        bits: int,
    ) -> None:
        """Fill `packed` with the vector plus every stream with its sign."""

    def encode_fixed(
        self,
        out: RingVector,
        values: npt.NDArray[np.float32],
        encoding: Encoding,
        offset: int,
    ) -> tuple[Status, int]:
        """OK and the number of saturated values, or NOT_FINITE and the first such index."""
        ...

    def decode_signed(self, out: npt.NDArray[np.int64], vector: RingVector, bits: int) -> None:
        """Fill `out` with centred representatives."""

    def decode_fixed(
        self, out: npt.NDArray[np.float64], vector: RingVector, bits: int, divisor: float
    ) -> None:
        """Fill `out` with centred representatives over `divisor`."""

    def shamir_split(
        self, shares: Words, secrets: Buffer, coefficients: Words, points: Words
    ) -> Status:
        """Fill `shares`; OK, or NOT_CANONICAL and shares are zero."""
        ...

    def shamir_lagrange(self, lagrange: Words, points: Words) -> Status:
        """Fill `lagrange`; OK, or PARAMETER and it is zero."""
        ...

    def shamir_combine(self, secrets: bytearray, shares: Words, lagrange: Words) -> Status:
        """Fill `secrets`; OK, or NOT_CANONICAL or INCONSISTENT and they are zero."""
        ...

    def keystream_passes(self, out: npt.NDArray[np.uint8], passes: int, stream: MaskStream) -> None:
        """Fill `out` with the keystream from its begin on, and go on over it `passes` times."""

    def read(self, buffer: npt.NDArray[np.uint8]) -> int:
        """Read everything; something that depends on all of it."""
        ...

    def copy(self, to: npt.NDArray[np.uint8], source: npt.NDArray[np.uint8]) -> None:
        """Copy."""

    def wipe(self, buffer: bytearray | npt.NDArray[Any]) -> None:
        """Overwrite with zeros."""
