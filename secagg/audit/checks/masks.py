"""Whether what the server gets in place of a vector says anything about the vector."""

from __future__ import annotations

from typing import Final

import numpy as np

from secagg.audit import statistics
from secagg.audit.checks import inputs
from secagg.audit.registry import Check, Settings, private
from secagg.audit.statistics import absent, complexity, correlation, homogeneity, uniformity
from secagg.audit.subject import Facts, Numbers, Request, Subject, Values
from secagg.audit.verdicts import (
    Judgement,
    Measure,
    Severity,
    beside,
    failed,
    passed,
    undecided,
)

LENGTH: Final = 4096
SEQUENCE: Final = 50_000
"""Bits for linear complexity: the Mersenne Twister's is 19 937, so twice that are needed."""

STREAMS: Final = 4
STREAM_LENGTH: Final = 1 << 14
WIDE: Final = 32
COUNTABLE: Final = 16
"""Bits of the widest ring whose values are counted one by one."""

ENCRYPTED: Final = (
    "vectors travel as ciphertexts that are not uniform on any ring: their secrecy rests on an"
    " assumption, which no statistic tests"
)


def _held(subject: Subject, settings: Settings, values: Values, purpose: str, bits: int) -> Facts:
    return subject.session(Request(values, bits, settings.draw(purpose)))


def _nothing(subject: Subject, settings: Settings) -> Judgement | None:
    """The verdict where there is nothing to look at, by a session of one element."""
    facts = _held(subject, settings, inputs.constant(settings, 1, 0), "probe", inputs.BITS)
    if facts.masked is None:
        return (
            beside(ENCRYPTED)
            if facts.key_holders is not None
            else undecided("the target shows no masked vectors")
        )
    return None


def _in_ring(masked: Numbers, bits: int) -> bool:
    """Whether all are integers in 0..2^bits - 1."""
    if masked.dtype.kind == "f" and not bool(np.all(masked == np.floor(masked))):
        return False
    return int(masked.min(initial=0)) >= 0 and int(masked.max(initial=0)) < 1 << bits


def _integers(subject: Subject, settings: Settings) -> Judgement:
    if (nothing := _nothing(subject, settings)) is not None:
        return nothing
    facts = _held(subject, settings, inputs.random(settings, 64, "ring"), "ring", inputs.BITS)
    assert facts.masked is not None  # noqa: S101
    if facts.bits is None:
        return undecided("the target does not say in which ring its masked vectors are")
    if not _in_ring(facts.masked, facts.bits):
        return failed(
            f"expected integers in 0..2^{facts.bits} - 1, got {facts.masked.dtype} up to"
            f" {float(np.abs(facts.masked).max()):g}"
        )
    return passed(f"{facts.masked.size} values, all in 0..2^{facts.bits} - 1")


def cells_of(masked: Numbers, bits: int) -> tuple[Numbers, int]:
    """Values to count and how many there can be: of a wide ring the lowest bits.

    Of what is in no ring, the lowest bits of the integral parts.
    """
    counted = min(bits, inputs.BITS if bits > COUNTABLE else bits)
    whole = _whole(masked)
    if bits <= COUNTABLE and _in_ring(masked, bits):
        return whole, 1 << counted
    return (whole & whole.dtype.type((1 << counted) - 1)), 1 << counted


def _whole(masked: Numbers) -> Numbers:
    return np.floor(masked).astype(np.int64) if masked.dtype.kind == "f" else masked


def _uniform(subject: Subject, settings: Settings) -> Judgement:
    if (nothing := _nothing(subject, settings)) is not None:
        return nothing
    worst: Measure | None = None
    # Two kinds of inputs, each at its share of the false alarms.
    rate = settings.each / 2
    for repetition in range(settings.seeds):
        for name, values in (
            ("zeros", inputs.constant(settings, LENGTH, 0)),
            ("extremes", inputs.constant(settings, LENGTH, inputs.bound(settings))),
        ):
            facts = _held(subject, settings, values, f"uniform {name} {repetition}", inputs.BITS)
            assert facts.masked is not None  # noqa: S101
            bits = facts.bits or inputs.BITS
            counted, cells = cells_of(facts.masked, bits)
            if not _in_ring(facts.masked, bits):
                # Whatever their lowest bits are: these are not spread over any ring.
                counted = np.full(counted.size, -1, dtype=np.int64)
            found = uniformity(counted, cells, rate)
            if worst is None or found.value / found.threshold > worst.value / worst.threshold:
                worst = found
    return _judged(worst, settings, "the masked vectors of all-zero and all-largest inputs")


def _whole_ring(subject: Subject, settings: Settings) -> Judgement:
    found: list[Measure] = []
    for repetition in range(settings.seeds):
        seed = settings.draw("streams", repetition)
        streams = subject.streams(STREAMS, STREAM_LENGTH, inputs.BITS, seed)
        rate = settings.each / 2
        found.append(uniformity(streams, 1 << inputs.BITS, rate))
        gap = absent(streams, 1 << inputs.BITS, rate)
        if gap is not None and gap.alarm:
            return failed(f"{gap.value:g} of {1 << inputs.BITS} values never occur", gap)
    worst = max(found, key=lambda one: one.value / one.threshold)
    return _judged(worst, settings, f"{STREAMS} single masks over a ring of {inputs.BITS} bits")


def _independent(subject: Subject, settings: Settings) -> Judgement:
    if (nothing := _nothing(subject, settings)) is not None:
        return nothing
    worst: Measure | None = None
    rate = settings.each / 2
    for repetition in range(settings.seeds):
        drawn = inputs.random(settings, LENGTH, "independent", repetition)
        largest = inputs.constant(settings, LENGTH, inputs.bound(settings))
        first = _held(subject, settings, drawn, f"independent a {repetition}", inputs.BITS)
        second = _held(subject, settings, largest, f"independent b {repetition}", inputs.BITS)
        assert first.masked is not None  # noqa: S101
        assert second.masked is not None  # noqa: S101
        bits = first.bits or inputs.BITS
        one, cells = cells_of(first.masked, bits)
        other, _ = cells_of(second.masked, bits)
        found = [homogeneity(one, other, cells, rate)]
        if first.aligned and first.masked.shape == drawn.shape:
            found.append(correlation(drawn, first.masked.astype(np.float64), rate))
        for measure in found:
            if worst is None or measure.value / measure.threshold > (worst.value / worst.threshold):
                worst = measure
    return _judged(worst, settings, "masked values of random and of constant inputs")


def _complexity(subject: Subject, settings: Settings) -> Judgement:
    if (nothing := _nothing(subject, settings)) is not None:
        return nothing
    found: list[Measure] = []
    for repetition in range(settings.seeds):
        zeros = inputs.constant(settings, SEQUENCE, 0)
        facts = _held(subject, settings, zeros, f"complexity {repetition}", WIDE)
        assert facts.masked is not None  # noqa: S101
        row = facts.masked[0][:SEQUENCE]
        whole = _whole(row)
        found.append(complexity((whole & whole.dtype.type(1)).astype(np.uint8), settings.each))
    worst = min(found, key=lambda one: one.value - one.threshold)
    return _judged(worst, settings, f"the low bits of {SEQUENCE} masked zeros of one client")


def _judged(measure: Measure | None, settings: Settings, what: str) -> Judgement:
    if measure is None:
        return undecided("nothing was measured")
    shown = statistics.overall(measure, settings.false_alarm)
    return failed(what, shown) if shown.alarm else passed(what, shown)


CHECKS: Final = (
    Check(
        id="masks.integers",
        claim="masked vectors are integers of the ring: a mask is a one-time pad there only",
        method="every value of a session compared with the ring's limits",
        judge=_integers,
        severity=Severity.CRITICAL,
        promised=private,
        source="A17",
    ),
    Check(
        id="masks.uniform",
        claim="masked vectors are uniform over the whole ring, whatever the inputs",
        method=f"chi-square of all masked values, {LENGTH} per client, in a ring of 8 bits or of"
        " the lowest 8 bits, with all inputs 0 and all at the bound",
        judge=_uniform,
        severity=Severity.CRITICAL,
        promised=private,
        statistical=True,
        source="A17",
    ),
    Check(
        id="masks.whole-ring",
        claim="a single mask is uniform over the whole ring, its top value included",
        method=f"chi-square and absent values of {STREAMS} masks of {STREAM_LENGTH} elements: in"
        " a sum of masks a bias of one cannot be seen",
        judge=_whole_ring,
        severity=Severity.MEDIUM,
        promised=private,
        statistical=True,
        source="A18",
    ),
    Check(
        id="masks.independent",
        claim="masked vectors do not depend on the inputs",
        method="masked values of random inputs against those of inputs at the bound, and against"
        " the inputs that they hide",
        judge=_independent,
        severity=Severity.CRITICAL,
        promised=private,
        statistical=True,
        source="A17",
    ),
    Check(
        id="masks.complexity",
        claim="masks come from no linear generator, such as the Mersenne Twister",
        method=f"linear complexity of the low bits of {SEQUENCE} masked zeros (Berlekamp, Massey)",
        judge=_complexity,
        severity=Severity.CRITICAL,
        promised=private,
        statistical=True,
        source="A18",
    ),
)
