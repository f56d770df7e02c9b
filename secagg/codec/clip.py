"""Bounding the length of a whole update: the L2 clip.

It bounds what one client can contribute, which differential privacy needs, and keeps the direction
of the update, which the coordinate bound of the fixed point does not.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from secagg.errors import ParameterError

SMALLEST_NORM: Final = 2.0**-100
"""Below this, rounding to float32's subnormals would dominate the bound."""

BLOCK: Final = 1 << 16
"""Coordinates squared at once: the doubles of a block stay in cache, whatever the length."""


class NormClip(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Shrinks a vector whose L2 norm exceeds a bound onto it; shorter ones pass unchanged.

    Attributes:
        norm: the bound, in the units of the update.
    """

    norm: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.norm) and self.norm >= SMALLEST_NORM):
            raise ParameterError(f"a norm bound is finite and at least 2**-100, got {self.norm}")

    def apply(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The clipped vector, same shape. Never longer than `norm`, not even by rounding.

        The factor is 2**-23 smaller than norm / length: rounding a coordinate to float32 enlarges
        it by at most 2**-24 of itself (or 2**-150 when subnormal), the doubles by far less.

        Values must be finite: the norm of anything else means nothing.
        """
        length = l2_norm(values)
        if length <= self.norm:
            return values
        factor = self.norm / length * (1 - 2.0**-23)
        return (values.astype(np.float64) * factor).astype(np.float32)


def l2_norm(values: npt.NDArray[np.float32]) -> float:
    """The Euclidean length of a one-dimensional vector, summed in double precision."""
    squares = (
        float(np.square(values[start : start + BLOCK], dtype=np.float64).sum())
        for start in range(0, len(values), BLOCK)
    )
    return math.sqrt(math.fsum(squares))
