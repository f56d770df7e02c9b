"""The codec of one aggregation: a weighted update to a ring vector, a sum to the weighted mean.

An update goes through clip by norm -> times weight / max_weight -> clip by coordinate and round ->
append the weight. The weight is an integer coordinate of its own, outside every clip, so a
protocol that only adds computes a weighted mean and never sees who weighed what. It is scaled by
the largest power of two that fits under the bound of the others, so that the error of an
approximate sum rounds away. Every stage has a bound, the largest is `Codec.bound`, and the ring
derived from it and the number of clients cannot wrap.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from secagg import kernels
from secagg.codec.clip import NormClip
from secagg.codec.quantize import (
    LARGEST_BOUND,
    FixedPoint,
    Rounding,
    as_float32_vector,
    require_room,
)
from secagg.errors import DecodeError, InputError, ParameterError
from secagg.types import Ring, RingVector, Rng


class Encoded(NamedTuple):
    """One client's contribution.

    Attributes:
        vector: what the protocol adds, of length `Codec.vector_length`.
        saturated: how many coordinates lay beyond the clip and were cut to it. Worth a look when
            it is more than a few: the mean is then biased.
    """

    vector: RingVector
    saturated: int


class Decoded(NamedTuple):
    """The result of a round.

    Attributes:
        mean: the weighted mean of the clipped updates, float64, shape (length,).
        weight: the sum of the weights in it.
    """

    mean: npt.NDArray[np.float64]
    weight: int


class Codec(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """How updates become ring vectors; all clients of a round and the server share one.

    Attributes:
        length: coordinates of the update.
        clip: the bound on a coordinate of the update; beyond it, values saturate and are counted.
        max_weight: the largest weight a client may have, a public constant of the federation.
        fraction_bits: binary digits after the point of an update with the largest weight; one of
            weight w has log2(max_weight / w) fewer of its own.
        norm: the largest L2 norm of an update, or None for no such bound.
        rounding: "nearest", or "stochastic" for an unbiased mean.
    """

    length: int
    clip: float
    max_weight: int
    fraction_bits: int = 22
    norm: float | None = None
    rounding: Rounding = "nearest"

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ParameterError(f"a codec needs at least one coordinate, got {self.length}")
        if not 1 <= self.max_weight <= LARGEST_BOUND:
            raise ParameterError(f"the largest weight lies in 1..2**52, got {self.max_weight}")
        # Both stages check their own parameters when they are made.
        _ = self._norm_clip, self._fixed_point

    @property
    def vector_length(self) -> int:
        """Coordinates of the ring vector: the update and, last, the weight."""
        return self.length + 1

    @property
    def bound(self) -> int:
        """The largest magnitude of any coordinate of an encoded vector, exact.

        `Ring.for_sum(clients, bound)` is the smallest ring in which their sum cannot wrap.
        """
        return max(self._fixed_point.bound, self.max_weight)

    @property
    def weight_scale(self) -> int:
        """What a weight is multiplied by: the largest power of two that keeps it within `bound`."""
        return 1 << ((self.bound // self.max_weight).bit_length() - 1)

    def encode(
        self,
        update: npt.NDArray[np.float32],
        weight: int,
        ring: Ring,
        rng: Rng | None = None,
    ) -> Encoded:
        """One client's update, ready to be summed.

        Args:
            update: float32, shape (length,), finite.
            weight: an integer, 0 < weight <= max_weight; usually the number of examples.
            ring: the ring of the plan.
            rng: needed for stochastic rounding only.

        Raises:
            InputError: another shape or type, NaN or an infinity (the message names the first
                coordinate; `Layout.locate` names its tensor), or a weight out of range.
            ParameterError: the ring does not hold +-bound, or an rng is missing.
        """
        weight = self._check_weight(weight)
        require_room(ring, self.bound)
        clipped = self._clip_norm(as_float32_vector(update, self.length))
        share = weight / self.max_weight
        vector = kernels.aligned(self.vector_length, ring.dtype)
        _, saturated = self._fixed_point.encode(
            clipped, share=share, ring=ring, rng=rng, out=vector[:-1]
        )
        vector[-1] = weight * self.weight_scale
        return Encoded(vector, saturated)

    def decode(self, total: RingVector, ring: Ring) -> Decoded:
        """The weighted mean in a sum of encoded vectors.

        Args:
            total: the sum of at most as many vectors as the ring was derived for, in the ring's
                type, shape (vector_length,).
            ring: the ring it was summed in.

        Raises:
            InputError: another shape or type.
            DecodeError: the weights do not add up to a positive number, which no sum of encoded
                vectors can show.
        """
        if total.shape != (self.vector_length,) or total.dtype != ring.dtype:
            raise InputError(
                f"expected {self.vector_length} elements of {ring.dtype},"
                f" got {total.dtype} of shape {total.shape}"
            )
        scale = self.weight_scale
        weight = (int(kernels.decode_signed(total[-1:], ring)[0]) + scale // 2) // scale
        if weight <= 0:
            raise DecodeError(f"the weights add up to {weight}, expected a positive number")
        shares = weight / self.max_weight
        mean = self._fixed_point.decode(total[:-1], ring=ring, divisor=shares)
        return Decoded(mean, weight)

    def clipped(self, update: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """The update that the mean is taken of: after both clips, before rounding, in double.

        Raises:
            InputError: another shape or type, NaN or an infinity.
        """
        values = self._clip_norm(as_float32_vector(update, self.length))
        _check_finite(values)
        return np.clip(values.astype(np.float64), -self.clip, self.clip)

    def error_bound(self, weights: Iterable[int]) -> float:
        """The worst |decoded mean - weighted mean of `clipped` updates| of any coordinate.

        Let F = 2**fraction_bits, M = max_weight, W the sum of the weights w_i, c_i a clipped
        coordinate and u = 2**-53. Client i sends q_i = round(c_i * s_i) with s_i = F * w_i / M.

        - Rounding: |q_i - c_i s_i| <= r, with r = 1/2 (nearest) or 1 (stochastic).
        - Doubles: w_i / M and the product are rounded once each (F is a power of two), so what is
          rounded differs from c_i F w_i / M by at most 3u of it, at most 3u clip F w_i / M.
        - The ring adds the q_i exactly. The mean is their sum times M / (F W), so the errors so far
          become at most n r M / (F W) + 3u clip, because the w_i add up to W.
        - Decoding converts the sum to a double, W / M to a double, and divides: 4u of a mean whose
          magnitude is at most clip + n r M / (F W) + 3u clip.

        Together: n r M / (F W) + 8u (clip + n r M / (F W)). With equal weights w the main term is
        r M / (F w): half a unit in the last place for n clients of the largest weight.

        Raises:
            InputError: no weights, or one out of range.
        """
        chosen = [self._check_weight(weight) for weight in weights]
        if not chosen:
            raise InputError("expected at least one weight")
        unit = 2.0**-self.fraction_bits * (self.max_weight / sum(chosen))
        rounding = len(chosen) * self._fixed_point.rounding_error * unit
        return rounding + 8 * 2.0**-53 * (self.clip + rounding)

    @property
    def _fixed_point(self) -> FixedPoint:
        return FixedPoint(self.clip, self.fraction_bits, self.rounding)

    @property
    def _norm_clip(self) -> NormClip | None:
        return None if self.norm is None else NormClip(self.norm)

    def _check_weight(self, weight: int) -> int:
        try:
            weight = operator.index(weight)
        except TypeError as error:
            raise InputError(f"a weight is an integer, got a {type(weight).__name__}") from error
        if not 0 < weight <= self.max_weight:
            raise InputError(f"expected a weight in 1..{self.max_weight}")
        return weight

    def _clip_norm(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        stage = self._norm_clip
        if stage is None:
            return values
        _check_finite(values)
        return stage.apply(values)


def _check_finite(values: npt.NDArray[np.float32]) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        first = int(np.argmin(finite))
        raise InputError(f"coordinate {first}: expected a finite number, got infinity or NaN")
