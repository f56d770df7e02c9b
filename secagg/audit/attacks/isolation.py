"""A33: the sum of a few clients, by telling everybody of other dead.

On the complete graph it is counted here whom to tell of whose death. In
tests/attacks/test_a33_isolation.py an oracle by flow says so; the checks that stop it are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from secagg import kernels
from secagg.audit.adversary import (
    Accomplice,
    Network,
    ServerView,
    ask,
    plan_of,
    recovered_sum,
    without_questions,
)
from secagg.audit.attacks.attack import OnMasks, Outcome, commonest
from secagg.audit.attacks.scene import Scene
from secagg.errors import VerificationError
from secagg.protocol import Adversary, Fail, Level, Protocol
from secagg.protocols._masking.plan import MaskingPlan
from secagg.types import RingVector, Rng

COUNT = 13
CORRUPT = COUNT - 1


class Deaths(NamedTuple):
    """Whom the server isolates, and how.

    Attributes:
        group: whose sum is read.
        declared: whose mask seeds are rebuilt.
        told: by client, of whose death.
    """

    group: tuple[int, ...]
    declared: tuple[int, ...]
    told: Mapping[int, frozenset[int]]


class Isolation(OnMasks):
    """Thirteen clients, one of them corrupt."""

    id = "A33"
    title = "the sum of a few clients, by telling everybody of other dead"
    goal = "the sum over some of the clients without the others, bit for bit"
    source = "docs/decisions/0026, docs/malicious.md"
    fails_from = Adversary.LYING_SERVER
    needs = "survivors to be told of"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """The smallest group for which it can be arranged."""
        network = Scene(protocol, level, rng, COUNT).network(without_questions)
        deaths = arranged(plan_of(network.session))
        if deaths is None:
            return Outcome.stopped(
                "the threshold", "no group below the smallest sum can be cut off"
            )
        view, refused = isolate(network, deaths)
        evidence = (
            f"a sum over {len(deaths.group)} of {COUNT} clients, where {network.plan.minimum} are"
            f" the fewest; {len(refused)} refused"
        )
        try:
            found = sum_of(deaths, view, Accomplice(network, CORRUPT))
        except VerificationError as error:
            return Outcome.stopped(commonest(refused.values()) or error, evidence)
        right = recovered_sum(network, deaths.group, found)
        return Outcome.of(right, "another sum", f"{evidence}; sum equal: {right}")


def arranged(plan: MaskingPlan) -> Deaths | None:
    """The smallest group that can be isolated on the complete graph, none as large as a sum may be.

    Every other honest client has to be called dead by as many honest neighbours as the threshold
    lacks beside the corrupt one; and a client believes in no more dead than leave a threshold
    alive. Each death is told to those that have heard of the fewest.
    """
    honest = [number for number in range(COUNT) if number != CORRUPT]
    believed, needed = plan.degree + 1 - plan.threshold, plan.threshold - 1
    for size in range(1, plan.minimum - plan.corrupt):
        group, declared = tuple(honest[:size]), tuple(honest[size:])
        told: dict[int, set[int]] = {number: set() for number in honest}
        for dead in declared:
            others = (number for number in honest if number != dead)
            for holder in sorted(others, key=lambda number: len(told[number]))[:needed]:
                told[holder].add(dead)
        if max(map(len, told.values())) <= believed:
            heard = {number: frozenset(dead) for number, dead in told.items()}
            return Deaths(group, declared, heard)
    return None


def isolate(
    network: Network, deaths: Deaths, *, padded: bool = True
) -> tuple[ServerView, dict[int, Fail]]:
    """Every client is told its own dead."""
    network.run()
    accomplice = Accomplice(network, CORRUPT)
    everybody = {who.number for who in network.clients}
    told = {n: everybody - deaths.told.get(n, frozenset()) for n in sorted(everybody - {CORRUPT})}
    refused = ask(network, told, accomplices=[accomplice], padded=padded)
    view = ServerView.of(network)
    view.collude(accomplice)
    return view, refused


def sum_of(deaths: Deaths, view: ServerView, accomplice: Accomplice) -> RingVector:
    """The group's vectors without all masks but those that cancel among them.

    Raises:
        VerificationError: shares are missing.
    """
    keys = {n: view.mask_key(n, view.rebuild("mask", n)) for n in deaths.declared}
    total = None
    for number in deaths.group:
        public = view.keys[number][1]
        agreed = {other: key.agree(public) for other, key in keys.items()}
        agreed[CORRUPT] = accomplice.agree(public)
        left = view.strip(number, view.rebuild("self", number), agreed)
        if total is None:
            total = left
        else:
            kernels.ring_add(total, left)
    if total is None:
        raise VerificationError("an empty group has no sum")
    kernels.ring_reduce(total, view.plan.ring)
    return total
