"""Tells what a party does from what is done around it: only while its time counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from secagg.runner import seat
from secagg.types import PartyId


@contextmanager
def parties(watch: Callable[[PartyId], AbstractContextManager[None]]) -> Iterator[None]:
    """Enter `watch(party)` whenever a party of a run is on the clock."""
    original = seat.Seat.on_the_clock

    @contextmanager
    def watched(self: seat.Seat) -> Iterator[None]:
        with original(self), watch(self.me):
            yield

    seat.Seat.on_the_clock = watched  # type: ignore[method-assign]
    try:
        yield
    finally:
        seat.Seat.on_the_clock = original  # type: ignore[method-assign]
