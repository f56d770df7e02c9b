"""The one source of randomness, and the deterministic stream that replays from a seed.

Only this module may read the system's generator; a lint rule bans it, `random`, `numpy.random`
and `secrets` everywhere else. Everything else takes an `Rng` as an argument.
"""

from __future__ import annotations

import os
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from secagg.errors import ParameterError
from secagg.types import Rng

SEED_BYTES: Final = 32


class SystemRng:
    """The operating system's generator. The only Rng that a deployment may use."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes of the kernel's generator."""
        return os.urandom(count)  # noqa: TID251


class StreamRng:
    """A deterministic stream: the AES-256-CTR keystream of a 32-byte seed.

    A party draws one seed from its Rng when it starts and everything else from this stream, so
    that a restored party draws the same bytes again. The key is used for nothing else, hence the
    zero initial counter.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ParameterError(f"a seed has {SEED_BYTES} bytes, got {len(seed)}")
        self._encryptor = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor()

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes of the stream."""
        return self._encryptor.update(bytes(count))


def seeded(seed: int) -> StreamRng:
    """A reproducible Rng for simulations and tests. Never for a deployment: the seed is guessable.

    Raises:
        ParameterError: the seed is negative or wider than 256 bits.
    """
    if not 0 <= seed < 1 << 256:
        raise ParameterError(f"a seed lies in 0..2**256-1, got {seed}")
    return StreamRng(seed.to_bytes(SEED_BYTES, "big"))


def uniform_below(rng: Rng, bound: int) -> int:
    """A uniform integer in 0..bound-1, by rejection.

    Raises:
        ParameterError: bound < 1.
    """
    if bound < 1:
        raise ParameterError(f"a uniform draw needs a bound of at least 1, got {bound}")
    bits = (bound - 1).bit_length()
    size = (bits + 7) // 8
    while True:
        candidate = int.from_bytes(rng.bytes(size), "little") & ((1 << bits) - 1)
        if candidate < bound:
            return candidate
