from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from secagg.crypto import aead
from secagg.crypto.rng import seeded
from secagg.errors import VerificationError
from secagg.types import SERVER, Secret, client

VECTORS = Path(__file__).parents[2] / "vectors" / "wycheproof" / "aes_gcm_test.json"


def test_wycheproof() -> None:
    groups = json.loads(VECTORS.read_text())["testGroups"]
    used = 0
    for group in groups:
        if (group["ivSize"], group["keySize"], group["tagSize"]) != (96, 256, 128):
            continue
        for test in group["tests"]:
            used += 1
            key = Secret(bytes.fromhex(test["key"]))
            sealed = bytes.fromhex(test["iv"] + test["ct"] + test["tag"])
            bound_to = bytes.fromhex(test["aad"])
            if test["result"] == "valid":
                opened = aead.open_sealed(key, sealed, bound_to)
                assert opened.reveal().hex() == test["msg"]
            else:
                with pytest.raises(VerificationError, match="does not open"):
                    aead.open_sealed(key, sealed, bound_to)
    assert used > 60


def test_a_ciphertext_is_good_in_one_place_only() -> None:
    places = [
        aead.associated_data(protocol, transcript, step, sender, receiver)
        for protocol, transcript, step, sender, receiver in itertools.product(
            ("secagg", "secagg_plus"),
            (bytes(32), b"\1" * 32),
            ("share keys", "other"),
            (client(1), client(2)),
            (client(1), client(2), SERVER),
        )
    ]
    assert len(set(places)) == len(places)
    key, rng = Secret(bytes(range(32))), seeded(1)
    sealed = aead.seal(key, b"shares", places[0], rng)
    assert aead.open_sealed(key, sealed, places[0]).reveal() == b"shares"
    for place in places[1:]:
        with pytest.raises(VerificationError):
            aead.open_sealed(key, sealed, place)


def test_short_and_changed_ciphertexts_are_refused() -> None:
    key, rng = Secret(bytes(range(32))), seeded(1)
    sealed = aead.seal(key, b"", b"here", rng)
    assert len(sealed) == aead.OVERHEAD_BYTES
    with pytest.raises(VerificationError, match="at least 28 bytes, got 27"):
        aead.open_sealed(key, sealed[:-1], b"here")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(VerificationError):
            aead.open_sealed(key, bytes(changed), b"here")


def test_nonces_are_fresh() -> None:
    key, rng = Secret(bytes(range(32))), seeded(1)
    nonces = {aead.seal(key, b"x", b"", rng)[: aead.NONCE_BYTES] for _ in range(1000)}
    assert len(nonces) == 1000
