"""Timing two things side by side, and whether the machine was quiet enough to believe it.

A thing and its ceiling take turns, so that a change of clock or a neighbour's burst meets both; the
ratio is the median over the turns. One thread is timed by its own CPU clock, several by the wall.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

Work = Callable[[], object]

LEAST_SECONDS: Final = 2e-3
"""A turn lasts at least this long, or the clock's steps show."""

BUSY_LOAD: Final = 0.5
"""Runnable processes per CPU before the start above which others must be working."""

STOLEN: Final = 1.10
"""Wall time per CPU time of this thread above which others used its CPU."""

UNSTEADY: Final = 1.15
"""Slowest tenth over median of a thing that never changes above which something disturbed it."""


class Turns(NamedTuple):
    """What was measured.

    Attributes:
        seconds: of each thing, the median of one run.
        ratios: how many times faster than the first each thing ran, the median over the turns.
        unsteady: the ninth decile of the first thing's times over their median.
    """

    seconds: tuple[float, ...]
    ratios: tuple[float, ...]
    unsteady: float


def take_turns(
    things: Sequence[Work], repeats: int, clock: Callable[[], float] = time.thread_time
) -> Turns:
    """Run all things `repeats` times, in turns, after one run that nobody times.

    Args:
        things: the first is what the others are compared with.
        repeats: at least 3.
        clock: in seconds.
    """
    times: list[list[float]] = [[] for _ in things]
    counts = [_count(thing, clock) for thing in things]
    for _ in range(repeats):
        for thing, count, taken in zip(things, counts, times, strict=True):
            began = clock()
            for _ in range(count):
                thing()
            taken.append((clock() - began) / count)
    first = times[0]
    return Turns(
        seconds=tuple(statistics.median(taken) for taken in times),
        ratios=tuple(
            statistics.median(a / b for a, b in zip(first, taken, strict=True)) for taken in times
        ),
        unsteady=statistics.quantiles(first, n=10)[-1] / statistics.median(first),
    )


def _count(thing: Work, clock: Callable[[], float]) -> int:
    """How often to run it in a turn."""
    thing()
    began = clock()
    thing()
    return max(1, round(LEAST_SECONDS / max(clock() - began, 1e-9)))


def doubts(
    load: float, cpus: int, wall_seconds: float, cpu_seconds: float, unsteady: float
) -> list[str]:
    """Why a measurement of single threads is not to be trusted; nothing if it is.

    Args:
        load: the average number of runnable processes in the minute before the start.
        cpus: that this process may use.
        wall_seconds: from start to end.
        cpu_seconds: of this thread.
        unsteady: see `Turns`, the median over all turns.
    """
    found = []
    if load > BUSY_LOAD * cpus:
        found.append(f"the load was {load:.1f} on {cpus} CPUs before the start")
    if wall_seconds > STOLEN * cpu_seconds:
        found.append(f"only {cpu_seconds / wall_seconds:.0%} of the time went to this process")
    if unsteady > UNSTEADY:
        found.append(f"the ceilings' slowest tenth took {unsteady:.2f} times their median")
    return found
