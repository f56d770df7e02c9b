from __future__ import annotations

import pytest

from secagg.crypto.signing import SigningKey, verify
from secagg.errors import VerificationError
from secagg.types import Secret


def test_a_signature_is_good_for_one_key_context_and_statement() -> None:
    key, other = SigningKey(Secret(bytes(range(32)))), SigningKey(Secret(bytes(32)))
    signature = key.sign("advertise", b"keys")
    verify(key.public, signature, "advertise", b"keys")
    for public, sig, context, statement in (
        (other.public, signature, "advertise", b"keys"),
        (key.public, signature, "survivors", b"keys"),
        (key.public, signature, "advertise", b"key"),
        (key.public, signature[:-1], "advertise", b"keys"),
        (key.public, bytes(64), "advertise", b"keys"),
        (key.public[:-1], signature, "advertise", b"keys"),
    ):
        with pytest.raises(VerificationError, match="not a valid signature"):
            verify(public, sig, context, statement)
    assert repr(key) == "SigningKey(...)"
