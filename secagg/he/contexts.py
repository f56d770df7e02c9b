"""What is needed to encrypt, as bytes: made once per session, named by its digest afterwards.

    magic 8 | sections u8 | digest of the parameters 32 | (b, a) packed | secret seed 64 (optional)

The parameters themselves are not inside: everybody derives them from the plan. A context that
holds a secret key is for the decryptor alone; everybody else refuses it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from secagg import kernels
from secagg.errors import DecodeError
from secagg.he.lattice import Lattice
from secagg.he.seal import SEED_BYTES, Words, public_key
from secagg.types import Ring, Rng, Secret

MAGIC: Final = b"SAGG-HE\x01"
_PUBLIC: Final = 1
_SECRET: Final = 2
_HEAD_BYTES: Final = len(MAGIC) + 1 + 32


class SecretInContext(DecodeError):
    """A context that holds a secret key, where only a public one may be."""


@dataclass(frozen=True)
class PublicContext:
    """A checked public context.

    Attributes:
        lattice: the parameters, from the plan.
        encoded: its one encoding.
        residues: the public key.
    """

    lattice: Lattice
    encoded: bytes = field(repr=False)
    residues: Words = field(repr=False)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the encoding: the context's name."""
        return hashlib.sha256(self.encoded).digest()

    @classmethod
    def parse(cls, encoded: bytes, lattice: Lattice) -> PublicContext:
        """The public context of these parameters in some bytes.

        Raises:
            SecretInContext: a secret key comes with it.
            DecodeError: anything else that is not a public context of these parameters.
        """
        if encoded[: len(MAGIC)] != MAGIC or len(encoded) < _HEAD_BYTES:
            raise DecodeError("expected a public context, got something else")
        if encoded[len(MAGIC)] & _SECRET:
            raise SecretInContext("expected a public context, got one that holds a secret key")
        if encoded[len(MAGIC)] != _PUBLIC:
            raise DecodeError("expected a public context with a public key")
        if encoded[len(MAGIC) + 1 : _HEAD_BYTES] != lattice.digest:
            raise DecodeError("expected a context of this plan's parameters, got one of others")
        if len(encoded) != (size := context_size(lattice)):
            raise DecodeError(f"expected a public context of {size} bytes, got {len(encoded)}")
        residues = _unpacked_key(memoryview(encoded)[_HEAD_BYTES:], lattice)
        for polynomial in residues.reshape(2, -1):
            if not polynomial.any():
                raise DecodeError("expected a public key, got one that encrypts nothing")
        return cls(lattice, encoded, residues)


@dataclass(frozen=True)
class SecretContext:
    """The decryptor's: a public context, and the seed of the secret key."""

    public: PublicContext
    seed: Secret

    @classmethod
    def generate(cls, lattice: Lattice, rng: Rng) -> SecretContext:
        """A fresh key."""
        seed = Secret(rng.bytes(SEED_BYTES))
        residues = public_key(lattice, seed.reveal(), rng.bytes(SEED_BYTES))
        head = MAGIC + bytes((_PUBLIC,)) + lattice.digest
        encoded = head + _packed_key(residues, lattice)
        return cls(PublicContext(lattice, encoded, residues), seed)

    def encode(self) -> bytes:
        """With the secret: for the decryptor, never for anybody else."""
        encoded = bytearray(self.public.encoded)
        encoded[len(MAGIC)] = _PUBLIC | _SECRET
        return bytes(encoded) + self.seed.reveal()


def context_size(lattice: Lattice) -> int:
    """Bytes of a public context."""
    return _HEAD_BYTES + sum(ring.packed_size(words) for ring, words in _key_parts(lattice))


def _key_parts(lattice: Lattice) -> list[tuple[Ring, int]]:
    parts = [(lattice.residue_ring, lattice.residues)]
    if lattice.special_prime:
        parts.append((Ring(lattice.special_prime.bit_length()), 2 * lattice.degree))
    return parts


def _packed_key(residues: Words, lattice: Lattice) -> bytes:
    by_prime = residues.reshape(2, len(lattice.key_primes), lattice.degree)
    data, special = np.split(by_prime, [len(lattice.data_primes)], axis=1)
    packed = b""
    for (ring, _), part in zip(_key_parts(lattice), (data, special), strict=False):
        lanes = np.ascontiguousarray(part.reshape(-1).astype(ring.dtype))
        packed += bytes(kernels.pack(lanes, ring))
    return packed


def _unpacked_key(packed: memoryview, lattice: Lattice) -> Words:
    parts, offset = [], 0
    for ring, words in _key_parts(lattice):
        size = ring.packed_size(words)
        part = kernels.unpack(packed[offset : offset + size], ring, words).astype(np.uint64)
        parts.append(part.reshape(2, -1, lattice.degree))
        offset += size
    residues = np.concatenate(parts, axis=1)
    primes = np.array(lattice.key_primes, dtype=np.uint64)[None, :, None]
    if bool(np.any(residues >= primes)):
        raise DecodeError("expected residues below their primes")
    return np.ascontiguousarray(residues.reshape(-1))
