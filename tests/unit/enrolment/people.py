"""Keys, a document and its signed form, for tests."""

from __future__ import annotations

from secagg.crypto.rng import seeded
from secagg.crypto.signing import SigningKey
from secagg.enrolment import Document, KeyRole, PublicKey, sign
from secagg.types import Secret

START, END = 1_000, 2_000
NOW = 1_500


def signing_key(number: int) -> SigningKey:
    return SigningKey(Secret(seeded(number).bytes(32)))


AUTHORITY = signing_key(1_000)
OTHER_AUTHORITY = signing_key(1_001)


def public(number: int, name: str | None = None, role: KeyRole = KeyRole.CLIENT) -> PublicKey:
    return PublicKey(role, signing_key(number).public, name or f"site-{number}")


def document(count: int = 4) -> Document:
    return Document.empty("hospitals").adding([public(number) for number in range(count)])


def signed(contents: Document | None = None, key: SigningKey = AUTHORITY) -> bytes:
    return sign(contents or document(), key, not_before=START, not_after=END)
