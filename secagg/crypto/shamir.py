"""Shamir secret sharing of 32-byte seeds over the field of 2**61 - 1.

A seed is five little-endian limbs of 7, 7, 7, 7 and 4 bytes, each shared by a polynomial of its
own with fresh coefficients. A holder's point is its roster index + 1, never read from a message.
Shares are canonical (below the prime) or refused; a combined limb outside its byte range is
refused, which catches wrong shares with 49 bits to spare (Shamir 1979; limbs after
Bonawitz et al. 2017 section 4).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from secagg import kernels
from secagg.errors import DecodeError, ParameterError
from secagg.types import Rng, Secret

PRIME: Final = (1 << 61) - 1
LIMBS: Final = 5
SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 8 * LIMBS

Shares = npt.NDArray[np.uint64]

_limbs: Final = struct.Struct(f"<{LIMBS}Q").unpack
_NOT_CANONICAL: Final = "a share must be below 2**61 - 1"


def points_of(numbers: Sequence[int]) -> npt.NDArray[np.uint64]:
    """The evaluation points of these roster indices."""
    return np.asarray(numbers, dtype=np.uint64) + np.uint64(1)


def split(secrets: Sequence[Secret], threshold: int, numbers: Sequence[int], rng: Rng) -> Shares:
    """Share each secret among the holders; any `threshold` of them can rebuild it.

    Args:
        secrets: 32 bytes each.
        threshold: shares needed, 1..len(numbers).
        numbers: the holders' roster indices, distinct.
        rng: where the coefficients come from.

    Returns:
        Shares of shape (secrets, holders, 5).

    Raises:
        ParameterError: a threshold that cannot hold, or a secret of another size.
    """
    if not 1 <= threshold <= len(numbers):
        raise ParameterError(
            f"a threshold lies in 1..{len(numbers)} (the holders), got {threshold}"
        )
    if any(len(secret) != SECRET_BYTES for secret in secrets):
        raise ParameterError(f"secrets have {SECRET_BYTES} bytes each")
    joined = bytearray(b"".join(secret.reveal() for secret in secrets))
    shape = (len(secrets), LIMBS, threshold - 1)
    coefficients = _uniform_field_elements(int(np.prod(shape)), rng).reshape(shape)
    try:
        return kernels.shamir_split(joined, len(secrets), coefficients, points_of(numbers))
    finally:
        kernels.wipe(joined)
        kernels.wipe(coefficients)


def combine(shares: Shares, numbers: Sequence[int]) -> list[Secret]:
    """Rebuild several secrets that share one set of holders.

    Args:
        shares: shape (secrets, holders, 5), in the order of `numbers`.
        numbers: roster indices of exactly `threshold` holders.

    Raises:
        DecodeError: a share is not below the prime.
        VerificationError: the shares do not belong to one secret of 32 bytes.
    """
    lagrange = kernels.shamir_lagrange(points_of(numbers))
    joined = kernels.shamir_combine(np.ascontiguousarray(shares), lagrange)
    try:
        return [
            Secret(joined[start : start + SECRET_BYTES])
            for start in range(0, len(joined), SECRET_BYTES)
        ]
    finally:
        kernels.wipe(joined)


def encode_shares(shares: Shares) -> bytes:
    """Shares as little-endian 64-bit words, 40 bytes each."""
    return np.ascontiguousarray(shares, dtype="<u8").tobytes()


def decode_shares(data: bytes | memoryview) -> Shares:
    """The inverse of `encode_shares`: shape (count, 5).

    Raises:
        DecodeError: not a whole number of shares, or a limb that is not below the prime.
    """
    if len(data) % SHARE_BYTES:
        raise DecodeError(f"shares have {SHARE_BYTES} bytes each, got {len(data)} bytes")
    shares = np.frombuffer(data, dtype="<u8").reshape(-1, LIMBS)
    if np.any(shares >= PRIME):
        raise DecodeError(_NOT_CANONICAL)
    return shares.astype(np.uint64)


def check_share(data: bytes) -> None:
    """Refuse one share that `decode_shares` would refuse, at a tenth of the cost.

    Raises:
        DecodeError: another size, or a limb that is not below the prime.
    """
    if len(data) != SHARE_BYTES:
        raise DecodeError(f"a share has {SHARE_BYTES} bytes, got {len(data)}")
    if max(_limbs(data)) >= PRIME:
        raise DecodeError(_NOT_CANONICAL)


def _uniform_field_elements(count: int, rng: Rng) -> npt.NDArray[np.uint64]:
    """Uniform values below the prime, by rejection: 61 random bits are too large once in 2**61."""
    values = _draw_61_bits(count, rng)
    while (rejected := np.flatnonzero(values >= PRIME)).size:
        values[rejected] = _draw_61_bits(rejected.size, rng)
    return values


def _draw_61_bits(count: int, rng: Rng) -> npt.NDArray[np.uint64]:
    return np.frombuffer(rng.bytes(8 * count), dtype="<u8").astype(np.uint64) & np.uint64(PRIME)
