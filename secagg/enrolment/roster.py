"""A signed roster: bytes that a client believes because of a key that it pinned before.

The file is one MessagePack array: what it is, the document, the authority's public key and its
signature over the document. A draft has neither key nor signature.
"""

from __future__ import annotations

from typing import Final

import msgspec

from secagg.crypto import signing
from secagg.crypto.signing import PUBLIC_KEY_BYTES, SigningKey
from secagg.enrolment.document import MAX_TIME, Document
from secagg.enrolment.public import fingerprint
from secagg.enrolment.reason import Reason
from secagg.errors import DecodeError, ParameterError, RosterRefused, VerificationError
from secagg.protocol import Roster

FORMAT: Final = "secagg roster 1"
CONTEXT: Final = "roster of an authority"
MAX_ROSTER_BYTES: Final = 1 << 27


class _Signed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    format: str
    document: bytes
    authority: bytes
    signature: bytes


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Signed)


def draft(document: Document) -> bytes:
    """The file of a roster that nobody has signed."""
    return _ENCODER.encode(_Signed(FORMAT, document.encoded, b"", b""))


def inspect(data: bytes) -> tuple[Document, bytes]:
    """What a file says, and the authority that it claims (nothing for a draft). NOT verified.

    Raises:
        RosterRefused: malformed.
    """
    signed = _outer(data)
    return _inner(signed), signed.authority


def sign(
    document: Document,
    key: SigningKey,
    *,
    not_before: int,
    not_after: int,
    server: bytes | None = None,
) -> bytes:
    """The file of a signed roster.

    Args:
        document: who takes part, in which epoch.
        key: the authority's.
        not_before: first second of its validity, since 1970.
        not_after: last second of its validity.
        server: the server's public key, if it has one.

    Raises:
        ParameterError: no time, nobody in it, or the authority's key is the server's or a client's.
    """
    if not 0 < not_before < not_after <= MAX_TIME:
        raise ParameterError(
            f"a roster is valid for some time, not from second {not_before} to {not_after}"
        )
    if not document.members:
        raise ParameterError("a roster has at least one client that is not revoked")
    if server is not None and server == key.public:
        raise ParameterError(
            "the authority's key is the server's: a server that writes the roster chooses the"
            " clients, and nothing is left of what level malicious claims"
        )
    for entry in document.entries:
        if entry.key == key.public:
            raise ParameterError(f"the authority's key is that of {entry.name}, a client")
    document = msgspec.structs.replace(document, not_before=not_before, not_after=not_after)
    encoded = document.encoded
    signature = key.sign(CONTEXT, encoded)
    return _ENCODER.encode(_Signed(FORMAT, encoded, key.public, signature))


def verify(
    data: bytes,
    authority: bytes,
    *,
    at: int,
    at_least_epoch: int = 0,
    federation: str | None = None,
    server: bytes | None = None,
    previous: Document | None = None,
) -> Roster:
    """The protocol's roster, from bytes that anybody may have brought.

    With names and revoked entries, `inspect` has the contents of the same bytes.

    Args:
        data: the file.
        authority: the public key that the client pinned.
        at: seconds since 1970 by the client's own clock.
        at_least_epoch: the newest epoch that the client has seen.
        federation: whose roster it must be; None for any of this authority.
        server: the server's public key, if it has one.
        previous: the last roster that the client verified, if it kept it.

    Raises:
        RosterRefused: with the reason.
    """
    if server is not None and server == authority:
        raise RosterRefused(
            Reason.AUTHORITY_IS_SERVER, f"both have the key {fingerprint(authority)}"
        )
    signed = _outer(data)
    if not signed.authority:
        raise RosterRefused(Reason.UNSIGNED, f"expected a signature by {fingerprint(authority)}")
    if signed.authority != authority:
        raise RosterRefused(
            Reason.WRONG_AUTHORITY,
            f"expected {fingerprint(authority)}, got {fingerprint(signed.authority)}",
        )
    # Before anything in the document is looked at.
    try:
        signing.verify(authority, signed.signature, CONTEXT, signed.document)
    except VerificationError as error:
        raise RosterRefused(Reason.BAD_SIGNATURE, str(error)) from None
    document = _inner(signed)
    if not document.members:
        raise RosterRefused(Reason.MALFORMED, "nobody is in it")
    if authority in {entry.key for entry in document.entries}:
        raise RosterRefused(Reason.DUPLICATE_KEY, "the authority's key is also a client's")
    if federation is not None and document.federation != federation:
        raise RosterRefused(
            Reason.WRONG_FEDERATION, f"expected {federation!r}, got {document.federation!r}"
        )
    if at < document.not_before:
        raise RosterRefused(
            Reason.NOT_YET_VALID, f"valid from second {document.not_before}, it is {at}"
        )
    if at > document.not_after:
        raise RosterRefused(Reason.EXPIRED, f"valid to second {document.not_after}, it is {at}")
    if document.epoch < at_least_epoch:
        raise RosterRefused(
            Reason.ROLLBACK, f"expected at least epoch {at_least_epoch}, got {document.epoch}"
        )
    if previous is not None:
        check_successor(previous, document)
    return document.roster(authority)


def check_successor(previous: Document, document: Document) -> None:
    """Refuse a roster that contradicts an earlier one.

    Raises:
        RosterRefused: of another federation, an older epoch, the same epoch with other entries, or
            with an entry that was taken away, changed or un-revoked.
    """
    if document.federation != previous.federation:
        raise RosterRefused(
            Reason.WRONG_FEDERATION,
            f"expected {previous.federation!r}, got {document.federation!r}",
        )
    if document.epoch < previous.epoch:
        raise RosterRefused(
            Reason.ROLLBACK, f"epoch {previous.epoch} was seen, got {document.epoch}"
        )
    if document.epoch == previous.epoch and document.entries != previous.entries:
        raise RosterRefused(
            Reason.CHANGED_HISTORY, f"epoch {document.epoch} was seen with other entries"
        )
    if len(document.entries) < len(previous.entries):
        raise RosterRefused(
            Reason.CHANGED_HISTORY,
            f"entry {len(document.entries)} of epoch {previous.epoch} is gone",
        )
    for before, after in zip(previous.entries, document.entries, strict=False):
        if (before.key, before.name) != (after.key, after.name):
            raise RosterRefused(
                Reason.CHANGED_HISTORY,
                f"entry {before.number} was {before.name} with key {fingerprint(before.key)}, and"
                f" is {after.name} with key {fingerprint(after.key)}",
            )
        if before.revoked and not after.revoked:
            raise RosterRefused(
                Reason.CHANGED_HISTORY, f"entry {before.number}, {before.name}, was revoked"
            )


def _outer(data: bytes) -> _Signed:
    if len(data) > MAX_ROSTER_BYTES:
        raise RosterRefused(Reason.MALFORMED, f"at most {MAX_ROSTER_BYTES} bytes, {len(data)} came")
    try:
        signed = _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RosterRefused(Reason.MALFORMED, str(error)) from None
    if signed.format != FORMAT:
        raise RosterRefused(Reason.MALFORMED, f"expected {FORMAT!r}, got {signed.format[:40]!r}")
    if _ENCODER.encode(signed) != data:
        raise RosterRefused(Reason.MALFORMED, "not the canonical encoding of its fields")
    if len(signed.authority) not in (0, PUBLIC_KEY_BYTES):
        raise RosterRefused(
            Reason.MALFORMED,
            f"a key has {PUBLIC_KEY_BYTES} bytes, the authority's has {len(signed.authority)}",
        )
    if not signed.authority and signed.signature:
        raise RosterRefused(Reason.MALFORMED, "a signature without an authority")
    return signed


def _inner(signed: _Signed) -> Document:
    try:
        return Document.decode(signed.document)
    except DecodeError as error:
        raise RosterRefused(Reason.MALFORMED, str(error)) from None
