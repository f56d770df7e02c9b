"""Inputs of the sessions that checks hold: signed integers, shape (clients, length)."""

from __future__ import annotations

import numpy as np

from secagg.audit.library import bound_for
from secagg.audit.registry import Settings
from secagg.audit.subject import Values

BITS = 8
"""Of a ring small enough to count how often each of its values occurs."""


def bound(settings: Settings, bits: int = BITS) -> int:
    """The largest magnitude of an input."""
    return bound_for(bits, settings.clients)


def constant(settings: Settings, length: int, value: int) -> Values:
    """The same number everywhere."""
    return np.full((settings.clients, length), value, dtype=np.int64)


def random(
    settings: Settings, length: int, purpose: str, repetition: int = 0, bits: int = BITS
) -> Values:
    """Numbers within the bound, the extremes among them, nearly uniform: nothing rests on that."""
    largest, count = bound(settings, bits), settings.clients * length
    drawn = np.frombuffer(
        settings.rng(purpose, repetition).bytes(8 * count), dtype="<u8"
    ) % np.uint64(2 * largest + 1)
    values = drawn.astype(np.int64).reshape(settings.clients, length) - largest
    values[:, 0], values[:, -1] = largest, -largest
    return values


def striped(settings: Settings, length: int, largest: int) -> Values:
    """The extremes in turn."""
    row = np.where(np.arange(length) % 2 == 0, largest, -largest).astype(np.int64)
    return np.tile(row, (settings.clients, 1))
