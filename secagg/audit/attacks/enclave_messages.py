"""The enclave: whoever carries its messages puts in a key of its own, or one upload for another.

tests/attacks/test_enclave_quotes.py and test_enclave_uploads.py have everything that is refused.
"""

from __future__ import annotations

from secagg import kernels
from secagg.attestation import Evidence
from secagg.audit.adversary import Network, Seen, exact, recovered
from secagg.audit.attacks.attack import Attack, Outcome, commonest
from secagg.audit.attacks.scene import Scene
from secagg.crypto import chunked, hpke
from secagg.protocol import Adversary, Level, Protocol
from secagg.protocols._enclave.messages import Attestation, SealedVector
from secagg.protocols._enclave.statements import bound_to
from secagg.types import ENCLAVE, RingVector, Rng, Secret, client
from secagg.wire import Message

VICTIM, OTHER = 0, 1


class OnSealed(Attack):
    """An attack on what is sealed to an enclave."""

    fails_from = Adversary.CURIOUS_SERVER

    def applies(self, protocol: Protocol, level: Level) -> str | None:
        """Where an enclave shows evidence."""
        if Attestation in protocol.at(level).messages:
            return None
        return f"{protocol.name} has no enclave: no evidence is shown, and nothing sealed to it"


class ForeignKey(OnSealed):
    """The quote as it is, with the carrier's own sealing key."""

    id = "E1"
    title = "what an enclave shows of itself is replaced"
    goal = "a client that seals its vector for the carrier"
    source = "docs/enclave.md: the evidence covers the key that is sealed to"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Show it, and open what comes."""
        own = hpke.OpeningKey(Secret(rng.bytes(32)))

        def relay(seen: Seen) -> Message:
            if not isinstance(seen.message, Attestation):
                return seen.message
            true = seen.message
            return Attestation(true.quote, own.public, true.record_key, true.expiry)

        network = Scene(protocol, level, rng).network(relay)
        network.run()
        sent = [m for m in network.said(client(VICTIM)) if isinstance(m, SealedVector)]
        refused = len(network.failures)
        evidence = f"{refused} of {len(network.clients)} clients refused a key not in the quote"
        if not sent:
            return Outcome.stopped(commonest(network.failures.values()), evidence)
        right = recovered(network, VICTIM, unsealed(network, own, sent[0]))
        return Outcome.of(right, "another vector", f"{evidence}; input equal: {right}")


class MovedUpload(OnSealed):
    """One client's upload in the place of another's."""

    id = "E2"
    title = "an upload to an enclave is given as another client's"
    goal = "a sum in which one client counts twice, and another not at all"
    source = "docs/enclave.md: uploads are signed by whom they are counted for"

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Copy it."""
        kept: list[SealedVector] = []

        def relay(seen: Seen) -> Message:
            message = seen.message
            if isinstance(message, SealedVector) and seen.sender == client(VICTIM):
                kept.append(message)
            moved = isinstance(message, SealedVector) and seen.sender == client(OTHER)
            return kept[0] if moved else message

        network = Scene(protocol, level, rng).network(relay)
        network.finish()
        evidence = f"sum over {len(network.included)}, right: {exact(network)}"
        return Outcome.of(not exact(network), commonest(network.accused), evidence)


class TwoEnclaves(OnSealed):
    """Two genuine enclaves of one session, with half of the clients each."""

    id = "E3"
    title = "two genuine enclaves, and the clients split between them"
    goal = "two sums over parts, where the session promises one"
    source = "docs/enclave.md, what it does not stop"
    fails_from = Adversary.LYING_SERVER

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """No client takes part twice, and each checks its enclave's evidence and record."""
        scene = Scene(protocol, level, rng)
        clients = scene.plan.task.clients
        released = []
        for half in (clients[: len(clients) // 2], clients[len(clients) // 2 :]):
            network = scene.network(present=(*half, ENCLAVE))
            network.finish()
            if exact(network) and set(network.included) == set(half):
                released.append(len(half))
        evidence = f"sums over {' and '.join(map(str, released))} of {len(clients)} clients, right"
        return Outcome.of(len(released) == 2, "the plan's smallest sum", evidence)


def unsealed(network: Network, key: hpke.OpeningKey, upload: SealedVector) -> RingVector:
    """The vector that the victim sealed for a key."""
    (shown,) = (m for m in network.told(client(VICTIM)) if isinstance(m, Attestation))
    place = bound_to(network.session, client(VICTIM), Evidence.decode(shown.quote).digest)
    content = key.open(upload.sealed_key, place)
    packed = chunked.open_sealed(content, upload.tail, place)
    return kernels.unpack(memoryview(packed), network.plan.ring, network.plan.task.length)
