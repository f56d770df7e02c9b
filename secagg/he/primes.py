"""Primes congruent to 1 modulo 2N: those that SEAL's number-theoretic transforms accept."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Final

# These bases decide primality of every integer below 3.3 * 10**24 (Sorenson, Webster 2015).
_WITNESSES: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)


def is_prime(number: int) -> bool:
    """Deterministic Miller-Rabin test, for numbers below 2**64."""
    if number < 2:
        return False
    for small in _WITNESSES:
        if number % small == 0:
            return number == small
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(number, witness, odd, twos) for witness in _WITNESSES)


def _passes(number: int, witness: int, odd: int, twos: int) -> bool:
    value = pow(witness, odd, number)
    if value in (1, number - 1):
        return True
    for _ in range(twos - 1):
        value = value * value % number
        if value == number - 1:
            return True
    return False


@lru_cache(maxsize=1024)
def smallest_prime(least: int, degree: int) -> int:
    """The smallest prime p >= least with p = 1 modulo 2 * degree."""
    step = 2 * degree
    candidate = least + (1 - least) % step
    while not is_prime(candidate):
        candidate += step
    return candidate


@lru_cache(maxsize=1024)
def largest_primes(bits: int, degree: int, count: int) -> tuple[int, ...]:
    """The `count` largest primes of exactly `bits` bits, 1 modulo 2 * degree, descending.

    Fewer, or none, if there are not as many.
    """
    step = 2 * degree
    first = (1 << bits) - step + 1
    candidates = range(first, (1 << (bits - 1)) - 1, -step)
    return tuple(islice((c for c in candidates if is_prime(c)), count))
