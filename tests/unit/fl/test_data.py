from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fl import data
from fl.federation import Examples, Federation
from secagg.errors import ParameterError, UnavailableError


def rows_of(*parts: Examples) -> list[tuple[float, ...]]:
    """All rows with their targets, sorted: equal for two splits of the same data."""
    union = Examples.union(parts)
    table = np.concatenate([union.inputs, union.targets[:, None]], axis=1)
    return sorted(map(tuple, table.tolist()))


def same(one: Federation, other: Federation) -> bool:
    return one.checksum == other.checksum and all(
        np.array_equal(left.inputs, right.inputs) and np.array_equal(left.targets, right.targets)
        for left, right in zip((*one.clients, one.test), (*other.clients, other.test), strict=True)
    )


def test_digits_are_split_into_a_partition_of_the_data() -> None:
    federation = data.load("digits", 7, seed=1)
    pixels, labels = load_digits(return_X_y=True)
    everything = Examples((pixels / 16).astype(np.float32), labels.astype(np.int64))
    assert rows_of(*federation.clients, federation.test) == rows_of(everything)
    assert len(federation.clients) == 7
    assert len(federation.test) == 359
    assert federation.kind == "classification"
    assert (federation.features, federation.classes) == (64, 10)
    assert federation.max_weight == max(map(len, federation.clients))
    for part in (*federation.clients, federation.test):
        assert part.inputs.dtype == np.float32
        assert part.targets.dtype == np.int64
        assert 0 <= part.inputs.min() <= part.inputs.max() <= 1


@pytest.mark.parametrize("name", ["digits", "opt"])
def test_the_seed_decides_the_split(name: str) -> None:
    assert same(data.load(name, seed=3), data.load(name, seed=3))
    assert not same(data.load(name, seed=3), data.load(name, seed=4))


def test_every_client_has_an_example_even_when_there_are_many() -> None:
    federation = data.load("digits", 1000, seed=0, alpha=0.05)
    assert min(map(len, federation.clients)) >= 1


def test_the_number_of_clients_has_a_default() -> None:
    assert len(data.load("digits").clients) == data.DEFAULT_CLIENTS
    assert len(data.load("opt").clients) == 4


@pytest.mark.parametrize("clients", [0, -1, 1_000_000])
def test_an_impossible_number_of_clients_is_refused(clients: int) -> None:
    with pytest.raises(ParameterError, match="clients"):
        data.load("digits", clients)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ParameterError, match="seed"):
        data.load("digits", seed=-1)


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    for name in ("mnist", str(tmp_path / "absent")):
        with pytest.raises(ParameterError, match="digits, opt, fashion-mnist"):
            data.load(name)


def test_without_scikit_learn_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UnavailableError, match=r"pip install 'secagg\[fl\]'"):
        data.load("digits")


def test_a_federation_without_rows_is_refused() -> None:
    none = Examples(np.zeros((0, 2), np.float32), np.zeros(0, np.int64))
    some = Examples(np.zeros((1, 2), np.float32), np.zeros(1, np.int64))
    for clients, test in (((), some), ((some, none), some), ((some,), none)):
        with pytest.raises(ParameterError):
            Federation("x", "classification", clients, test, 2, "", "")


def test_rows_are_not_printed() -> None:
    federation = data.load("opt")
    assert "array" not in repr(federation)
