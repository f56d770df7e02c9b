"""A15: a picture from the gradient that it gave.

Adversary: a server that follows the protocol.
Seen: the victim's frames, and the released sum.
Goal: the victim's picture, every pixel right.
Protection: a frame shows nothing of the gradient in it, and in the sum over the others the quotient
that is the picture is a mixture of theirs. How alike the mixture is falls with the cohort, and of
two or three clients it shows each of them: a small cohort hides little, and nothing here says how
much.
Levels: curious, malicious; the sum itself is not covered.
"""

from __future__ import annotations

import numpy as np
import pytest
from attacks.scenes import mounted

from secagg.audit.attacks.digits import DEEPEST, drawn, likeness, picture
from secagg.audit.attacks.inversion import BOUND, best_of, equal, gradient, inverted
from secagg.crypto.rng import seeded


@pytest.mark.parametrize("seed", [1, 2])
def test_without_masks_the_picture_is_in_the_frame(seed: int) -> None:
    outcome = mounted("A15", "plain curious", seed)
    assert outcome.succeeded
    truth, alone, in_frame, in_sum = outcome.pictures
    assert truth.pgm == alone.pgm == in_frame.pgm != in_sum.pgm


@pytest.mark.parametrize("scene", ["secagg curious", "secagg malicious", "bfv curious"])
@pytest.mark.parametrize("seed", [1, 2])
def test_with_masks_it_is_not(scene: str, seed: int) -> None:
    outcome = mounted("A15", scene, seed)
    assert not outcome.succeeded
    truth, alone, in_frame, in_sum = outcome.pictures
    assert truth.pgm == alone.pgm
    assert truth.pgm not in (in_frame.pgm, in_sum.pgm)


def test_it_degrades_with_the_cohort() -> None:
    """The mean over forty draws, of the best that could be made of the sum."""
    alike = dict.fromkeys((1, 2, 5, 20), 0.0)
    for seed in range(40):
        pictures, labels = drawn(seeded(seed), 20)
        updates = [gradient(*one) for one in zip(pictures, labels, strict=True)]
        for size in alike:
            found = best_of(pictures[0], inverted(np.sum(updates[:size], axis=0)))
            alike[size] += likeness(pictures[0], found) / 40
            assert equal(pictures[0], found) == (size == 1)
    assert alike[1] > 0.999 > alike[2] > alike[5] > alike[20]
    assert alike[20] < 0.85


def test_a_gradient_is_within_its_bound() -> None:
    pictures, labels = drawn(seeded(3), 60)
    assert len({one.tobytes() for one in pictures}) == 60
    assert pictures.min() == 0
    assert pictures.max() == DEEPEST
    assert max(abs(gradient(*one)).max() for one in zip(pictures, labels, strict=True)) <= BOUND


def test_likeness_knows_equal_inverted_and_blank_pictures() -> None:
    (one, other), _ = drawn(seeded(3), 2)
    assert likeness(one, one) == pytest.approx(1)
    assert likeness(one, -one) == pytest.approx(1)
    assert likeness(one, np.zeros(64)) == 0
    assert 0 < likeness(one, other) < 0.99
    assert "pgm" not in repr(picture("one", one))
