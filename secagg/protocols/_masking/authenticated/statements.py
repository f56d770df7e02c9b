"""What is signed and committed to, byte for byte. docs/malicious.md has the table.

A statement is framed so that no two differ in meaning and agree in bytes, and is signed under a
context of its own (`secagg.crypto.signing`). Each names who says it, and the session or, once the
keys are fixed, the transcript.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from secagg.crypto import kdf, signing
from secagg.crypto.digest import DIGEST_BYTES, digest, encode_party, join_framed
from secagg.crypto.merkle import MerkleTree, padded
from secagg.errors import VerificationError
from secagg.protocol import Session
from secagg.protocols._masking.authenticated.messages import COMMITMENT_PAIR_BYTES
from secagg.protocols._masking.keyring import PublicKeys
from secagg.types import PartyId, client

KEYS: Final = "masking keys"
COHORT: Final = "masking cohort"
SHARES: Final = "masking shares"
VECTOR: Final = "masked vector"
SURVIVORS: Final = "masking survivors"
ANSWER: Final = "unmasking answer"

MASK_SHARE: Final = b"mask seed"
SELF_SHARE: Final = b"self-mask seed"


def check_signature(
    session: Session, signer: PartyId, signature: bytes, context: str, statement: bytes
) -> None:
    """Refuse what this client did not sign.

    Raises:
        VerificationError: no signature of this statement by the client's roster key.
    """
    signing.verify(session.keys[signer], signature, context, statement)


def keys_statement(
    session_id: bytes, owner: PartyId, model_digest: bytes, keys: PublicKeys
) -> bytes:
    """These keys are the owner's in this session, for this model."""
    return join_framed(session_id, encode_party(owner), model_digest, *keys)


def keys_leaf(owner: PartyId, keys: PublicKeys, signature: bytes) -> bytes:
    """A client's leaf under the cohort root."""
    return encode_party(owner) + keys.channel + keys.mask + signature


def cohort_statement(
    session_id: bytes, signer: PartyId, cohort: bytes, root: bytes, beacon_round: bytes
) -> bytes:
    """The signer saw these keys fixed before this round of the beacon came."""
    return join_framed(session_id, encode_party(signer), cohort, root, beacon_round)


def graph_seed(
    session_id: bytes, cohort: bytes, root: bytes, beacon_round: bytes, value: bytes
) -> bytes:
    """What the graph is drawn from: all that was fixed, and then what nobody knew."""
    return digest("graph", session_id, cohort, root, beacon_round, value)


def share_commitment(
    transcript: bytes, opening: bytes, kind: bytes, dealer: PartyId, holder: PartyId
) -> bytes:
    """The commitment to one share: a PRF output over it and its salt.

    Args:
        transcript: of the session.
        opening: the share and its salt.
        kind: MASK_SHARE or SELF_SHARE.
        dealer: whose seed is shared.
        holder: whose share it is.
    """
    return kdf.commit(
        opening,
        context=transcript,
        purpose=kdf.Purpose.SHARE_COMMITMENT,
        parties=(dealer, holder),
        details=(kind,),
    )


def share_leaf(holder: PartyId, sealed: bytes, commitments: bytes) -> bytes:
    """A holder's leaf under the root that its dealer signs: the ciphertext and both commitments."""
    return encode_party(holder) + hashlib.sha256(sealed).digest() + commitments


def share_tree(
    dealer: PartyId, holders: Sequence[int], sealed: Sequence[bytes], commitments: bytes
) -> MerkleTree:
    """All that a dealer committed to.

    Args:
        dealer: who deals.
        holders: its closed neighbourhood, ascending.
        sealed: for each of them but the dealer itself.
        commitments: a pair for each of the holders.
    """
    rows, size = iter(sealed), COMMITMENT_PAIR_BYTES
    leaves = [
        share_leaf(
            client(number),
            b"" if number == dealer.number else next(rows),
            commitments[size * place : size * (place + 1)],
        )
        for place, number in enumerate(holders)
    ]
    return MerkleTree(padded(leaves))


def shares_statement(
    transcript: bytes, dealer: PartyId, seed_commitment: bytes, root: bytes
) -> bytes:
    """The dealer dealt these shares, of secrets among which is this self-mask seed."""
    return join_framed(transcript, encode_party(dealer), seed_commitment, root)


def vector_statement(
    transcript: bytes, sender: PartyId, complaints: bytes, packed: memoryview
) -> bytes:
    """The sender's masked vector, and the dealers of whom it has no valid shares."""
    vector = hashlib.sha256(packed).digest()
    return join_framed(transcript, encode_party(sender), complaints, vector)


def survivor_digest(transcript: bytes, dealt: bytes, included: bytes) -> bytes:
    """The one statement that all survivors sign: who dealt shares, and who is in the sum."""
    return digest("survivors", transcript, dealt, included)


def answer_statement(survivors: bytes, sender: PartyId, openings: bytes) -> bytes:
    """The sender's one answer about these survivors."""
    return join_framed(survivors, encode_party(sender), hashlib.sha256(openings).digest())


def check_opening(
    transcript: bytes, opening: bytes, kind: bytes, dealer: PartyId, holder: PartyId, pair: bytes
) -> None:
    """Refuse a share that is not the one committed to.

    Args:
        transcript: of the session.
        opening: the share and its salt.
        kind: MASK_SHARE or SELF_SHARE.
        dealer: whose seed is shared.
        holder: whose share it is.
        pair: the dealer's two commitments for this holder.

    Raises:
        VerificationError: it does not open its commitment.
    """
    start = 0 if kind == MASK_SHARE else DIGEST_BYTES
    made = share_commitment(transcript, opening, kind, dealer, holder)
    if made != pair[start : start + DIGEST_BYTES]:
        raise VerificationError("a share does not open the commitment of its dealer")
