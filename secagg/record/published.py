"""What of each message everybody may know."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from secagg.protocol import Level, Session
from secagg.protocols._masking.authenticated import messages, statements
from secagg.protocols._masking.authenticated.messages import SEALED_OPENINGS_BYTES
from secagg.protocols._masking.messages import decode_numbers
from secagg.record import lines
from secagg.record.lines import MessageLine
from secagg.types import PartyId
from secagg.wire import Frame, Message

RECORDED: Final = ("secagg", "secagg_plus")
"""Protocols whose messages at level `malicious` are the ones below."""


def is_recorded(session: Session) -> bool:
    """Whether clients sign what could be verified."""
    plan = session.plan
    return plan.task.level is Level.MALICIOUS and plan.protocol in RECORDED


def frame_digest(frame: Frame) -> bytes:
    """SHA-256 of a whole frame."""
    state = hashlib.sha256(frame.head)
    state.update(frame.tail)
    return state.digest()


class Publisher:
    """Makes the lines of a session's messages, in the order in which the server saw them."""

    def __init__(self) -> None:
        self._neighbours: dict[PartyId, bytes] = {}

    def line(self, previous: str, client: PartyId, message: Message, frame: Frame) -> MessageLine:
        """The line about a message.

        Args:
            previous: the leaf hash of the line before, in hexadecimal.
            client: who sent it to the server, or got it from there.
            message: one of level `malicious`.
            frame: its frame.
        """
        kind, fields = _KINDS[type(message)]
        return kind(
            previous=previous,
            client=client.number,
            size=frame.size,
            sha256=frame_digest(frame).hex(),
            **{name: getattr(message, name).hex() for name in fields},
            **self._made(client, message),
        )

    def _made(self, client: PartyId, message: Message) -> dict[str, Any]:
        """Fields that are not the message's own."""
        match message:
            case messages.SignedKeyBook(neighbours=neighbours):
                self._neighbours[client] = neighbours
            case messages.CommittedShares():
                return {"root": self._share_root(client, message).hex()}
            case messages.SignedVector(complaints=complaints, tail=tail):
                vector = hashlib.sha256(tail).hexdigest()
                return {"complaints": decode_numbers(complaints), "vector": vector}
            case messages.SurvivorQuorum(signers=signers):
                return {"signers": decode_numbers(signers)}
            case messages.SignedAnswer(openings=openings):
                return {"openings": hashlib.sha256(openings).hexdigest()}
        return {}

    def _share_root(self, dealer: PartyId, message: messages.CommittedShares) -> bytes:
        holders = sorted((*decode_numbers(self._neighbours[dealer]), dealer.number))
        column, size = message.sealed, SEALED_OPENINGS_BYTES
        sealed = [column[start : start + size] for start in range(0, len(column), size)]
        return statements.share_tree(dealer, holders, sealed, message.commitments).root


_Kind = Callable[..., MessageLine]

_KINDS: Final[Mapping[type[Message], tuple[_Kind, tuple[str, ...]]]] = {
    messages.SignedKeys: (
        lines.KeysLine,
        ("model_digest", "channel_key", "mask_key", "signature"),
    ),
    messages.CohortRoot: (lines.RootLine, ("cohort", "cohort_root", "beacon_round")),
    messages.CohortSignature: (lines.RootSignatureLine, ("signature",)),
    messages.SignedKeyBook: (lines.BookLine, ("cohort", "cohort_root", "beacon")),
    messages.CommittedShares: (lines.SharesLine, ("commitment", "signature")),
    messages.CommittedBundle: (lines.BundleLine, ()),
    messages.SignedVector: (lines.VectorLine, ("signature",)),
    messages.SurvivorList: (lines.SurvivorsLine, ("dealt", "included")),
    messages.SurvivorSignature: (lines.SurvivorSignatureLine, ("signature",)),
    messages.SurvivorQuorum: (lines.QuorumLine, ()),
    messages.SignedAnswer: (lines.AnswerLine, ("signature",)),
}
