"""The bound that makes decryption exact, against SEAL itself."""

from __future__ import annotations

import numpy as np
import pytest
from unit.he.cases import ciphertext_with_noise, key_of

from secagg.errors import ParameterError
from secagg.he import seal
from secagg.he.lattice import Lattice
from secagg.he.noise import (
    ERROR_BOUND,
    capacity,
    check_additions,
    fresh_noise,
    least_modulus,
    noise_at,
)
from secagg.he.parameters import derive_bfv, derive_ckks


def test_the_silent_failure_of_a_60_bit_plain_modulus() -> None:
    """TenSEAL's defaults at degree 4096 with t of 60 bits: 100 additions decrypt to another sum.

    Nothing raises. This is why parameters are derived from a noise bound and otherwise refused.
    """
    import tenseal

    api = seal.require()
    plain = api.PlainModulus.Batching(4096, 60).value()
    context = tenseal.context(
        tenseal.SCHEME_TYPE.BFV, poly_modulus_degree=4096, plain_modulus=plain
    )
    values = [(1 << 52) + i for i in range(4096)]
    vector = tenseal.bfv_vector(context, values)
    total = vector.copy()
    for _ in range(99):
        total += vector
    assert total.decrypt() != [100 * value for value in values]

    primes = [
        prime.value() for prime in api.CoeffModulus.BFVDefault(4096, api.SEC_LEVEL_TYPE.TC128)
    ]
    lattice = Lattice("bfv", 4096, plain, tuple(primes[:-1]), primes[-1], 0)
    assert capacity(lattice) < 100
    with pytest.raises(ParameterError, match=r"noise: .* 100 are planned"):
        check_additions(lattice, 100)


def test_parameters_of_ours_for_the_same_sums_are_wide_enough() -> None:
    layout = derive_bfv(100, 1 << 52, 4000)
    assert layout.lattice.plain_modulus.bit_length() == 60
    assert capacity(layout.lattice) >= 100
    assert layout.lattice.modulus.bit_length() > 72


@pytest.mark.parametrize("count", [1, 2, 3, 100, 12_345])
def test_the_capacity_is_the_planned_number_or_more_and_one_more_is_refused(count: int) -> None:
    lattice = derive_bfv(count, 1000, 10).lattice
    most = capacity(lattice)
    assert most >= count
    check_additions(lattice, most)
    with pytest.raises(ParameterError, match=f"at most {most} ciphertexts"):
        check_additions(lattice, most + 1)
    needed = least_modulus(lattice.plain_modulus, fresh_noise(lattice), most)
    assert needed <= lattice.modulus


@pytest.mark.parametrize(("count", "bound"), [(3, 1000), (100, 32767), (1000, 1 << 30)])
def test_noise_of_exactly_the_bound_decrypts_and_noise_beyond_q_over_2t_does_not(
    count: int, bound: int
) -> None:
    layout = derive_bfv(count, bound, 10_000)
    lattice = layout.lattice
    key, _ = key_of(lattice)
    slots = np.arange(lattice.slots, dtype=np.uint64) * np.uint64(lattice.plain_modulus // 20_000)
    signs = [1 if (i * i) % 3 else -1 for i in range(lattice.degree)]
    worst = int(count * fresh_noise(lattice))
    beyond = lattice.modulus // (2 * lattice.plain_modulus) + 2
    outcomes = []
    for size in (worst, beyond):
        noisy = ciphertext_with_noise(lattice, slots, [size * sign for sign in signs])
        opened = seal.decrypt(lattice, seal.decryptor(lattice, key.seed.reveal()), noisy)
        outcomes.append(bool(np.array_equal(opened, slots)))
    assert outcomes == [True, False]


def test_the_sampler_stays_within_its_bound() -> None:
    """The error inside public keys, read with the secret key: |e| <= 21 and variance 10.5.

    b + a s = -e. A CKKS ciphertext (b, a) at scale 1 decrypts to the slots of -e; the inverse of
    the canonical embedding gives its coefficients.
    """
    lattice = derive_ckks(2, 1000, 17).lattice
    assert not lattice.special_prime
    plain = Lattice("ckks", lattice.degree, 0, lattice.data_primes, 0, 0)
    degree = plain.degree
    exponents = np.array([pow(3, j, 2 * degree) for j in range(degree // 2)])
    powers = np.outer(np.arange(degree), exponents) % (2 * degree)
    inverse = np.exp(-1j * np.pi * powers / degree)
    errors = []
    for seed in range(12):
        key, _ = key_of(plain, seed)
        opener = seal.decryptor(plain, key.seed.reveal())
        slots = seal.decrypt(plain, opener, key.public.residues)
        values = 2 / degree * (inverse @ slots).real
        assert np.max(np.abs(values - np.rint(values))) < 1e-6
        errors.append(np.rint(values))
    drawn = np.concatenate(errors)
    assert np.max(np.abs(drawn)) <= ERROR_BOUND
    assert abs(np.var(drawn) - 10.5) < 0.6
    assert abs(np.mean(drawn)) < 0.2


def test_real_noise_stays_below_the_bound() -> None:
    """The budget that SEAL reports is never smaller than the one that the bound leaves."""
    lattice = derive_bfv(2, 1 << 40, 10).lattice
    assert noise_at("bfv", lattice.degree, lattice.special_prime) == fresh_noise(lattice)
    key, _ = key_of(lattice)
    slots = np.full(lattice.slots, lattice.plain_modulus - 1, dtype=np.uint64)
    public = seal.load_public_key(lattice, key.public.residues)
    api = seal.require()
    context = seal._context(lattice)
    secret = seal._secret_key(lattice, key.seed.reveal())
    largest = lattice.modulus / (2 * lattice.plain_modulus * fresh_noise(lattice))
    for _ in range(5):
        residues = seal.encrypt(lattice, public, slots)
        blob = seal._serialised(
            context.first_parms_id(), lattice, lattice.data_primes, residues, ntt=False
        )
        ciphertext = api.Ciphertext()
        seal._load(ciphertext, context, blob)
        budget = api.Decryptor(context, secret).invariant_noise_budget(ciphertext)
        assert budget >= int(np.log2(float(largest)))
