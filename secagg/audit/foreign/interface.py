"""What an adapter fills in, so that an implementation of others can be audited.

Every method is optional: one that is left out makes its checks inconclusive, and the report says
so. An adapter is believed in what it hands over: it is code of whoever wants the audit. It runs in
a process of its own, with a time limit, and what it answers is checked for its form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from secagg.audit.subject import Answer, Facts, Lie, Numbers, Question, Request
from secagg.errors import CannotTell
from secagg.protocol import Guarantees


class ForeignImplementation:
    """An implementation, as its server and its clients see it.

    Attributes:
        name: of the implementation, with its version.
        title: one line.
        guarantees: what it promises; None if it says nothing. It is then held to level curious.

    A subclass takes no arguments. To say that a session ended as it must, without a sum, leave
    `Facts.total` out and give the reason in `failure`; to refuse inputs, do the same, or raise
    `CannotTell`. Any other exception makes the check inconclusive.
    """

    name: ClassVar[str]
    title: ClassVar[str] = "a foreign implementation"
    guarantees: ClassVar[Guarantees | None] = None

    def session(self, request: Request) -> Facts:
        """Hold a session of these clients with these inputs, and hand over what the server saw.

        Signed inputs; weights are the clients' example counts, if it has a use for them. The ring
        may be another one than asked for. Whatever fact cannot be had is left out.
        """
        raise CannotTell("the adapter holds no sessions")

    def smallest_sum(self, clients: int) -> int:
        """Over how many of so many clients a sum may be released, at least."""
        raise CannotTell("the adapter names no smallest sum")

    def streams(self, count: int, length: int, bits: int, seed: bytes) -> Numbers:
        """So many single masks in a ring of so many bits, one a row."""
        raise CannotTell("the adapter shows no single mask")

    def answers(self, clients: int, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """What one client answers to these questions, one after the other, in one session.

        The peers' vectors are all in. For each question the shares that the client gives: whose,
        and "self" or "mask"; None if it refuses.
        """
        raise CannotTell("the adapter shows no answers of a client")

    def seed_bits(self) -> Mapping[str, int]:
        """How many bits of a secret one has to guess, by what it is for."""
        raise CannotTell("the adapter does not say how long its seeds are")

    def seeds(self, count: int) -> Mapping[str, tuple[bytes, ...]]:
        """So many seeds, as the generators of masks are given them, by what they are for."""
        raise CannotTell("the adapter shows no seed")

    def believes(self, lie: Lie) -> bool:
        """Whether a client goes on as if nothing were wrong when a server tells it this.

        "other keys": the server's own in the place of all its peers'. "threshold of one": one share
        rebuilds a secret. "ring of one bit": the ring of the masked vectors.
        """
        raise CannotTell("the adapter has no client to lie to")

    def takes_not_a_number(self) -> bool:
        """Whether an input with a coordinate that is not a number gets into a sum."""
        raise CannotTell("the adapter has no client to give such an input to")
