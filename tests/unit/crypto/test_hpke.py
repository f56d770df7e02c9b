from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from secagg.crypto import hpke
from secagg.crypto.agreement import PrivateKey
from secagg.crypto.rng import seeded
from secagg.errors import VerificationError
from secagg.types import Secret

KEY = hpke.OpeningKey(Secret(bytes(range(32))))
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
VECTORS = Path(__file__).parents[2] / "vectors" / "hpke-rfc9180"
BASE = 0
AEADS = {1: hpke._Aead(1, 16), 2: hpke._AES_256_GCM, 0xFFFF: hpke._Aead(0xFFFF, 0)}


class Given:
    """An Rng that has one answer: the ephemeral key of a vector."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def bytes(self, count: int) -> bytes:
        assert count == len(self._answer)
        return self._answer


def vectors(name: str) -> list[dict[str, Any]]:
    """Those of base mode, the only one here; byte strings decoded."""
    path = VECTORS / f"hpke_x25519_hkdf-sha256_{name}.json"
    found = [_decoded(vector) for vector in json.loads(path.read_text())]
    assert [vector["mode"] for vector in found] == [0, 1, 2, 3]
    return [vector for vector in found if vector["mode"] == BASE]


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _decoded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_decoded(part) for part in value]
    return bytes.fromhex(value) if isinstance(value, str) else value


@pytest.mark.parametrize("name", ["aes128gcm", "aes256gcm", "exportonly"])
def test_the_key_schedule_is_that_of_the_rfc(name: str) -> None:
    """Every intermediate value; the exporter, which nothing here needs, follows from the last."""
    (vector,) = vectors(name)
    assert (vector["kem_id"], vector["kdf_id"]) == (0x0020, 1)
    aead = AEADS[vector["aead_id"]]
    ephemeral = PrivateKey(Secret(vector["skEm"]))
    assert ephemeral.public == vector["pkEm"] == vector["enc"]
    shared = hpke._encapsulate(ephemeral, vector["pkRm"])
    assert shared == vector["shared_secret"]
    secret, context = hpke._schedule(aead, shared, vector["info"])
    assert secret == vector["secret"]
    assert context == vector["key_schedule_context"]
    exporter = hpke._expand(aead.suite_id, secret, b"exp", context, 32)
    assert exporter == vector["exporter_secret"]
    assert len(vector["exports"]) == 3
    for export in vector["exports"]:
        info, length = export["exporter_context"], export["L"]
        found = hpke._expand(aead.suite_id, exporter, b"sec", info, length)
        assert found == export["exported_value"]


@pytest.mark.parametrize("name", ["aes128gcm", "aes256gcm"])
def test_sealing_gives_the_bytes_of_the_rfc(name: str) -> None:
    """A sealed message is the first of a context, under the suite used here and under a neighbour.

    Later messages of a context are not made here; they show that key and nonce are right.
    """
    (vector,) = vectors(name)
    aead = AEADS[vector["aead_id"]]
    first, *later = vector["encryptions"]
    assert first["seq"] == 0
    assert [message["seq"] for message in later] == [1, 2, 4, 255, 256]
    sealed = hpke._seal(
        aead, vector["pkRm"], first["pt"], first["aad"], vector["info"], Given(vector["skEm"])
    )
    assert sealed == vector["enc"] + first["ct"]
    ephemeral = PrivateKey(Secret(vector["skEm"]))
    shared = hpke._encapsulate(ephemeral, vector["pkRm"])
    secret, context = hpke._schedule(aead, shared, vector["info"])
    key = hpke._expand(aead.suite_id, secret, b"key", context, aead.key_bytes)
    nonce = hpke._expand(aead.suite_id, secret, b"base_nonce", context, hpke.NONCE_BYTES)
    assert (key, nonce) == (vector["key"], vector["base_nonce"])
    for message in vector["encryptions"]:
        own = int.from_bytes(nonce, "big") ^ message["seq"]
        assert own.to_bytes(hpke.NONCE_BYTES, "big") == message["nonce"]
        ciphertext = AESGCM(key).encrypt(message["nonce"], message["pt"], message["aad"])
        assert ciphertext == message["ct"]


def test_the_keys_of_the_rfc_open() -> None:
    """The vectors' messages have associated data, of which opening, the library's, knows nothing.

    So it gets what the checked function seals without: from the vector's keys, for its info.
    """
    (vector,) = vectors("aes256gcm")
    plaintext, info = vector["encryptions"][0]["pt"], vector["info"]
    key = hpke.OpeningKey(Secret(vector["skRm"]))
    assert key.public == vector["pkRm"]
    sealed = hpke.seal(key.public, plaintext, info, Given(vector["skEm"]))
    assert sealed[: len(vector["enc"])] == vector["enc"]
    assert key.open(sealed, info).reveal() == plaintext
    with pytest.raises(VerificationError, match="does not open"):
        key.open(vector["enc"] + vector["encryptions"][0]["ct"], info)


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
