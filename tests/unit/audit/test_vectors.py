"""Our own known answers, computed anew in plain Python; and wrong primitives are found by them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.audit import plain_crypto as plain

from secagg import kernels, protocols
from secagg.audit.checks import vectors
from secagg.audit.engine import hold
from secagg.audit.library import ProtocolSubject
from secagg.audit.registry import Settings
from secagg.audit.verdicts import Result, Verdict
from secagg.crypto import aead, hpke, kdf, shamir
from secagg.crypto.agreement import PrivateKey
from secagg.errors import CannotTell
from secagg.protocol import Level
from secagg.types import Secret

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "secagg" / "audit" / "vectors"


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def test_the_files_are_what_their_script_makes() -> None:
    script = ROOT / "scripts" / "audit_vectors.py"
    subprocess.run([sys.executable, str(script), "--check"], check=True)  # noqa: S603


def test_the_plain_primitives_are_right_themselves() -> None:
    """FIPS 197, appendix C; RFC 7748, section 5.2; RFC 5869, appendix A.1."""
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert plain.aes(bytes(range(16)), block).hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"
    assert plain.aes(bytes(range(32)), block).hex() == "8ea2b7ca516745bfeafc49904b496089"
    nine = (9).to_bytes(32, "little")
    assert plain.x25519(nine, nine).hex() == (
        "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
    )
    made = plain.hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
    assert made.hex().startswith("3cb25f25faacd57a90434f64d0362f2a")


@pytest.mark.parametrize("vector", load("shamir.json"))
def test_shamir_in_plain_python(vector: dict[str, Any]) -> None:
    sizes = (7, 7, 7, 7, 4)
    threshold = vector["threshold"]
    for start in range(len(vector["holders"]) - threshold + 1):
        secret = b""
        for limb, size in enumerate(sizes):
            points = {
                holder + 1: int.from_bytes(bytes.fromhex(share)[8 * limb : 8 * limb + 8], "little")
                for holder, share in zip(vector["holders"], vector["shares"], strict=True)
            }
            assert all(value < plain.FIELD for value in points.values())
            chosen = dict(list(points.items())[start : start + threshold])
            secret += plain.interpolate(chosen).to_bytes(size, "little")
        assert secret.hex() == vector["secret"]


def derive(secret: bytes, context: bytes, label: bytes, parties: list[int], *details: bytes) -> Any:
    """The derivation of docs and decisions: label, purpose, parties, details, length."""

    def made(length: int) -> bytes:
        who = b"".join(b"\x01" + number.to_bytes(4, "big") for number in parties)
        info = plain.framed(b"secagg kdf v1", label) + plain.framed(
            who, plain.framed(*details), length.to_bytes(4, "big")
        )
        return plain.hkdf(secret, context, info, length)

    return made


@pytest.mark.parametrize(
    "vector", load("secagg.json"), ids=lambda one: f"{one['key_bits']}-{one['ring_bits']}"
)
def test_masks_in_plain_python(vector: dict[str, Any]) -> None:
    session, transcript = bytes.fromhex(vector["session"]), bytes.fromhex(vector["transcript"])
    bits, key_bytes = vector["ring_bits"], vector["key_bits"] // 8
    lane = next(lane for lane in (16, 32, 64) if lane >= bits)
    nine = (9).to_bytes(32, "little")
    publics, scalars = [], []
    for one in vector["clients"]:
        seed = bytes.fromhex(one["mask_seed"])
        scalars.append(derive(seed, session, b"mask keypair", [one["number"]])(32))
        publics.append(plain.x25519(scalars[-1], nine))
        assert publics[-1].hex() == one["mask_public"]
    agreed = plain.x25519(scalars[0], publics[1])
    assert agreed == plain.x25519(scalars[1], publics[0])
    assert agreed.hex() == vector["agreed"]
    numbers = [one["number"] for one in vector["clients"]]
    for one, sign in zip(vector["clients"], (-1, 1), strict=True):
        length = len(one["input"])
        of_vector = (
            *(b"secagg", b"update", bytes([lane]), bytes([bits])),
            length.to_bytes(8, "big"),
        )
        own = derive(
            bytes.fromhex(one["self_seed"]), transcript, b"self mask", [one["number"]], *of_vector
        )(key_bytes + 12)
        pair = derive(agreed, transcript, b"pair mask", numbers, *of_vector, *publics)(
            key_bytes + 12
        )
        size = lane // 8
        streams = [
            plain.keystream(key[:key_bytes], key[key_bytes:], length * size) for key in (own, pair)
        ]
        masked = []
        for place, value in enumerate(one["input"]):
            mine, shared = (
                int.from_bytes(stream[place * size : (place + 1) * size], "little")
                for stream in streams
            )
            masked.append((value + mine + sign * shared) % (1 << bits))
        assert masked == one["masked"]


def results() -> dict[str, Result]:
    subject = ProtocolSubject(protocols.get("secagg"), Level.CURIOUS)
    held = hold(subject, vectors.CHECKS, Settings())
    return {one.id: one for one in held if one.group == "vectors"}


def test_this_installation_knows_all_answers() -> None:
    assert {one.verdict for one in results().values()} == {Verdict.PASS}


def another_byte(value: bytes) -> bytes:
    return value[:-1] + bytes([value[-1] ^ 1]) if value else b"?"


def _wrong_masks(real: Callable[..., Any]) -> Callable[..., Any]:
    def apply(vector: Any, streams: Any) -> None:
        real(vector, streams)
        np.add(vector, vector.dtype.type(1), out=vector)

    return apply


def _wrong_agreement(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, public: Secret(another_byte(real(self, public).reveal()))


def _wrong_bytes(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *words, **named: another_byte(real(*words, **named))


def _wrong_secret(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *words: Secret(another_byte(real(*words).reveal()))


def _wrong_secrets(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *words: [Secret(another_byte(one.reveal())) for one in real(*words)]


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "failing"),
    [
        (kernels, "apply_masks", _wrong_masks, {"vectors.aes-ctr", "vectors.secagg"}),
        (
            PrivateKey,
            "agree",
            _wrong_agreement,
            {"vectors.x25519", "vectors.secagg", "vectors.hpke"},
        ),
        (kdf, "_hkdf", _wrong_bytes, {"vectors.hkdf", "vectors.secagg"}),
        (aead, "open_sealed", _wrong_secret, {"vectors.aes-gcm"}),
        (hpke, "_seal", _wrong_bytes, {"vectors.hpke"}),
        (shamir, "combine", _wrong_secrets, {"vectors.shamir"}),
    ],
)
def test_a_wrong_primitive_is_found(
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    wrong: Callable[[Any], Any],
    failing: set[str],
) -> None:
    monkeypatch.setattr(owner, name, wrong(getattr(owner, name)))
    found = {one.id for one in results().values() if one.verdict is Verdict.FAIL}
    assert found == failing


def test_a_verifier_that_accepts_anything_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Credulous:
        @classmethod
        def from_public_bytes(cls, data: bytes) -> Credulous:
            return cls()

        def verify(self, signature: bytes, data: bytes) -> None:
            pass

    monkeypatch.setattr(vectors, "Ed25519PublicKey", Credulous)
    assert results()["vectors.ed25519"].verdict is Verdict.FAIL


def test_missing_answers_are_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> str:
        raise CannotTell(f"the known answers in {name} cannot be read")

    monkeypatch.setattr(vectors, "_text", gone)
    assert {one.verdict for one in results().values()} == {Verdict.INCONCLUSIVE}
    monkeypatch.setattr(vectors, "_text", lambda name: '{"testGroups": []}')
    found = results()["vectors.x25519"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no known answers" in found.evidence
