"""What both sides of a comparison aggregate: the same updates, weights and losses.

Needs numpy only, so that a rival's own environment can import it. Coordinates are standard normal:
none comes near the clip, so it does not matter that Flower clips after it has multiplied by the
weight and we before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

CLIP: Final = 8.0
MAX_WEIGHT: Final = 1000
QUANTIZATION_RANGE: Final = 1 << 22
"""Steps between -CLIP and CLIP. All three are Flower's defaults, and taken for both sides."""

SEED: Final = 1


def update(number: int, length: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A client's update, float32, shape (length,)."""
    return np.random.default_rng([SEED, number]).standard_normal(length, dtype=np.float32)


def weight(number: int) -> int:
    """A client's weight, from half of the largest to the largest."""
    return int(np.random.default_rng([SEED, number, 1]).integers(MAX_WEIGHT // 2, MAX_WEIGHT + 1))


def lost(clients: int, count: int) -> tuple[int, ...]:
    """Which clients vanish after they have dealt their shares: `count`, spread evenly."""
    return tuple(position * clients // count for position in range(count))


def clipped_mean(numbers: Iterable[int], length: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The weighted mean of these clients' clipped updates, in double."""
    total, weights = np.zeros(length), 0
    for number in numbers:
        total += weight(number) * np.clip(update(number, length).astype(np.float64), -CLIP, CLIP)
        weights += weight(number)
    return total / weights
