"""Fixed point: real coordinates as integers of a ring, and sums of them back to reals."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from secagg import kernels
from secagg.errors import InputError, ParameterError
from secagg.types import Ring, RingVector, Rng

Rounding: TypeAlias = Literal["nearest", "stochastic"]

LARGEST_BOUND: Final = 1 << 52
"""Quantized values stay below this, so that a double holds each of them and half of it too."""


class FixedPoint(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Clips every coordinate to +-clip and rounds it to a multiple of 2**-fraction_bits.

    Attributes:
        clip: the bound on a coordinate, in the units of the update.
        fraction_bits: binary digits after the point.
        rounding: "nearest" (half to even; the smallest error) or "stochastic" (up or down at
            random so that the expectation is the value itself, to 2**-17 of a unit).
    """

    clip: float
    fraction_bits: int
    rounding: Rounding

    def __post_init__(self) -> None:
        if not (math.isfinite(self.clip) and self.clip > 0):
            raise ParameterError(f"the clip is finite and positive, got {self.clip}")
        if not 0 <= self.fraction_bits <= 52:
            raise ParameterError(f"fraction bits lie in 0..52, got {self.fraction_bits}")
        if self.rounding not in ("nearest", "stochastic"):
            raise ParameterError(f"rounding is nearest or stochastic, got {self.rounding!r}")
        if self.bound > LARGEST_BOUND:
            raise ParameterError(
                f"clip {self.clip} with {self.fraction_bits} fraction bits needs integers up to"
                f" {self.bound}, beyond the exact range 2**52: lower one of them"
            )

    @property
    def bound(self) -> int:
        """The largest magnitude of an encoded coordinate: ceil(clip * 2**fraction_bits), exact."""
        return math.ceil(Fraction(self.clip) * (1 << self.fraction_bits))

    @property
    def rounding_error(self) -> float:
        """The largest distance between a coordinate and its integer, in units of the integer."""
        return 0.5 if self.rounding == "nearest" else 1.0

    def encode(
        self,
        values: npt.NDArray[np.float32],
        *,
        share: float,
        ring: Ring,
        rng: Rng | None,
        out: RingVector | None = None,
    ) -> tuple[RingVector, int]:
        """Clip, scale by share * 2**fraction_bits, round, and reduce into the ring.

        Args:
            values: float32, one-dimensional.
            share: 0 < share <= 1, this client's part of the largest weight.
            ring: must hold +-bound.
            rng: the source of a seed for stochastic rounding; None for nearest.
            out: where to put the vector, or None for new memory.

        Returns:
            The ring vector, and how many coordinates lay outside +-clip and were saturated.

        Raises:
            InputError: NaN or an infinity; the message names the first coordinate.
            ParameterError: stochastic rounding without an rng, or a ring too small.
        """
        require_room(ring, self.bound)
        return kernels.encode_fixed(
            values,
            clip=self.clip,
            scale=share * (1 << self.fraction_bits),
            ring=ring,
            randomness=self._randomness(rng),
            out=out,
        )

    def decode(self, total: RingVector, *, ring: Ring, divisor: float) -> npt.NDArray[np.float64]:
        """A sum of encoded vectors as reals: signed total / (divisor * 2**fraction_bits)."""
        return kernels.decode_fixed(total, ring, divisor * (1 << self.fraction_bits))

    def _randomness(self, rng: Rng | None) -> kernels.MaskStream | None:
        if self.rounding == "nearest":
            return None
        if rng is None:
            raise ParameterError("stochastic rounding needs a source of randomness")
        return kernels.MaskStream(rng.bytes(16), rng.bytes(12), +1)


def require_room(ring: Ring, bound: int) -> None:
    """Refuse a ring in which even one value of magnitude `bound` could wrap.

    Raises:
        ParameterError: it is too small.
    """
    if Ring.for_sum(1, bound).bits > ring.bits:
        raise ParameterError(
            f"values up to {bound} do not fit a ring of {ring.bits} bits: derive the ring from the"
            " number of clients and the codec's bound"
        )


def as_float32_vector(values: npt.ArrayLike, length: int) -> npt.NDArray[np.float32]:
    """The argument itself, contiguous, if it is a float32 array of shape (length,).

    Raises:
        InputError: anything else. Other types are not converted: a float64 that silently loses
            digits is a bug in the caller.
    """
    if not isinstance(values, np.ndarray):
        raise InputError(f"expected a numpy array, got a {type(values).__name__}")
    if values.dtype != np.float32:
        raise InputError(f"expected float32, got {values.dtype}")
    if values.shape != (length,):
        raise InputError(f"expected shape ({length},), got {values.shape}")
    return np.ascontiguousarray(values)
