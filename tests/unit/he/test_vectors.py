"""Packing without carries, at its own width, and back."""

from __future__ import annotations

import numpy as np
import pytest
from unit.he.cases import key_of

from secagg.errors import DecodeError
from secagg.he import vectors, workers
from secagg.he.parameters import Layout, derive_bfv, derive_ckks

TASKS = [(2, 1, 1), (3, 1000, 2047), (100, 32767, 9000), (7, 127, 20_000), (2, 1 << 50, 5000)]


@pytest.mark.parametrize(("count", "bound", "length"), TASKS)
def test_sums_of_extreme_slots_never_carry(count: int, bound: int, length: int) -> None:
    """n vectors at either end of the range, added slot by slot below the plain modulus."""
    layout = derive_bfv(count, bound, length)
    for pattern in ([bound], [-bound], [bound, -bound], [-bound, bound, bound]):
        values = np.resize(np.array(pattern, dtype=np.int64), length)
        total = vectors.slots_of(values, layout).astype(object) * count
        assert int(total.max()) < layout.lattice.plain_modulus
        found = vectors.values_of(total.astype(np.uint64), layout, count)
        np.testing.assert_array_equal(found, values * count)


def test_every_slot_of_every_ciphertext_but_the_last_is_used() -> None:
    layout = derive_bfv(100, 32767, 100_000)
    slots = vectors.slots_of(np.ones(100_000, dtype=np.int64), layout)
    assert slots.shape == (13, 4096)
    assert (slots.reshape(-1)[:50_001] > 0).all()
    assert (slots.reshape(-1)[50_001:] == 0).all()


@pytest.mark.parametrize("derive", [derive_bfv, derive_ckks])
def test_a_counter_that_tells_another_number_is_refused(derive) -> None:  # type: ignore[no-untyped-def]
    layout: Layout = derive(5, 1000, 50)
    slots = vectors.slots_of(np.zeros(50, dtype=np.int64), layout) * 3
    vectors.values_of(slots, layout, 3)
    for claimed in (1, 2, 4, 5):
        with pytest.raises(DecodeError, match=r"not a sum over|out of range"):
            vectors.values_of(slots, layout, claimed)


@pytest.mark.parametrize("derive", [derive_bfv, derive_ckks])
def test_slots_that_no_honest_sum_has_are_refused(derive) -> None:  # type: ignore[no-untyped-def]
    layout: Layout = derive(5, 1000, 50)
    slots = vectors.slots_of(np.zeros(50, dtype=np.int64), layout) * 2
    slots[0, 3] = 9000
    with pytest.raises(DecodeError, match="out of range"):
        vectors.values_of(slots, layout, 2)


def test_packed_ciphertexts_are_checked() -> None:
    layout = derive_bfv(3, 1000, 50)
    key, _ = key_of(layout.lattice)
    slots = vectors.slots_of(np.zeros(50, dtype=np.int64), layout)
    packed = workers.encrypt(slots, layout, key.public)
    assert len(packed) == layout.upload_bytes
    residues = vectors.unpack(memoryview(packed), layout)
    assert vectors.pack(residues, layout.lattice) == packed
    for wrong in (packed[:-1], packed + b"\0", b""):
        with pytest.raises(DecodeError, match="expected ciphertexts of"):
            vectors.unpack(memoryview(wrong), layout)
    with pytest.raises(DecodeError, match="below their primes"):
        vectors.unpack(memoryview(b"\xff" * len(packed)), layout)


def test_a_ciphertext_with_a_flipped_bit_opens_exactly_or_to_no_sum() -> None:
    """A change below the noise is none; a larger one moves every slot, the counter too."""
    layout = derive_bfv(3, 1000, 500)
    key, _ = key_of(layout.lattice)
    values = np.ones(500, dtype=np.int64)
    packed = workers.encrypt(vectors.slots_of(values, layout), layout, key.public)
    refused = 0
    for position in range(3, len(packed), len(packed) // 40):
        changed = bytearray(packed)
        changed[position] ^= 0x10
        try:
            # The encryption is random: a flip may also lift a residue over its prime.
            residues = vectors.unpack(memoryview(changed), layout)
            found = vectors.values_of(workers.decrypt(residues, layout, key.seed), layout, 1)
        except DecodeError:
            refused += 1
            continue
        np.testing.assert_array_equal(found, values)
    assert refused > 10
