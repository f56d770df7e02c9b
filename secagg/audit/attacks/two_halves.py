"""C3b: two halves of the clients are shown different roots or rounds.

tests/attacks/test_c3_two_halves.py has the checks that stop it.
"""

from __future__ import annotations

from collections.abc import Collection

from secagg import kernels
from secagg.audit.adversary import Cohort, Network, ServerView, ask, recovered_sum
from secagg.audit.attacks.attack import Outcome, commonest
from secagg.audit.attacks.chosen_graph import ChosenGraph
from secagg.audit.attacks.scene import SPARSE, Scene
from secagg.protocol import Adversary, Fail, Level, Protocol
from secagg.types import Rng, client

FIRST, SECOND = range(0, SPARSE, 2), range(1, SPARSE, 2)
ROUNDS = {3: SECOND, 4: FIRST}
"""What each half is told, at round 1 of the beacon. The first half is shown its graph last."""


class TwoHalves(ChosenGraph):
    """Each half signs a statement of its own and has a graph of its own."""

    id = "C3b"
    title = "two halves of the clients are shown different roots or rounds"
    goal = "the sum over one half, where the plan promises one over all but the planned dropouts"
    source = "docs/decisions/0026; docs/malicious.md"
    fails_from = Adversary.LYING_SERVER

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Split, and ask one half for its sum."""
        everybody = [client(number) for number in range(SPARSE)]
        network = Scene(protocol, level, rng, SPARSE).network(present=everybody)
        cohort = split(network)
        read, _ = read_half(network, cohort)
        evidence = f"{len(network.failures)} of {len(FIRST)} clients of one half refused"
        return Outcome.of(read, commonest(network.failures.values()) or "another sum", evidence)


def split(network: Network) -> Cohort:
    """Both halves sign, and deal on the graph that they are shown.

    Args:
        network: without a server.
    """
    network.run()
    cohort = Cohort(network)
    for named, half in ROUNDS.items():
        for number in half:
            network.tell(client(number), cohort.root(number, named))
    network.beacon_round = max(ROUNDS)
    for named, half in ROUNDS.items():
        for number in half:
            network.tell(client(number), cohort.book(number, named, network.beacon(named)))
    return cohort


def relay_shares(network: Network, cohort: Cohort, among: Collection[int]) -> None:
    """To each client what its neighbours in the same half dealt; `among` is one of the halves."""
    (named,) = [named for named, half in ROUNDS.items() if half == among]
    for number in among:
        bundle = cohort.bundle(number, named, network.beacon(named), among)
        network.tell(client(number), bundle)


def read_half(network: Network, cohort: Cohort) -> tuple[bool, dict[int, Fail]]:
    """Whether the sum over the first half is read, and who refused to be asked for it."""
    relay_shares(network, cohort, FIRST)
    there = [number for number in FIRST if client(number) not in network.failures]
    refused = ask(network, dict.fromkeys(there, there), dealt=FIRST, padded=False)
    view = ServerView.of(network)
    if refused or len(there) < len(FIRST):
        return False, refused
    total = None
    for number in there:
        vector = view.strip(number, view.rebuild("self", number), {})
        if total is None:
            total = vector
        else:
            kernels.ring_add(total, vector)
    if total is None:
        return False, refused
    kernels.ring_reduce(total, view.plan.ring)
    return recovered_sum(network, there, total), refused
