"""The vocabulary that every layer shares: parties, rings, secrets, and randomness as a type."""

from __future__ import annotations

import hmac
from enum import IntEnum
from typing import Annotated, Any, Final, NamedTuple, NoReturn, Protocol, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from secagg.errors import ParameterError

RingVector: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
"""A one-dimensional, C-contiguous array of uint16, uint32 or uint64: the lanes of a `Ring`."""

LANE_BITS: Final = (16, 32, 64)


class Role(IntEnum):
    """What a party does in a protocol. The value is its code on the wire."""

    CLIENT = 1
    SERVER = 2
    DECRYPTOR = 3
    ENCLAVE = 4
    HELPER = 5


class PartyId(NamedTuple):
    """Who: a role, and the index in the roster (for clients) or 0 (for a lone server).

    Bytes with a number that does not fit into the four of an envelope decode to no party.
    """

    role: Role
    number: Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]

    def __str__(self) -> str:
        return f"{self.role.name.lower()} {self.number}"


SERVER: Final = PartyId(Role.SERVER, 0)
DECRYPTOR: Final = PartyId(Role.DECRYPTOR, 0)
ENCLAVE: Final = PartyId(Role.ENCLAVE, 0)


_CLIENT: Final = Role.CLIENT


def client(number: int) -> PartyId:
    """The client at this index of the roster."""
    return PartyId(_CLIENT, number)


class Ring(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The integers modulo 2**bits, carried in the smallest machine lane that holds them.

    Between operations the bits of a lane above `bits` may hold garbage: it never flows down, so
    one mask at the end (`kernels.ring_reduce`) is enough.
    """

    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 64:
            raise ParameterError(f"a ring needs 1 to 64 bits, got {self.bits}")

    @classmethod
    def for_sum(cls, count: int, bound: int) -> Ring:
        """The smallest ring in which `count` signed values of magnitude <= `bound` cannot wrap.

        Raises:
            ParameterError: the sum would not fit in 64 bits.
        """
        bits = (2 * count * bound).bit_length()
        if bits > 64:
            raise ParameterError(
                f"a sum of {count} values up to {bound} needs a ring of {bits} bits, at most 64:"
                " lower the precision, the clip or the largest weight"
            )
        return cls(max(bits, 1))

    @property
    def lane_bits(self) -> int:
        """16, 32 or 64."""
        return next(lane for lane in LANE_BITS if lane >= self.bits)

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The numpy type of a lane."""
        return np.dtype(f"u{self.lane_bits // 8}")

    @property
    def mask(self) -> int:
        """2**bits - 1."""
        return (1 << self.bits) - 1

    def packed_size(self, length: int) -> int:
        """Bytes on the wire of `length` elements, `bits` bits each, padded to a whole byte."""
        return (length * self.bits + 7) // 8


class Rng(Protocol):
    """A source of uniform bytes. `secagg.crypto.rng` holds the implementations."""

    def bytes(self, count: int) -> bytes:
        """`count` fresh uniform bytes."""
        ...


class Secret:
    """Bytes that must not be printed, compared in variable time, pickled or left behind.

    Python and the libraries below may have made copies that nobody can wipe (SECURITY.md says
    so); the buffer owned here is wiped by `wipe` and when the object dies.
    """

    __slots__ = ("_buffer",)

    def __init__(self, value: bytes | bytearray | memoryview) -> None:
        self._buffer = bytearray(value)

    def reveal(self) -> bytes:
        """The bytes themselves, for the one call that needs them."""
        return bytes(self._buffer)

    def wipe(self) -> None:
        """Overwrite the buffer with zeros; afterwards the secret is empty."""
        # Of the same length, so that it happens in place.
        self._buffer[:] = bytes(len(self._buffer))
        self._buffer.clear()

    def __len__(self) -> int:
        return len(self._buffer)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._buffer, other._buffer)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied")

    def __del__(self) -> None:
        self.wipe()
