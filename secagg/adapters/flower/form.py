"""What a client's results look like without their values, and how values become tensors and back.

A train function replies with arrays and metrics, an evaluate function with metrics. All of them are
coordinates of the one vector that is summed, and the number of examples is its weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict

from secagg.codec import Layout, TensorSpec
from secagg.endpoint.invitation import MAX_TENSORS, Tensor
from secagg.errors import InputError, ParameterError, SecaggError

MAX_METRIC_VALUES: Final = 1 << 16
NOTHING: Final = "nothing"
"""The one coordinate of results that are a number of examples and nothing else."""

Tensors: TypeAlias = dict[str, npt.NDArray[Any]]
_Text = Annotated[str, msgspec.Meta(max_length=256)]


class Metric(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A metric: its name, and how many values it is a list of; None if it is one value."""

    name: _Text
    values: Annotated[int, msgspec.Meta(ge=0, le=MAX_METRIC_VALUES)] | None


class Limits(NamedTuple):
    """How large values may be.

    Attributes:
        weighted_by: the metric that is the weight.
        clip: of an array's element.
        max_weight: of the weight.
        metric_bound: of a metric.
        saturate: whether elements beyond the clip are cut to it instead of refused.
        grid: a power of two; any weight times any multiple of it is encoded without rounding.
    """

    weighted_by: str
    clip: float
    max_weight: int
    metric_bound: float
    saturate: bool
    grid: float

    def check(self) -> None:
        """Refuse limits that nothing can be encoded with.

        Raises:
            ParameterError: one is not positive and finite.
        """
        for name in ("clip", "max_weight", "metric_bound", "grid"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ParameterError(f"{name}: expected a positive number, got {value}")

    def split(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Metrics as coordinates, [parts, ...]: multiples of the grid, and what is left of them.

        Metrics may be far larger than arrays' elements. The first part loses nothing when it is
        weighted and rounded, and the rest is as large again as the clip allows.
        """
        scaled = values * (self.clip / self.metric_bound)
        whole = np.trunc(scaled / self.grid) * self.grid
        return np.stack([whole, (scaled - whole) * (self.clip / self.grid)])

    def joined(self, parts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The inverse of `split`, and of any mean of what it gave."""
        scaled = parts[0] + parts[1] * (self.grid / self.clip)
        return np.asarray(scaled * (self.metric_bound / self.clip))


class Form(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The results of one exchange, without their values.

    Attributes:
        array_record: the name of the record of arrays; empty if there is none.
        arrays: its arrays, in order.
        metric_record: the name of the record of metrics.
        metrics: its metrics, in order, but for the weight.
    """

    array_record: _Text
    arrays: Annotated[tuple[Tensor, ...], msgspec.Meta(max_length=MAX_TENSORS)]
    metric_record: _Text
    metrics: Annotated[tuple[Metric, ...], msgspec.Meta(max_length=MAX_TENSORS)]

    @property
    def layout(self) -> Layout:
        """The coordinates.

        Raises:
            InputError: a type of array that cannot be added up, or a name twice.
        """
        arrays = [
            TensorSpec(f"{self.array_record}.{one.name}", one.shape, np.dtype(one.dtype))
            for one in self.arrays
        ]
        metrics = [
            TensorSpec(
                f"{self.metric_record}.{one.name}",
                (2,) if one.values is None else (2, one.values),
                np.dtype(np.float64),
            )
            for one in self.metrics
        ]
        specs = (*arrays, *metrics)
        if not any(spec.size for spec in specs):
            specs += (TensorSpec(NOTHING, (), np.dtype(np.float32)),)
        return Layout(specs)

    def differs(self, other: Form) -> str:
        """In words, how another form differs from this one; empty if it does not."""
        for what, own, came in (
            ("record of arrays", self.array_record, other.array_record),
            ("record of metrics", self.metric_record, other.metric_record),
        ):
            if own != came:
                return f"expected the {what} {own!r}, got {came!r}"
        for kind, own_parts, other_parts in (
            ("array", self.arrays, other.arrays),
            ("metric", self.metrics, other.metrics),
        ):
            names = [part.name for part in own_parts]
            others = [part.name for part in other_parts]
            if names != others:
                missing, extra = sorted({*names} - {*others}), sorted({*others} - {*names})
                order = "" if missing or extra else ", in another order"
                return f"{kind}s differ: missing {missing[:5]}, unexpected {extra[:5]}{order}"
            for part, one in zip(map(_words, own_parts), map(_words, other_parts), strict=True):
                if part != one:
                    return f"expected {kind} {part}, got {one}"
        return ""

    def replies(self, mean: Tensors, weights: Sequence[int], limits: Limits) -> list[RecordDict]:
        """The mean as clients would have replied with it, all with the same arrays.

        Args:
            mean: by the names of the layout.
            weights: the number of examples that each reply stands for.
            limits: as the results were encoded with.
        """
        content: dict[str, Any] = {}
        if self.array_record:
            content[self.array_record] = ArrayRecord(
                {
                    one.name: Array(np.asarray(mean[f"{self.array_record}.{one.name}"]))
                    for one in self.arrays
                }
            )
        metrics = {}
        for one in self.metrics:
            values = limits.joined(mean[f"{self.metric_record}.{one.name}"])
            metrics[one.name] = float(values) if one.values is None else values.tolist()
        return [
            RecordDict(
                content | {self.metric_record: MetricRecord({limits.weighted_by: weight} | metrics)}
            )
            for weight in weights
        ]


class Results(NamedTuple):
    """One client's.

    Attributes:
        form: what they look like.
        tensors: by the names of the form's layout; metrics as `Limits.split` makes them.
        weight: the number of examples.
    """

    form: Form
    tensors: Tensors
    weight: int


def results_of(reply: RecordDict, limits: Limits) -> Results:
    """A client's results as they can be added up.

    Raises:
        InputError: they cannot; the message says what to do about it.
    """
    unknown = [k for k, v in reply.items() if not isinstance(v, (ArrayRecord, MetricRecord))]
    if unknown:
        raise InputError(
            f"record {unknown[0]!r} is a {type(reply[unknown[0]]).__name__}, which cannot be added"
            " up and is not sent in the clear: reply with arrays and metrics only"
        )
    if len(reply.array_records) > 1:
        raise InputError(
            f"expected at most one ArrayRecord, got {sorted(reply.array_records)}: put all arrays"
            " into one"
        )
    if len(reply.metric_records) != 1:
        raise InputError(
            f"expected one MetricRecord with {limits.weighted_by!r}, got"
            f" {len(reply.metric_records)}: it is the weight of the mean"
        )
    ((metric_record, metrics),) = reply.metric_records.items()
    array_record, arrays = next(iter(reply.array_records.items()), ("", ArrayRecord()))
    weight = _weight(metrics, limits)
    values = {key: _array(array_record, key, array) for key, array in arrays.items()}
    try:
        form = Form(
            array_record,
            tuple(_tensor(key, value) for key, value in values.items()),
            metric_record,
            tuple(_metric(k, v) for k, v in metrics.items() if k != limits.weighted_by),
        )
    except msgspec.ValidationError as error:
        raise InputError(f"results that do not travel: {error}") from None
    tensors = {f"{array_record}.{key}": value for key, value in values.items()}
    for key, value in values.items():
        _check_clip(f"{array_record}.{key}", value, limits)
    for one in form.metrics:
        name = f"{metric_record}.{one.name}"
        tensors[name] = _split(name, metrics[one.name], limits)
    if NOTHING in {spec.name for spec in form.layout.specs} - tensors.keys():
        tensors[NOTHING] = np.zeros((), np.float32)
    return Results(form, tensors, weight)


def _weight(metrics: MetricRecord, limits: Limits) -> int:
    key = limits.weighted_by
    value = metrics.get(key)
    if not isinstance(value, (int, float)):
        raise InputError(f"expected a number {key!r} among the metrics: it is the weight")
    if not math.isfinite(value) or value != int(value):
        raise InputError(f"{key}: expected a whole number")
    if int(value) == 0:
        raise InputError(
            f"{key} is 0: a client without examples has nothing to add; do not select it, or raise"
            " an error in its function"
        )
    if not 0 < value <= limits.max_weight:
        raise InputError(
            f"{key}: expected 1..{limits.max_weight}; pass a larger max_weight in the settings of"
            " SecureGrid"
        )
    return int(value)


def _array(record: str, key: str, array: Array) -> npt.NDArray[Any]:
    try:
        value = array.numpy()
    except (TypeError, ValueError) as error:
        raise InputError(f"{record}.{key}: not a numpy array: {error}") from None
    return np.asarray(value)


def _tensor(key: str, value: npt.NDArray[Any]) -> Tensor:
    return msgspec.convert((key, value.shape, value.dtype.name), Tensor)


def _metric(key: str, value: Any) -> Metric:
    return msgspec.convert((key, len(value) if isinstance(value, list) else None), Metric)


def _check_clip(name: str, value: npt.NDArray[Any], limits: Limits) -> None:
    if not value.size:
        return
    if value.dtype.kind == "f":
        wide = value.astype(np.float64, copy=False)
        if not np.isfinite(wide).all():
            raise InputError(
                f"{name}: expected finite numbers, got infinity or NaN: this client's training"
                " diverged; lower its learning rate or clip its gradients"
            )
        # As it is encoded, in single precision.
        beyond = np.abs(wide.astype(np.float32)) > limits.clip
        if beyond.any() and not limits.saturate:
            # Not how many: the server reads this.
            raise InputError(
                f"{name}: elements beyond +-{limits.clip}: pass a larger clip in the settings of"
                " SecureGrid, or saturate=True to have them cut"
            )
    elif value.dtype.kind in "iu" and max(abs(int(value.min())), int(value.max())) > limits.clip:
        raise InputError(
            f"{name}: integers beyond +-{limits.clip}: pass a larger clip in the settings of"
            " SecureGrid, or keep this array at the client"
        )


def _split(name: str, value: Any, limits: Limits) -> npt.NDArray[np.float64]:
    values = np.asarray(value, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{name}: expected finite numbers, got infinity or NaN")
    if values.size and float(np.abs(values).max()) > limits.metric_bound:
        raise InputError(
            f"{name}: beyond +-{limits.metric_bound}: pass a larger metric_bound in the settings of"
            " SecureGrid"
        )
    return limits.split(values)


def _words(part: Any) -> str:
    if isinstance(part, Metric):
        size = "one value" if part.values is None else f"{part.values} values"
        return f"{part.name!r} of {size}"
    return f"{part.name!r} ({part.dtype}, shape {part.shape})"


def in_words(error: SecaggError) -> str:
    """An error as it is told to the other side. No error of ours holds a secret."""
    return f"{type(error).__name__}: {error}"
