"""What the messages of pairwise masking are called at either level, and what is in them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from secagg.crypto import shamir
from secagg.protocol import Level, Plan, Session
from secagg.protocols._masking import messages as plain
from secagg.protocols._masking.authenticated import messages as signed
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.plan import MaskingPlan
from secagg.types import PartyId
from secagg.wire import Message

Row: TypeAlias = npt.NDArray[np.uint64]
"""One share: five limbs."""


@dataclass(frozen=True)
class Dialect:
    """The messages of one level, by what they are for.

    Attributes:
        keys: a client's public keys.
        book: those of its neighbours, to a client.
        shares: what a client deals.
        bundle: what was dealt to it.
        vector: the masked vector.
        survivors: whose vectors are in the sum.
        answer: one share for each dealer.
        sealed_bytes: of what is sealed for one holder.
        share_bytes: of one share with what comes with it.
        questions: messages from the server that lead a client to its answer.
    """

    keys: type[Message]
    book: type[Message]
    shares: type[Message]
    bundle: type[Message]
    vector: type[Message]
    survivors: type[Message]
    answer: type[Message]
    sealed_bytes: int
    share_bytes: int
    questions: int

    def pair(self, opened: bytes) -> tuple[Row, Row]:
        """The shares of mask seed and self seed in what a dealer sealed for a holder."""
        size = self.share_bytes
        return self.share(opened[:size]), self.share(opened[size:])

    def share(self, row: bytes) -> Row:
        """A share without what comes with it."""
        (found,) = shamir.decode_shares(row[: shamir.SHARE_BYTES])
        return np.asarray(found, dtype=np.uint64)

    def thinned(self, bundle: Message, keep: Collection[int]) -> Message:
        """What was dealt to a client, but that only these dealt it."""
        assert isinstance(bundle, plain.ShareBundle | signed.CommittedBundle)  # noqa: S101
        dealers = plain.decode_numbers(bundle.dealers)
        kept = [place for place, dealer in enumerate(dealers) if dealer in keep]
        columns = []
        for name in bundle.__struct_fields__:
            column: bytes = getattr(bundle, name)
            rows = rows_of(column, len(column) // len(dealers))
            columns.append(b"".join(rows[place] for place in kept))
        return type(bundle)(*columns)

    def rows(self, sealed: bytes) -> list[bytes]:
        """The sealed pairs of shares in a column."""
        return rows_of(sealed, self.sealed_bytes)


CURIOUS: Final = Dialect(
    plain.AdvertiseKeys,
    plain.KeyBook,
    plain.ShareKeys,
    plain.ShareBundle,
    plain.MaskedVector,
    plain.UnmaskRequest,
    plain.UnmaskShares,
    plain.SEALED_SHARES_BYTES,
    shamir.SHARE_BYTES,
    1,
)
MALICIOUS: Final = Dialect(
    signed.SignedKeys,
    signed.SignedKeyBook,
    signed.CommittedShares,
    signed.CommittedBundle,
    signed.SignedVector,
    signed.SurvivorList,
    signed.SignedAnswer,
    signed.SEALED_OPENINGS_BYTES,
    signed.OPENING_BYTES,
    2,
)


def dialect_of(plan: Plan) -> Dialect:
    """How the parties of this plan speak."""
    return MALICIOUS if plan.task.level is Level.MALICIOUS else CURIOUS


def plan_of(session: Session) -> MaskingPlan:
    """The plan of a session of pairwise masking."""
    assert isinstance(session.plan, MaskingPlan)  # noqa: S101
    return session.plan


def rows_of(column: bytes, size: int) -> list[bytes]:
    """The rows of a column."""
    return [column[start : start + size] for start in range(0, len(column), size)]


def commit(
    dialect: Dialect, transcript: bytes, both: bytes, dealer: PartyId, holder: PartyId
) -> bytes:
    """The two commitments of a dealer to what it seals for a holder."""
    halves = zip(
        (both[: dialect.share_bytes], both[dialect.share_bytes :]),
        (statements.MASK_SHARE, statements.SELF_SHARE),
        strict=True,
    )
    return b"".join(
        statements.share_commitment(transcript, half, kind, dealer, holder) for half, kind in halves
    )
