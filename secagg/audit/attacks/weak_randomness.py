"""A18: a client's generator can be guessed, and with it all its masks.

tests/attacks/test_a18_weak_randomness.py has clients whose generator starts from a small number.
"""

from __future__ import annotations

from collections.abc import Callable

from secagg.audit.adversary import Accomplice, Network, ServerView, recovered
from secagg.audit.attacks.attack import OnMasks, Outcome
from secagg.audit.attacks.scene import Scene
from secagg.crypto.rng import seeded
from secagg.protocol import Adversary, Level, Protocol
from secagg.types import PartyId, RingVector, Rng, client

VICTIM = 3
GUESSES = 128
"""Seeds that are tried: small numbers, such as a rank or a run's default."""

Mount = Callable[..., Network]


class WeakRandomness(OnMasks):
    """The public key that follows from each guess is compared with the one advertised."""

    id = "A18"
    title = "a client's generator can be guessed, and with it all its masks"
    goal = "the victim's input, bit for bit, from public messages and a guess"
    source = "FedML, np.random.seed(rank); OpenFL, declearn, SecretFlow: generators that are none"
    fails_from = Adversary.CURIOUS_SERVER
    needs = "masks to be predicted"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """An honest round, then guesses."""
        scene = Scene(protocol, level, rng)
        network = scene.network()
        network.run()
        guess = guessed(network, scene.network)
        if guess is None:
            evidence = f"none of {GUESSES} seeds gives the public keys of client {VICTIM}"
            return Outcome.stopped("seeds that cannot be guessed", evidence)
        right = recovered(network, VICTIM, opened(network, scene.network, guess))
        return Outcome.of(right, "another vector", f"a seed was guessed; input equal: {right}")


def guessed(network: Network, mount: Mount) -> int | None:
    """The seed with which a client advertises what the victim advertised.

    Args:
        network: after the round.
        mount: makes another network of the same session, on which the adversary runs the public
            code of a client. At level `malicious` that copy signs with the victim's key, which an
            adversary has not; only its X25519 keys are looked at.
    """
    keys = ServerView.of(network).keys[VICTIM]
    for guess in range(GUESSES):
        if ServerView.of(copied(mount, guess)).keys[VICTIM] == keys:
            return guess
    return None


def copied(mount: Mount, guess: int) -> Network:
    """The victim alone, with a generator that starts from a guess."""

    def weak(who: PartyId) -> Rng:
        return seeded(guess)

    network = mount(entropy=weak, present=[client(VICTIM)])
    network.begin()
    return network


def opened(network: Network, mount: Mount, guess: int) -> RingVector:
    """The victim's vector without the masks that follow from its seeds."""
    own = Accomplice(copied(mount, guess), VICTIM).keys
    view = ServerView.of(network)
    return view.strip(VICTIM, own.self_seed, view.agreements(VICTIM, own.mask_seed))
