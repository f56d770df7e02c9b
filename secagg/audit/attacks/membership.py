"""A12: whether a known update is in a released sum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from secagg.audit.attacks.attack import Attack, Outcome, released
from secagg.audit.attacks.scene import COUNT, Scene
from secagg.crypto.rng import uniform_below
from secagg.protocol import Level, Protocol
from secagg.types import Rng

LENGTH, BOUND, ROUNDS = 600, 1000, 8
VICTIM = 4


class Membership(Attack):
    """Rounds in half of which, by coin, the victim's update is one that the adversary knows."""

    id = "A12"
    title = "whether a known update is in a released sum"
    goal = "to tell from the sum alone in which rounds the victim took part with it"
    source = "Ngo et al., ECML-PKDD 2024"
    fails_from = None

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Correlate each sum with the update; every round has to be told right."""
        right = 0
        for _ in range(ROUNDS):
            known = np.array([uniform_below(rng, 2 * BOUND + 1) - BOUND for _ in range(LENGTH)])
            inside = bool(rng.bytes(1)[0] & 1)
            values = {VICTIM: known} if inside else {}
            network = Scene(
                protocol, level, rng, values=values, length=LENGTH, bound=BOUND
            ).network()
            network.run()
            right += seems_inside(released(network), known) == inside
        evidence = f"{right} of {ROUNDS} rounds told right, from sums of {COUNT} x {LENGTH}"
        return Outcome.of(right == ROUNDS, "too many others", evidence)


def seems_inside(total: npt.NDArray[np.int64], known: npt.NDArray[np.int64]) -> bool:
    """Whether the sum leans towards the update by more than half of its length."""
    update = known.astype(np.float64)
    return bool(total @ update > update @ update / 2)
