"""Addition, subtraction and reduction of ring vectors, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg import kernels
from secagg.errors import InputError, ParameterError
from secagg.types import Ring, RingVector

LANES = [np.uint16, np.uint32, np.uint64]
LENGTHS = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 4095, 4096, 4097]


def pattern(length: int, dtype: Any, shift: int = 0) -> RingVector:
    """Bytes of the prime period 251: swapped blocks show."""
    size = length * np.dtype(dtype).itemsize
    data = bytes((position + shift) % 251 for position in range(size))
    return np.frombuffer(data, dtype=dtype).copy()


@pytest.mark.parametrize("dtype", LANES)
@pytest.mark.parametrize("length", LENGTHS)
def test_add_and_subtract_wrap_in_the_lane(length: int, dtype: Any) -> None:
    modulus = 1 << (8 * np.dtype(dtype).itemsize)
    total, vector = pattern(length, dtype), pattern(length, dtype, 100)
    before = total.copy()
    kernels.ring_add(total, vector)
    assert total.tolist() == [
        (a + b) % modulus for a, b in zip(before.tolist(), vector.tolist(), strict=True)
    ]
    kernels.ring_subtract(total, vector)
    np.testing.assert_array_equal(total, before)
    kernels.ring_subtract(total, vector)
    assert total.tolist() == [
        (a - b) % modulus for a, b in zip(before.tolist(), vector.tolist(), strict=True)
    ]


@pytest.mark.parametrize("bits", range(1, 65))
@pytest.mark.parametrize("length", [0, 1, 17, 65])
def test_reduce_clears_what_stands_above_the_ring(length: int, bits: int) -> None:
    ring = Ring(bits)
    total = pattern(length, ring.dtype, 7)
    expected = [value % (1 << bits) for value in total.tolist()]
    kernels.ring_reduce(total, ring)
    assert total.tolist() == expected


@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 2), max_size=50))
@settings(deadline=None)
def test_garbage_above_the_ring_never_flows_down(pairs: list[tuple[int, int]]) -> None:
    ring = Ring(37)
    total = np.array([a for a, _ in pairs], dtype=np.uint64)
    kernels.ring_add(total, np.array([b for _, b in pairs], dtype=np.uint64))
    kernels.ring_reduce(total, ring)
    assert total.tolist() == [(a + b) % 2**37 for a, b in pairs]


@pytest.mark.parametrize("operation", [kernels.ring_add, kernels.ring_subtract])
class TestRefusals:
    def test_types_must_be_equal(self, operation: Any) -> None:
        with pytest.raises(InputError, match="expected elements of uint32, got uint64"):
            operation(pattern(4, np.uint32), pattern(4, np.uint64))

    @pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float64, ">u4"])
    def test_only_lanes(self, operation: Any, dtype: Any) -> None:
        vector = np.zeros(4, dtype=dtype)
        with pytest.raises(InputError, match="expected elements of uint16 or uint32 or uint64"):
            operation(vector, vector.copy())

    def test_lengths_must_be_equal(self, operation: Any) -> None:
        with pytest.raises(InputError, match=r"expected shape \(4\), got \(5,\)"):
            operation(pattern(4, np.uint32), pattern(5, np.uint32))

    def test_only_vectors(self, operation: Any) -> None:
        matrix = np.zeros((2, 2), dtype=np.uint32)
        with pytest.raises(InputError, match="expected shape"):
            operation(matrix, matrix.copy())

    def test_only_arrays(self, operation: Any) -> None:
        with pytest.raises(InputError, match="expected a numpy array, got list"):
            operation([1, 2], [3, 4])

    def test_no_gaps(self, operation: Any) -> None:
        with pytest.raises(InputError, match="contiguous"):
            operation(pattern(4, np.uint32), pattern(8, np.uint32)[::2])
        with pytest.raises(InputError, match="contiguous"):
            operation(pattern(8, np.uint32)[::-2], pattern(4, np.uint32))

    def test_no_unaligned_memory(self, operation: Any) -> None:
        vector: RingVector = np.frombuffer(bytearray(17), dtype=np.uint8)[1:].view(np.uint32)
        with pytest.raises(InputError, match="aligned"):
            operation(pattern(4, np.uint32), vector)

    def test_total_must_be_writable(self, operation: Any) -> None:
        total: RingVector = np.frombuffer(bytes(16), dtype=np.uint32)
        with pytest.raises(InputError, match="read-only"):
            operation(total, pattern(4, np.uint32))

    def test_a_read_only_vector_will_do(self, operation: Any) -> None:
        total = pattern(4, np.uint32)
        operation(total, np.frombuffer(bytes(16), dtype=np.uint32))
        np.testing.assert_array_equal(total, pattern(4, np.uint32))

    @pytest.mark.parametrize("shift", [0, 1, 3])
    def test_no_overlap(self, operation: Any, shift: int) -> None:
        memory = pattern(8, np.uint32)
        with pytest.raises(InputError, match="overlap"):
            operation(memory[:4], memory[shift : shift + 4])
        operation(memory[:4], memory[4:])


def test_reduce_wants_the_lane_of_its_ring() -> None:
    with pytest.raises(InputError, match="expected elements of uint16, got uint32"):
        kernels.ring_reduce(pattern(4, np.uint32), Ring(16))
    total: RingVector = np.frombuffer(bytes(16), dtype=np.uint32)
    with pytest.raises(InputError, match="read-only"):
        kernels.ring_reduce(total, Ring(20))


class TestWipe:
    @pytest.mark.parametrize("size", [0, 1, 7, 8, 1000])
    def test_bytes(self, size: int) -> None:
        buffer = bytearray(b"\xaa" * size)
        kernels.wipe(buffer)
        assert buffer == bytes(size)

    @pytest.mark.parametrize("shape", [(0,), (5,), (2, 3), (2, 0, 3), ()])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint64, np.float64])
    def test_arrays(self, shape: tuple[int, ...], dtype: Any) -> None:
        array = np.ones(shape, dtype=dtype)
        kernels.wipe(array)
        np.testing.assert_array_equal(array, np.zeros(shape, dtype=dtype))

    def test_a_slice_wipes_only_itself(self) -> None:
        array = np.ones(6, dtype=np.uint16)
        kernels.wipe(array[2:4])
        assert array.tolist() == [1, 1, 0, 0, 1, 1]

    def test_refusals(self) -> None:
        with pytest.raises(InputError, match="expected a bytearray or an array, got bytes"):
            kernels.wipe(b"abc")  # type: ignore[arg-type]
        with pytest.raises(InputError, match="read-only"):
            kernels.wipe(np.frombuffer(b"abc", dtype=np.uint8))
        with pytest.raises(InputError, match="contiguous"):
            kernels.wipe(np.ones(6)[::2])
        with pytest.raises(InputError, match="objects"):
            kernels.wipe(np.array([object()]))


@pytest.mark.parametrize("bits", [2, 8, 15, 16, 17, 31, 32, 33, 63, 64])
def test_within_sees_one_element_beyond_the_bound(bits: int) -> None:
    ring, top = Ring(bits), 1 << bits
    for bound in {1, (1 << (bits - 1)) // 3, (1 << (bits - 1)) - 1}:
        inside = [0, bound, (top - bound) % top]
        outside = {(bound + 1) % top, top - bound - 1} - set(inside)
        for length in (0, 1, 33, 100):
            vector = np.array((inside * length)[:length], dtype=ring.dtype)
            assert kernels.within(vector, ring, bound)
            for position in {0, length // 2, length - 1} if length else ():
                before = vector[position]
                for value in outside:
                    vector[position] = value
                    assert not kernels.within(vector, ring, bound)
                if bits < ring.lane_bits:
                    vector[position] = top
                    assert not kernels.within(vector, ring, bound)
                vector[position] = before
    for bound in (-1, 1 << (bits - 1)):
        with pytest.raises(ParameterError, match=r"bound: expected 0\.\."):
            kernels.within(np.zeros(1, dtype=ring.dtype), ring, bound)
