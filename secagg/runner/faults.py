"""What may go wrong in a simulated run, and in which order things happen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from secagg.types import PartyId
from secagg.wire import Frame

Tamper: TypeAlias = Callable[[Frame, PartyId, PartyId], Frame]
"""Frame, sender, recipient to the frame that arrives instead."""


class Schedule(Protocol):
    """Decides what happens next."""

    def next(self, pending: int, waiting: int) -> int:
        """An index below `pending + waiting`, which is not 0.

        Below `pending`: that action (start, input or delivery), oldest first. From `pending` on:
        the deadline of that waiting party, the server first.
        """
        ...


class InOrder:
    """Everything in the order in which it was sent; deadlines when nothing else is left."""

    def next(self, pending: int, waiting: int) -> int:
        """The oldest action, else the first deadline."""
        return 0


@dataclass(frozen=True)
class Faults:
    """Faults of one run. The default is none.

    Attributes:
        lost: clients that vanish, with the number of messages that each still sends.
        kills: parties that are killed and restored, with the ordinals (from 0, over the party's
            life) of the effects just before which that happens.
        duplicate: whether every message is delivered twice.
        tamper: what the network does to frames.
    """

    lost: Mapping[PartyId, int] = field(default_factory=dict)
    kills: Mapping[PartyId, Collection[int]] = field(default_factory=dict)
    duplicate: bool = False
    tamper: Tamper | None = None
