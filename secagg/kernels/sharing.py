"""The arithmetic of Shamir shares, over the field of 2**61 - 1."""

from __future__ import annotations

import numpy as np

from secagg.errors import DecodeError, InputError, ParameterError, VerificationError
from secagg.kernels.arguments import as_bytes, check_array, check_points
from secagg.kernels.backend import LIMBS, PRIME, SECRET_BYTES, Buffer, Status, Words
from secagg.kernels.selection import implementation


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
