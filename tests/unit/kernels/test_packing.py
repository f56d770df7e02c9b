"""The packed form of ring vectors: one encoding per vector, at every width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg import kernels
from secagg.errors import DecodeError, InputError, ParameterError
from secagg.types import Ring, RingVector

LENGTHS = [0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 251]


def pattern(length: int, ring: Ring) -> RingVector:
    """Bytes of the prime period 251, garbage above the ring's bits included."""
    size = length * ring.dtype.itemsize
    data = bytes((3 * position + 1) % 251 for position in range(size))
    return np.frombuffer(data, dtype=ring.dtype).copy()


def packed_by_definition(vector: RingVector, bits: int) -> bytes:
    """One large integer, element i shifted by i * bits."""
    number: int = sum(
        (value % (1 << bits)) << (i * bits) for i, value in enumerate(vector.tolist())
    )
    return number.to_bytes((len(vector) * bits + 7) // 8, "little")


@pytest.mark.parametrize("bits", range(1, 65))
def test_every_width_at_boundary_lengths(bits: int) -> None:
    ring = Ring(bits)
    for length in LENGTHS:
        vector = pattern(length, ring)
        packed = kernels.pack(vector, ring)
        assert type(packed) is bytearray
        assert packed == packed_by_definition(vector, bits)

        kernels.ring_reduce(vector, ring)
        unpacked = kernels.unpack(packed, ring, length)
        assert unpacked.dtype == ring.dtype
        np.testing.assert_array_equal(unpacked, vector)

        total = pattern(length, ring)
        expected = total + vector
        kernels.unpack_add(total, bytes(packed), ring)
        np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize("bits", [1, 7, 13, 16, 29, 32, 57, 58, 63, 64])
@pytest.mark.parametrize("length", [65535, 65536, 65537])
def test_long_vectors_give_the_same_bytes_at_every_level(length: int, bits: int) -> None:
    ring = Ring(bits)
    vector = pattern(length, ring)
    packed = kernels.pack(vector, ring)
    with kernels.using_level("reference"):
        assert packed == kernels.pack(vector, ring)
    kernels.ring_reduce(vector, ring)
    np.testing.assert_array_equal(kernels.unpack(packed, ring, length), vector)


@given(st.integers(1, 64), st.integers(0, 70), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=200)
def test_what_decodes_encodes_to_the_same_bytes(bits: int, length: int, random: object) -> None:
    ring = Ring(bits)
    data = random.randbytes(ring.packed_size(length))  # type: ignore[attr-defined]
    total = pattern(length, ring)
    before = total.copy()
    try:
        vector = kernels.unpack(data, ring, length)
    except DecodeError:
        with pytest.raises(DecodeError, match="padding"):
            kernels.unpack_add(total, data, ring)
        np.testing.assert_array_equal(total, before)
        assert int.from_bytes(data, "little") >> (length * bits)
    else:
        assert kernels.pack(vector, ring) == data
        kernels.unpack_add(total, data, ring)
        np.testing.assert_array_equal(total, before + vector)


@pytest.mark.parametrize("bits", range(1, 65))
def test_padding_bits_must_be_zero(bits: int) -> None:
    ring = Ring(bits)
    for length in range(1, 9):
        packed = kernels.pack(pattern(length, ring), ring)
        for bit in range(length * bits % 8 or 8, 8):
            wrong = packed.copy()
            wrong[-1] |= 1 << bit
            total = pattern(length, ring)
            with pytest.raises(DecodeError, match="padding"):
                kernels.unpack(wrong, ring, length)
            with pytest.raises(DecodeError, match="padding"):
                kernels.unpack_add(total, wrong, ring)
            np.testing.assert_array_equal(total, pattern(length, ring))


@pytest.mark.parametrize("change", [-1, 1])
def test_the_size_must_be_exact(change: int) -> None:
    ring = Ring(29)
    packed = bytes(ring.packed_size(10) + change)
    with pytest.raises(DecodeError, match=f"expected 37 bytes .* got {37 + change}"):
        kernels.unpack(packed, ring, 10)
    with pytest.raises(DecodeError, match=f"expected 37 bytes .* got {37 + change}"):
        kernels.unpack_add(pattern(10, ring), packed, ring)
    with pytest.raises(DecodeError):
        kernels.unpack(b"\0", ring, 0)


def test_any_bytes_at_any_alignment() -> None:
    ring = Ring(29)
    vector = kernels.unpack(bytes(range(1, 30)), ring, 8)
    memory = bytes(3) + bytes(range(1, 30)) + bytes(3)
    for data in (bytearray(range(1, 30)), memoryview(memory)[3:32]):
        np.testing.assert_array_equal(kernels.unpack(data, ring, 8), vector)
    words = memoryview(bytearray(kernels.pack(pattern(8, Ring(32)), Ring(32)))).cast("I")
    np.testing.assert_array_equal(kernels.unpack(words, Ring(32), 8), pattern(8, Ring(32)))


def test_refusals() -> None:
    ring = Ring(32)
    with pytest.raises(ParameterError, match="got -1"):
        kernels.unpack(b"", ring, -1)
    with pytest.raises(InputError, match="expected bytes, got str"):
        kernels.unpack("", ring, 0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="gaps"):
        kernels.unpack(memoryview(bytes(16))[::2], ring, 2)
    with pytest.raises(InputError, match="expected elements of uint32, got uint16"):
        kernels.pack(np.zeros(4, dtype=np.uint16), ring)
    with pytest.raises(InputError, match="contiguous"):
        kernels.pack(np.zeros(4, dtype=np.uint32)[::2], ring)
    with pytest.raises(InputError, match="read-only"):
        kernels.unpack_add(np.frombuffer(bytes(4), dtype=np.uint32), bytes(4), ring)
    total = np.zeros(4, dtype=np.uint32)
    with pytest.raises(InputError, match="overlap"):
        kernels.unpack_add(total, total.data, ring)
