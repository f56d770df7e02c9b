from __future__ import annotations

from collections import Counter

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from secagg.crypto.rng import StreamRng, SystemRng, seeded, uniform_below
from secagg.errors import ParameterError


def test_the_stream_is_aes_256_ctr() -> None:
    seed = bytes(range(32))
    keystream = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor().update(bytes(100))
    rng = StreamRng(seed)
    assert rng.bytes(1) + rng.bytes(0) + rng.bytes(36) + rng.bytes(63) == keystream


def test_seeds_are_checked() -> None:
    with pytest.raises(ParameterError, match="32 bytes, got 16"):
        StreamRng(bytes(16))
    for seed in (-1, 1 << 256):
        with pytest.raises(ParameterError, match=r"2\*\*256"):
            seeded(seed)


def test_system_randomness_has_the_length_asked_for() -> None:
    rng = SystemRng()
    assert len(rng.bytes(33)) == 33
    assert rng.bytes(32) != rng.bytes(32)


def test_uniform_draws_cover_their_range_evenly() -> None:
    rng = seeded(1)
    for bound in (1, 2, 3, 10, 255, 256, 257):
        counts = Counter(uniform_below(rng, bound) for _ in range(200 * bound))
        assert set(counts) == set(range(bound))
        # 200 expected each, standard deviation 14: six of them is no accident.
        assert max(abs(count - 200) for count in counts.values()) < 85
    with pytest.raises(ParameterError, match="at least 1, got 0"):
        uniform_below(rng, 0)
