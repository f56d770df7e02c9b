"""What is learned: the data, the model, how it is trained and judged. Nothing here knows Flower."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Arrays = list[npt.NDArray[np.float32]]
Labels = npt.NDArray[np.int64]
Inputs = npt.NDArray[np.float32]

CLASSES = 10
TEST_FROM = 1440
"""Rows from here on are for the test: the last fifth, written by other people than the rest."""


@cache
def _digits() -> tuple[Inputs, Labels]:
    """All 1797 images of 8 x 8 pixels, from 0 to 1, and what they show."""
    # Here, since Flower may start a process for a message that needs no data.
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return (pixels / 16).astype(np.float32), labels.astype(np.int64)


def training_set(client: int, clients: int) -> tuple[Inputs, Labels]:
    """This client's rows: nobody has as many as another."""
    inputs, labels = _digits()
    ends = np.cumsum(np.arange(clients) + 2 * clients) * TEST_FROM
    ends //= sum(range(2 * clients, 3 * clients))
    first = 0 if client == 0 else int(ends[client - 1])
    return inputs[first : int(ends[client])], labels[first : int(ends[client])]


def test_set() -> tuple[Inputs, Labels]:
    """The rows that no client has."""
    inputs, labels = _digits()
    return inputs[TEST_FROM:], labels[TEST_FROM:]


def new_model() -> Arrays:
    """Weights, shape (64, 10), and biases, shape (10,): all zero."""
    return [np.zeros((64, CLASSES), np.float32), np.zeros(CLASSES, np.float32)]


def train(model: Arrays, inputs: Inputs, labels: Labels, epochs: int, rate: float) -> Arrays:
    """The model after so many steps of gradient descent, each over all rows."""
    weights, biases = model
    wanted = np.eye(CLASSES, dtype=np.float32)[labels]
    for _ in range(epochs):
        off = (_probabilities([weights, biases], inputs) - wanted) / np.float32(len(labels))
        weights = weights - np.float32(rate) * (inputs.T @ off)
        biases = biases - np.float32(rate) * off.sum(axis=0)
    return [weights, biases]


def evaluate(model: Arrays, inputs: Inputs, labels: Labels) -> tuple[float, float]:
    """The mean cross entropy, and the share of rows that are read right."""
    probabilities = _probabilities(model, inputs)
    loss = -np.log(probabilities[np.arange(len(labels)), labels] + 1e-12).mean()
    return float(loss), float((probabilities.argmax(axis=1) == labels).mean())


def _probabilities(model: Arrays, inputs: Inputs) -> Inputs:
    weights, biases = model
    scores = inputs @ weights + biases
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)
