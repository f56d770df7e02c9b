"""The numbers of one lattice scheme: ring degree, moduli, scale, and what follows from them."""

from __future__ import annotations

from math import prod
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from secagg.crypto.digest import digest
from secagg.errors import ParameterError
from secagg.types import Ring

SECURITY_BITS: Final = 128

MAX_MODULUS_BITS: Final = MappingProxyType({2048: 54, 4096: 109, 8192: 218, 16384: 438})
"""Ring degree to the largest coefficient modulus, the special prime counted, for 128-bit security.

Source: Albrecht et al., "Homomorphic Encryption Security Standard", HomomorphicEncryption.org,
November 2018, table 1 (ternary secret, classical attacks). SEAL enforces the same table
(`SEC_LEVEL_TYPE.TC128`). Degree 1024 with 27 bits leaves no room for a batching modulus and noise.
"""

MAX_PRIME_BITS: Final = 60
"""SEAL's limit on plain and coefficient moduli."""


class Lattice(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Parameters of one BFV or CKKS instance.

    Attributes:
        scheme: which of the two.
        degree: N, the ring degree.
        plain_modulus: t, a prime that is 1 modulo 2N; 0 for CKKS.
        data_primes: their product is the ciphertext modulus; all of the same width.
        special_prime: encryption starts at the modulus times this prime; 0 if there is none.
        scale_bits: log2 of the CKKS scale; 0 for BFV.
    """

    scheme: Literal["bfv", "ckks"]
    degree: int
    plain_modulus: int
    data_primes: tuple[int, ...]
    special_prime: int
    scale_bits: int

    @property
    def modulus(self) -> int:
        """The ciphertext modulus q."""
        return prod(self.data_primes)

    @property
    def key_primes(self) -> tuple[int, ...]:
        """The primes of the public key: the data primes, then the special one."""
        return (*self.data_primes, self.special_prime) if self.special_prime else self.data_primes

    @property
    def slots(self) -> int:
        """Numbers in one ciphertext."""
        return self.degree if self.scheme == "bfv" else self.degree // 2

    @property
    def residue_ring(self) -> Ring:
        """The width at which ciphertext coefficients are packed."""
        return Ring(max(prime.bit_length() for prime in self.data_primes))

    @property
    def residues(self) -> int:
        """Words of one ciphertext: two polynomials, each modulo every data prime."""
        return 2 * len(self.data_primes) * self.degree

    @property
    def ciphertext_bytes(self) -> int:
        """Bytes of one packed ciphertext."""
        return self.residue_ring.packed_size(self.residues)

    @property
    def digest(self) -> bytes:
        """32 bytes over all of it."""
        return digest("lattice", msgspec.msgpack.encode(self))

    def check(self) -> None:
        """Refuse what the table, or SEAL, does not allow.

        Raises:
            ParameterError: naming the bound.
        """
        limit = MAX_MODULUS_BITS.get(self.degree)
        if limit is None:
            raise ParameterError(
                f"expected a ring degree of {sorted(MAX_MODULUS_BITS)}, got {self.degree}"
            )
        if not self.data_primes or (self.scheme == "bfv") != bool(self.plain_modulus):
            raise ParameterError("expected data primes, and a plain modulus for BFV alone")
        bits = prod(self.key_primes).bit_length()
        if not 0 <= self.scale_bits < bits:
            raise ParameterError(f"expected a scale below 2^{bits}, got 2^{self.scale_bits}")
        if bits > limit:
            raise ParameterError(
                f"at degree {self.degree} the coefficient modulus, special prime included, has at"
                f" most {limit} bits for {SECURITY_BITS}-bit security, got {bits}"
            )
        moduli = [*self.key_primes, *([self.plain_modulus] if self.plain_modulus else [])]
        if len(set(moduli)) != len(moduli):
            raise ParameterError("expected distinct primes")
        for prime in moduli:
            # 1 and some negative numbers are 1 modulo 2N as well.
            small = 1 < prime < 1 << MAX_PRIME_BITS
            if not small or prime % (2 * self.degree) != 1:
                raise ParameterError(
                    f"expected primes of at most {MAX_PRIME_BITS} bits that are 1 modulo"
                    f" {2 * self.degree}, got {prime}"
                )
