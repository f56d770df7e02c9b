"""The messages of pairwise masking, in the order in which they travel.

Columns are byte strings of fixed-size rows in ascending order of roster index, so that sizes
follow from the plan alone. Sets of clients are bitmaps over the plan's clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Final

import numpy as np
from msgspec import Meta

from secagg.crypto import aead
from secagg.crypto.shamir import SHARE_BYTES
from secagg.errors import DecodeError
from secagg.types import Role
from secagg.wire import MAX_BODY_BYTES, Message, MessageTable, Tail

KEY_BYTES: Final = 32
SEALED_SHARES_BYTES: Final = 2 * SHARE_BYTES + aead.OVERHEAD_BYTES
INDEX_BYTES: Final = 4

Key = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
Column = Annotated[bytes, Meta(max_length=MAX_BODY_BYTES)]


class AdvertiseKeys(Message, frozen=True):
    """Round 0, client to server: two fresh X25519 public keys."""

    KIND = 1
    SENDER = Role.CLIENT
    channel_key: Key
    mask_key: Key


class KeyBook(Message, frozen=True):
    """Round 0, server to client: who takes part, and the keys of the client's neighbours.

    `cohort` is the bitmap of everyone who advertised; `cohort_root` the Merkle root over their
    keys; `graph_seed` what the graph was drawn from (empty for the complete graph); `neighbours`
    their roster indices (little-endian u32); `keys` per neighbour the channel key and the mask key.
    """

    KIND = 2
    SENDER = Role.SERVER
    cohort: Column
    cohort_root: Key
    graph_seed: Annotated[bytes, Meta(max_length=KEY_BYTES)]
    neighbours: Column
    keys: Column


class ShareKeys(Message, frozen=True):
    """Round 1, client to server: per neighbour one sealed pair of shares, and a commitment.

    `commitment` is to the self-mask seed, so that the server can tell whether it rebuilt the
    right one. The mask key needs none: its public half was advertised.
    """

    KIND = 3
    SENDER = Role.CLIENT
    commitment: Key
    sealed: Column


class ShareBundle(Message, frozen=True):
    """Round 1, server to client: the sealed shares that its neighbours dealt to it."""

    KIND = 4
    SENDER = Role.SERVER
    dealers: Column
    sealed: Column


class MaskedVector(Message, frozen=True):
    """Round 2, client to server: the masked vector, packed to the ring's width."""

    KIND = 5
    SENDER = Role.CLIENT
    tail: Tail


class UnmaskRequest(Message, frozen=True):
    """Round 3, server to client: the bitmap of the clients whose vectors are in the sum."""

    KIND = 6
    SENDER = Role.SERVER
    included: Column


class UnmaskShares(Message, frozen=True):
    """Round 3, client to server: exactly one share for each dealer that the client holds shares of.

    Ascending by dealer, the client itself among them. Which kind each is follows from the bitmap
    that was asked about, so a message cannot carry both kinds for one dealer.
    """

    KIND = 7
    SENDER = Role.CLIENT
    shares: Column


TABLE: Final = MessageTable(
    (
        AdvertiseKeys,
        KeyBook,
        ShareKeys,
        ShareBundle,
        MaskedVector,
        UnmaskRequest,
        UnmaskShares,
    )
)


def encode_numbers(numbers: Sequence[int]) -> bytes:
    """Roster indices as little-endian u32."""
    return np.asarray(numbers, dtype="<u4").tobytes()


def decode_numbers(column: bytes) -> tuple[int, ...]:
    """The inverse of `encode_numbers`.

    Raises:
        DecodeError: not whole, or not strictly ascending (the one canonical order).
    """
    if len(column) % INDEX_BYTES:
        raise DecodeError(f"roster indices have {INDEX_BYTES} bytes each, got {len(column)} bytes")
    numbers = tuple(np.frombuffer(column, dtype="<u4").tolist())
    if any(a >= b for a, b in pairwise(numbers)):
        raise DecodeError("roster indices must ascend strictly")
    return numbers
