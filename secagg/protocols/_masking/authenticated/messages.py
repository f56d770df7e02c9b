"""The messages of pairwise masking at level `malicious`, in the order in which they travel.

What each signature covers is in `statements`. Columns are byte strings of fixed-size rows in
ascending order of roster index, sets of clients are bitmaps over the plan's clients.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from secagg.crypto import aead
from secagg.crypto.digest import DIGEST_BYTES
from secagg.crypto.shamir import SHARE_BYTES
from secagg.crypto.signing import SIGNATURE_BYTES
from secagg.protocol.beacon import VALUE_BYTES
from secagg.protocols._masking.messages import Column, Key
from secagg.types import Role
from secagg.wire import Message, MessageTable, Tail

SALT_BYTES: Final = 16
ROUND_BYTES: Final = 8
OPENING_BYTES: Final = SHARE_BYTES + SALT_BYTES
"""A share and the salt of its commitment."""

SEALED_OPENINGS_BYTES: Final = 2 * OPENING_BYTES + aead.OVERHEAD_BYTES
COMMITMENT_PAIR_BYTES: Final = 2 * DIGEST_BYTES

Digest = Annotated[bytes, Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]
Signature = Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]


class SignedKeys(Message, frozen=True):
    """Round 0, client to server: two fresh X25519 public keys, for one model."""

    KIND = 17
    SENDER = Role.CLIENT
    model_digest: Digest
    channel_key: Key
    mask_key: Key
    signature: Signature


class SignedKeyBook(Message, frozen=True):
    """Round 0, server to client: who takes part, and what the client's neighbours signed.

    `cohort` is the bitmap of everyone who advertised; `cohort_root` the Merkle root over what they
    signed; `beacon` what the graph is drawn from besides (empty for the complete graph);
    `neighbours`
    their roster indices. Per neighbour: `keys`, the channel key and the mask key; `models`, the
    model's digest; `signatures`. `paths`: audit paths under the root of the closed neighbourhood,
    empty for the complete graph, where the root is made anew.
    """

    KIND = 18
    SENDER = Role.SERVER
    cohort: Column
    cohort_root: Digest
    beacon: Annotated[bytes, Meta(max_length=VALUE_BYTES)]
    neighbours: Column
    keys: Column
    models: Column
    signatures: Column
    paths: Column


class CommittedShares(Message, frozen=True):
    """Round 1, client to server: per neighbour a sealed pair of shares, and commitments.

    `commitment` is to the self-mask seed. `commitments` has, for every holder in the closed
    neighbourhood, one to its share of the mask seed and one to its share of the self-mask seed.
    """

    KIND = 19
    SENDER = Role.CLIENT
    commitment: Digest
    sealed: Column
    commitments: Column
    signature: Signature


class CommittedBundle(Message, frozen=True):
    """Round 1, server to client: what its neighbours dealt to it.

    Per dealer: `sealed`, the pair of shares; `commitments`, the pair to these shares;
    `seed_commitments`, that to the dealer's self-mask seed; `paths`, the audit path of this
    client's leaf among what the dealer committed to; `signatures`.
    """

    KIND = 20
    SENDER = Role.SERVER
    dealers: Column
    sealed: Column
    commitments: Column
    seed_commitments: Column
    paths: Column
    signatures: Column


class SignedVector(Message, frozen=True):
    """Round 2, client to server: the masked vector, packed to the ring's width.

    `complaints` are the dealers whose shares are not what they committed to.
    """

    KIND = 21
    SENDER = Role.CLIENT
    complaints: Column
    signature: Signature
    tail: Tail


class SurvivorList(Message, frozen=True):
    """Round 3, server to client: who dealt shares, and whose vectors are in the sum, as bitmaps."""

    KIND = 22
    SENDER = Role.SERVER
    dealt: Column
    included: Column


class SurvivorSignature(Message, frozen=True):
    """Round 3, client to server: its signature on the one list of survivors that it accepts."""

    KIND = 23
    SENDER = Role.CLIENT
    signature: Signature


class SurvivorQuorum(Message, frozen=True):
    """Round 4, server to client: neighbours that signed, and their signatures."""

    KIND = 24
    SENDER = Role.SERVER
    signers: Column
    signatures: Column


class SignedAnswer(Message, frozen=True):
    """Round 4, client to server: one share, with its salt, for each dealer it holds shares of.

    Ascending by dealer, the client itself among them, those it complained of left out. Which kind
    each is follows from the survivors that were signed, so a message cannot carry both kinds.
    """

    KIND = 25
    SENDER = Role.CLIENT
    openings: Column
    signature: Signature


class CohortRoot(Message, frozen=True):
    """On a sparse graph after round 0, server to client: the cohort, before its graph is known.

    `path` is the audit path of the client's own leaf; `beacon_round` (little-endian u64) names the
    round of the public beacon from which the graph will be drawn.
    """

    KIND = 26
    SENDER = Role.SERVER
    cohort: Column
    cohort_root: Digest
    path: Column
    beacon_round: Annotated[bytes, Meta(min_length=ROUND_BYTES, max_length=ROUND_BYTES)]


class CohortSignature(Message, frozen=True):
    """On a sparse graph after round 0, client to server: it signs the root and the round."""

    KIND = 27
    SENDER = Role.CLIENT
    signature: Signature


TABLE: Final = MessageTable(
    (
        SignedKeys,
        SignedKeyBook,
        CommittedShares,
        CommittedBundle,
        SignedVector,
        SurvivorList,
        SurvivorSignature,
        SurvivorQuorum,
        SignedAnswer,
    )
)

RING_TABLE: Final = MessageTable((SignedKeys, CohortRoot, CohortSignature, *TABLE.messages[1:]))
