from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
import torch

from fl import data, model, train
from fl.federation import Federation
from fl.sampling import stream
from secagg.codec import Layout
from secagg.errors import ParameterError, UnavailableError


@pytest.fixture(scope="module")
def digits() -> Federation:
    return data.load("digits", 3, seed=1)


@pytest.fixture(scope="module")
def hospitals() -> Federation:
    return data.load("opt", seed=1)


def test_the_models_have_the_documented_sizes(digits: Federation, hospitals: Federation) -> None:
    assert Layout.of(model.build(digits, 0).state_dict()).length == 4810
    assert Layout.of(model.build(hospitals, 0).state_dict()).length == 32


def test_the_seed_decides_the_initial_weights_and_nothing_else_does(digits: Federation) -> None:
    def weights(seed: int) -> bytes:
        module = model.build(digits, seed)
        return train.weights_of(module, Layout.of(module.state_dict())).tobytes()

    first = weights(1)
    torch.rand(1)
    assert weights(1) == first
    assert weights(2) != first


def test_training_repeats_to_the_bit_and_restores_the_threads(digits: Federation) -> None:
    recipe = train.Recipe.default(digits)
    threads = torch.get_num_threads()

    def trained(purpose: str) -> bytes:
        module = model.build(digits, 1)
        train.train(module, digits.clients[0], recipe, stream(purpose))
        return train.weights_of(module, Layout.of(module.state_dict())).tobytes()

    assert trained("a") == trained("a")
    assert trained("a") != trained("b")
    assert torch.get_num_threads() == threads


def test_weights_can_be_taken_out_and_put_back(digits: Federation) -> None:
    one, other = model.build(digits, 1), model.build(digits, 2)
    layout = Layout.of(one.state_dict())
    train.set_weights(other, layout, train.weights_of(one, layout))
    assert train.evaluate(one, digits) == train.evaluate(other, digits)
    np.testing.assert_array_equal(train.weights_of(one, layout), train.weights_of(other, layout))


def test_r_squared_is_1_when_perfect_and_0_for_the_mean() -> None:
    targets = np.array([1.0, 2.0, 6.0], dtype=np.float32)
    assert train.r_squared(targets, targets) == 1
    assert train.r_squared(targets, np.full(3, 3.0)) == 0
    assert train.r_squared(targets, -targets) < 0


def test_an_untrained_regression_predicts_about_the_mean(hospitals: Federation) -> None:
    assert abs(train.evaluate(model.build(hospitals, 0), hospitals)) < 0.05


def test_there_is_no_least_squares_fit_of_classes(digits: Federation) -> None:
    with pytest.raises(ParameterError, match="no regression"):
        train.pooled_fit(digits)


@pytest.mark.parametrize(
    ("epochs", "batch_size", "rate"),
    [(0, 1, 0.1), (1, 0, 0.1), (1, 1, 0.0), (1, 1, float("nan"))],
)
def test_a_recipe_that_does_nothing_is_refused(epochs: int, batch_size: int, rate: float) -> None:
    with pytest.raises(ParameterError):
        train.Recipe(epochs, batch_size, rate)


def test_without_torch_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "fl.pytorch")
    with pytest.raises(UnavailableError, match=r"pip install 'secagg\[fl\]'"):
        importlib.import_module("fl.pytorch")


def test_loading_data_needs_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("fl.pytorch", "fl.data", "fl.opt", "fl.idx", "fl.sampling", "fl.federation"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert importlib.import_module("fl.data").load("opt").name == "opt"
