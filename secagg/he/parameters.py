"""From (number of clients, bound, length) to the parameters with the smallest ciphertexts."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Final

import msgspec

from secagg.errors import ParameterError
from secagg.he.lattice import MAX_MODULUS_BITS, MAX_PRIME_BITS, SECURITY_BITS, Lattice
from secagg.he.noise import (
    ERROR_BOUND,
    check_additions,
    fresh_noise,
    least_modulus,
    noise_at,
    slot_error,
    transform_error,
    typical_slot_deviation,
)
from secagg.he.primes import largest_primes, smallest_prime

COUNTER: Final = 1
"""Elements that are added to every vector: a counter of the ciphertexts in the sum."""

RELATIVE_ERROR_BITS: Final = 16
"""CKKS: the error of the mean is at most the bound on an element times 2**-16."""

MAX_CKKS_SUM_BITS: Final = 48
"""CKKS: beyond that, double precision alone would blur the sum."""

_DEVIATIONS: Final = 16


class Layout(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How a vector becomes ciphertexts.

    Attributes:
        lattice: the encryption parameters.
        count: the most ciphertexts that are ever added.
        bound: every |element| is at most this.
        length: elements of a vector, without the counter.
        values_per_slot: elements in one slot: digits of an integer (BFV), or the real and the
            imaginary part of a complex number (CKKS).
    """

    lattice: Lattice
    count: int
    bound: int
    length: int
    values_per_slot: int

    @property
    def base(self) -> int:
        """The radix of a packed slot: a sum of `count` shifted elements stays below it."""
        return 2 * self.count * self.bound + 1

    @property
    def chunks(self) -> int:
        """Ciphertexts per vector, all but the last filled to the last slot."""
        return -(-(self.length + COUNTER) // (self.lattice.slots * self.values_per_slot))

    @property
    def upload_bytes(self) -> int:
        """Bytes of all ciphertexts of a vector."""
        return self.chunks * self.lattice.ciphertext_bytes

    @property
    def error_bound(self) -> int:
        """The largest |error| of one element of a sum, in units of the ring. 0: exact."""
        return 0 if self.lattice.scheme == "bfv" else int(_ckks_error(self) + Fraction(1, 2))

    @property
    def mean_error_bound(self) -> float:
        """The largest error of the mean over all clients, relative to the bound on an element."""
        return self.error_bound / (self.count * self.bound)


@lru_cache(maxsize=256)
def derive_bfv(count: int, bound: int, length: int) -> Layout:
    """The exact layout with the smallest upload.

    The plain modulus is the smallest prime that holds `values_per_slot` digits in radix
    2 n bound + 1, so that no packed sum carries; the ciphertext modulus is the smallest for which
    the worst-case noise of n additions decrypts exactly.

    Raises:
        ParameterError: there is none; says which bound failed.
    """
    base = 2 * count * bound + 1
    if base.bit_length() > MAX_PRIME_BITS:
        raise ParameterError(
            f"plain modulus: a sum of {count} values up to {bound} needs {base.bit_length()} bits,"
            f" SEAL's plain moduli have at most {MAX_PRIME_BITS}: lower the precision, the clip or"
            " the number of clients"
        )
    found = [
        Layout(lattice, count, bound, length, fields)
        for degree in MAX_MODULUS_BITS
        for fields in _fields(base)
        for lattice in _bfv_lattices(degree, smallest_prime(base**fields, degree), count)
    ]
    if not found:
        raise ParameterError(
            f"plain modulus or noise: no ring degree up to {max(MAX_MODULUS_BITS)} with"
            f" {SECURITY_BITS}-bit security adds {count} values up to {bound} exactly: lower the"
            " number of clients or the precision"
        )
    best = min(found, key=_cost)
    best.lattice.check()
    check_additions(best.lattice, count)
    return best


@lru_cache(maxsize=256)
def derive_ckks(count: int, bound: int, length: int) -> Layout:
    """The approximate layout with the smallest upload.

    The scale is the smallest power of two for which the stated error holds and for which rounding
    to whole numbers hides the noise: half a unit is 16 of its typical standard deviations.
    There is one level: sums need no rescaling.

    Raises:
        ParameterError: there is none; says which bound failed.
    """
    if (count * bound).bit_length() > MAX_CKKS_SUM_BITS:
        raise ParameterError(
            f"precision: a sum of {count} values up to {bound} needs"
            f" {(count * bound).bit_length()} bits, double precision carries"
            f" {MAX_CKKS_SUM_BITS} safely: lower the precision, the clip or the number of clients"
        )
    found = [
        Layout(lattice, count, bound, length, 2)
        for degree in MAX_MODULUS_BITS
        for special in _special_primes(degree)
        for lattice in _ckks_lattices(degree, special, count, bound)
    ]
    if not found:
        raise ParameterError(
            f"noise: no ring degree up to {max(MAX_MODULUS_BITS)} with {SECURITY_BITS}-bit security"
            f" adds {count} values up to {bound} with an error of 2**-{RELATIVE_ERROR_BITS}: lower"
            " the number of clients or the precision"
        )
    best = min(found, key=_cost)
    best.lattice.check()
    return best


def _cost(layout: Layout) -> tuple[int, int, int]:
    return layout.upload_bytes, layout.lattice.degree, len(layout.lattice.key_primes)


def _fields(base: int) -> Iterator[int]:
    fields = 1
    while (base**fields).bit_length() <= MAX_PRIME_BITS:
        yield fields
        fields += 1


def _special_primes(degree: int) -> Iterator[int]:
    """None, and the largest of a width that leaves a quarter of a unit of encryption noise."""
    yield 0
    yield from largest_primes(((2 * degree + 1) * ERROR_BOUND).bit_length() + 2, degree, 1)


def _bfv_lattices(degree: int, plain_modulus: int, count: int) -> Iterator[Lattice]:
    if plain_modulus.bit_length() > MAX_PRIME_BITS:
        return
    for special in _special_primes(degree):
        least = least_modulus(plain_modulus, noise_at("bfv", degree, special), count)
        for primes in _data_primes(least, degree, {plain_modulus, special}):
            if _fits(degree, (*primes, special or 1)):
                yield Lattice("bfv", degree, plain_modulus, primes, special, 0)


def _ckks_lattices(degree: int, special: int, count: int, bound: int) -> Iterator[Lattice]:
    noise = noise_at("ckks", degree, special)
    largest = slot_error(degree, noise, count, 0)
    allowed = Fraction(count * bound, 1 << RELATIVE_ERROR_BITS) - transform_error(count, bound)
    hidden = 2 * _DEVIATIONS * typical_slot_deviation(degree, special, count)
    scale_bits = max(int(largest / allowed).bit_length(), hidden.bit_length())
    # Coefficients of a sum: at most the largest |slot| (1.42 n bound) times the scale, and noise.
    magnitude = 142 * count * bound * (1 << scale_bits) // 100 + int(count * noise) + 1
    for primes in _data_primes(2 * magnitude + 1, degree, {special}):
        if _fits(degree, (*primes, special or 1)):
            yield Lattice("ckks", degree, 0, primes, special, scale_bits)


def _data_primes(least: int, degree: int, taken: set[int]) -> Iterator[tuple[int, ...]]:
    """Products of primes of one width that reach `least`, per number of primes the smallest."""
    fewest = -(-least.bit_length() // MAX_PRIME_BITS)
    for count in (fewest, fewest + 1):
        start = -(-least.bit_length() // count)
        for bits in range(start, min(start + 2, MAX_PRIME_BITS) + 1):
            usable = [p for p in largest_primes(bits, degree, count + 2) if p not in taken]
            if len(usable) >= count and prod(usable[:count]) >= least:
                yield tuple(usable[:count])
                break


def _fits(degree: int, primes: tuple[int, ...]) -> bool:
    return prod(primes).bit_length() <= MAX_MODULUS_BITS[degree]


def _ckks_error(layout: Layout) -> Fraction:
    lattice = layout.lattice
    noise = slot_error(lattice.degree, fresh_noise(lattice), layout.count, lattice.scale_bits)
    return noise + transform_error(layout.count, layout.bound)
