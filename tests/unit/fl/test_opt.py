from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from fl import data, opt
from fl.federation import Examples
from secagg.errors import DecodeError, ParameterError

RAW = resources.files("fl").joinpath("datasets/opt.csv").read_bytes()


def test_four_hospitals_bring_their_own_rows() -> None:
    federation = data.load("opt", 4, seed=2)
    # 120 + 217 + 180 + 142 women were seen at visit 5; a quarter of each hospital is held out.
    assert [len(part) for part in federation.clients] == [90, 163, 135, 107]
    assert len(federation.test) == 164
    assert federation.kind == "regression"
    assert (federation.features, federation.classes) == (31, 0)
    assert federation.checksum == opt.SHA256
    for part in (*federation.clients, federation.test):
        assert part.inputs.dtype == part.targets.dtype == np.float32
        assert np.isfinite(part.inputs).all()


@pytest.mark.parametrize("clients", [0, 1, 3, 5])
def test_another_number_of_hospitals_is_refused(clients: int) -> None:
    with pytest.raises(ParameterError, match="exactly 4 hospitals"):
        data.load("opt", clients)


def test_train_and_test_rows_are_all_women_seen_at_visit_5() -> None:
    _, columns, targets = opt.parse(RAW)
    assert columns.shape == (659, 31)
    for seed in range(3):
        federation = data.load("opt", seed=seed)
        everybody = Examples.union((*federation.clients, federation.test))
        centre = np.concatenate([part.targets for part in federation.clients])
        assert centre.mean(dtype=np.float64) == pytest.approx(0, abs=1e-6)
        shift = np.sort(targets.ravel()) - np.sort(everybody.targets)
        np.testing.assert_allclose(shift, shift[0], atol=1e-6)


def test_the_training_rows_of_all_hospitals_have_mean_0_and_deviation_1() -> None:
    federation = data.load("opt", seed=5)
    table = Examples.union(federation.clients).inputs.astype(np.float64)
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=1e-6)
    # A column with missing values has fewer at distance and so a smaller deviation.
    deviation = table.std(axis=0)
    assert (deviation < 1 + 1e-6).all()
    assert np.isclose(deviation, 1, atol=1e-6).sum() >= 24


def test_the_scale_from_the_hospitals_moments_is_that_of_the_union() -> None:
    _, columns, _ = opt.parse(RAW)
    parts = np.array_split(columns, 4)
    mean, deviation = opt.pooled_scale([opt.moments(part) for part in parts])
    np.testing.assert_allclose(mean, np.nanmean(columns, axis=0))
    np.testing.assert_allclose(deviation, np.nanstd(columns, axis=0), rtol=1e-9)


def test_a_constant_column_is_only_centred() -> None:
    mean, deviation = opt.pooled_scale([opt.moments(np.full((3, 1), 7.0))])
    assert (mean[0], deviation[0]) == (7.0, 1.0)
    missing = np.array([[np.nan], [8.0]])
    assert opt.standardise(missing, mean, deviation).tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize("position", [0, len(RAW) // 2, len(RAW) - 2])
def test_a_changed_file_is_refused(position: int) -> None:
    changed = bytearray(RAW)
    changed[position] ^= 1
    with pytest.raises(DecodeError, match=f"expected {opt.SHA256}"):
        opt.parse(bytes(changed))


def test_no_identifier_of_a_participant_is_in_the_file() -> None:
    header = RAW.split(b"\n", 1)[0].decode().split(",")
    assert len(header) == 31
    assert not {"pid", "id", "participant"} & set(header)
