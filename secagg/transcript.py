"""What happened in a run: facts about messages, never their content.

The transcript is what its keeper saw. It can show that a message of this size and digest went
from here to there; it cannot show that nothing else did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal, Protocol, TypeAlias, TypedDict, Unpack

import msgspec

from secagg.types import PartyId
from secagg.wire import Frame

Fate: TypeAlias = Literal["delivered", "late", "refused"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One message at its recipient.

    Attributes:
        sequence: position in the run.
        seconds: since the run began.
        sender: who sent it.
        recipient: to whom.
        message: the name of its type.
        phase: the recipient's phase when it came.
        size: bytes on the wire.
        sha256: of the whole frame, in hexadecimal.
        fate: what became of it.
    """

    sequence: int
    seconds: float
    sender: str
    recipient: str
    message: str
    phase: str
    size: int
    sha256: str
    fate: Fate


class Told(TypedDict):
    """What an observer is told of a message, beside its frame: as in an `Entry`."""

    seconds: float
    sender: PartyId
    recipient: PartyId
    message: str
    phase: str
    fate: Fate


class Observer(Protocol):
    """Whoever is told of every message at its recipient. A `Transcript` is one."""

    def add(self, frame: Frame, **told: Unpack[Told]) -> None:
        """Take note of one message."""
        ...


class Transcript:
    """The entries of one run, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, frame: Frame, **told: Unpack[Told]) -> None:
        """Note one message."""
        state = hashlib.sha256(frame.head)
        state.update(frame.tail)
        self.entries.append(
            Entry(
                sequence=len(self.entries),
                seconds=told["seconds"],
                sender=str(told["sender"]),
                recipient=str(told["recipient"]),
                message=told["message"],
                phase=told["phase"],
                size=frame.size,
                sha256=state.hexdigest(),
                fate=told["fate"],
            )
        )

    def lines(self) -> Iterator[bytes]:
        """The entries as JSON lines."""
        for entry in self.entries:
            yield msgspec.json.encode(entry)
