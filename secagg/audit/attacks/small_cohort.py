"""A8: a sum over one client is asked for.

tests/attacks/test_a08_small_cohort.py has the checks that stop it, and cohorts and dealers of the
server's choosing.
"""

from __future__ import annotations

from secagg.audit.adversary import Network, ServerView, ask, recovered, without_questions
from secagg.audit.attacks.attack import OnMasks, Outcome, commonest
from secagg.audit.attacks.scene import Scene, crowd
from secagg.errors import VerificationError
from secagg.protocol import Adversary, Fail, Level, Protocol
from secagg.types import RingVector, Rng

VICTIM = 1


class SmallCohort(OnMasks):
    """Everybody is told that only the victim and itself survived."""

    id = "A8"
    title = "a sum over one client is asked for"
    goal = "the victim's input, bit for bit"
    source = "google-parfait/federated-compute, fcp/secagg: the smallest sum that a server may see"
    fails_from = Adversary.CURIOUS_SERVER
    needs = "survivors to be named"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Ask about one."""
        network = Scene(protocol, level, rng, crowd(protocol, level)).network(without_questions)
        refused = ask_about_one(network)
        asked = len(network.clients) - 1
        evidence = f"{len(refused)} of {asked} clients refused a sum of one"
        try:
            found = sum_of_one(ServerView.of(network))
        except VerificationError as error:
            return Outcome.stopped(commonest(refused.values()) or error, evidence)
        right = recovered(network, VICTIM, found)
        return Outcome.of(right, "another vector", f"{evidence}; input equal: {right}")


def ask_about_one(network: Network) -> dict[int, Fail]:
    """Everybody has sent its vector, and is told that only the victim and itself survived.

    Returns:
        Who refused.
    """
    network.run()
    told = {who.number: {VICTIM, who.number} for who in network.clients if who.number != VICTIM}
    return ask(network, told)


def sum_of_one(view: ServerView) -> RingVector:
    """The victim's vector less its self mask and the masks that it shares with "lost" clients.

    Raises:
        VerificationError: shares are missing.
    """
    agreed = {
        peer: view.mask_key(peer, view.rebuild("mask", peer)).agree(view.keys[VICTIM][1])
        for peer in view.partners[VICTIM]
    }
    return view.strip(VICTIM, view.rebuild("self", VICTIM), agreed)
