"""How long a party waits in each of its phases. Nobody here reads a clock: callers do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from secagg.errors import LocalProtocolError, ParameterError

Deadlines: TypeAlias = float | Mapping[str, float]
"""Seconds for every phase alike, or for each phase by name."""


class Timer:
    """The time in the current phase.

    Args:
        deadlines: by phase.
        phases: of the party.

    Raises:
        ParameterError: not exactly one positive, finite number of seconds for each phase.
    """

    def __init__(self, deadlines: Deadlines, phases: Sequence[str]) -> None:
        if not isinstance(deadlines, Mapping):
            deadlines = dict.fromkeys(phases, deadlines)
        if set(deadlines) != set(phases):
            raise ParameterError(
                f"expected a deadline for each of {', '.join(phases)}; got"
                f" {', '.join(deadlines) or 'none'}"
            )
        for phase, seconds in deadlines.items():
            if not (math.isfinite(seconds) and seconds > 0):
                raise ParameterError(
                    f"phase {phase}: expected a positive number of seconds, got {seconds}"
                )
        self._deadlines = dict(deadlines)
        self._now = -math.inf
        self._until = math.inf
        self.phase = ""

    def move(self, now: float) -> None:
        """Note what the clock says.

        Raises:
            LocalProtocolError: it is no number, or earlier than before: no monotonic clock.
        """
        if not (math.isfinite(now) and now >= self._now):
            raise LocalProtocolError(f"expected a monotonic clock, got {now} after {self._now}")
        self._now = now

    def enter(self, phase: str) -> None:
        """Begin to wait in a phase."""
        self.phase, self._until = phase, self._now + self._deadlines[phase]

    @property
    def expired(self) -> bool:
        """Whether the deadline of the phase has passed."""
        return self._now >= self._until

    def left(self, now: float) -> float:
        """Seconds from `now` until it passes; 0 if it has."""
        return max(0.0, self._until - now)
