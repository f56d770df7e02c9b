from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl import sampling
from secagg.errors import ParameterError, UnavailableError


@given(st.integers(0, 300), st.integers(0, 50))
def test_a_permutation_has_every_number_once(count: int, seed: int) -> None:
    order = sampling.permutation(sampling.stream("test", seed), count)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(count))


def test_streams_repeat_and_differ_by_purpose_and_number() -> None:
    assert sampling.stream("a", 1, 2).bytes(16) == sampling.stream("a", 1, 2).bytes(16)
    names = [("a", 1, 2), ("a", 12), ("a", 2, 1), ("b", 1, 2)]
    assert len({sampling.stream(name, *rest).bytes(16) for name, *rest in names}) == 4  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [0.01, 0.5, 1.0, 100.0])
def test_dirichlet_shares_are_positive_and_add_up_to_one(alpha: float) -> None:
    source = sampling.stream("test", 1)
    for _ in range(50):
        shares = sampling.dirichlet(source, alpha, 7)
        assert shares.shape == (7,)
        assert (shares > 0).all()
        assert shares.sum() == pytest.approx(1)


def test_dirichlet_shares_have_the_right_mean_and_variance() -> None:
    source = sampling.stream("test", 2)
    alpha, parts = 0.5, 4
    shares = np.array([sampling.dirichlet(source, alpha, parts) for _ in range(4000)])
    expected = (1 / parts) * (1 - 1 / parts) / (parts * alpha + 1)
    np.testing.assert_allclose(shares.mean(axis=0), 1 / parts, atol=0.02)
    np.testing.assert_allclose(shares.var(axis=0), expected, rtol=0.1)


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60).flatmap(
        lambda labels: st.tuples(st.just(labels), st.integers(1, len(labels)))
    ),
    st.sampled_from([0.01, 0.5, 1000.0]),
    st.integers(0, 9),
)
def test_a_split_is_a_partition_with_no_empty_client(
    case: tuple[list[int], int], alpha: float, seed: int
) -> None:
    labels, clients = case
    split = sampling.split_by_label(
        sampling.stream("test", seed), np.array(labels, dtype=np.int64), clients, alpha
    )
    assert len(split) == clients
    assert all(len(rows) for rows in split)
    assert sorted(np.concatenate(split)) == list(range(len(labels)))


def test_small_alpha_splits_unevenly_and_large_alpha_evenly() -> None:
    labels = np.repeat(np.arange(10), 100)
    sizes = {
        alpha: [len(r) for r in sampling.split_by_label(sampling.stream("t", 1), labels, 10, alpha)]
        for alpha in (0.1, 1000.0)
    }
    assert np.std(sizes[0.1]) > 5 * np.std(sizes[1000.0])


def test_held_out_rows_and_the_rest_are_all_rows() -> None:
    rows = np.arange(10, 31)
    rest, test = sampling.held_out(sampling.stream("test", 3), rows, 0.25)
    assert (len(rest), len(test)) == (16, 5)
    assert sorted([*rest, *test]) == rows.tolist()


@pytest.mark.parametrize(("clients", "alpha"), [(0, 1.0), (6, 1.0), (2, 0.0), (2, float("nan"))])
def test_a_split_that_cannot_be_is_refused(clients: int, alpha: float) -> None:
    with pytest.raises(ParameterError):
        sampling.split_by_label(sampling.stream("test"), np.zeros(5, np.int64), clients, alpha)


def test_without_scipy_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(UnavailableError, match=r"pip install 'secagg\[fl\]'"):
        sampling.dirichlet(sampling.stream("test"), 1.0, 2)
