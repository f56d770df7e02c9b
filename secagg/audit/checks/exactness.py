"""Whether the released sum is that of those that it names, whoever vanishes."""

from __future__ import annotations

from typing import Final

import numpy as np

from secagg.audit.checks import inputs
from secagg.audit.registry import Check, Settings
from secagg.audit.subject import Facts, Moment, Request, Subject, Values
from secagg.audit.verdicts import Judgement, Severity, failed, passed, undecided
from secagg.errors import AdapterFailed, CannotTell, InputError

LENGTH: Final = 257
CHOSEN: Final = 24
"""Bits of a ring that few clients fill, wherever it can be chosen."""

MOST: Final = 300
"""Clients of a session that is to fill a ring."""

WIDEST: Final = 60
"""Bits of a ring whose half, a few times over, is still an integer of 64 bits."""


def _wrong(facts: Facts, values: Values) -> str:
    """What is wrong with a sum, or nothing."""
    if facts.total is None:
        return f"no sum was released: {facts.failure or 'no reason was given'}"
    expected = values[list(facts.included)].sum(axis=0)
    if facts.total.shape != expected.shape:
        return f"expected {expected.size} elements, got {facts.total.size}"
    error = int(np.abs(facts.total - expected).max())
    if error > facts.error_bound:
        return f"off by up to {error}, where {facts.error_bound} is promised"
    return ""


def _sum(subject: Subject, settings: Settings) -> Judgement:
    for repetition in range(settings.seeds):
        values = inputs.random(settings, LENGTH, "sum", repetition)
        facts = subject.session(Request(values, inputs.BITS, settings.draw("sum s", repetition)))
        if wrong := _wrong(facts, values):
            return failed(wrong)
        if facts.included != tuple(range(settings.clients)):
            return failed(f"of {settings.clients} clients {len(facts.included)} are in the sum")
    return passed(f"sessions: {settings.seeds}, of {settings.clients} clients, {LENGTH} elements")


def _dropouts(subject: Subject, settings: Settings) -> Judgement:
    tried = 0
    losses: list[dict[int, Moment]] = [
        {0: "before upload"},
        {1: "after upload"},
        {0: "after upload", settings.clients - 1: "before upload"},
    ]
    for repetition in range(settings.seeds):
        for lost in losses:
            values = inputs.random(settings, LENGTH, "dropouts", repetition)
            seed = settings.draw(f"dropouts {tried}", repetition)
            facts = subject.session(Request(values, inputs.BITS, seed, lost))
            gone = {number for number, moment in lost.items() if moment == "before upload"}
            if wrong := _wrong(facts, values):
                return failed(f"with clients lost ({_words(lost)}): {wrong}")
            if gone & set(facts.included):
                return failed(f"with clients lost ({_words(lost)}): one that sent nothing is in it")
            tried += 1
    return passed(f"{tried} sessions with one or two clients lost, before or after their upload")


def _early(subject: Subject, settings: Settings) -> Judgement:
    losses: list[dict[int, Moment]] = [
        {1: "before sharing keys"},
        {0: "before sharing keys", 2: "before upload"},
    ]
    for tried, lost in enumerate(losses):
        values = inputs.random(settings, LENGTH, "early", tried)
        request = Request(values, inputs.BITS, settings.draw(f"early {tried}"), lost)
        facts = subject.session(request)
        if wrong := _wrong(facts, values):
            return failed(f"with clients lost ({_words(lost)}): {wrong}")
        if set(lost) & set(facts.included):
            return failed(f"with clients lost ({_words(lost)}): one that sent nothing is in it")
    return passed(f"{len(losses)} sessions with a client lost before it shared its keys")


def _words(lost: dict[int, Moment]) -> str:
    return ", ".join(f"client {number} {moment}" for number, moment in lost.items())


def _extremes(subject: Subject, settings: Settings) -> Judgement:
    largest = inputs.bound(settings)
    for name, values in (
        ("the largest", inputs.constant(settings, LENGTH, largest)),
        ("the smallest", inputs.constant(settings, LENGTH, -largest)),
        ("both in turn", inputs.striped(settings, LENGTH, largest)),
    ):
        facts = subject.session(Request(values, inputs.BITS, settings.draw(f"extremes {name}")))
        if wrong := _wrong(facts, values):
            return failed(f"all clients at {name}, of magnitude {largest}: {wrong}")
    return passed(f"all clients at +-{largest}, the bound for {settings.clients} of them")


def _range(subject: Subject, settings: Settings) -> Judgement:
    values = inputs.constant(settings, LENGTH, 0)
    bits = inputs.BITS
    if subject.kind == "adapter":
        bits = subject.session(Request(values, bits, settings.draw("ring"))).bits or bits
    # As large as half of the ring, whatever it is: the sum of two of these is beyond it.
    values[:, 3] = 1 << (min(bits, WIDEST) - 1)
    if subject.kind == "protocol":
        return _beyond_plan(subject, settings, values)
    try:
        facts = subject.session(Request(values, inputs.BITS, settings.draw("range")))
    except AdapterFailed:
        raise
    except CannotTell as refusal:
        return passed(f"refused: {refusal}")
    if facts.total is None:
        return passed(f"no sum was released: {facts.failure}")
    if wrong := _wrong(facts, values):
        return failed(f"inputs beyond the ring of {facts.bits} bits, and no error: {wrong}")
    return passed(f"inputs of half of a ring of {bits} bits were summed rightly all the same")


def _cohort(subject: Subject, settings: Settings) -> Judgement:
    probe = inputs.constant(settings, 1, 0)
    facts = subject.session(Request(probe, CHOSEN, settings.draw("cohort probe")))
    bits = facts.bits or CHOSEN
    if not facts.largest:
        return undecided("the target does not say how large an input may be")
    clients = max(settings.clients, (1 << bits) // (2 * facts.largest)) + 1
    if clients > MOST:
        return undecided(f"{clients} clients are needed for a sum beyond a ring of {bits} bits")
    if clients * facts.largest >= 1 << 63:
        return undecided(f"sums in a ring of {bits} bits cannot be told from ones that wrapped")
    values = np.full((clients, 3), facts.largest, dtype=np.int64)
    try:
        facts = subject.session(Request(values, CHOSEN, settings.draw("cohort")))
    except AdapterFailed:
        raise
    except CannotTell as refusal:
        return passed(f"{clients} clients at the largest input: refused: {refusal}")
    if facts.total is None:
        return passed(f"{clients} clients at the largest input: no sum: {facts.failure}")
    said = f"{clients} clients at the largest input, ring of {facts.bits or CHOSEN} bits"
    if wrong := _wrong(facts, values):
        return failed(f"{said}: no error, and a sum that is {wrong}")
    return passed(f"{said}: the sum is right")


def _not_a_number(subject: Subject, settings: Settings) -> Judgement:
    if subject.takes_not_a_number():
        return failed("an input with a coordinate that is not a number is in a released sum")
    return passed("an input with a coordinate that is not a number was refused")


def _beyond_plan(subject: Subject, settings: Settings, values: Values) -> Judgement:
    from secagg.audit.library import ProtocolSubject

    assert isinstance(subject, ProtocolSubject)  # noqa: S101
    plan = subject.plan(settings.clients, LENGTH, inputs.bound(settings))
    try:
        subject.hold(plan, Request(values, inputs.BITS, settings.draw("range")))
    except InputError as refusal:
        return passed(f"refused before anything was sent: {type(refusal).__name__}")
    return failed(f"inputs of {values.max()} were taken where the bound is {plan.task.bound}")


CHECKS: Final = (
    Check(
        id="exactness.sum",
        claim="the released sum is that of the clients that it names",
        method="random inputs, nobody lost; every element compared with plain integers",
        judge=_sum,
        severity=Severity.CRITICAL,
    ),
    Check(
        id="exactness.dropouts",
        claim="it still is when clients vanish, and names nobody who sent nothing",
        method="the same with clients lost before and after their upload",
        judge=_dropouts,
    ),
    Check(
        id="exactness.early-dropouts",
        claim="clients that vanish before they have shared keys do not cost the others the sum",
        method="the same with clients lost after they have shown their public keys",
        judge=_early,
    ),
    Check(
        id="exactness.extremes",
        claim="no sum of allowed inputs wraps",
        method="all clients at the largest and the smallest allowed value",
        judge=_extremes,
        source="A16",
    ),
    Check(
        id="exactness.range",
        claim="an input that could make the sum wrap is refused, not summed silently",
        method="inputs of half of the ring; a wrong sum without an error is a failure",
        judge=_range,
        source="A16",
    ),
    Check(
        id="exactness.cohort",
        claim="the ring holds the sum of all clients at their largest input, however many, or they"
        " are refused",
        method="more clients at the largest input than a ring of this width holds, of"
        f" {CHOSEN} bits where it can be chosen",
        judge=_cohort,
        source="A16",
    ),
    Check(
        id="exactness.not-a-number",
        claim="an input that is not a number is refused by its client",
        method="a client is given an input with NaN in it",
        judge=_not_a_number,
    ),
)
