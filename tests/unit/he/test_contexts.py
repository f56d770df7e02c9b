"""A public context is taken only as the plan's parameters allow it."""

from __future__ import annotations

import hashlib

import pytest
from unit.he.cases import key_of

from secagg.errors import DecodeError
from secagg.he.contexts import PublicContext, SecretInContext, context_size
from secagg.he.parameters import derive_bfv, derive_ckks

LATTICE = derive_bfv(5, 1 << 40, 9000).lattice
GOOD = key_of(LATTICE)[0].public.encoded
HEAD = 8 + 1 + 32


@pytest.mark.parametrize("derive", [derive_bfv, derive_ckks])
@pytest.mark.parametrize("bound", [1, 1000, 1 << 40])
def test_what_is_encoded_is_parsed_again(derive, bound: int) -> None:  # type: ignore[no-untyped-def]
    lattice = derive(3, bound, 100).lattice
    key, _ = key_of(lattice)
    parsed = PublicContext.parse(key.public.encoded, lattice)
    assert (parsed.residues == key.public.residues).all()
    assert parsed.digest == hashlib.sha256(key.public.encoded).digest()
    assert len(key.public.encoded) == context_size(lattice)
    assert key.public.encoded[HEAD : HEAD + 8].hex() not in repr(parsed)


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", "something else"),
        (GOOD[:20], "something else"),
        (b"X" + GOOD[1:], "something else"),
        (GOOD[:8] + b"\x00" + GOOD[9:], "with a public key"),
        (GOOD[:8] + b"\x05" + GOOD[9:], "with a public key"),
        (GOOD[:9] + bytes(32) + GOOD[41:], "parameters"),
        (GOOD[:-1], "bytes, got"),
        (GOOD + b"\x00", "bytes, got"),
        (GOOD[:HEAD] + b"\xff" * (len(GOOD) - HEAD), "below their primes"),
        (GOOD[:HEAD] + bytes(len(GOOD) - HEAD), "encrypts nothing"),
    ],
)
def test_malformed_contexts_are_refused(encoded: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        PublicContext.parse(encoded, LATTICE)


def test_a_context_of_other_parameters_is_refused() -> None:
    for other in (derive_bfv(6, 1 << 40, 9000).lattice, derive_ckks(5, 1 << 30, 9000).lattice):
        with pytest.raises(DecodeError, match="others"):
            PublicContext.parse(GOOD, other)


def test_a_context_with_a_secret_is_told_apart() -> None:
    key, _ = key_of(LATTICE)
    assert key.seed.reveal() in key.encode()
    with pytest.raises(SecretInContext, match="holds a secret key"):
        PublicContext.parse(key.encode(), LATTICE)
