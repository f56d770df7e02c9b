"""An honest party as its adversary has it: it can be driven, and not looked into."""

from __future__ import annotations

from typing import Final

from secagg.audit.adversary.seat import Seat
from secagg.errors import HonestStateRead
from secagg.protocol import Effect, Event, Fate
from secagg.types import PartyId
from secagg.wire import Frame, Message

_DRIVING: Final = frozenset(("me", "phase", "ended", "when", "open", "handle"))


class Honest:
    """What whoever carries a party's messages may do with it.

    Raises:
        HonestStateRead: any other attribute is asked for, or one is set.
    """

    __slots__ = ("_seat",)

    def __init__(self, seat: Seat) -> None:
        object.__setattr__(self, "_seat", seat)

    @property
    def me(self) -> PartyId:
        """Who it is."""
        return _seat(self).me

    @property
    def phase(self) -> str:
        """Where it is; what it sent shows this."""
        return _seat(self).party.phase

    @property
    def ended(self) -> bool:
        """Whether it is done or failed."""
        return _seat(self).party.ended

    def when(self, event: Event, sender: PartyId) -> Fate:
        """Whether it takes an event now."""
        return _seat(self).party.when(event, sender)

    def open(self, frame: Frame, sender: PartyId) -> Message:
        """What it takes a frame for.

        Raises:
            RemoteProtocolError, DecodeError: it refuses the frame.
        """
        return _seat(self).party.open(frame, sender)

    def handle(self, event: Event, sender: PartyId) -> list[Effect]:
        """Let an event happen, past the network."""
        return _seat(self).handle(event, sender)

    def __getattribute__(self, name: str) -> object:
        if name in _DRIVING or (name.startswith("__") and name.endswith("__")):
            return object.__getattribute__(self, name)
        raise HonestStateRead(_seat(self).me, name)

    def __setattr__(self, name: str, value: object) -> None:
        raise HonestStateRead(_seat(self).me, name)

    def __repr__(self) -> str:
        return f"Honest({_seat(self).me})"


def _seat(honest: Honest) -> Seat:
    seat = object.__getattribute__(honest, "_seat")
    assert isinstance(seat, Seat)  # noqa: S101
    return seat
