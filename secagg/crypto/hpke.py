"""HPKE in base mode (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one message.

Sealing is written out here because the library below draws the ephemeral key itself, and a party
restored from its records must send the same bytes again. Opening is the library's. There is no
associated data: everything that a ciphertext must be bound to goes into `info`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from secagg.crypto.agreement import PUBLIC_KEY_BYTES, SEED_BYTES, PrivateKey
from secagg.errors import VerificationError
from secagg.types import Rng, Secret

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = PUBLIC_KEY_BYTES + TAG_BYTES


class _Aead(NamedTuple):
    """An AEAD by its number (section 7.3), with the bytes of its key. Here it is always AES-GCM."""

    number: int
    key_bytes: int

    @property
    def suite_id(self) -> bytes:
        return b"HPKE" + b"".join(code.to_bytes(2, "big") for code in (0x0020, 1, self.number))


_AES_256_GCM: Final = _Aead(2, 32)
_KEM_ID: Final = b"KEM" + (0x0020).to_bytes(2, "big")
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_BASE_MODE: Final = b"\0"


class OpeningKey:
    """The private half of a key to which others seal. It has no repr and is not serialised."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: Secret) -> None:
        self._key = X25519PrivateKey.from_private_bytes(seed.reveal())
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def open(self, sealed: bytes, info: bytes) -> Secret:
        """The plaintext.

        Raises:
            VerificationError: too short, changed, or sealed to another key or for another purpose.
        """
        if len(sealed) < OVERHEAD_BYTES:
            raise VerificationError(
                f"an HPKE message has at least {OVERHEAD_BYTES} bytes, got {len(sealed)}"
            )
        try:
            return Secret(_SUITE.decrypt(sealed, self._key, info=info))
        except (InvalidTag, ValueError):
            raise VerificationError(
                "an HPKE message does not open: changed, or sealed to another key or for another"
                " purpose"
            ) from None

    def __repr__(self) -> str:
        return "OpeningKey(...)"


def seal(public: bytes, plaintext: bytes, info: bytes, rng: Rng) -> bytes:
    """The ephemeral public key and the ciphertext: `len(plaintext) + 48` bytes.

    Raises:
        VerificationError: `public` is not 32 bytes, or of low order.
    """
    return _seal(_AES_256_GCM, public, plaintext, b"", info, rng)


def _seal(
    aead: _Aead, public: bytes, plaintext: bytes, associated: bytes, info: bytes, rng: Rng
) -> bytes:
    """As `seal`, with what the RFC's vectors have besides: other AEADs, and associated data."""
    ephemeral = PrivateKey(Secret(rng.bytes(SEED_BYTES)))
    secret, context = _schedule(aead, _encapsulate(ephemeral, public), info)
    key = _expand(aead.suite_id, secret, b"key", context, aead.key_bytes)
    nonce = _expand(aead.suite_id, secret, b"base_nonce", context, NONCE_BYTES)
    return ephemeral.public + AESGCM(key).encrypt(nonce, plaintext, associated)


def _encapsulate(ephemeral: PrivateKey, public: bytes) -> bytes:
    """The shared secret of section 4.1, for a given ephemeral key."""
    agreed = ephemeral.agree(public)
    prk = _extract(_KEM_ID, b"", b"eae_prk", agreed.reveal())
    return _expand(_KEM_ID, prk, b"shared_secret", ephemeral.public + public, 32)


def _schedule(aead: _Aead, shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    """The secret behind all keys, and their context: base mode of section 5.1."""
    context = (
        _BASE_MODE
        + _extract(aead.suite_id, b"", b"psk_id_hash", b"")
        + _extract(aead.suite_id, b"", b"info_hash", info)
    )
    return _extract(aead.suite_id, shared, b"secret", b""), context


def _extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    """LabeledExtract of RFC 9180, section 4."""
    state = hmac.HMAC(salt or bytes(32), hashes.SHA256())
    state.update(b"HPKE-v1" + suite + label + material)
    return state.finalize()


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """LabeledExpand of RFC 9180, section 4."""
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return HKDFExpand(algorithm=hashes.SHA256(), length=length, info=labelled).derive(key)
