"""What can be told from sizes and digests alone, without a word of content.

A transcript is its keeper's own story: that it lacks a message says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from secagg.audit.registry import Check, Settings, private
from secagg.audit.subject import Subject
from secagg.audit.verdicts import Judgement, Severity, failed, passed, undecided
from secagg.transcript import Entry

VECTORS: Final = frozenset(("MaskedVector", "SignedVector", "Upload", "SealedVector"))
"""The messages that carry a client's vector."""

QUESTIONS: Final = frozenset(("UnmaskRequest", "SurvivorList", "SurvivorQuorum", "OpenSum"))
"""What a server says when it has closed the set of those in the sum."""

FLOOR: Final = 2


def _delivered(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.fate == "delivered"]


def _of_clients(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.sender.startswith("client ")]


def _order(subject: Subject, settings: Settings) -> Judgement:
    entries = subject.entries()
    for place, entry in enumerate(entries):
        if entry.sequence != place:
            return failed(f"entry {place} calls itself number {entry.sequence}")
    for before, after in pairwise(entries):
        if after.seconds < before.seconds:
            return failed(f"entry {after.sequence} is earlier than the one before it")
    said = Counter((e.sender, e.recipient, e.message) for e in _of_clients(_delivered(entries)))
    for (sender, _, message), times in said.items():
        if times > 1:
            return failed(f"{sender} sent {times} {message}, and all were taken")
    return passed(f"{len(entries)} entries, numbered and in order; nobody was heard twice")


def _fresh(subject: Subject, settings: Settings) -> Judgement:
    sent = _of_clients(_delivered(subject.entries()))
    if not sent:
        return undecided("no message of a client was delivered")
    twice = [digest for digest, times in Counter(e.sha256 for e in sent).items() if times > 1]
    if twice:
        return failed(f"the same bytes were taken twice: {twice[0][:16]}...")
    return passed(f"{len(sent)} messages of clients, all different")


def _sizes(subject: Subject, settings: Settings) -> Judgement:
    vectors = [e for e in _of_clients(subject.entries()) if e.message in VECTORS]
    if not vectors:
        return undecided("no message of a kind that is known to carry a vector")
    sizes = {e.size for e in vectors if e.fate == "delivered"}
    if len(sizes) > 1:
        return failed(f"vectors of {min(sizes)} to {max(sizes)} bytes in one session")
    return passed(f"{len(vectors)} vectors of {', '.join(map(str, sizes))} bytes")


def _floor(subject: Subject, settings: Settings) -> Judgement:
    entries = _delivered(subject.entries())
    asked = next((place for place, e in enumerate(entries) if e.message in QUESTIONS), None)
    if asked is None:
        return undecided("nothing shows when a sum was asked for")
    came = {e.sender for e in entries[:asked] if e.message in VECTORS}
    if len(came) < FLOOR:
        return failed(f"a sum was asked for with the vectors of {len(came)} clients")
    return passed(f"a sum was asked for with the vectors of {len(came)} clients")


CHECKS: Final = tuple(
    Check(
        id=f"transcript.{name}",
        claim=claim,
        method=method,
        judge=judge,
        severity=Severity.HIGH,
        promised=private,
        kinds=frozenset(("transcript",)),
        elsewhere="sessions are held here, and looked into themselves",
    )
    for name, claim, method, judge in (
        (
            "order",
            "entries are in order, and of each kind of message one was taken from each client",
            "numbers, times and kinds of the entries",
            _order,
        ),
        (
            "fresh",
            "no client's message was taken twice: a repeated session repeats its bytes",
            "digests of all messages of clients",
            _fresh,
        ),
        (
            "sizes",
            "the vectors of one session have one size",
            "sizes of the messages that carry vectors",
            _sizes,
        ),
        (
            "floor",
            "no sum was asked for over fewer than two clients",
            "vectors delivered before the first question about survivors",
            _floor,
        ),
    )
)
