"""Whether a message's size, or what travels beside the vector, says anything about the input."""

from __future__ import annotations

from typing import Final

from secagg.audit.checks import inputs
from secagg.audit.registry import Check, Settings, private
from secagg.audit.subject import Request, Subject
from secagg.audit.verdicts import Judgement, Severity, beside, failed, passed, undecided

LENGTH: Final = 1000


def _inputs(subject: Subject, settings: Settings) -> Judgement:
    largest, names = inputs.bound(settings), set[str]()
    first = None
    sparse = inputs.constant(settings, LENGTH, 0)
    sparse[:, 7] = 1
    kinds = {
        "zeros": inputs.constant(settings, LENGTH, 0),
        "the largest": inputs.constant(settings, LENGTH, largest),
        "one element": sparse,
        "random": inputs.random(settings, LENGTH, "sizes"),
    }
    for name, values in kinds.items():
        request = Request(values, inputs.BITS, settings.draw(f"sizes {name}"))
        sizes = subject.session(request).sizes
        if sizes is None:
            return undecided("the target shows no sizes of messages")
        first = first or sizes
        names |= set(sizes)
        for message in sorted(names):
            if sizes.get(message) != first.get(message):
                return failed(
                    f"{message}: {first.get(message)} bytes for zeros, {sizes.get(message)} for"
                    f" {name}"
                )
    return passed(f"{len(names)} kinds of messages, equal bytes for {len(kinds)} kinds of inputs")


def _formula(subject: Subject, settings: Settings) -> Judgement:
    from secagg.audit.library import ProtocolSubject

    assert isinstance(subject, ProtocolSubject)  # noqa: S101
    plan = subject.plan(settings.clients, LENGTH, inputs.bound(settings))
    values = inputs.random(settings, LENGTH, "formula")
    sizes = subject.hold(plan, Request(values, inputs.BITS, settings.draw("formula"))).sizes
    assert sizes is not None  # noqa: S101
    expected = subject.protocol.traffic(plan).up
    found = {sum(sent) for sent in zip(*sizes.values(), strict=True)}
    if found != {expected}:
        return failed(f"expected {expected} bytes up of every client, got {sorted(found)}")
    return passed(f"every client sent {expected} bytes, as the documented formula says")


def _clear(subject: Subject, settings: Settings) -> Judgement:
    if subject.kind == "protocol":
        return beside("sessions carry one vector, the weight inside; nothing travels beside it")
    seen = []
    for weights in (range(1, settings.clients + 1), range(101, settings.clients + 101)):
        values = inputs.constant(settings, LENGTH, 1)
        request = Request(values, inputs.BITS, settings.draw("clear"), weights=tuple(weights))
        clear = subject.session(request).clear
        if clear is None:
            return undecided("the target does not show what travels beside the vectors")
        seen.append(clear)
    moving = [name for name in seen[0] if seen[0][name] != seen[1].get(name)]
    if moving:
        return failed(f"the server sees of every client: {', '.join(sorted(moving))}")
    return passed(f"two sets of weights; {len(seen[0])} values beside the vector, none moved")


CHECKS: Final = (
    Check(
        id="sizes.inputs",
        claim="no message's size depends on an input",
        method="sessions with all-zero, all-largest, sparse and random inputs; every size compared",
        judge=_inputs,
        promised=private,
    ),
    Check(
        id="sizes.formula",
        claim="a client sends as many bytes as the documentation says",
        method="the bytes of a session against `Protocol.traffic`",
        judge=_formula,
        severity=Severity.LOW,
        kinds=frozenset(("protocol",)),
        elsewhere="only this library's protocols have a formula here",
    ),
    Check(
        id="sizes.clear-values",
        claim="nothing private travels in clear beside the vector, such as example counts",
        method="two sessions that differ in the clients' example counts only",
        judge=_clear,
        severity=Severity.MEDIUM,
        promised=private,
    ),
)
