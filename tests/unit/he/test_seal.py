"""SEAL behind its one door: seeded, silent, and refusing what is not its own."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from unit.he.cases import key_of

from secagg import protocols
from secagg.errors import DecodeError, ParameterError, UnavailableError
from secagg.he import seal, vectors
from secagg.he.lattice import Lattice
from secagg.he.parameters import derive_bfv, derive_ckks

LAYOUTS = [derive_bfv(5, 1000, 40), derive_bfv(5, 1 << 40, 9000), derive_ckks(5, 1000, 40)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_key_is_a_function_of_its_seeds(layout) -> None:  # type: ignore[no-untyped-def]
    key, _ = key_of(layout.lattice)
    assert key.public.encoded == key_of(layout.lattice)[0].public.encoded
    assert key.public.encoded != key_of(layout.lattice, 8)[0].public.encoded


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_encryption_has_its_own_randomness(layout) -> None:  # type: ignore[no-untyped-def]
    lattice = layout.lattice
    key, _ = key_of(lattice)
    public = seal.load_public_key(lattice, key.public.residues)
    row = vectors.slots_of(np.arange(layout.length) % 1000, layout)[0]
    first, second, third = (seal.encrypt(lattice, public, row) for _ in range(3))
    half = lattice.residues // 2
    for one, other in ((first, second), (second, third), (first, third)):
        for part in (slice(None, half), slice(half, None)):
            assert np.mean(one[part] == other[part]) < 0.01


@pytest.mark.parametrize("layout", LAYOUTS)
def test_our_addition_is_seals(layout) -> None:  # type: ignore[no-untyped-def]
    lattice = layout.lattice
    key, _ = key_of(lattice)
    public = seal.load_public_key(lattice, key.public.residues)
    context, api = seal._context(lattice), seal.require()
    rows = vectors.slots_of(np.arange(layout.length) % 1000, layout)
    parts = [seal.encrypt(lattice, public, rows[0]) for _ in range(3)]
    loaded = []
    for residues in parts:
        blob = seal._serialised(
            context.first_parms_id(),
            lattice,
            lattice.data_primes,
            residues,
            ntt=lattice.scheme == "ckks",
            scale=float(1 << lattice.scale_bits),
        )
        ciphertext = api.Ciphertext()
        seal._load(ciphertext, context, blob)
        loaded.append(ciphertext)
    sum_by_seal = api.Ciphertext()
    api.Evaluator(context).add_many(loaded, sum_by_seal)
    total = parts[0].copy()
    for residues in parts[1:]:
        vectors.add(total, residues, layout)
    np.testing.assert_array_equal(total, seal._words(sum_by_seal, lattice.residues))


def test_the_public_key_and_ciphertexts_look_uniform_and_hide_the_seed() -> None:
    layout = derive_bfv(5, 1 << 40, 9000)
    key, _ = key_of(layout.lattice)
    assert key.seed.reveal() not in key.public.encoded
    rows = key.public.residues.reshape(2, -1, layout.lattice.degree)
    for polynomial in rows:
        for residues, prime in zip(polynomial, layout.lattice.key_primes, strict=True):
            counts, _ = np.histogram(residues, bins=16, range=(0, prime))
            assert np.all(np.abs(counts - layout.lattice.degree / 16) < 110)


def test_one_seed_for_both_halves_of_a_key_is_refused() -> None:
    lattice = LAYOUTS[0].lattice
    with pytest.raises(ParameterError, match="two different seeds"):
        seal.public_key(lattice, bytes(64), bytes(64))
    with pytest.raises(ParameterError, match="64 bytes"):
        seal.public_key(lattice, bytes(63), bytes(64))


def test_residues_that_are_no_key_are_refused() -> None:
    lattice = LAYOUTS[0].lattice
    count = 2 * len(lattice.key_primes) * lattice.degree
    with pytest.raises(DecodeError, match="SEAL refuses"):
        seal.load_public_key(lattice, np.full(count, 1 << 61, dtype=np.uint64))


def test_parameters_that_seal_refuses_are_named() -> None:
    insecure = Lattice("bfv", 2048, 12289, ((1 << 60) - (1 << 14) + 1,), 0, 0)
    with pytest.raises(ParameterError, match="SEAL refuses"):
        seal._context(insecure)


def test_nothing_reaches_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    """TenSEAL's own vectors print a warning when a vector is longer than a ciphertext."""
    from secagg.he import workers

    layout = derive_bfv(3, 1000, 20_000)
    key, _ = key_of(layout.lattice)
    slots = vectors.slots_of(np.ones(20_000, dtype=np.int64), layout)
    packed = workers.encrypt(slots, layout, key.public)
    workers.decrypt(vectors.unpack(memoryview(packed), layout), layout, key.seed)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_without_tenseal_the_protocols_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenseal", None)
    for name in ("bfv", "ckks"):
        assert name in protocols.names()
        monkeypatch.delitem(sys.modules, f"secagg.protocols.{name}", raising=False)
        with pytest.raises(UnavailableError, match=r"pip install 'secagg\[he\]'"):
            protocols.get(name)
        assert f"secagg.protocols.{name}" not in sys.modules
    assert protocols.get("plain").name == "plain"
    derive_bfv(3, 77, 12)  # a plan needs no TenSEAL
