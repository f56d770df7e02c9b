"""What the parties sign, hash and seal to: each statement in one place, for both sides."""

from __future__ import annotations

import hashlib
from typing import Final

from secagg import kernels
from secagg.crypto.digest import digest, encode_party, join_framed
from secagg.protocol import Session
from secagg.types import PartyId, Ring, RingVector

UPLOAD_CONTEXT: Final = "enclave upload"
RECORD_CONTEXT: Final = "enclave record"


def enforced(session: Session) -> bytes:
    """The configuration of the enclave: the plan with its minimum, and the roster with its keys."""
    return digest("enclave configuration", session.plan.digest, session.roster.digest)


def report_data(session: Session, sealing_key: bytes, record_key: bytes, expiry: bytes) -> bytes:
    """What the quote must say: these keys, this long, in this session alone, under this policy."""
    return digest(
        "enclave report data",
        session.nonce,
        expiry,
        session.id,
        sealing_key,
        record_key,
        enforced(session),
        session.roster.digest,
    )


def bound_to(session: Session, owner: PartyId, quote: bytes) -> bytes:
    """The one place for which a client's vector is sealed."""
    return join_framed(
        b"secagg enclave seal v1", session.id, session.roster.digest, encode_party(owner), quote
    )


def upload_statement(session: Session, quote: bytes, sealed_key: bytes, tail: memoryview) -> bytes:
    """What a client signs."""
    content = hashlib.sha256(sealed_key)
    content.update(tail)
    return join_framed(session.id, quote, content.digest())


def record_statement(session: Session, members: bytes, summary: bytes) -> bytes:
    """What the enclave signs: the bitmap of the members, and the digest of the total."""
    return join_framed(session.id, members, summary)


def total_digest(total: RingVector, ring: Ring) -> bytes:
    """By which a client recognises the total, should it be given it."""
    return digest("enclave total", bytes(kernels.pack(total, ring)))
