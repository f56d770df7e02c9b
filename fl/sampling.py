"""Seeded draws for simulations: permutations and splits, from the project's own stream.

The same seed gives the same split on every machine and with every version of the libraries.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from secagg.crypto import rng
from secagg.errors import ParameterError, UnavailableError
from secagg.types import Rng

Rows = npt.NDArray[np.int64]


def stream(purpose: str, *numbers: int) -> Rng:
    """An independent stream for each purpose and numbers, such as ("train", seed, round, client).

    Not secret: never for keys.
    """
    label = "/".join((purpose, *map(str, numbers)))
    return rng.seeded(int.from_bytes(hashlib.sha256(label.encode()).digest(), "big"))


def permutation(source: Rng, count: int) -> Rows:
    """0..count-1 in a random order: the order of as many 64-bit draws.

    Two draws are equal with probability below count**2 / 2**65; sorting is stable, so even then
    the result is determined.
    """
    return np.argsort(np.frombuffer(source.bytes(8 * count), "<u8"), kind="stable").astype(np.int64)


def dirichlet(source: Rng, alpha: float, parts: int) -> npt.NDArray[np.float64]:
    """`parts` positive shares that add up to 1: small alpha, uneven shares; large, even ones.

    Gamma(alpha) variates by inverting their distribution function, divided by their sum.

    Raises:
        UnavailableError: scipy is missing; the message says how to get it.
    """
    try:
        from scipy.special import gammaincinv
    except ImportError as error:
        raise UnavailableError(
            "splitting this data needs scipy and scikit-learn: pip install 'secagg[fl]'"
        ) from error

    # 53 random bits, moved off 0, where alpha << 1 could leave no positive share at all.
    draws = np.frombuffer(source.bytes(8 * parts), "<u8") >> 11
    gammas = gammaincinv(alpha, (draws + 0.5) * 2.0**-53) + np.finfo(np.float64).tiny
    shares: npt.NDArray[np.float64] = gammas / gammas.sum()
    return shares


def held_out(source: Rng, rows: Rows, fraction: float) -> tuple[Rows, Rows]:
    """(the rest, floor(fraction * rows)) of these rows, both in random order."""
    shuffled = rows[permutation(source, len(rows))]
    cut = int(fraction * len(rows))
    return shuffled[cut:], shuffled[:cut]


def split_by_label(
    source: Rng, labels: npt.NDArray[np.int64], clients: int, alpha: float
) -> list[Rows]:
    """Rows for each client, class by class in Dirichlet(alpha) shares: a partition of all rows.

    A client left with nothing receives a row of whoever then has most.

    Raises:
        ParameterError: clients < 1, alpha not in 0.01..1000, or fewer rows than clients.
    """
    if not 1 <= clients <= len(labels):
        raise ParameterError(f"{len(labels)} rows go to 1..{len(labels)} clients, got {clients}")
    if not 0.01 <= alpha <= 1000:
        raise ParameterError(f"alpha lies in 0.01..1000, got {alpha}")
    hands: list[list[Rows]] = [[] for _ in range(clients)]
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rows = rows[permutation(source, len(rows))]
        shares = dirichlet(source, alpha, clients)
        cuts = np.rint(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
        for hand, part in zip(hands, np.split(rows, cuts), strict=True):
            hand.append(part)
    split = [np.concatenate(hand) for hand in hands]
    for number, rows in enumerate(split):
        if not len(rows):
            richest = max(range(clients), key=lambda other: len(split[other]))
            split[number], split[richest] = split[richest][:1], split[richest][1:]
    return split
