"""A1: the server names different survivors to different clients.

Half of the victim's neighbours are told that it is lost, half that it survived; both kinds of its
shares come together. tests/attacks/test_a01_split_view.py has the checks that stop it.
"""

from __future__ import annotations

from collections.abc import Collection

from secagg.audit.adversary import (
    Accomplice,
    Network,
    ServerView,
    ask,
    plan_of,
    recovered,
    without_questions,
)
from secagg.audit.attacks.attack import OnMasks, Outcome, commonest
from secagg.audit.attacks.scene import Scene, crowd
from secagg.errors import VerificationError
from secagg.protocol import Adversary, Fail, Level, Protocol
from secagg.types import Rng

VICTIM = 0


class SplitView(OnMasks):
    """With as many corrupt clients as planned."""

    id = "A1"
    title = "the server names different survivors to different clients"
    goal = "the victim's input, bit for bit, from shares of both its seeds"
    source = "Bonawitz et al., CCS 2017, active adversaries"
    fails_from = Adversary.LYING_SERVER
    needs = "survivors to be told of"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Split the view, and put together what was answered."""
        network = Scene(protocol, level, rng, crowd(protocol, level)).network(without_questions)
        numbers = [who.number for who in network.clients]
        corrupt = numbers[-network.plan.corrupt :]
        view, refused = split_view(network, corrupt)
        asked = 1 + len(set(view.partners[VICTIM]) - set(corrupt))
        try:
            found = view.open_vector(VICTIM)
        except VerificationError as error:
            evidence = f"{len(refused)} of {asked} clients refused; {error}"
            return Outcome.stopped(commonest(refused.values()) or error, evidence)
        right = recovered(network, VICTIM, found)
        evidence = f"{asked - len(refused)} of {asked} clients answered; input equal: {right}"
        return Outcome.of(right, "another vector", evidence)


def split_view(network: Network, corrupt: Collection[int]) -> tuple[ServerView, dict[int, Fail]]:
    """Half of the victim's neighbours are told one thing, half the other.

    Returns:
        What the server and the corrupt know then, and who refused.
    """
    network.run()
    view = ServerView.of(network)
    everybody = set(view.keys)
    accomplices = [Accomplice(network, number) for number in corrupt]
    holders = [number for number in view.partners[VICTIM] if number not in corrupt]
    dead = holders[: max(len(holders) // 2, plan_of(network.session).threshold - len(corrupt))]
    told = {
        holder: everybody - ({VICTIM} if holder in dead else set()) for holder in (VICTIM, *holders)
    }
    refused = ask(network, told, accomplices=accomplices)
    view = ServerView.of(network)
    for accomplice in accomplices:
        view.collude(accomplice)
    return view, refused
