"""A14: a model that keeps the pictures of a batch apart, also in a sum.

Adversary: a server that gives everybody one model, of its own making, and follows the protocol.
Seen: the released sum.
Goal: clients' pictures, every pixel right.
Protection: none by aggregation: it is the same model for all, so its digest is the same (A13). Who
trains has to look at the model; noise would help.
Levels: not covered at any.
"""

from __future__ import annotations

import numpy as np
import pytest
from attacks.scenes import ANY, mounted

from secagg.audit.attacks.digits import drawn
from secagg.audit.attacks.trap_model import BATCH, gradient, taken_apart
from secagg.crypto.rng import seeded


@pytest.mark.parametrize("scene", ANY)
@pytest.mark.parametrize("seed", [1, 2])
def test_pictures_are_taken_from_the_sum(scene: str, seed: int) -> None:
    outcome = mounted("A14", scene, seed)
    assert outcome.succeeded
    assert outcome.pictures
    assert all(one.pgm.startswith(b"P5\n64 64\n255\n") for one in outcome.pictures)


def test_a_larger_cohort_does_not_stop_it() -> None:
    """Of sixty pictures as many are found as there are thresholds that keep one apart."""
    pictures, _ = drawn(seeded(1), 60)
    total = sum(gradient(one) for one in pictures.reshape(-1, BATCH, 64))
    found = {one.tobytes() for one in taken_apart(np.asarray(total))}
    assert len(found & {one.tobytes() for one in pictures}) > 8


def test_two_between_the_same_thresholds_are_not_told_apart() -> None:
    pictures, _ = drawn(seeded(1), 1)
    assert not taken_apart(gradient(np.vstack((pictures, pictures))))
