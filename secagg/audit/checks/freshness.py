"""Whether anything is used twice that must be used once, or can be guessed."""

from __future__ import annotations

from typing import Final

import numpy as np

from secagg.audit.checks import inputs
from secagg.audit.checks.masks import ENCRYPTED
from secagg.audit.registry import Check, Settings, private
from secagg.audit.subject import Numbers, Request, Subject
from secagg.audit.verdicts import Judgement, Severity, beside, failed, passed, undecided

LENGTH: Final = 512
LEAST_SEED_BITS: Final = 112
"""NIST SP 800-57 part 1, table 2: below this nothing is acceptable any more."""

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
    found = subject.seed_bits()
    if not found:
        return undecided("the target names no seed")
    shown = ", ".join(f"{name}: {bits} bits" for name, bits in sorted(found.items()))
    if min(found.values()) < LEAST_SEED_BITS:
        return failed(f"{shown}; at least {LEAST_SEED_BITS} are needed")
    return passed(shown)


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
        method="as the target states it; only the statement is judged",
        judge=_seeds,
        severity=Severity.CRITICAL,
        promised=private,
        source="A18",
    ),
)
