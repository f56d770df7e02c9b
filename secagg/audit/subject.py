"""What a check may ask of whatever is audited. Answers are facts; nobody judges here.

This library's protocols, foreign implementations and transcripts each answer what they can. What
one cannot answer raises `CannotTell`, and the check that asked is inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from secagg.errors import CannotTell
from secagg.protocol import Guarantees
from secagg.transcript import Entry

Kind: TypeAlias = Literal["protocol", "adapter", "transcript"]
Moment: TypeAlias = Literal["before sharing keys", "before upload", "after upload"]
Lie: TypeAlias = Literal["other keys", "threshold of one", "ring of one bit"]
"""What a server may say: keys of its own as those of the peers, a number of shares that rebuilds a
secret, the ring of the masked vectors."""

Values: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Request:
    """A session that is to be held.

    Attributes:
        inputs: signed integers, shape (clients, length).
        bits: of the ring in which masked vectors are to be, where that can be chosen.
        lost: clients that vanish, and when: "before sharing keys" is after they have shown their
            public ones. Where there are no such moments, the first and the second are the same.
        weights: how many examples each client claims to have; private.
        seed: 32 bytes from which whoever can be reproduced draws everything.
    """

    inputs: Values
    bits: int
    seed: bytes
    lost: Mapping[int, Moment] = field(default_factory=dict)
    weights: tuple[int, ...] = ()

    @property
    def clients(self) -> int:
        """How many."""
        return len(self.inputs)


@dataclass(frozen=True)
class Facts:
    """What a session came to, as its server saw it. None: not to be had.

    Attributes:
        bits: of the ring of the masked vectors.
        masked: what came in place of the clients' vectors, one row each, in order of the clients.
        aligned: whether element j of a row hides element j of the input.
        total: the sum that was released, signed; None if none was.
        included: the clients in it.
        failure: why there is no sum.
        error_bound: the largest |error| of an element that is promised.
        sizes: by name of a message from clients its sizes in bytes, by client.
        tokens: what must never be seen twice: keys, nonces, ciphertexts; by name.
        clear: what the server sees of each client beside its vector, by name.
        key_holders: roles that can open a client's vector alone.
        largest: the largest |input| that is taken as it is.
        kept: keys and seeds that a client still has when the session is over, by name.
    """

    bits: int | None = None
    masked: Numbers | None = None
    aligned: bool = True
    total: Values | None = None
    included: tuple[int, ...] = ()
    failure: str = ""
    error_bound: int = 0
    sizes: Mapping[str, tuple[int, ...]] | None = None
    tokens: Mapping[str, tuple[bytes, ...]] | None = None
    clear: Mapping[str, tuple[float, ...]] | None = None
    key_holders: tuple[str, ...] | None = None
    largest: int | None = None
    kept: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Question:
    """A client is asked for shares: of these peers as alive, of those as dropped out."""

    alive: tuple[int, ...]
    dropped: tuple[int, ...]


ROLES: Final[Mapping[str, str]] = {
    "input parties": "clients",
    "computing parties": "clients, server",
    "result parties": "server",
}

Answer: TypeAlias = tuple[tuple[int, str], ...] | None
"""The shares that a client gave: whose, and whether of the "self" mask or the "mask" key. None: it
refused."""


class Subject:
    """What is audited.

    Attributes:
        kind: what sort of thing it is.
        name: by which it was asked for.
        title: one line.
        guarantees: what it promises; None if it says nothing.
        roles: who gives input, computes and gets the result, in the words of ISO/IEC 4922-1.
    """

    kind: ClassVar[Kind]
    name: str
    title: str
    guarantees: Guarantees | None = None
    roles: Mapping[str, str] = ROLES

    def session(self, request: Request) -> Facts:
        """Hold a session.

        Raises:
            CannotTell: it cannot.
        """
        raise CannotTell(f"{self.name} holds no session here")

    def described(self, clients: int) -> Mapping[str, str]:
        """What its sessions of so many clients are like, by name, for readers."""
        return {}

    def smallest_sum(self, clients: int) -> int:
        """Over how many of so many clients a sum may be released, at least.

        Raises:
            CannotTell: it does not say.
        """
        raise CannotTell(f"{self.name} names no smallest sum")

    def streams(self, count: int, length: int, bits: int, seed: bytes) -> Numbers:
        """Single masks, each from a seed of its own: shape (count, length).

        Raises:
            CannotTell: it shows none.
        """
        raise CannotTell(f"{self.name} shows no single mask")

    def answers(self, clients: int, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """What client 0 answers to one question after the other, in one session without losses.

        Raises:
            CannotTell: it shows no answers, or has no such questions.
        """
        raise CannotTell(f"{self.name} shows no answers of a client")

    def seed_bits(self) -> Mapping[str, int]:
        """How many bits whoever guesses a secret has to guess, by what the secret is for.

        Raises:
            CannotTell: it does not say.
        """
        raise CannotTell(f"{self.name} does not say how long its seeds are")

    def seeds(self, count: int) -> Mapping[str, tuple[bytes, ...]]:
        """So many seeds or keys, as the generators of masks are given them, by what they are for.

        Raises:
            CannotTell: it shows none.
        """
        raise CannotTell(f"{self.name} shows no seed")

    def believes(self, lie: Lie) -> bool:
        """Whether a client goes on as if nothing were wrong when a server tells it this.

        Raises:
            CannotTell: nobody can say.
        """
        raise CannotTell(f"{self.name} has no client to lie to here")

    def takes_not_a_number(self) -> bool:
        """Whether an input with a coordinate that is not a number gets into a sum.

        Raises:
            CannotTell: nobody can say.
        """
        raise CannotTell(f"{self.name} has no client to give it to here")

    def entries(self) -> Sequence[Entry]:
        """The messages that were noted.

        Raises:
            CannotTell: nothing was noted.
        """
        raise CannotTell(f"{self.name} is no transcript")

    def close(self) -> None:
        """Let go of what it holds."""
