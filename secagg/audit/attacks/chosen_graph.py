"""C3: the server tries graphs until it has one that it likes.

tests/attacks/test_c3_chosen_graph.py has the checks that stop it.
"""

from __future__ import annotations

from secagg.audit.adversary import Accomplice, Cohort, Network
from secagg.audit.attacks.attack import Attack, Outcome, commonest, graph_from_beacon, masks
from secagg.audit.attacks.scene import SPARSE, Scene
from secagg.crypto.agreement import PrivateKey
from secagg.protocol import Adversary, Level, Protocol
from secagg.protocols._masking.authenticated.messages import SignedKeys
from secagg.types import Rng, Secret, client

VICTIM = 3
CORRUPT = (57, 58, 59)
TRIES = 200


class ChosenGraph(Attack):
    """Rounds of the beacon that have come; then, with an honest round, keys of a corrupt client."""

    id = "C3"
    title = "the server tries graphs until it has one that it likes"
    goal = "a graph of the server's choosing, on which the corrupt are the victim's neighbours"
    source = "Bell et al., CCS 2020; docs/decisions/0026"
    fails_from = Adversary.LYING_SERVER

    def applies(self, protocol: Protocol, level: Level) -> str | None:
        """Where a graph is drawn from a beacon."""
        if graph_from_beacon(protocol, level):
            return None
        if not masks(protocol, level):
            return f"{protocol.name} has no graph of neighbours"
        if protocol.guarantees(level).adversary.at_least(Adversary.LYING_SERVER):
            return f"in {protocol.name} everybody is everybody's neighbour: nothing is to be chosen"
        return f"at level {level} the server draws the graph itself: it need not try"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Both. What counts is whether shares went to the neighbours that were chosen."""
        network, cohort = advertised(Scene(protocol, level, rng, SPARSE))
        best = try_rounds(network, cohort)
        show(network, cohort, best)
        by = commonest(network.failures.values())
        refused = len(network.failures)
        if not refused:
            deal(network, cohort, best)
            held = len(holding(network))
            return Outcome.of(
                held > 0, "no shares", f"a round that had come was signed; {held} hold"
            )
        second, fixed = advertised(Scene(protocol, level, rng, SPARSE))
        named = TRIES + 2
        show(second, fixed, named)
        second.beacon_round = named
        chosen = try_keys(second, named)
        deal(second, chosen, named)
        evidence = (
            f"{refused} of {SPARSE} refused the best of {TRIES} rounds ({by}),"
            f" {len(second.failures)} the best of {TRIES} keys"
            f" ({commonest(second.failures.values())})"
        )
        return Outcome.of(bool(holding(second)), by, evidence)


def advertised(scene: Scene) -> tuple[Network, Cohort]:
    """Clients without a server; all have advertised keys, and the beacon is at round 200."""
    network = scene.network(present=[client(number) for number in range(SPARSE)])
    return begun(network)


def begun(network: Network) -> tuple[Network, Cohort]:
    """As above, on a network without a server."""
    network.beacon_round = TRIES
    network.run()
    return network, Cohort(network)


def around(cohort: Cohort, beacon_round: int, value: bytes) -> int:
    """The corrupt neighbours of the victim."""
    return len(set(CORRUPT) & set(cohort.neighbours(VICTIM, beacon_round, value)))


def show(network: Network, cohort: Cohort, beacon_round: int) -> None:
    """The root and the round to all."""
    for who in network.clients:
        network.tell(who, cohort.root(who.number, beacon_round))


def deal(network: Network, cohort: Cohort, beacon_round: int) -> None:
    """The books to all, and to the corrupt what was dealt to them."""
    value = network.beacon(beacon_round)
    for who in network.clients:
        network.tell(who, cohort.book(who.number, beacon_round, value))
    everybody = {who.number for who in network.clients}
    for number in CORRUPT:
        network.tell(client(number), cohort.bundle(number, beacon_round, value, everybody))


def holding(network: Network) -> list[int]:
    """The corrupt clients that have shares of the victim's seeds."""
    return [n for n in CORRUPT if VICTIM in Accomplice(network, n).shares()]


def try_rounds(network: Network, cohort: Cohort) -> int:
    """The best of the rounds that have come."""
    return max(
        range(1, TRIES + 1), key=lambda number: around(cohort, number, network.beacon(number))
    )


def try_keys(network: Network, named: int) -> Cohort:
    """The best of the cohorts in which one corrupt client has another mask key."""
    value, accomplice = network.beacon(named), Accomplice(network, CORRUPT[0])

    def with_key(number: int) -> Cohort:
        key = PrivateKey(Secret(number.to_bytes(32, "big")))
        message = accomplice.advertise(mask=key.public)
        assert isinstance(message, SignedKeys)  # noqa: S101
        return Cohort(network, {CORRUPT[0]: message})

    return with_key(max(range(TRIES), key=lambda number: around(with_key(number), named, value)))
