"""A12: whether a known update is in a released sum.

Adversary: a server that follows the protocol, and knows what update a victim's data would give.
Seen: the released sum.
Goal: to tell whether that update is in it.
Protection: none: an exact sum is not differentially private. Noise would help; this library
adds none.
Levels: not covered at any.
"""

from __future__ import annotations

import numpy as np
import pytest
from attacks.scenes import ANY, mounted, network_of

from secagg.audit.attacks.attack import released
from secagg.audit.attacks.membership import BOUND, LENGTH, seems_inside
from secagg.crypto.rng import seeded, uniform_below


@pytest.mark.parametrize("scene", ANY)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_round_is_told_right(scene: str, seed: int) -> None:
    assert mounted("A12", scene, seed).succeeded


@pytest.mark.parametrize("inside", [False, True])
def test_it_is_told_from_the_sum_alone(inside: bool) -> None:
    rng = seeded(4)
    known = [uniform_below(rng, 2 * BOUND + 1) - BOUND for _ in range(LENGTH)]
    network = network_of(
        "secagg 7 curious", values={3: known} if inside else {}, length=LENGTH, bound=BOUND
    )
    network.run()
    assert seems_inside(released(network), np.array(known)) == inside


def test_in_short_updates_it_is_a_guess() -> None:
    """With few coordinates the others hide it: about half of the rounds are told wrong."""
    wrong = 0
    for seed in range(60):
        rng = seeded(seed)
        known = np.array([uniform_below(rng, 2 * BOUND + 1) - BOUND for _ in range(4)])
        others = [uniform_below(rng, 2 * BOUND + 1) - BOUND for _ in range(4 * 40)]
        total = np.array(others).reshape(40, 4).sum(axis=0)
        wrong += seems_inside(total, known)
    assert 10 < wrong < 50
