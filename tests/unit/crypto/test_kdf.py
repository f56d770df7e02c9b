from __future__ import annotations

import hashlib
import hmac
import itertools
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from secagg.crypto import kdf
from secagg.types import Secret, client

VECTORS = Path(__file__).parents[2] / "vectors" / "rfc5869-hkdf" / "rfc-5869-HKDF-SHA256.txt"


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 from its definition, as an oracle."""
    key = hmac.digest(salt or bytes(32), secret, "sha256")
    block, output = b"", b""
    for counter in itertools.count(1):
        if len(output) >= length:
            return output[:length]
        block = hmac.digest(key, block + info + bytes((counter,)), "sha256")
        output += block
    raise AssertionError


def test_the_oracle_is_rfc_5869() -> None:
    cases = re.split(r"COUNT = \d+", VECTORS.read_text())[1:]
    assert len(cases) == 3
    for case in cases:
        fields = dict(re.findall(r"^(\w+) *= *(\w*)", case, re.MULTILINE))
        secret, salt, info = (bytes.fromhex(fields[name]) for name in ("IKM", "salt", "info"))
        assert hkdf(secret, salt, info, int(fields["L"])).hex() == fields["OKM"]
        assert kdf._hkdf(secret, salt, info, int(fields["L"])).hex() == fields["OKM"]


@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 65, 255 * 32])
def test_every_length_is_that_of_another_implementation(length: int) -> None:
    secret, salt, info = b"secret" * 9, b"salt" * 20, b"info" * 100
    other = HKDF(hashes.SHA256(), length, salt, info).derive(secret)
    assert kdf._hkdf(secret, salt, info, length) == other == hkdf(secret, salt, info, length)


def test_no_more_than_255_blocks() -> None:
    with pytest.raises(ValueError, match="8160"):
        kdf.derive(Secret(b"s"), context=b"c", purpose=kdf.Purpose.CHANNEL, length=255 * 32 + 1)


def test_a_commitment_is_what_a_key_would_be() -> None:
    opening, purpose, parties = bytes(range(56)), kdf.Purpose.SHARE_COMMITMENT, (client(3),)
    key = kdf.derive(
        Secret(opening), context=b"c", purpose=purpose, parties=parties, details=(b"d",)
    )
    assert key.reveal() == kdf.commit(
        opening, context=b"c", purpose=purpose, parties=parties, details=(b"d",)
    )


def test_derivation_is_hkdf_over_the_framed_context() -> None:
    def framed(*parts: bytes) -> bytes:
        return b"".join(len(part).to_bytes(8, "big") + part for part in parts)

    secret, context = bytes(range(40)), hashlib.sha256(b"context").digest()
    derived = kdf.derive(
        Secret(secret),
        context=context,
        purpose=kdf.Purpose.PAIR_MASK,
        parties=(client(1), client(70_000)),
        details=(b"a", b"bc"),
        length=44,
    )
    info = framed(
        b"secagg kdf v1",
        b"pair mask",
        b"\1\0\0\0\1" + b"\1\0\1\x11\x70",
        framed(b"a", b"bc"),
        (44).to_bytes(4, "big"),
    )
    assert derived.reveal() == hkdf(secret, context, info, 44)


def test_everything_named_changes_the_key() -> None:
    secret = Secret(bytes(32))
    variants = [
        kdf.derive(
            chosen, context=context, purpose=purpose, parties=parties, details=details, length=n
        ).reveal()[:16]
        for chosen in (secret, Secret(b"\1" * 32))
        for context in (bytes(32), b"\1" * 32)
        for purpose in kdf.Purpose
        for parties in ((), (client(1),), (client(1), client(2)), (client(2), client(1)))
        for details in ((), (b"",), (b"a", b"b"), (b"ab",))
        for n in (16, 32)
    ]
    assert len(set(variants)) == len(variants)


def test_purposes_are_distinct() -> None:
    assert len({purpose.value for purpose in kdf.Purpose}) == len(kdf.Purpose)
