"""The messages of homomorphic aggregation, in the order in which they travel.

A public context travels once per session to each client; afterwards its SHA-256 digest names it.
Sets of clients are bitmaps over the plan's clients.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Final

from msgspec import Meta

from secagg.errors import DecodeError, RemoteProtocolError
from secagg.protocol.cohort import decode_bitmap, encode_bitmap
from secagg.types import PartyId, Role
from secagg.wire import MAX_BODY_BYTES, Message, MessageTable, Tail

DIGEST_BYTES: Final = 32

Digest = Annotated[bytes, Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]
Column = Annotated[bytes, Meta(max_length=MAX_BODY_BYTES)]


class OfferContext(Message, frozen=True):
    """Decryptor to server: this session's public context."""

    KIND = 1
    SENDER = Role.DECRYPTOR
    context: Column


class RelayContext(Message, frozen=True):
    """Server to client: the same bytes."""

    KIND = 2
    SENDER = Role.SERVER
    context: Column


class Upload(Message, frozen=True):
    """Client to server: its ciphertexts, packed, and the context that they are under."""

    KIND = 3
    SENDER = Role.CLIENT
    context_digest: Digest
    tail: Tail


class OpenSum(Message, frozen=True):
    """Server to decryptor: the sum of the ciphertexts of these clients."""

    KIND = 4
    SENDER = Role.SERVER
    context_digest: Digest
    included: Column
    tail: Tail


class OpenedSum(Message, frozen=True):
    """Decryptor to server: the sum of the vectors of these clients, packed in the ring."""

    KIND = 5
    SENDER = Role.DECRYPTOR
    included: Column
    tail: Tail


TABLE: Final = MessageTable((OfferContext, RelayContext, Upload, OpenSum, OpenedSum))


def bitmap(members: Collection[PartyId], clients: tuple[PartyId, ...]) -> bytes:
    """A set of clients, one bit each, padded with zeros to a whole byte."""
    return encode_bitmap(clients, (party.number for party in members))


def members(encoded: bytes, clients: tuple[PartyId, ...], sender: PartyId) -> tuple[PartyId, ...]:
    """The inverse of `bitmap`, ascending.

    Raises:
        RemoteProtocolError: not the one encoding of a set of these clients.
    """
    try:
        numbers = decode_bitmap(clients, encoded)
    except DecodeError as error:
        raise RemoteProtocolError(sender, str(error)) from None
    return tuple(party for party in clients if party.number in numbers)
