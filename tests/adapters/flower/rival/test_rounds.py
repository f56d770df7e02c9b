"""Rounds of Flower's own SecAgg+ that end without a sum, or with a wrong one, and without a word.

Each test passes because the failure is there. docs/flower-secaggplus.md names them.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest
from adapters.flower.rival.legacy import Legacy, Trained, some
from flwr.common.secure_aggregation.crypto.shamir import combine_shares
from flwr.common.secure_aggregation.secaggplus_constants import Stage
from flwr.server.workflow.secure_aggregation import secaggplus_workflow


def test_it_works_when_nothing_goes_wrong() -> None:
    """So that the failures below are not the harness's."""
    legacy = Legacy(some(5), shares=5, threshold=3)
    mean = legacy.run()
    assert mean is not None
    np.testing.assert_allclose(mean, legacy.true_mean(), atol=1e-4)
    assert not legacy.errors


@pytest.mark.parametrize("stage", [Stage.COLLECT_MASKED_VECTORS, Stage.UNMASK])
def test_it_survives_a_late_dropout(stage: str) -> None:
    """So that the deaths below are not the harness's."""
    legacy = Legacy(some(5), shares=5, threshold=3, lost={2: stage})
    mean = legacy.run()
    stayed = [0, 1, 3, 4] if stage == Stage.COLLECT_MASKED_VECTORS else range(5)
    assert mean is not None
    np.testing.assert_allclose(mean, legacy.true_mean(stayed), atol=1e-4)


@pytest.mark.parametrize("stage", [Stage.SETUP, Stage.SHARE_KEYS])
def test_an_early_dropout_kills_the_round(stage: str) -> None:
    """Four of five are there, three are enough, and the four look for a share of the fifth."""
    legacy = Legacy(some(5), shares=5, threshold=3, lost={2: stage})
    assert legacy.run() is None
    assert {type(error) for error in legacy.errors} == {KeyError}
    assert len(legacy.errors) == 4


def test_an_even_number_of_shares_kills_the_round() -> None:
    """The graph has one neighbour more than the shares that a client deals."""
    legacy = Legacy(some(6), shares=4, threshold=2)
    assert legacy.run() is None
    assert {type(error) for error in legacy.errors} == {IndexError}


def test_an_aborted_round_is_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    legacy = Legacy(some(5), shares=5, threshold=3, lost=dict.fromkeys((0, 1, 2), Stage.UNMASK))
    logger = logging.getLogger("flwr")
    logger.addHandler(caplog.handler)
    try:
        returned = legacy.run()
    finally:
        logger.removeHandler(caplog.handler)
    assert returned is None, "and nothing was raised"
    assert "Secure aggregation halted." in caplog.messages


def test_a_sum_that_wraps_is_a_wrong_mean_without_an_error() -> None:
    """With every default, from 1024 clients on that all have the largest weight."""
    legacy = Legacy([Trained(np.full(3, 7.9, np.float32))] * 1100, shares=3, threshold=2)
    mean = legacy.run()
    assert mean is not None
    assert not legacy.errors
    assert np.all(np.abs(mean) > 8), "where no client can be"


def test_not_a_number_becomes_a_number() -> None:
    clients = some(3, length=2)
    clients[1].update[0] = np.nan
    with np.errstate(invalid="ignore"):
        mean = Legacy(clients, shares=3, threshold=2).run()
    assert mean is not None
    assert np.all(np.isfinite(mean)), "the strategy cannot know"


def test_clipping_is_silent_and_the_type_changes() -> None:
    legacy = Legacy([Trained(np.full(2, 100, np.float32))] * 3, shares=3, threshold=2)
    mean = legacy.run()
    assert mean is not None
    assert np.max(mean) < 8.001
    assert mean.dtype == np.float64


def test_few_examples_make_a_coarse_mean() -> None:
    """The weight comes before the rounding: with one example of 1000 a step is 1000 steps."""
    errors = {}
    for examples in (1, 1000):
        legacy = Legacy(some(5, examples=examples), shares=5, threshold=3)
        mean = legacy.run()
        assert mean is not None
        errors[examples] = np.max(np.abs(mean - legacy.true_mean()))
    assert errors[1] > 100 * errors[1000]
    assert errors[1] > 1e-4


def test_the_server_interpolates_with_every_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shares are enough in this round, and it takes nine: the work grows with their square."""
    used: list[int] = []

    def spy(shares: list[bytes]) -> bytes:
        used.append(len(shares))
        return combine_shares(shares)

    monkeypatch.setattr(secaggplus_workflow, "combine_shares", spy)
    assert Legacy(some(9), shares=9, threshold=2).run() is not None
    assert used == [9] * 9
