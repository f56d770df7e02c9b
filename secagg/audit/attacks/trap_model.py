"""A14: a model that keeps the pictures of a batch apart, also in a sum.

Every row of its first layer measures the brightness of a picture, each against another threshold.
The gradient of a row is the sum of the pictures above its threshold, that of its bias their number;
the difference of two neighbouring rows is the pictures between two thresholds: often one alone.
Aggregation adds rows to rows and takes nothing apart (Fowl et al., ICLR 2022).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from secagg.audit.attacks.attack import Attack, Outcome, released
from secagg.audit.attacks.digits import DEEPEST, PIXELS, Pixels, drawn, picture
from secagg.audit.attacks.scene import COUNT, Scene
from secagg.protocol import Level, Protocol
from secagg.types import Rng

BATCH, BINS = 4, 48
SHOWN = 4
BOUND = BATCH * DEEPEST
DARKEST, LIGHTEST = 240, 400
"""Between which sums of pixels the thresholds lie; about where digits are."""


class TrapModel(Attack):
    """All clients train on the same model, which is of the server's making, as it may be."""

    id = "A14"
    title = "a model that keeps the pictures of a batch apart, also in a sum"
    goal = "pictures of clients, every pixel right, from the released sum"
    source = "Fowl et al., Robbing the Fed, ICLR 2022"
    fails_from = None

    def run(self, protocol: Protocol, level: Level, rng: Rng) -> Outcome:
        """An honest round on that model; then subtract neighbouring rows."""
        pictures, _ = drawn(rng, COUNT * BATCH)
        batches = pictures.reshape(COUNT, BATCH, PIXELS)
        scene = Scene(
            protocol,
            level,
            rng,
            values={number: gradient(batch) for number, batch in enumerate(batches)},
            length=BINS * (PIXELS + 1),
            bound=BOUND,
        )
        network = scene.network()
        network.run()
        found = taken_apart(released(network))
        known = {one.tobytes() for one in pictures}
        right = [one for one in found if one.tobytes() in known]
        evidence = (
            f"{len(right)} of {len(pictures)} pictures of {COUNT} clients are in the sum, every"
            f" pixel right; {len(found)} found"
        )
        shown = tuple(picture(f"from the sum, {n + 1}", one) for n, one in enumerate(right[:SHOWN]))
        return replace(Outcome.of(bool(right), "no picture alone", evidence), pictures=shown)


def thresholds() -> npt.NDArray[np.int64]:
    """Of the rows, ascending."""
    return np.linspace(DARKEST, LIGHTEST, BINS).astype(np.int64)


def gradient(batch: Pixels) -> npt.NDArray[np.int64]:
    """Of a batch: for each row the sum of the pictures above its threshold, then their numbers."""
    above = batch.sum(axis=1) > thresholds()[:, np.newaxis]
    return np.concatenate(((above @ batch).ravel(), above.sum(axis=1))).astype(np.int64)


def taken_apart(total: npt.NDArray[np.int64]) -> list[Pixels]:
    """The pictures that lie alone between two thresholds, or above the last."""
    rows, numbers = total[:-BINS].reshape(BINS, PIXELS), total[-BINS:]
    between = rows - np.vstack((rows[1:], np.zeros((1, PIXELS), dtype=np.int64)))
    count = numbers - np.append(numbers[1:], 0)
    return [one for one, alone in zip(between, count == 1, strict=True) if alone]
