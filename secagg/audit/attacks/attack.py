"""What an attack is, and what came of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from secagg import kernels
from secagg.audit.adversary import CURIOUS, MALICIOUS, Network
from secagg.errors import VerificationError
from secagg.protocol import Accuse, Adversary, Fail, Level, Protocol
from secagg.protocols._masking.authenticated.messages import CohortRoot
from secagg.types import Rng


@dataclass(frozen=True)
class Picture:
    """Pixels that an attack had before it or came by, kept for a report to show.

    Attributes:
        title: what it shows.
        pgm: a greyscale picture, binary PGM (P5), 8 bits a pixel.
    """

    title: str
    pgm: bytes = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What came of one attack.

    Attributes:
        succeeded: whether its goal was reached, compared with the truth.
        stopped_by: the name of the error that stopped it; where nothing is refused, what hides the
            goal, in words; empty if it succeeded.
        evidence: one line of words and numbers, without a secret.
        pictures: of what was recovered and of the truth, if it is pictures.
    """

    succeeded: bool
    stopped_by: str
    evidence: str
    pictures: tuple[Picture, ...] = ()

    @classmethod
    def reached(cls, evidence: str) -> Outcome:
        """The goal was reached."""
        return cls(True, "", evidence)

    @classmethod
    def stopped(cls, by: BaseException | str, evidence: str) -> Outcome:
        """It was not."""
        return cls(False, by if isinstance(by, str) else type(by).__name__, evidence)

    @classmethod
    def of(cls, succeeded: bool, by: BaseException | str, evidence: str) -> Outcome:
        """One or the other; `by` counts only if it was not reached."""
        return cls.reached(evidence) if succeeded else cls.stopped(by, evidence)


class Attack(ABC):
    """One attack, mounted with every check in place, on sessions of its own making.

    Attributes:
        id: as in docs/attacks.md.
        title: what happens, in a few words.
        goal: what the adversary is after.
        source: the paper or text that it comes from.
        fails_from: the weakest promise about the server under which it is said to fail; None if
            no promise of this library covers it, at any level.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    goal: ClassVar[str]
    source: ClassVar[str]
    fails_from: ClassVar[Adversary | None]

    def guarded(self, protocol: Protocol, level: Level) -> bool:
        """Whether this protocol promises at this level that the attack fails.

        Raises:
            ParameterError: the level is not offered.
        """
        promised = protocol.guarantees(level).adversary
        return self.fails_from is not None and promised.at_least(self.fails_from)

    def applies(self, protocol: Protocol, level: Level) -> str | None:
        """None if the attack can be mounted on this protocol, else why there is nothing to mount.

        Raises:
            ParameterError: the level is not offered.
        """
        protocol.at(level)
        return None

    @abstractmethod
    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Mount it, and compare what was found with the truth.

        Args:
            protocol: to which it applies at this level.
            level: that is offered.
            rng: where sessions, inputs and parties draw from.

        Raises:
            SecaggError: the sessions that it needs did not come about, such as an honest round
                without a sum, or a task without a plan: nothing is known then.
        """


class OnMasks(Attack):
    """An attack on the messages of pairwise masking.

    Attributes:
        needs: what of pairwise masking it is made on, for the reason why it does not apply.
    """

    needs: ClassVar[str]

    def applies(self, protocol: Protocol, level: Level) -> str | None:
        """As `Attack.applies`: only where clients advertise keys and mask with each other."""
        if masks(protocol, level):
            return None
        return f"{protocol.name} has no {self.needs}: its clients do not mask with each other"


def released(network: Network) -> npt.NDArray[np.int64]:
    """The released sum, as signed numbers.

    Raises:
        VerificationError: there is none.
    """
    if network.total is None:
        raise VerificationError(f"no sum was released; {commonest(network.failures.values())}")
    return kernels.decode_signed(network.total, network.plan.ring)


def masks(protocol: Protocol, level: Level) -> bool:
    """Whether clients advertise keys at this level, to mask with each other."""
    return bool({CURIOUS.keys, MALICIOUS.keys} & set(protocol.at(level).messages))


def graph_from_beacon(protocol: Protocol, level: Level) -> bool:
    """Whether the neighbours are drawn from a public beacon at this level."""
    return CohortRoot in protocol.at(level).messages


def commonest(said: Iterable[Fail | Accuse]) -> str:
    """The name of the error that most of these have; empty if there is none."""
    names = Counter(type(one.error).__name__ for one in said if one.error is not None)
    return names.most_common(1)[0][0] if names else ""
