"""What the tests of secagg.he share."""

from __future__ import annotations

from typing import Any

import numpy as np

from secagg.crypto.rng import StreamRng, seeded
from secagg.he import seal
from secagg.he.contexts import SecretContext
from secagg.he.lattice import Lattice
from secagg.he.parameters import Layout
from secagg.he.seal import Words


def key_of(lattice: Lattice, seed: int = 7) -> tuple[SecretContext, StreamRng]:
    """A key, and the rest of the stream that it came from."""
    rng = seeded(seed)
    return SecretContext.generate(lattice, rng), rng


def coefficients(lattice: Lattice, slots: Any) -> list[int]:
    """The plaintext polynomial whose slots these are (BFV)."""
    api = seal.require()
    plaintext = api.Plaintext()
    seal._encoder(lattice).encode(slots.tolist(), plaintext)
    return [plaintext[i] if i < plaintext.coeff_count() else 0 for i in range(lattice.degree)]


def ciphertext_with_noise(lattice: Lattice, slots: Any, noise: list[int]) -> Words:
    """(round(q m / t) + noise, 0): decrypts under every key, and its noise is exactly this."""
    q, t = lattice.modulus, lattice.plain_modulus
    scaled = [
        (q * m + t // 2) // t + e for m, e in zip(coefficients(lattice, slots), noise, strict=True)
    ]
    first = [[value % prime for value in scaled] for prime in lattice.data_primes]
    zero = [[0] * lattice.degree for _ in lattice.data_primes]
    return np.array([first, zero], dtype=np.uint64).reshape(-1)


def times(residues: Words, factor: int, layout: Layout) -> Words:
    """The ciphertext added to itself: its noise grows `factor`-fold, all of it aligned."""
    lattice = layout.lattice
    rows = residues.reshape(-1, len(lattice.data_primes), lattice.degree)
    result = np.empty_like(rows)
    for position, prime in enumerate(lattice.data_primes):
        wide = rows[:, position].astype(object) * factor % prime
        result[:, position] = wide.astype(np.uint64)
    return result.reshape(-1)
