"""A23: one client decides what the sum says."""

from __future__ import annotations

import numpy as np

from secagg.audit.adversary import exact
from secagg.audit.attacks.attack import Attack, Outcome, released
from secagg.audit.attacks.scene import COUNT, Scene
from secagg.crypto.rng import uniform_below
from secagg.protocol import Level, Protocol, Validity
from secagg.types import Rng

LENGTH, BOUND = 64, 1000
TYPICAL = BOUND // 10
"""Of an honest update: in a tenth of the bound, as where the clip is chosen with room."""

CORRUPT = 5


class Poisoning(Attack):
    """A corrupt client whose input lies within the bound, at its end in every coordinate."""

    id = "A23"
    title = "one client decides what the sum says"
    goal = "the sign of every coordinate of the sum, as the corrupt client wants it"
    source = "RoFL, S&P 2023; ACORN, USENIX Security 2023; what they prove of inputs"
    fails_from = None

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Signs at random, at the bound."""
        wanted = np.array([2 * uniform_below(rng, 2) - 1 for _ in range(LENGTH)])
        scene = Scene(
            protocol,
            level,
            rng,
            values={CORRUPT: BOUND * wanted},
            spread=TYPICAL,
            length=LENGTH,
            bound=BOUND,
        )
        network = scene.network()
        network.run()
        turned = int((np.sign(released(network)) == wanted).sum())
        checked = protocol.guarantees(level).validity.at_least(Validity.PROVED_IN_RANGE)
        evidence = (
            f"one of {COUNT} clients chose {turned} of {LENGTH} signs; the sum is right:"
            f" {exact(network)}; inputs are proved in range: {checked}"
        )
        return Outcome.of(turned == LENGTH, "the others", evidence)
