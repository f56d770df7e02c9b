"""How far a sum of honest ciphertexts can be from its plaintext: worst case, not probability.

What SEAL does, and what each step adds at most (infinity norm over the N coefficients; s and u
have coefficients in {-1, 0, 1}; errors e are at most B = `ERROR_BOUND`):

1. Key: b = -(a s + e). Encryption of zero under (b, a), modulo q p with p the special prime:
   (b u + e0, a u + e1). Decrypted: e0 + e1 s - e u. A product of polynomials has N terms per
   coefficient: at most B + N B + N B = (2 N + 1) B.
2. SEAL encrypts at the level of the key and then divides by p, rounding each polynomial to the
   nearest (`Encryptor::encrypt_zero_internal`, `divide_and_round_q_last`): (2 N + 1) B / p, and
   1/2 + N/2 for the two rounding errors, the second multiplied by s. Without a special prime
   there is no such step.
3. BFV adds round(q m / t) to the first polynomial (`multiply_add_plain_with_scaling_variant`):
   an error below 1. It does not grow when the sum of plaintexts passes t, since q (t k) / t = 0
   modulo q. CKKS encodes by rounding each coefficient: an error of at most 1/2.
4. n additions add the errors of n ciphertexts.
5. BFV decrypts exactly if t times the error is less than q / 2. SEAL computes the rounding with
   an auxiliary modulus of 61 bits (Bajard et al. 2016, lemma 1), which narrows that by a fraction
   of at most 2**-50; `MARGIN` is wider.

B: SEAL samples a centred binomial of 42 coin flips by default (at most 21), or with
SEAL_USE_GAUSSIAN_NOISE a Gaussian clipped at 19.2. 21 bounds both.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import Final

from secagg.errors import ParameterError
from secagg.he.lattice import Lattice

ERROR_BOUND: Final = 21
MARGIN: Final = Fraction(1, 1 << 20)
_ERROR_VARIANCE: Final = Fraction(21, 2)
_PROPAGATION: Final = 1 << 39


def fresh_noise(lattice: Lattice) -> Fraction:
    """The largest error of one coefficient of one honest fresh ciphertext."""
    return noise_at(lattice.scheme, lattice.degree, lattice.special_prime)


def noise_at(scheme: str, degree: int, special_prime: int) -> Fraction:
    """As `fresh_noise`, from the numbers that it depends on."""
    encryption = Fraction((2 * degree + 1) * ERROR_BOUND)
    if special_prime:
        encryption = encryption / special_prime + Fraction(degree + 1, 2)
    return encryption + (1 if scheme == "bfv" else Fraction(1, 2))


def least_modulus(plain_modulus: int, noise: Fraction, additions: int) -> int:
    """The smallest q under which a BFV sum of `additions` ciphertexts decrypts exactly."""
    return int(2 * plain_modulus * additions * noise * (1 + MARGIN)) + 1


def capacity(lattice: Lattice) -> int:
    """How many honest BFV ciphertexts can be added with failure probability 0."""
    per_addition = 2 * lattice.plain_modulus * fresh_noise(lattice) * (1 + MARGIN)
    return int((lattice.modulus - 1) / per_addition)


def check_additions(lattice: Lattice, additions: int) -> None:
    """Refuse parameters under which a sum might decrypt wrongly, silently.

    Raises:
        ParameterError: the noise bound is exceeded.
    """
    if (most := capacity(lattice)) < additions:
        raise ParameterError(
            f"noise: with degree {lattice.degree}, a plain modulus of"
            f" {lattice.plain_modulus.bit_length()} bits and a ciphertext modulus of"
            f" {lattice.modulus.bit_length()} bits at most {most} ciphertexts add up exactly,"
            f" {additions} are planned"
        )


def slot_error(degree: int, noise: Fraction, additions: int, scale_bits: int) -> Fraction:
    """The largest error of a CKKS slot of a sum: N coefficients, each times a root of unity."""
    return degree * additions * noise / (1 << scale_bits)


def transform_error(additions: int, bound: int) -> Fraction:
    """What double precision adds to a slot of a sum, in encoding and decoding.

    A transform of up to 2**14 points in doubles has a relative error below 2**-46 in the Euclidean
    norm (Higham 2002, theorem 24.2), so no slot moves by more than 2**-46 sqrt(2**14) = 2**-39 of
    the largest |slot|; in practice 2**-48. Once for encoding, once for decoding, and
    |slot| is at most 1.42 `additions` times `bound`.
    """
    return Fraction(3 * additions * bound, _PROPAGATION)


def typical_slot_deviation(degree: int, special_prime: int, additions: int) -> int:
    """One standard deviation of a CKKS slot's error before scaling, rounded up.

    Under the usual heuristic that coefficients are independent; u and s have variance 2/3.
    """
    variance = degree * _ERROR_VARIANCE * Fraction(4, 3) + _ERROR_VARIANCE
    if special_prime:
        rounding = Fraction(1, 12) * (1 + Fraction(2, 3) * degree)
        variance = variance / special_prime**2 + rounding
    variance += Fraction(1, 12)
    return isqrt(int(variance * additions * degree)) + 1
