from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from secagg.codec import Layout, TensorSpec
from secagg.errors import InputError

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@st.composite
def tensors(draw: st.DrawFn, dtypes: tuple[str, ...]) -> npt.NDArray[Any]:
    dtype: np.dtype[Any] = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    elements: st.SearchStrategy[Any]
    if dtype.kind == "f":
        elements = st.floats(-1000, 1000, width=16)
    elif dtype.kind == "b":
        elements = st.booleans()
    else:
        limits = np.iinfo(dtype)
        elements = st.integers(max(limits.min, -(2**24)), min(limits.max, 2**24))
    return draw(hnp.arrays(dtype, shape, elements=elements))


states = st.dictionaries(
    st.text(min_size=1, max_size=8), tensors((*FLOATS, *INTEGERS, "bool")), min_size=1, max_size=5
).filter(lambda state: any(value.size for value in state.values()))


@given(states)
def test_a_state_comes_back_with_its_names_shapes_types_and_values(
    state: dict[str, npt.NDArray[Any]],
) -> None:
    layout = Layout.of(state)
    vector = layout.flatten(state)
    assert vector.dtype == np.float32
    assert vector.shape == (layout.length,) == (sum(value.size for value in state.values()),)
    for back in (layout.unflatten(vector), layout.unflatten(vector.astype(np.float64))):
        assert list(back) == list(state)
        for name, value in state.items():
            assert back[name].dtype == value.dtype
            assert back[name].shape == value.shape
            np.testing.assert_array_equal(back[name], value)


@given(states)
def test_the_order_of_the_layout_counts_not_that_of_the_state(
    state: dict[str, npt.NDArray[Any]],
) -> None:
    layout = Layout.of(state)
    shuffled = dict(reversed(state.items()))
    np.testing.assert_array_equal(layout.flatten(shuffled), layout.flatten(state))


def test_float64_is_rounded_to_float32_once() -> None:
    state = {"w": np.array([0.1, 1 / 3])}
    vector = Layout.of(state).flatten(state)
    np.testing.assert_array_equal(vector, np.array([0.1, 1 / 3], dtype=np.float32))


def test_a_view_that_is_not_contiguous_is_laid_out_in_c_order() -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    state = {"w": matrix.T}
    np.testing.assert_array_equal(Layout.of(state).flatten(state), [0, 3, 1, 4, 2, 5])


def test_torch_tensors_are_taken_by_their_methods() -> None:
    state = {
        "weight": torch.arange(6, dtype=torch.float64).reshape(2, 3).requires_grad_(),
        "half": torch.tensor([1.5], dtype=torch.float16),
        "brain": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "num_batches_tracked": torch.tensor(7),
        "flag": torch.tensor([True, False]),
    }
    layout = Layout.of(state)
    back = layout.unflatten(layout.flatten(state))
    assert {name: value.dtype.name for name, value in back.items()} == {
        "weight": "float64",
        "half": "float16",
        "brain": "float32",
        "num_batches_tracked": "int64",
        "flag": "bool",
    }
    assert back["num_batches_tracked"].shape == ()
    for name, value in state.items():
        np.testing.assert_array_equal(back[name], value.detach().float().numpy())


def test_a_layout_can_be_made_from_shapes_alone() -> None:
    class Shape:
        shape = (2, 2)
        dtype = np.dtype(np.float16)

    layout = Layout.of({"w": Shape()})
    assert layout == Layout((TensorSpec("w", (2, 2), np.dtype(np.float16)),))


def test_the_mean_of_integers_is_rounded_to_integers() -> None:
    state = {"steps": np.array([3, 4]), "flag": np.array(True), "tiny": np.array([-3], np.int8)}
    back = Layout.of(state).unflatten(np.array([3.4, 3.6, 0.6, -2.7]))
    assert back["steps"].tolist() == [3, 4]
    assert back["flag"].dtype == np.bool_
    assert bool(back["flag"])
    assert back["tiny"].tolist() == [-3]


@pytest.mark.parametrize("value", [2**24 + 1, -(2**24) - 1, 2**63 - 1, -(2**63)])
def test_integers_that_float32_does_not_hold_are_refused(value: int) -> None:
    state = {"n": np.array([0, value])}
    with pytest.raises(InputError, match=r"tensor 'n'.*2\*\*24"):
        Layout.of(state).flatten(state)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("uint8", -1.0),
        ("uint8", 256.0),
        ("bool", 2.0),
        ("bool", -0.6),
        ("int64", 2.0**63),
        ("uint64", 2.0**64),
        ("float16", 1e6),
        ("float32", 1e300),
    ],
)
def test_a_mean_that_its_type_cannot_hold_is_refused(dtype: str, value: float) -> None:
    layout = Layout.of({"t": np.zeros(1, dtype)})
    with pytest.raises(InputError, match=r"tensor 't' .* cannot hold"):
        layout.unflatten(np.array([value]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_tensor_and_position(bad: float) -> None:
    state: dict[str, npt.NDArray[Any]] = {
        "a": np.zeros(3, np.float32),
        "b": np.zeros((2, 3)),
        "c": np.array(0.0),
    }
    layout = Layout.of(state)
    state["b"][1, 2] = bad
    with pytest.raises(InputError, match=r"^b\[1, 2\]: expected a finite number"):
        layout.flatten(state)
    vector = np.zeros(layout.length)
    vector[-1] = bad
    with pytest.raises(InputError, match=r"^c: expected"):
        layout.unflatten(vector)


def test_a_float64_beyond_float32_is_refused() -> None:
    state = {"w": np.array([1.0, 1e39])}
    with pytest.raises(InputError, match=r"^w\[1\]: expected a finite"):
        Layout.of(state).flatten(state)


def test_every_coordinate_has_a_place() -> None:
    layout = Layout.of({"a": np.zeros((2, 2)), "none": np.zeros(0), "b": np.zeros(())})
    places = [layout.locate(index) for index in range(layout.length)]
    assert places == ["a[0, 0]", "a[0, 1]", "a[1, 0]", "a[1, 1]", "b"]
    for outside in (-1, 5):
        with pytest.raises(InputError, match="outside"):
            layout.locate(outside)


def test_missing_and_extra_names_are_refused_by_name() -> None:
    layout = Layout.of({"a": np.zeros(1), "b": np.zeros(1)})
    with pytest.raises(InputError, match=r"missing \['b'\], unexpected \['c'\]"):
        layout.flatten({"a": np.zeros(1), "c": np.zeros(1)})


@pytest.mark.parametrize("value", [np.zeros((3, 2)), np.zeros((2, 3), np.float32), np.zeros(6)])
def test_another_shape_or_type_is_refused(value: npt.NDArray[Any]) -> None:
    layout = Layout.of({"w": np.zeros((2, 3))})
    with pytest.raises(InputError, match=r"expected tensor 'w' \(float64, shape \(2, 3\)\), got"):
        layout.flatten({"w": value})


@pytest.mark.parametrize(
    "value",
    [np.zeros(1, np.complex64), np.array(["a"]), np.array([None]), np.zeros(1, np.longdouble)],
)
def test_types_that_are_no_numbers_of_64_bits_are_refused(value: npt.NDArray[Any]) -> None:
    with pytest.raises(InputError, match="expected floats"):
        Layout.of({"w": value})


@pytest.mark.parametrize("value", [1.0, [1.0], None])
def test_what_is_no_array_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="expected an array"):
        Layout.of({"w": value})


def test_an_empty_layout_is_refused() -> None:
    for state in ({}, {"w": np.zeros((0, 3))}):
        with pytest.raises(InputError, match="at least one coordinate"):
            Layout.of(state)


def test_a_name_may_not_come_twice() -> None:
    spec = TensorSpec("w", (1,), np.dtype(np.float32))
    with pytest.raises(InputError, match="twice"):
        Layout((spec, spec))


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), ()])
def test_a_vector_of_another_length_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected a vector of 3"):
        Layout.of({"w": np.zeros(3)}).unflatten(np.zeros(shape))
