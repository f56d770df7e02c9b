from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from secagg.crypto import hpke
from secagg.crypto.rng import seeded
from secagg.errors import VerificationError
from secagg.types import Secret

KEY = hpke.OpeningKey(Secret(bytes(range(32))))
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@pytest.mark.parametrize("size", [0, 1, 32, 1000])
@pytest.mark.parametrize("info", [b"", b"here", bytes(500)])
def test_the_library_opens_what_is_sealed_here(size: int, info: bytes) -> None:
    """The library's own implementation of RFC 9180 is the oracle, in both directions."""
    plaintext = bytes(range(256))[:size] if size <= 256 else bytes(size)
    sealed = hpke.seal(KEY.public, plaintext, info, seeded(1))
    assert len(sealed) == size + hpke.OVERHEAD_BYTES
    assert KEY.open(sealed, info).reveal() == plaintext
    foreign = SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(KEY.public), info=info)
    assert KEY.open(foreign, info).reveal() == plaintext


def test_the_same_seed_seals_to_the_same_bytes() -> None:
    def sealed(seed: int) -> bytes:
        return hpke.seal(KEY.public, b"text", b"info", seeded(seed))

    assert sealed(1) == sealed(1) != sealed(2)


def test_what_is_changed_or_misplaced_does_not_open() -> None:
    sealed = hpke.seal(KEY.public, b"text", b"info", seeded(1))
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(VerificationError, match="does not open"):
            KEY.open(bytes(changed), b"info")
    with pytest.raises(VerificationError, match="does not open"):
        KEY.open(sealed, b"elsewhere")
    with pytest.raises(VerificationError, match="does not open"):
        hpke.OpeningKey(Secret(bytes(32))).open(sealed, b"info")
    with pytest.raises(VerificationError, match="at least 48 bytes"):
        KEY.open(sealed[:47], b"info")


def test_keys_of_low_order_are_refused() -> None:
    with pytest.raises(VerificationError, match="low order"):
        hpke.seal(bytes(32), b"text", b"", seeded(1))
    assert "..." in repr(KEY)
