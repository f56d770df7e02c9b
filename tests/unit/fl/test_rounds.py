from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fl import data, rounds, train
from fl.federation import Federation
from secagg.codec import Codec
from secagg.errors import InputError
from secagg.types import Ring


@pytest.fixture(scope="module")
def digits() -> Federation:
    return data.load("digits", 10, seed=1)


@pytest.fixture(scope="module")
def hospitals() -> Federation:
    return data.load("opt", seed=1)


def through_codec(job: rounds.FedAvg, clip: float) -> rounds.Aggregate:
    """What a protocol does, without the protocol."""
    codec = Codec(length=job.length, clip=clip, max_weight=job.federation.max_weight)
    ring = Ring.for_sum(len(job.federation.clients), codec.bound)

    def aggregate(_: int, updates: Sequence[rounds.ClientUpdate]) -> rounds.Mean:
        total = np.zeros(codec.vector_length, dtype=ring.dtype)
        for update in updates:
            encoded = codec.encode(update.vector, update.weight, ring)
            assert encoded.saturated == 0
            total += encoded.vector
        decoded = codec.decode(total, ring)
        assert decoded.weight == sum(update.weight for update in updates)
        return decoded.mean

    return aggregate


def test_ten_rounds_of_ten_clients_learn_the_digits(digits: Federation) -> None:
    job = rounds.FedAvg(digits, seed=1)
    before = job.evaluate()
    fixed_point = through_codec(job, clip=2.0)
    trajectories = rounds.run(job, 10, others={"a": fixed_point, "b": fixed_point})
    assert before < 0.3
    assert job.evaluate() > 0.9
    # 22 fraction bits move at most a borderline example or two out of 359.
    assert abs(job.evaluate(trajectories["a"]) - job.evaluate()) < 0.01
    np.testing.assert_array_equal(trajectories["a"].weights, trajectories["b"].weights)
    assert trajectories["a"].rounds == 10


def test_twenty_rounds_reach_the_pooled_fit_of_the_hospitals() -> None:
    pooled, averaged = [], []
    for seed in range(10):
        federation = data.load("opt", seed=seed)
        job = rounds.FedAvg(federation, seed)
        rounds.run(job, 20)
        pooled.append(train.pooled_fit(federation))
        averaged.append(job.evaluate())
    assert np.mean(pooled) > 0.45
    assert abs(np.mean(pooled) - np.mean(averaged)) < 0.02


def test_updates_repeat_for_a_round_and_differ_between_rounds(digits: Federation) -> None:
    one, other = rounds.FedAvg(digits, seed=3), rounds.FedAvg(digits, seed=3)
    first, again = one.updates(0), other.updates(0)
    assert [update.number for update in first] == list(range(10))
    assert [update.weight for update in first] == [len(part) for part in digits.clients]
    for left, right in zip(first, again, strict=True):
        assert left.vector.dtype == np.float32
        assert left.vector.shape == (one.length,)
        np.testing.assert_array_equal(left.vector, right.vector)
    # The model has not moved, so only the order of the rows differs.
    assert not np.array_equal(one.updates(1)[0].vector, first[0].vector)


def test_the_mean_weighs_by_examples() -> None:
    updates = [
        rounds.ClientUpdate(0, np.array([1, 0], dtype=np.float32), 3),
        rounds.ClientUpdate(1, np.array([0, 4], dtype=np.float32), 1),
    ]
    assert rounds.weighted_mean(0, updates).tolist() == [0.75, 1.0]


def test_a_round_without_result_leaves_the_models_where_they_were(hospitals: Federation) -> None:
    job = rounds.FedAvg(hospitals)
    before = job.evaluate()
    trajectories = rounds.run(job, 2, lambda *_: None, {"failing": lambda *_: None})
    assert trajectories["failing"].rounds == 0
    assert job.evaluate() == job.evaluate(trajectories["failing"]) == before


def test_each_aggregator_has_its_own_model_but_not_its_own_training(
    hospitals: Federation,
) -> None:
    seen: list[list[bytes]] = []

    def zero(_: int, updates: Sequence[rounds.ClientUpdate]) -> rounds.Mean:
        seen.append([update.vector.tobytes() for update in updates])
        return np.zeros(len(updates[0].vector))

    job = rounds.FedAvg(hospitals)
    trajectories = rounds.run(job, 6, others={"zero": zero, "same": rounds.weighted_mean})
    assert job.evaluate(trajectories["same"]) == job.evaluate() > 0.2
    assert abs(job.evaluate(trajectories["zero"])) < 0.05

    lone = rounds.FedAvg(hospitals)
    for number, vectors in enumerate(seen):
        updates = lone.updates(number)
        assert [update.vector.tobytes() for update in updates] == vectors
        lone.apply(rounds.weighted_mean(number, updates))


def test_a_mean_of_another_shape_is_refused(hospitals: Federation) -> None:
    with pytest.raises(InputError, match=r"\(32,\)"):
        rounds.FedAvg(hospitals).apply(np.zeros(1))


def test_a_training_that_diverges_is_refused_by_tensor(hospitals: Federation) -> None:
    job = rounds.FedAvg(hospitals, recipe=train.Recipe(500, None, 100.0))
    with pytest.raises(InputError, match=r"^0\.(weight|bias)\["):
        job.updates(0)
