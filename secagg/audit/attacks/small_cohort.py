"""A8: a sum over one client is asked for.

tests/attacks/test_a08_small_cohort.py has the checks that stop it, and cohorts and dealers of the
server's choosing.
"""

from __future__ import annotations

from secagg.audit.adversary import Network, Seen, ServerView, ask, recovered, without_questions
from secagg.audit.attacks.attack import Attack, Outcome, commonest, masks
from secagg.audit.attacks.scene import Scene, crowd
from secagg.errors import VerificationError
from secagg.protocol import Adversary, Fail, Level, Protocol
from secagg.protocols._homomorphic.messages import OpenSum
from secagg.types import DECRYPTOR, RingVector, Rng, Role, client
from secagg.wire import Message

VICTIM = 1


class SmallCohort(Attack):
    """With masks, everybody is told of the victim only; elsewhere, nobody else's vector comes."""

    id = "A8"
    title = "a sum over one client is asked for"
    goal = "the victim's input, as the sum"
    source = "google-parfait/federated-compute, fcp/secagg: the smallest sum that a server may see"
    fails_from = Adversary.CURIOUS_SERVER

    def applies(self, protocol: Protocol, level: Level) -> str | None:
        """Where the server does not see every input anyway."""
        if protocol.guarantees(level).adversary.at_least(Adversary.CURIOUS_SERVER):
            return None
        return f"the server of {protocol.name} sees every input, in a sum or not (A17)"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Ask about one."""
        if not masks(protocol, level):
            return alone(Scene(protocol, level, rng))
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


def alone(scene: Scene) -> Outcome:
    """A round in which one vector comes, and then, of a server that asks all the same, its sum."""
    network = scene.network(others_lost)
    network.finish()
    if network.total is not None:
        right = recovered(network, VICTIM, network.total)
        return Outcome.of(right, "another sum", f"a sum over {len(network.included)} was released")
    by, (failure, *_) = "", network.failures.values()
    if DECRYPTOR in network.parties:
        network = scene.network(asking_for_one)
        network.run()
        by = commonest(network.accused)
    evidence = f"one vector of {len(network.clients)} came: {failure.reason}; sum: {network.total}"
    return Outcome.of(network.total is not None, by or "the plan's smallest sum", evidence)


def others_lost(seen: Seen) -> Message | None:
    """The relay that loses every vector but the victim's."""
    vector = seen.sender.role is Role.CLIENT and seen.frame.tail.nbytes
    return None if vector and seen.sender != client(VICTIM) else seen.message


def asking_for_one(seen: Seen) -> Message:
    """The relay of a server that says to the decryptor that its sum is over one."""
    message = seen.message
    if not isinstance(message, OpenSum):
        return message
    one = bytes((1 << VICTIM,)).ljust(len(message.included), b"\0")
    return OpenSum(message.context_digest, one, message.tail)


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
