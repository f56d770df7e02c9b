"""A27, A28 and a lying server: what a server of bfv and ckks may see, and what it can ask for.

tests/attacks/test_a27_decryption_leak.py, test_a28_secret_key_in_context.py and
test_lying_server.py have the checks, and the decryptor's own view.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from secagg import kernels
from secagg.audit.adversary import Network, Seen, exact, recovered, recovered_from_two
from secagg.audit.attacks.attack import Attack, Outcome, commonest, released
from secagg.audit.attacks.scene import COUNT, Scene
from secagg.errors import SecaggError, VerificationError
from secagg.he import vectors, workers
from secagg.he.contexts import SecretContext
from secagg.protocol import Accuse, Adversary, Effect, Exactness, Fail, Level, Protocol, Send
from secagg.protocols._homomorphic.messages import (
    OfferContext,
    OpenedSum,
    OpenSum,
    RelayContext,
    Upload,
    bitmap,
)
from secagg.protocols._homomorphic.plan import HomomorphicPlan
from secagg.types import DECRYPTOR, SERVER, RingVector, Rng, Secret, client
from secagg.wire import Message

VICTIM = 1


class OnCiphertexts(Attack):
    """An attack on homomorphic sums."""

    def applies(self, protocol: Protocol, level: Level) -> str | None:
        """Where clients encrypt under a decryptor's key."""
        if OpenSum in protocol.at(level).messages:
            return None
        return f"{protocol.name} has no decryptor: nothing is encrypted homomorphically"


class DecryptionLeak(OnCiphertexts):
    """Sums of known inputs, again and again: is there anything but the inputs in them."""

    id = "A27"
    title = "what is decrypted holds the noise of the ciphertexts, and that the key"
    goal = "a released sum that differs from the true one, or from itself for the same inputs"
    source = "Li, Micciancio, EUROCRYPT 2021"
    fails_from = Adversary.CURIOUS_SERVER

    SESSIONS = 4
    LENGTH = 1500

    def applies(self, protocol: Protocol, level: Level) -> str | None:
        """Where decryption is approximate."""
        reason = super().applies(protocol, level)
        if reason is None and protocol.guarantees(level).exactness is Exactness.EXACT:
            return (
                f"{protocol.name} decrypts to the exact sum: there is no noise in what is released"
            )
        return reason

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """The inputs are the adversary's own, so it knows what the sum should be."""
        inputs = {n: np.arange(self.LENGTH) * (n + 3) % 2001 - 1000 for n in range(COUNT)}
        true = np.sum(list(inputs.values()), axis=0)
        scene = Scene(protocol, level, rng, values=inputs, length=self.LENGTH)
        apart = 0
        for _ in range(self.SESSIONS):
            network = scene.network(nonce=rng.bytes(32))
            network.run()
            apart += int((released(network) != true).sum())
        evidence = (
            f"{apart} of {self.SESSIONS * self.LENGTH} released integers differ from the true sum;"
            f" up to {scene.plan.error_bound} units are allowed"
        )
        return Outcome.of(apart > 0, "rounding to whole units", evidence)


class SecretInContext(OnCiphertexts):
    """A decryptor whose library writes the key into the "public" context; then the server does."""

    id = "A28"
    title = 'a "public" context that holds the secret key opens every upload'
    goal = "a client's vector"
    source = "FedML, core/fhe/context.pickle; TenSEAL, tensealcontext.proto"
    fails_from = Adversary.CURIOUS_SERVER

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Leak it to the server, then past the server to the clients."""
        refusals: list[Fail | Accuse] = []
        for kind in (OfferContext, RelayContext):
            network = Scene(protocol, level, rng).network()
            leaked = leak(network, kind)
            network.run()
            found = opened(network, leaked[-1]) if leaked else None
            if found is not None and recovered(network, VICTIM, found):
                return Outcome.reached("an upload was made under it, and opened")
            refusals += [*network.accused, *network.failures.values()]
        evidence = f"refused {len(refusals)} times, by the server and by {COUNT} clients"
        return Outcome.stopped(commonest(refusals) or "no upload", evidence)


class LyingSum(OnCiphertexts):
    """The victim's ciphertext, added to itself until the counter fits."""

    id = "HE1"
    title = "a server that lies about what a sum covers"
    goal = "one client's vector"
    source = "docs/he.md, what a lying server could do; shared by all schemes without pads"
    fails_from = Adversary.LYING_SERVER

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Ask the decryptor for the sum of one."""
        network = Scene(protocol, level, rng).network()
        network.relay = Multiplied(network).relay
        network.run()
        try:
            total = released(network)
        except SecaggError as error:
            return Outcome.stopped(error, "the decryptor did not open it")
        ring = network.plan.ring
        single = np.rint(total / COUNT).astype(np.int64).astype(np.uint64) & np.uint64(ring.mask)
        right = recovered(network, VICTIM, single.astype(ring.dtype))
        evidence = (
            f"one ciphertext opened as a sum over {len(network.included)}: input equal: {right}"
        )
        return Outcome.of(right and not exact(network), "another vector", evidence)


class AskedTwice(OnCiphertexts):
    """After the sum, the sum without the victim: of the decryptor, and of it restored."""

    id = "A30"
    title = "the decryptor is asked twice, about two sets of clients"
    goal = "one client's vector, as the difference of two sums"
    source = "google/secure-aggregation, willow: a decryptor answers as often as it is asked"
    fails_from = Adversary.CURIOUS_SERVER

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Once before it is killed, and once after."""
        network = Scene(protocol, level, rng).network()
        network.run()
        question = without_victim(network)
        errors: list[SecaggError] = []
        right = False
        for killed in (False, True):
            if killed:
                network.restart(DECRYPTOR)
            try:
                answer = answered(network.parties[DECRYPTOR].handle(question, SERVER))
                right = right or recovered_from_two(network, VICTIM, difference(network, answer))
            except SecaggError as error:
                errors.append(error)
        evidence = f"{len(errors)} of 2 second questions refused; input equal: {right}"
        return Outcome.of(right, errors[0] if errors else "another vector", evidence)


def answered(effects: Collection[Effect]) -> OpenedSum:
    """What a decryptor answered.

    Raises:
        VerificationError: nothing.
    """
    for effect in effects:
        if isinstance(effect, Send) and isinstance(effect.message, OpenedSum):
            return effect.message
    raise VerificationError("the decryptor did not answer")


def difference(network: Network, second: OpenedSum) -> RingVector:
    """The sum that was released less another one.

    Raises:
        VerificationError: none was released.
    """
    if network.total is None:
        raise VerificationError("no sum was released")
    ring, left = network.plan.ring, network.total.copy()
    kernels.ring_subtract(left, kernels.unpack(second.tail, ring, network.plan.task.length))
    kernels.ring_reduce(left, ring)
    return left


def without_victim(network: Network) -> OpenSum:
    """What the server would ask, had the victim not come."""
    (question,) = (m for m in network.told(DECRYPTOR) if isinstance(m, OpenSum))
    layout, total = plan_of(network).layout, None
    for who in network.clients:
        if who == client(VICTIM):
            continue
        (upload,) = (m for m in network.said(who) if isinstance(m, Upload))
        words = vectors.unpack(upload.tail, layout)
        if total is None:
            total = words
        else:
            vectors.add(total, words, layout)
    assert total is not None  # noqa: S101
    others = bitmap([who for who in network.clients if who != client(VICTIM)], network.clients)
    packed = memoryview(vectors.pack(total, layout.lattice))
    return OpenSum(question.context_digest, others, packed)


class Multiplied:
    """A server that sends the decryptor one upload several times over."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def relay(self, seen: Seen) -> Message:
        """The adversary."""
        message = seen.message
        if not isinstance(message, OpenSum):
            return message
        (upload,) = (m for m in self.network.said(client(VICTIM)) if isinstance(m, Upload))
        plan = plan_of(self.network)
        one = vectors.unpack(upload.tail, plan.layout)
        total = one.copy()
        for _ in range(COUNT - 1):
            vectors.add(total, one, plan.layout)
        packed = memoryview(vectors.pack(total, plan.layout.lattice))
        return OpenSum(message.context_digest, message.included, packed)


def plan_of(network: Network) -> HomomorphicPlan:
    """The plan of a session of bfv or ckks."""
    assert isinstance(network.plan, HomomorphicPlan)  # noqa: S101
    return network.plan


def leak(network: Network, kind: type[Message]) -> list[SecretContext]:
    """Put the key into all contexts of a kind; the key, once there is one."""
    leaked: list[SecretContext] = []

    def relay(seen: Seen) -> Message:
        message = seen.message
        if not isinstance(message, OfferContext | RelayContext):
            return message
        if not leaked:
            leaked.append(network.corrupt(DECRYPTOR)._secret)  # type: ignore[attr-defined]
        return type(message)(leaked[0].encode()) if isinstance(message, kind) else message

    network.relay = relay
    return leaked


def opened(network: Network, key: SecretContext) -> RingVector | None:
    """The victim's vector, if it sent any under this key."""
    uploads = [m for m in network.said(client(VICTIM)) if isinstance(m, Upload)]
    if not uploads:
        return None
    layout, ring = plan_of(network).layout, network.plan.ring
    seed = Secret(key.encode()[-64:])
    slots = workers.decrypt(vectors.unpack(uploads[0].tail, layout), layout, seed)
    values = vectors.values_of(slots, layout, 1)
    return (values.astype(np.uint64) & np.uint64(ring.mask)).astype(ring.dtype)
