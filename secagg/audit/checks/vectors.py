"""Whether the primitives of this installation give the answers that are known.

They are tried as the library uses them, on the machine and the kernels at hand. The files are in
`secagg/audit/vectors`; SOURCE.md there says where each is from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, Final

import msgspec
import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from secagg import kernels
from secagg.audit.registry import Check, Settings
from secagg.audit.subject import Subject
from secagg.audit.verdicts import Judgement, Severity, failed, passed
from secagg.crypto import aead, hpke, kdf, shamir
from secagg.crypto.agreement import PrivateKey
from secagg.crypto.prg import mask_stream
from secagg.errors import CannotTell, SecaggError
from secagg.kernels import MaskStream
from secagg.types import Ring, Secret, client

_BLOCK: Final = 16
_IV: Final = 12


def _text(name: str) -> str:
    try:
        return (resources.files("secagg.audit") / "vectors" / name).read_text(encoding="utf-8")
    except OSError as error:
        raise CannotTell(f"the known answers in {name} cannot be read: {error}") from None


def _json(name: str) -> Any:
    return msgspec.json.decode(_text(name))


def _records(name: str) -> Iterator[dict[str, str]]:
    """The records of a file of `NAME = value` lines, each begun by a COUNT."""
    record: dict[str, str] = {}
    for line in _text(name).splitlines():
        key, sign, value = line.partition("=")
        if sign:
            if key.strip() == "COUNT" and record:
                yield record
                record = {}
            record[key.strip()] = value.strip()
    yield record


def _groups(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Wycheproof's tests with their groups."""
    for group in _json(name)["testGroups"]:
        for test in group["tests"]:
            yield group, test


def _counted(tries: Iterator[str]) -> Judgement:
    """A verdict from one word per answer: nothing where it is right, else what is wrong."""
    words = list(tries)
    bad = [f"number {number}: {word}" for number, word in enumerate(words) if word]
    if bad:
        return failed(f"{len(bad)} of {len(words)} answers are wrong; {bad[0]}")
    if not words:
        raise CannotTell("the file has no known answers")
    return passed(f"known answers: {len(words)}")


def _aes_ctr() -> Iterator[str]:
    # RFC 3686 counts from 1 and the masks from 0, so the first block of a stream is left out.
    for name in ("aes-128-ctr.txt", "aes-256-ctr.txt"):
        for record in _records(name):
            key, block, plain, cipher = (
                bytes.fromhex(record[field]) for field in ("KEY", "IV", "PLAINTEXT", "CIPHERTEXT")
            )
            lanes = -(-(_BLOCK + len(plain)) // 8)
            vector = np.zeros(lanes, dtype=np.uint64)
            kernels.apply_masks(vector, [MaskStream(key, block[:_IV], 1)])
            stream = vector.astype("<u8").tobytes()[_BLOCK : _BLOCK + len(plain)]
            made = bytes(a ^ b for a, b in zip(stream, plain, strict=True))
            yield "" if made == cipher else "another keystream"


def _x25519() -> Iterator[str]:
    for _, test in _groups("x25519_test.json"):
        private, public, shared = (bytes.fromhex(test[n]) for n in ("private", "public", "shared"))
        try:
            agreed = PrivateKey(Secret(private)).agree(public).reveal()
        except SecaggError:
            # Low order and aliases are refused on purpose; a valid test is neither.
            yield "refused" if test["result"] == "valid" else ""
            continue
        yield "" if agreed == shared and any(shared) else "another secret"


def _ed25519() -> Iterator[str]:
    for group, test in _groups("ed25519_test.json"):
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(group["publicKey"]["pk"]))
        try:
            key.verify(bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"]))
        except (InvalidSignature, ValueError):
            yield "refused" if test["result"] == "valid" else ""
        else:
            yield "" if test["result"] == "valid" else "accepted"


def _hkdf() -> Iterator[str]:
    for record in _records("rfc-5869-HKDF-SHA256.txt"):
        material, salt, info, expected = (
            bytes.fromhex(record.get(field, "")) for field in ("IKM", "salt", "info", "OKM")
        )
        made = kdf._hkdf(material, salt, info, int(record["L"]))
        yield "" if made == expected else "another key"


def _aes_gcm() -> Iterator[str]:
    for group, test in _groups("aes_gcm_test.json"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        key, nonce, bound, plain, cipher, tag = (
            bytes.fromhex(test[field]) for field in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        try:
            opened = aead.open_sealed(Secret(key), nonce + cipher + tag, bound).reveal()
        except SecaggError:
            yield "refused" if test["result"] == "valid" else ""
        else:
            right = test["result"] == "valid" and opened == plain
            yield "" if right else "opened to something else, or at all"


class _Given:
    """An Rng with one answer."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def bytes(self, count: int) -> bytes:
        return self._answer


def _hpke() -> Iterator[str]:
    for vector in _json("hpke_x25519_hkdf-sha256_aes256gcm.json"):
        if vector["mode"]:
            continue
        names = ("skEm", "pkRm", "info", "enc")
        ephemeral, public, info, enc = (bytes.fromhex(vector[name]) for name in names)
        first = vector["encryptions"][0]
        plain, bound, cipher = (bytes.fromhex(first[name]) for name in ("pt", "aad", "ct"))
        rng = _Given(ephemeral)
        made = hpke._seal(hpke._AES_256_GCM, public, plain, bound, info, rng)
        yield "" if made == enc + cipher else "another ciphertext"


def _shamir() -> Iterator[str]:
    for vector in _json("shamir.json"):
        threshold, secret = vector["threshold"], bytes.fromhex(vector["secret"])
        rows = [shamir.decode_shares(bytes.fromhex(share)) for share in vector["shares"]]
        holders = vector["holders"]
        for start in range(len(holders) - threshold + 1):
            chosen = slice(start, start + threshold)
            shares = np.concatenate(rows[chosen])[None]
            (found,) = shamir.combine(shares, holders[chosen])
            yield "" if found.reveal() == secret else "another secret"


def _secagg() -> Iterator[str]:
    for vector in _json("secagg.json"):
        session, transcript = (bytes.fromhex(vector[n]) for n in ("session", "transcript"))
        ring = Ring(vector["ring_bits"])
        keys = []
        for one in vector["clients"]:
            seed = Secret(bytes.fromhex(one["mask_seed"]))
            who = (client(one["number"]),)
            purpose = kdf.Purpose.MASK_KEYPAIR
            keys.append(PrivateKey(kdf.derive(seed, context=session, purpose=purpose, parties=who)))
            right = keys[-1].public.hex() == one["mask_public"]
            yield "" if right else "another public key"
        agreed = keys[0].agree(keys[1].public)
        yield "" if agreed.reveal().hex() == vector["agreed"] else "another secret"
        pair = tuple(client(one["number"]) for one in vector["clients"])
        for one, sign in zip(vector["clients"], (-1, 1), strict=True):
            masked = np.array(one["input"], dtype=ring.dtype)
            common: dict[str, Any] = {
                "context": transcript,
                "protocol": "secagg",
                "ring": ring,
                "length": masked.size,
                "key_bits": vector["key_bits"],
            }
            own = mask_stream(
                Secret(bytes.fromhex(one["self_seed"])),
                purpose=kdf.Purpose.SELF_MASK,
                parties=(client(one["number"]),),
                sign=1,
                **common,
            )
            shared = mask_stream(
                agreed,
                purpose=kdf.Purpose.PAIR_MASK,
                parties=pair,
                details=tuple(key.public for key in keys),
                sign=sign,
                **common,
            )
            kernels.apply_masks(masked, [own, shared])
            kernels.ring_reduce(masked, ring)
            yield "" if masked.tolist() == one["masked"] else "another masked vector"


def _judge(tries: Callable[[], Iterator[str]]) -> Callable[[Subject, Settings], Judgement]:
    return lambda subject, settings: _counted(tries())


CHECKS: Final = tuple(
    Check(
        id=f"vectors.{name}",
        claim=f"{what} of this installation gives the known answers",
        method=f"known answers, refusals among them where there are any: {source}",
        judge=_judge(tries),
        severity=Severity.CRITICAL,
        kinds=frozenset(("protocol",)),
        source=source,
        elsewhere="known answers try this library's primitives, not those of others",
    )
    for name, what, source, tries in (
        ("aes-ctr", "the AES-CTR of the masks", "RFC 3686", _aes_ctr),
        ("x25519", "X25519", "Wycheproof", _x25519),
        ("ed25519", "Ed25519", "Wycheproof", _ed25519),
        ("hkdf", "HKDF-SHA256", "RFC 5869", _hkdf),
        ("aes-gcm", "AES-256-GCM", "Wycheproof", _aes_gcm),
        ("hpke", "HPKE", "RFC 9180", _hpke),
        ("shamir", "Shamir sharing", "secagg/audit/vectors", _shamir),
        ("secagg", "masking", "secagg/audit/vectors", _secagg),
    )
)
