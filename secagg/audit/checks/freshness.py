"""Whether anything is used twice that must be used once, or can be guessed."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import numpy as np

from secagg.audit import statistics
from secagg.audit.checks import inputs
from secagg.audit.checks.masks import ENCRYPTED
from secagg.audit.registry import Check, Settings, never, private
from secagg.audit.subject import Numbers, Request, Subject
from secagg.audit.verdicts import Judgement, Severity, beside, failed, passed, undecided
from secagg.errors import AdapterFailed, CannotTell

LENGTH: Final = 512
LEAST_SEED_BITS: Final = 112
"""NIST SP 800-57 part 1, table 2: below this nothing is acceptable any more."""

SAMPLES: Final = 256
"""Seeds that are looked at: more than the bits that are needed, by far."""

REPEATS: Final = 0.05
"""Of the elements: in a ring of 8 bits one of 256 is equal by chance."""


def _masks(subject: Subject, settings: Settings) -> Judgement:
    seen: list[Numbers] = []
    values = inputs.random(settings, LENGTH, "fresh")
    other = inputs.constant(settings, LENGTH, 1)
    bits = inputs.BITS
    for number, given in enumerate((values, values, other)):
        request = Request(given, inputs.BITS, settings.draw(f"fresh {number}"))
        facts = subject.session(request)
        if facts.masked is None:
            return (
                beside(ENCRYPTED)
                if facts.key_holders is not None
                else undecided("the target shows no masked vectors")
            )
        bits = facts.bits or bits
        seen.append(facts.masked)
        if not facts.aligned:
            values = other  # what is sealed is compared as it is
    repeated = float(np.mean(seen[0] == seen[1]))
    if repeated > REPEATS:
        return failed(f"the same inputs twice: {repeated:.0%} of the masked values are the same")
    if seen[2].shape == values.shape:
        same = _moved_alike(seen[0], seen[2], other - values, bits)
        if same > REPEATS:
            return failed(f"two sessions: {same:.0%} of the masked values differ as the inputs do")
    return passed(f"three sessions; {repeated:.2%} of the values are equal, by chance")


def _moved_alike(first: Numbers, second: Numbers, inputs_moved: Numbers, bits: int) -> float:
    """The part of the elements that differ as the inputs do."""
    if first.dtype.kind == "f":
        return float(np.mean(np.isclose(second - first, inputs_moved)))
    apart = second.astype(np.uint64) - first.astype(np.uint64) - inputs_moved.astype(np.uint64)
    return float(np.mean(apart & np.uint64((1 << bits) - 1) == 0))


def _tokens(subject: Subject, settings: Settings) -> Judgement:
    values = inputs.constant(settings, LENGTH, 1)
    where: dict[tuple[str, bytes], int] = {}
    count = 0
    for session in range(2 + settings.seeds):
        request = Request(values, inputs.BITS, settings.draw(f"tokens {session}"))
        tokens = subject.session(request).tokens
        if tokens is None:
            return undecided("the target shows neither keys nor nonces nor ciphertexts")
        for name, found in tokens.items():
            for token in found:
                count += 1
                before = where.setdefault((name, token), session)
                if before != session or list(found).count(token) > 1:
                    place = "one session" if before == session else "two sessions"
                    return failed(f"{name}: the same {len(token)} bytes twice in {place}")
    if not count:
        return beside("clients send neither keys nor nonces nor sealed bytes")
    return passed(f"{count} keys, nonces, commitments and ciphertexts, all different")


def _seeds(subject: Subject, settings: Settings) -> Judgement:
    stated: dict[str, int] = {}
    measured: dict[str, int] = {}
    try:
        shown = subject.seeds(SAMPLES)
        measured = {name: statistics.spanned(seeds) for name, seeds in shown.items()}
    except AdapterFailed:
        raise
    except CannotTell:
        # What is stated is all there is, then.
        stated = dict(subject.seed_bits())
    else:
        with suppress(CannotTell):
            stated = dict(subject.seed_bits())
    if not stated and not measured:
        return undecided("the target names no seed")
    words = [f"{name}: {bits} bits as stated" for name, bits in sorted(stated.items())]
    words += [f"{name}: {bits} bits vary" for name, bits in sorted(measured.items())]
    shortest = min((*stated.values(), *measured.values()))
    if shortest < LEAST_SEED_BITS:
        return failed(f"{', '.join(words)}; at least {LEAST_SEED_BITS} are needed")
    return passed(", ".join(words))


def _forgotten(subject: Subject, settings: Settings) -> Judgement:
    values = inputs.constant(settings, 8, 1)
    kept = subject.session(Request(values, inputs.BITS, settings.draw("forgotten"))).kept
    if kept is None:
        return undecided("the target does not show what a client keeps")
    if kept:
        return failed(f"when the session is over a client still has: {', '.join(sorted(kept))}")
    return passed("when the session is over a client has no key and no seed of it")


CHECKS: Final = (
    Check(
        id="fresh.masks",
        claim="no mask is used twice",
        method="three sessions, two with the same inputs: masked values that are equal, or differ"
        " as the inputs do",
        judge=_masks,
        severity=Severity.CRITICAL,
        promised=private,
        source="A19",
    ),
    Check(
        id="fresh.tokens",
        claim="no key, nonce, commitment or ciphertext is seen twice",
        method="all of them in several sessions compared byte for byte",
        judge=_tokens,
        severity=Severity.CRITICAL,
        promised=private,
        source="A19",
    ),
    Check(
        id="fresh.seeds",
        claim=f"whoever guesses a secret has to guess {LEAST_SEED_BITS} bits or more",
        method=f"as the target states it; and of {SAMPLES} seeds, where it shows any, the bits that"
        " vary (the dimension of their differences over GF(2))",
        judge=_seeds,
        severity=Severity.CRITICAL,
        promised=private,
        source="A18",
    ),
    Check(
        id="fresh.forgotten",
        claim="when a session is over, clients have no key and no seed of it any more",
        method="what a client keeps of a session that has ended, by name",
        judge=_forgotten,
        severity=Severity.MEDIUM,
        promised=never,
        kinds=frozenset(("adapter",)),
        elsewhere="nobody searches this library's memory here",
    ),
)
