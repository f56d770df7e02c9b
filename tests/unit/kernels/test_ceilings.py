"""What the ceilings do, so that their speed means something."""

from __future__ import annotations

import numpy as np
import pytest

from secagg import kernels
from secagg.errors import InputError, ParameterError
from secagg.kernels import ceilings

STREAM = kernels.MaskStream(bytes(range(16)), bytes(12), +1)


@pytest.mark.parametrize("key_bytes", [16, 32])
@pytest.mark.parametrize("passes", [1, 2, 5])
def test_the_keystream_is_that_of_the_masks(passes: int, key_bytes: int) -> None:
    stream = STREAM._replace(key=bytes(range(key_bytes)))
    out = np.zeros(1024, dtype=np.uint8)
    ceilings.keystream_passes(out, passes, stream)
    expected = np.zeros(512 * passes, dtype=np.uint16)
    kernels.apply_masks(expected, [stream])
    assert out.tobytes() == expected[512 * (passes - 1) :].tobytes()


def test_reading_sees_every_word() -> None:
    buffer = np.zeros(4096, dtype=np.uint8)
    assert ceilings.read(buffer) == 0
    for position in (0, 63, 64, 4095):
        before = ceilings.read(buffer)
        buffer[position] += 1
        assert ceilings.read(buffer) != before


def test_copying() -> None:
    source = np.arange(256, dtype=np.uint8)
    to = np.zeros(256, dtype=np.uint8)
    ceilings.copy(to, source)
    np.testing.assert_array_equal(to, source)


def test_refusals() -> None:
    out = np.zeros(256, dtype=np.uint8)
    with pytest.raises(ParameterError, match="multiple of 256 bytes, got 100"):
        ceilings.keystream_passes(out[:100], 1, STREAM)
    with pytest.raises(ParameterError, match="passes: expected at most"):
        ceilings.keystream_passes(out, 2**32, STREAM)
    with pytest.raises(ParameterError, match="passes: expected at most"):
        ceilings.keystream_passes(out, -1, STREAM)
    with pytest.raises(ParameterError, match="key of 16 or 32 bytes"):
        ceilings.keystream_passes(out, 1, STREAM._replace(key=b""))
    with pytest.raises(InputError, match="expected elements of uint8, got uint16"):
        ceilings.read(np.zeros(4, dtype=np.uint16))
    with pytest.raises(InputError, match="overlapping"):
        ceilings.copy(out, out)
    with pytest.raises(InputError, match=r"source: expected shape \(256\), got \(255,\)"):
        ceilings.copy(out, out[1:].copy())
