from __future__ import annotations

import pytest

from secagg.he.primes import is_prime, largest_primes, smallest_prime


def test_primality_against_a_sieve() -> None:
    limit = 20_000
    sieve = bytearray([1]) * limit
    sieve[0] = sieve[1] = 0
    for number in range(2, 142):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    assert [n for n in range(limit) if is_prime(n)] == [n for n in range(limit) if sieve[n]]


@pytest.mark.parametrize(
    ("number", "prime"),
    [
        ((1 << 61) - 1, True),
        (3_215_031_751, False),  # a strong pseudoprime to bases 2, 3, 5, 7
        (3_825_123_056_546_413_051, False),  # and to the primes up to 23
        ((1 << 60) - 1, False),
    ],
)
def test_known_cases(number: int, prime: bool) -> None:
    assert is_prime(number) is prime


def test_primes_fit_the_transform() -> None:
    for degree in (2048, 4096, 8192, 16384):
        for bits in (30, 45, 60):
            primes = largest_primes(bits, degree, 3)
            assert len(set(primes)) == 3
            for prime in (*primes, smallest_prime(1 << (bits - 1), degree)):
                assert is_prime(prime)
                assert prime % (2 * degree) == 1
                assert prime.bit_length() == bits
    assert largest_primes(12, 4096, 2) == ()
    assert smallest_prime(12289, 2048) == 12289
