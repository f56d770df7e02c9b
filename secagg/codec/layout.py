"""Named tensors to one float32 vector and back, with the same names, shapes and types.

A model is a mapping from names to tensors of mixed types; a protocol sums one vector. A `Layout`
fixes the order, so that coordinate i means the same weight at every client. It refuses what would
be silently wrong: missing or extra names, another shape or type, NaN and infinities, and integers
that float32 does not hold exactly. Messages name the place, never the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from secagg.errors import InputError

EXACT_INTEGER: Final = 1 << 24
"""float32 holds every integer up to this magnitude; above it, every second one is lost."""


class TensorSpec(NamedTuple):
    """What a tensor is called and looks like."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """How many coordinates it fills; 1 for a 0-d tensor."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __str__(self) -> str:
        return f"tensor {self.name!r} ({self.dtype.name}, shape {self.shape})"


@dataclass(frozen=True)
class Layout:
    """The order in which tensors fill a vector.

    Attributes:
        specs: the tensors, in the order of their coordinates; each is flattened in C order.
    """

    specs: tuple[TensorSpec, ...]

    def __post_init__(self) -> None:
        for spec in self.specs:
            _check_dtype(spec)
        if len({spec.name for spec in self.specs}) != len(self.specs):
            raise InputError("a layout has a tensor name twice")
        if self.length == 0:
            raise InputError("a layout needs at least one coordinate; all its tensors are empty")

    @classmethod
    def of(cls, tensors: Mapping[str, Any]) -> Layout:
        """The layout of a model's state, in the mapping's order.

        Args:
            tensors: numpy arrays or scalars, torch tensors, or anything with a `shape` and a numpy
                `dtype`. Real floating point of at most 64 bits, integers and booleans.

        Raises:
            InputError: nothing to lay out, or a type that is none of the above.
        """
        return cls(tuple(_spec(name, value) for name, value in tensors.items()))

    @property
    def length(self) -> int:
        """How many coordinates the vector has."""
        return sum(spec.size for spec in self.specs)

    def flatten(self, tensors: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        """The tensors as one float32 vector of shape (length,).

        float64 is rounded to float32; float16, bfloat16, booleans and integers are exact. A torch
        tensor is detached and copied from its device; one of type bfloat16, which numpy lacks, is
        widened and laid out as float32.

        Raises:
            InputError: missing or extra names, another shape or type than laid out, NaN, an
                infinity (also one from rounding a float64), or an integer beyond +-2**24.
        """
        _check_names(self, tensors)
        vector = np.empty(self.length, dtype=np.float32)
        start = 0
        for spec in self.specs:
            value = _array(spec.name, tensors[spec.name])
            if value.shape != spec.shape or value.dtype != spec.dtype:
                came = TensorSpec(spec.name, value.shape, value.dtype)
                raise InputError(f"expected {spec}, got {came}")
            _check_integers(spec, value)
            with np.errstate(over="ignore", invalid="ignore"):
                vector[start : start + spec.size] = value.reshape(-1)
            start += spec.size
        self.check_finite(vector)
        return vector

    def unflatten(self, vector: npt.NDArray[np.floating[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The tensors in a vector of shape (length,), float32 or float64, as fresh arrays.

        The mean of integers need not be one: integer and boolean tensors are rounded to the
        nearest integer (half to even), so that a counter stays a counter.

        Raises:
            InputError: another length, NaN, an infinity, or a value that its tensor's type does
                not hold.
        """
        if vector.shape != (self.length,):
            raise InputError(f"expected a vector of {self.length}, got shape {vector.shape}")
        self.check_finite(vector)
        tensors: dict[str, npt.NDArray[Any]] = {}
        start = 0
        for spec in self.specs:
            part = vector[start : start + spec.size]
            tensors[spec.name] = _cast(spec, part).reshape(spec.shape)
            start += spec.size
        return tensors

    def locate(self, coordinate: int) -> str:
        """Where a coordinate of the vector lives, such as "layer.weight[3, 0]", or "epoch" if 0-d.

        Raises:
            InputError: the coordinate lies outside the vector.
        """
        if not 0 <= coordinate < self.length:
            raise InputError(f"coordinate {coordinate} is outside 0..{self.length - 1}")
        for spec in self.specs:
            if coordinate < spec.size:
                break
            coordinate -= spec.size
        if not spec.shape:
            return spec.name
        position = ", ".join(str(int(i)) for i in np.unravel_index(coordinate, spec.shape))
        return f"{spec.name}[{position}]"

    def check_finite(self, vector: npt.NDArray[np.floating[Any]]) -> None:
        """Refuse NaN and infinities in a vector of shape (length,), naming the tensor.

        Raises:
            InputError: there is one; the message names the first.
        """
        finite = np.isfinite(vector)
        if not finite.all():
            first = int(np.argmin(finite))
            raise InputError(f"{self.locate(first)}: expected a finite number, got infinity or NaN")


def _array(name: str, value: Any) -> npt.NDArray[Any]:
    """A numpy view of whatever came; torch is recognised by its methods, never imported."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
        value = value.numpy()
    if not isinstance(value, (np.ndarray, np.generic)):
        raise InputError(f"tensor {name!r} is a {type(value).__name__}, expected an array")
    return np.asarray(value)


def _spec(name: str, value: Any) -> TensorSpec:
    if hasattr(value, "detach") or not hasattr(value, "shape") or not hasattr(value, "dtype"):
        value = _array(name, value)
    return TensorSpec(name, tuple(int(side) for side in value.shape), np.dtype(value.dtype))


def _check_dtype(spec: TensorSpec) -> None:
    real = spec.dtype.kind in "fiub" and spec.dtype.itemsize <= 8
    if not real and spec.dtype.name != "bfloat16":
        raise InputError(f"{spec}: expected floats of at most 64 bits, integers or booleans")


def _check_names(layout: Layout, tensors: Mapping[str, Any]) -> None:
    expected = {spec.name for spec in layout.specs}
    missing = sorted(expected - tensors.keys())
    extra = sorted(tensors.keys() - expected)
    if missing or extra:
        raise InputError(f"tensors differ from the layout: missing {missing}, unexpected {extra}")


def _check_integers(spec: TensorSpec, value: npt.NDArray[Any]) -> None:
    if spec.dtype.kind not in "iu" or spec.size == 0:
        return
    if max(abs(int(value.min())), abs(int(value.max()))) > EXACT_INTEGER:
        raise InputError(f"{spec}: expected integers within +-2**24, where float32 is exact")


def _cast(spec: TensorSpec, part: npt.NDArray[np.floating[Any]]) -> npt.NDArray[Any]:
    if spec.dtype.kind in "iub":
        rounded = np.rint(part).astype(np.float64)
        lowest, highest = (0, 1) if spec.dtype.kind == "b" else _integer_range(spec.dtype)
        if spec.size and (rounded.min() < lowest or rounded.max() > highest):
            raise InputError(f"{spec} cannot hold a value of the vector")
        integers: npt.NDArray[Any] = rounded.astype(spec.dtype)
        return integers
    with np.errstate(over="ignore"):
        values: npt.NDArray[Any] = part.astype(spec.dtype)
    if not np.isfinite(values.astype(np.float64)).all():
        raise InputError(f"{spec} cannot hold a value of the vector")
    return values


def _integer_range(dtype: np.dtype[Any]) -> tuple[int, int]:
    """The type's range within which a double converts exactly.

    A double as large as 2**63 would wrap, and no honest mean comes near.
    """
    limits = np.iinfo(dtype)
    return max(int(limits.min), -(1 << 53)), min(int(limits.max), 1 << 53)
