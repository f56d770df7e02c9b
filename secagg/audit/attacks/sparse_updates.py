"""A9: coordinates of a sum that only one client touched."""

from __future__ import annotations

import numpy as np

from secagg.audit.adversary import recovered_part
from secagg.audit.attacks.attack import Attack, Outcome
from secagg.audit.attacks.scene import COUNT, Scene
from secagg.crypto.rng import uniform_below
from secagg.errors import VerificationError
from secagg.protocol import Level, Protocol
from secagg.types import Rng

LENGTH, TOUCHED = 64, 12
VICTIM = 0


class SparseUpdates(Attack):
    """Updates with a few coordinates that are not 0; which of them is known, as of an embedding."""

    id = "A9"
    title = "coordinates of a sum that only one client touched"
    goal = "the victim's values in these coordinates"
    source = "Suimon et al., arXiv 2508.04285"
    fails_from = None

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """An honest round; then read the coordinates that are the victim's alone."""
        supports, alone = drawn(rng)
        bound = 1000
        values = {}
        for number, places in enumerate(supports):
            vector = np.zeros(LENGTH, dtype=np.int64)
            vector[list(places)] = [1 + uniform_below(rng, bound) for _ in places]
            values[number] = vector
        network = Scene(protocol, level, rng, values=values, length=LENGTH, bound=bound).network()
        network.run()
        if network.total is None:
            raise VerificationError("an honest round released no sum")
        right = recovered_part(network, VICTIM, alone, network.total[alone])
        evidence = (
            f"{len(alone)} of the victim's {TOUCHED} coordinates are its alone among {COUNT}"
            f" clients; values equal: {right}"
        )
        return Outcome.of(right, "no coordinate alone", evidence)


def drawn(rng: Rng) -> tuple[list[tuple[int, ...]], list[int]]:
    """Everybody's coordinates, and those that are the victim's alone: one at least."""
    while True:
        supports = [support(rng) for _ in range(COUNT)]
        others = set().union(*(set(places) for places in supports[1:]))
        if alone := [place for place in supports[VICTIM] if place not in others]:
            return supports, alone


def support(rng: Rng) -> tuple[int, ...]:
    """Coordinates of one client: a run at a random place, and so the victim's may be covered."""
    start = uniform_below(rng, LENGTH)
    return tuple((start + 3 * step) % LENGTH for step in range(TOUCHED))
