"""Whoever is told what happens to one party, as it happens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from secagg.protocol import Effect, Event
from secagg.types import PartyId


class Witness(Protocol):
    """A `Recorder` for a server, a `ReceiptBook` for a client."""

    def happened(self, event: Event | None, sender: PartyId, effects: Iterable[Effect]) -> None:
        """Take note of an event, None for the start, and of what the party asked for then.

        What is told again, because a party was restored, is noted once.
        """
        ...
