"""A7: all clients but the victim are the server's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from secagg import kernels
from secagg.audit.adversary import Network, recovered
from secagg.audit.attacks.attack import Attack, Outcome
from secagg.audit.attacks.scene import COUNT, Scene
from secagg.errors import VerificationError
from secagg.protocol import Level, Protocol
from secagg.types import RingVector, Rng

VICTIM = 0


class KnownOthers(Attack):
    """An honest round, in which the adversary knows what everybody else put in."""

    id = "A7"
    title = "all clients but the victim are the server's own"
    goal = "the victim's input, as the sum less what the others put in"
    source = "Bonawitz et al., CCS 2017; Boenisch et al., 2023"
    fails_from = None

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Fill the seats, and subtract."""
        own = {number: [number] * 17 for number in range(COUNT) if number != VICTIM}
        network = Scene(protocol, level, rng, values=own).network()
        network.run()
        right = recovered(network, VICTIM, without_known(network, own))
        evidence = (
            f"{len(own)} of {COUNT} clients are the adversary's, {network.plan.corrupt} are planned"
            f" for; input equal: {right}"
        )
        return Outcome.of(right, "another vector", evidence)


def without_known(network: Network, own: Mapping[int, Sequence[int]]) -> RingVector:
    """The released sum less these inputs.

    Raises:
        VerificationError: no sum was released.
    """
    if network.total is None:
        raise VerificationError("no sum was released")
    left = network.total.copy()
    known = np.sum(list(own.values()), axis=0).astype(np.uint64).astype(left.dtype)
    kernels.ring_subtract(left, known)
    kernels.ring_reduce(left, network.plan.ring)
    return left
