"""Derived parameters decrypt what they promise, or are refused with a reason."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from unit.he.cases import ciphertext_with_noise, key_of, times

from secagg.crypto.rng import seeded, uniform_below
from secagg.errors import ParameterError
from secagg.he import seal, vectors
from secagg.he.lattice import MAX_MODULUS_BITS, Lattice
from secagg.he.noise import capacity, fresh_noise
from secagg.he.parameters import Layout, derive_bfv, derive_ckks


def _random_tasks(count: int) -> list[tuple[int, int, int]]:
    rng = seeded(3)

    def spread(bits: int) -> int:
        return 1 + uniform_below(rng, 1 << (1 + uniform_below(rng, bits)))

    return [(1 + spread(16), spread(58), spread(20)) for _ in range(count)]


BOUNDARIES = [
    (2, 1, 1),
    (2, 1, 2047),  # with the counter exactly one ciphertext at degree 2048
    (2, 1, 2048),
    (2, (1 << 57), 5),
    (100, 32767, 1_000_000),
    (100, 32768, 8191),
    (100, 32768, 8192),
    (1 << 20, 1 << 38, 3),
    (1 << 20, 1, 3),
    (2, 1 << 62, 3),
    (1 << 16, 1 << 50, 3),
]


def _worst_sum_opens(layout: Layout) -> None:
    """One chunk of a worst-case vector, n times, with real and with the worst possible noise.

    The real ciphertext is added to itself: n fresh ones would have noise that partly cancels, here
    all n copies align. The second ciphertext carries exactly the bound of n contributions.
    """
    lattice, count = layout.lattice, layout.count
    signs = np.where(np.arange(layout.length) % 3, layout.bound, -layout.bound)
    row = vectors.slots_of(signs.astype(np.int64), layout)[:1]
    expected = row[0].astype(object) * count
    assert int(expected.max()) < lattice.plain_modulus
    key, _ = key_of(lattice)
    public = seal.load_public_key(lattice, key.public.residues)
    fresh = seal.encrypt(lattice, public, row[0])
    worst = int(count * fresh_noise(lattice))
    noise = [worst if i % 5 else -worst for i in range(lattice.degree)]
    noisy = ciphertext_with_noise(lattice, expected.astype(np.uint64), noise)
    aligned = times(fresh, count, layout)
    opener = seal.decryptor(lattice, key.seed.reveal())
    for residues in (aligned, noisy):
        opened = seal.decrypt(lattice, opener, residues)
        np.testing.assert_array_equal(opened.astype(object), expected)


def test_two_hundred_random_tasks_open_exactly_or_are_refused() -> None:
    opened = refused = 0
    for count, bound, length in _random_tasks(200):
        try:
            layout = derive_bfv(count, bound, length)
        except ParameterError:
            assert 2 * count * bound >= 1 << 59
            refused += 1
            continue
        layout.lattice.check()
        assert capacity(layout.lattice) >= count
        assert layout.base**layout.values_per_slot <= layout.lattice.plain_modulus
        _worst_sum_opens(layout)
        opened += 1
    assert opened > 150
    assert refused > 5


@pytest.mark.parametrize(("count", "bound", "length"), BOUNDARIES)
def test_boundaries(count: int, bound: int, length: int) -> None:
    try:
        layout = derive_bfv(count, bound, length)
    except ParameterError:
        assert 2 * count * bound >= 1 << 59
        return
    _worst_sum_opens(layout)


def test_the_largest_bound_of_each_cohort_is_taken_and_the_next_refused() -> None:
    for count in (2, 100, 10_000):
        largest = ((1 << 60) - 2) // (2 * count)
        with pytest.raises(ParameterError, match=r"plain modulus: .* 61 bits"):
            derive_bfv(count, largest + 1, 4)
        low, high = 1, largest
        while low < high:
            middle = (low + high + 1) // 2
            try:
                derive_bfv(count, middle, 4)
                low = middle
            except ParameterError:
                high = middle - 1
        assert low > largest * 0.999
        _worst_sum_opens(derive_bfv(count, low, 4))


def test_what_no_parameters_can_hold_is_refused_with_the_bound_that_failed() -> None:
    # The radix is 2**60 - 1: it has 60 bits, but no prime of 60 bits holds it.
    with pytest.raises(ParameterError, match="plain modulus or noise: no ring degree"):
        derive_bfv(179_951, 3_203_431_780_337, 4)
    with pytest.raises(ParameterError, match=r"precision: .* double precision"):
        derive_ckks(3, 1 << 60, 10)


def test_the_upload_is_the_smallest_for_the_brief() -> None:
    """100 clients, a million values of 16 bits: two values per slot, 64 bits of modulus, 2.02x."""
    layout = derive_bfv(100, 32767, 1_000_000)
    assert (layout.lattice.degree, layout.values_per_slot) == (4096, 2)
    assert layout.lattice.modulus.bit_length() == 64
    assert layout.upload_bytes <= 3.0 * 4_000_000
    assert layout.upload_bytes == layout.chunks * 2 * 4096 * 64 // 8
    assert derive_bfv(100, 32767, 999_424 - 1 + 4096).chunks == 123


@pytest.mark.parametrize("derive", [derive_bfv, derive_ckks])
def test_every_derived_lattice_is_within_the_table(derive) -> None:  # type: ignore[no-untyped-def]
    for count, bound, length in [(2, 1, 1), (3, 1000, 17), (50, 1 << 20, 9), (1000, 1 << 30, 99)]:
        lattice = derive(count, bound, length).lattice
        lattice.check()
        assert prod(lattice.key_primes).bit_length() <= MAX_MODULUS_BITS[lattice.degree]
        assert len({prime.bit_length() for prime in lattice.data_primes}) == 1


@pytest.mark.parametrize(
    ("lattice", "reason"),
    [
        (Lattice("bfv", 1024, 12289, (40961,), 0, 0), "ring degree"),
        (Lattice("bfv", 2048, 12289, ((1 << 60) - (1 << 14) + 1,), 0, 0), "at most 54 bits"),
        (Lattice("bfv", 2048, 12289, (12289,), 0, 0), "distinct"),
        (Lattice("bfv", 4096, 12289, (40961,), 0, 0), "1 modulo 8192"),
        (Lattice("bfv", 4096, 40961, (1,), 0, 0), "1 modulo 8192"),
        (Lattice("bfv", 4096, 40961, (1 - 8192,), 0, 0), "1 modulo 8192"),
        (Lattice("bfv", 4096, 40961, (), 0, 0), "expected data primes"),
        (Lattice("bfv", 4096, 0, (40961,), 0, 0), "a plain modulus for BFV alone"),
        (Lattice("ckks", 4096, 40961, (65537,), 0, 10), "a plain modulus for BFV alone"),
        (Lattice("ckks", 4096, 0, (40961,), 0, 1 << 40), "expected a scale below"),
        (Lattice("ckks", 4096, 0, (40961,), 0, -1), "expected a scale below"),
    ],
)
def test_lattices_outside_the_table_are_refused(lattice: Lattice, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        lattice.check()


def test_the_counter_fits_beside_the_last_value() -> None:
    for length in (2046, 2047, 2048, 4095, 4096):
        layout = derive_bfv(2, 1, length)
        room = layout.chunks * layout.lattice.slots * layout.values_per_slot
        assert room >= length + 1 > room - layout.lattice.slots * layout.values_per_slot


@pytest.mark.parametrize(("count", "bound"), [(3, 1 << 40), (10, 32767), (100, 1000), (1000, 127)])
def test_ckks_keeps_its_stated_error(count: int, bound: int) -> None:
    """n aligned copies of a worst-case vector: the error of the mean is below bound * 2**-16."""
    layout = derive_ckks(count, bound, 3000)
    assert layout.mean_error_bound <= 2**-16 + 0.5 / (count * bound)
    lattice = layout.lattice
    values = np.where(np.arange(3000) % 3, bound, -bound).astype(np.int64)
    key, _ = key_of(lattice)
    public = seal.load_public_key(lattice, key.public.residues)
    rows = vectors.slots_of(values, layout)
    sums = [times(seal.encrypt(lattice, public, row), count, layout) for row in rows]
    opener = seal.decryptor(lattice, key.seed.reveal())
    opened = np.stack([seal.decrypt(lattice, opener, residues) for residues in sums])
    total = vectors.values_of(opened.astype(np.complex128), layout, count)
    assert int(np.max(np.abs(total - count * values))) <= layout.error_bound
