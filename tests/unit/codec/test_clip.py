from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from secagg.codec import NormClip
from secagg.codec.clip import BLOCK, l2_norm
from secagg.errors import ParameterError

LARGE = 2.0**99
vectors = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-LARGE, LARGE, width=32))


@given(vectors, st.floats(2.0**-100, 1e6))
def test_the_result_is_never_longer_than_the_norm(
    values: npt.NDArray[np.float32], norm: float
) -> None:
    clipped = NormClip(norm).apply(values)
    assert clipped.dtype == np.float32
    assert float(np.linalg.norm(clipped.astype(np.float64))) <= norm


@given(vectors, st.floats(1e-3, 1e6))
def test_a_long_vector_keeps_its_direction_and_nearly_the_norm(
    values: npt.NDArray[np.float32], norm: float
) -> None:
    length = l2_norm(values)
    clipped = NormClip(norm).apply(values).astype(np.float64)
    expected = values.astype(np.float64) * min(1.0, norm / max(length, 1e-300))
    np.testing.assert_allclose(clipped, expected, rtol=2.0**-22, atol=2.0**-148)


@given(vectors)
def test_a_short_vector_passes_unchanged(values: npt.NDArray[np.float32]) -> None:
    clipped = NormClip(max(l2_norm(values), 1.0)).apply(values)
    np.testing.assert_array_equal(clipped, values)


def test_the_norm_is_summed_over_all_blocks() -> None:
    assert l2_norm(np.full(4 * BLOCK, 0.5, np.float32)) == BLOCK**0.5
    assert l2_norm(np.full(BLOCK + 1, 1.0, np.float32)) == (BLOCK + 1) ** 0.5


@pytest.mark.parametrize("norm", [0.0, -1.0, float("nan"), float("inf"), 2.0**-101])
def test_a_norm_that_bounds_nothing_is_refused(norm: float) -> None:
    with pytest.raises(ParameterError, match="norm bound"):
        NormClip(norm)
