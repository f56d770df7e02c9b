"""A15: a picture from the gradient that it gave.

The model is linear with a softmax, the gradient is of one picture. Of a class i it has the row
(p_i - y_i) x and the bias p_i - y_i: their quotient is the picture x (Zhu et al., NeurIPS 2019;
Geiping et al., NeurIPS 2020, proposition 3.1, for any first layer with a bias). In a sum the rows
add up, and the quotient is a mixture of pictures; of two or three it shows each of them still.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from secagg import kernels
from secagg.audit.adversary import Network
from secagg.audit.attacks.attack import Attack, Outcome, released
from secagg.audit.attacks.digits import DEEPEST, PIXELS, Pixels, drawn, likeness, picture
from secagg.audit.attacks.scene import Scene
from secagg.protocol import Adversary, Level, Protocol
from secagg.types import Rng, client

COUNT, CLASSES = 20, 10
FRACTION_BITS = 16
BOUND = 1 << FRACTION_BITS
"""No element of a gradient is larger than 1: pixels are scaled to 0..1."""

VICTIM = 0
SIZES = (1, 2, 4, 10, COUNT)
Gradient = npt.NDArray[np.int64]


class GradientInversion(Attack):
    """Each of twenty clients sends the gradient of one picture, in the same model."""

    id = "A15"
    title = "a picture from the gradient that it gave"
    goal = "the victim's picture, every pixel right, from its frame or from the sum"
    source = "Zhu et al., NeurIPS 2019; Geiping et al., NeurIPS 2020"
    fails_from = Adversary.CURIOUS_SERVER

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """Invert what the victim's frame carries, and the sum."""
        pictures, labels = drawn(rng, COUNT)
        updates = [gradient(*one) for one in zip(pictures, labels, strict=True)]
        scene = Scene(
            protocol,
            level,
            rng,
            COUNT,
            values=dict(enumerate(updates)),
            length=CLASSES * (PIXELS + 1),
            bound=BOUND,
        )
        network = scene.network()
        network.run()
        truth = pictures[VICTIM]
        in_frame = best_of(truth, inverted(in_the_frame(network)))
        in_sum = best_of(truth, inverted(released(network)))
        mixed = [best_of(truth, inverted(np.sum(updates[:size], axis=0))) for size in SIZES]
        curve = ", ".join(
            f"{size}: {likeness(truth, one):.2f}" for size, one in zip(SIZES, mixed, strict=True)
        )
        other = max(likeness(truth, one) for one in pictures[1:])
        right = equal(truth, in_frame) or equal(truth, in_sum)
        evidence = (
            f"likeness to the picture: {likeness(truth, in_frame):.2f} from the victim's frame,"
            f" {likeness(truth, in_sum):.2f} from the sum of {COUNT}; of sums by cohort:"
            f" {curve}; another client's picture: {other:.2f} at most"
        )
        return replace(
            Outcome.of(right, "the sum over the others", evidence),
            pictures=(
                picture("the victim's picture", truth),
                picture("from its gradient, unprotected", mixed[0]),
                picture("from its frame", in_frame),
                picture(f"from the sum of {COUNT}", in_sum),
            ),
        )


def gradient(pixels: Pixels, label: np.int64) -> Gradient:
    """Of the cross entropy of an untrained model, in fixed point: the rows, then the biases."""
    error: npt.NDArray[np.float64] = np.full(CLASSES, 1 / CLASSES)
    error[label] -= 1
    rows = np.outer(error, pixels / DEEPEST)
    values = np.concatenate((rows.ravel(), error)) * BOUND
    return np.rint(values).astype(np.int64)


def inverted(update: npt.ArrayLike) -> list[npt.NDArray[np.float64]]:
    """The pictures that a gradient gives, one of each class whose bias is not 0."""
    values = np.asarray(update, dtype=np.float64)
    rows, biases = values[:-CLASSES].reshape(CLASSES, PIXELS), values[-CLASSES:]
    return [DEEPEST * row / bias for row, bias in zip(rows, biases, strict=True) if bias]


def best_of(truth: Pixels, found: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Which of the pictures found is most like the truth: more than any adversary can tell."""
    best: npt.NDArray[np.float64] = max(
        found, key=lambda one: likeness(truth, one), default=np.zeros(PIXELS)
    )
    return best


def equal(truth: Pixels, found: npt.NDArray[np.float64]) -> bool:
    """Whether every pixel is right."""
    return bool(np.array_equal(np.rint(found), truth))


def in_the_frame(network: Network) -> Gradient:
    """The victim's largest message, read as a vector of the ring, whatever it is."""
    sent = [one.frame.tail for one in network.seen if one.sender == client(VICTIM)]
    ring, length = network.plan.ring, network.plan.task.length
    largest = max(sent, key=lambda tail: tail.nbytes)
    data = bytearray(largest[: ring.packed_size(length)])
    # The bits beyond the last element: of what is no vector they may be anything.
    data[-1] &= 0xFF >> (8 * len(data) - length * ring.bits)
    return kernels.decode_signed(kernels.unpack(memoryview(bytes(data)), ring, length), ring)
