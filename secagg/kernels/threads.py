"""One small pool of threads for long vectors, which it splits into ranges.

Native code runs without the interpreter's lock, so ranges run side by side. Every kernel computes
an element from its index alone: any number of threads gives the same bytes. The pool starts with
the first long vector and again in a child after a fork.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Final, TypeVar

from secagg.errors import ParameterError

Verdict = TypeVar("Verdict")

UNIT: Final = 8192
"""Ranges begin at multiples of this many elements: whole tiles, batches and packed bytes."""

LEAST_BYTES: Final = 1 << 20
"""Memory traffic below which a thread costs more than it saves, about a tenth of a millisecond."""


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Pool:
    """The threads, and how many kernels use when a call does not say."""

    def __init__(self) -> None:
        self.default: int | None = None
        self.executor: ThreadPoolExecutor | None = None
        self.size = 0

    def of(self, count: int) -> ThreadPoolExecutor:
        if self.executor is None or self.size < count:
            # The old threads, if any, end when their work is done.
            self.executor, self.size = ThreadPoolExecutor(count, "secagg-kernel"), count
        return self.executor

    def forget(self) -> None:
        """A child has none of its parent's threads."""
        self.executor, self.size = None, 0


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)


def check_threads(threads: int | None) -> int:
    """The number of threads that a call asks for, or else the one in use.

    Raises:
        ParameterError: fewer than one.
    """
    if threads is None:
        return _pool.default or usable_cpus()
    count = operator.index(threads)
    if count < 1:
        raise ParameterError(f"threads: expected at least 1, got {count}")
    return count


def threads_in_use() -> int:
    """How many threads a kernel uses at most when its call does not say."""
    return check_threads(None)


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Another number of threads inside a `with` block, for the whole process.

    Raises:
        ParameterError: fewer than one.
    """
    before, _pool.default = _pool.default, check_threads(threads)
    try:
        yield
    finally:
        _pool.default = before


def over_ranges(
    work: Callable[[int, int], Verdict], length: int, bytes_moved: int, threads: int
) -> list[Verdict]:
    """What `work(begin, end)` returns for ranges that together are 0..length, in order.

    Args:
        work: must release the interpreter's lock to gain anything.
        length: elements.
        bytes_moved: memory and keystream that the whole of the work goes through.
        threads: at most this many ranges.

    Raises:
        Whatever the first range raises that raises anything; all of them have ended by then.
    """
    parts = max(1, min(threads, bytes_moved // LEAST_BYTES, length // UNIT))
    if parts == 1:
        return [work(0, length)]
    step = -(-length // (parts * UNIT)) * UNIT
    bounds = [*range(0, length, step), length]
    begun = [_pool.of(parts).submit(work, begin, end) for begin, end in pairwise(bounds)]
    errors = [error for error in (one.exception() for one in begun) if error is not None]
    if errors:
        raise errors[0]
    return [one.result() for one in begun]
