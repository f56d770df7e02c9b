"""The messages of the enclave protocol, in the order in which they travel.

Every field is a byte string whose size follows from the plan. The set of members is a bitmap over
the plan's clients.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from secagg.attestation import EVIDENCE_BYTES
from secagg.crypto import chunked, hpke, signing
from secagg.types import Role
from secagg.wire import MAX_BODY_BYTES, Message, MessageTable, Tail

SEALED_KEY_BYTES: Final = chunked.KEY_BYTES + hpke.OVERHEAD_BYTES
EXPIRY_BYTES: Final = 8

Word = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[
    bytes, Meta(min_length=signing.SIGNATURE_BYTES, max_length=signing.SIGNATURE_BYTES)
]


class Attestation(Message, frozen=True):
    """Enclave to client: the quote, and what its report data cover.

    `expiry` is the last second since 1970 at which the quote may be used, big-endian.
    """

    KIND = 1
    SENDER = Role.ENCLAVE
    quote: Annotated[bytes, Meta(min_length=EVIDENCE_BYTES, max_length=EVIDENCE_BYTES)]
    sealing_key: Word
    record_key: Word
    expiry: Annotated[bytes, Meta(min_length=EXPIRY_BYTES, max_length=EXPIRY_BYTES)]


class SealedVector(Message, frozen=True):
    """Client to enclave: the sealed content key, a signature over all, the sealed vector."""

    KIND = 2
    SENDER = Role.CLIENT
    sealed_key: Annotated[bytes, Meta(min_length=SEALED_KEY_BYTES, max_length=SEALED_KEY_BYTES)]
    signature: Signature
    tail: Tail


class MemberRecord(Message, frozen=True):
    """Enclave to client: who is in the sum, and the digest of the total, signed."""

    KIND = 3
    SENDER = Role.ENCLAVE
    members: Annotated[bytes, Meta(max_length=MAX_BODY_BYTES)]
    total_digest: Word
    signature: Signature


TABLE: Final = MessageTable((Attestation, SealedVector, MemberRecord))
