"""A3: the server asks the same clients twice, with two sets of survivors.

tests/attacks/test_a03_both_shares.py has the checks that stop it, and the rollback that does not.
"""

from __future__ import annotations

from secagg.audit.adversary import Network, ServerView, exact, recovered
from secagg.audit.attacks.attack import OnMasks, Outcome
from secagg.audit.attacks.scene import Scene, crowd
from secagg.errors import LocalProtocolError, VerificationError
from secagg.protocol import Adversary, Level, Protocol
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.authenticated.messages import SurvivorList
from secagg.types import SERVER, PartyId, Rng, client
from secagg.wire import Message

VICTIM = 0


class BothShares(OnMasks):
    """Every client has answered, was killed and restored, and is asked again."""

    id = "A3"
    title = "the server asks the same clients twice, with two sets of survivors"
    goal = "the victim's input, bit for bit, from shares of both its seeds"
    source = "Bonawitz et al., CCS 2017: never both shares of one client"
    fails_from = Adversary.CURIOUS_SERVER
    needs = "shares to be asked for"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Ask, kill, restore, and ask again without the victim."""
        network = Scene(protocol, level, rng, crowd(protocol, level)).network()
        network.run()
        if not exact(network):
            raise VerificationError("the first question did not end with the right sum")
        refused: list[LocalProtocolError] = []
        for holder in others(network):
            network.restart(holder)
            try:
                network.parties[holder].handle(second_question(network, holder), SERVER)
            except LocalProtocolError as error:
                refused.append(error)
        network.pump()
        view, asked = ServerView.of(network), len(others(network))
        evidence = f"{len(refused)} of {asked} clients refused the second question"
        try:
            found = view.open_vector(VICTIM)
        except VerificationError as error:
            return Outcome.stopped(refused[0] if refused else error, f"{evidence}; {error}")
        return Outcome.of(recovered(network, VICTIM, found), "another vector", evidence)


def others(network: Network) -> list[PartyId]:
    """Everybody but the victim."""
    return [who for who in network.clients if who != client(VICTIM)]


def second_question(network: Network, holder: PartyId) -> Message:
    """What a client was asked first, but that the victim is lost."""
    first = ServerView.of(network).survivors[holder.number]
    bitmap = encode_bitmap(network.clients, [who.number for who in others(network)])
    if isinstance(first, SurvivorList):
        return SurvivorList(first.dealt, bitmap)
    return type(first)(bitmap)
