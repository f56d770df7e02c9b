"""AES-256-GCM in chunks under a key used once: for messages too long for one authenticated piece.

The nonce of a chunk is its index and whether it is the last, so chunks cannot be moved, left out,
repeated or cut off (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizar, 2015).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from secagg.errors import VerificationError
from secagg.types import Secret

CHUNK_BYTES: Final = 1 << 20
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32


def sealed_size(size: int) -> int:
    """Bytes of the sealed form of `size` bytes."""
    return size + TAG_BYTES * max(1, -(-size // CHUNK_BYTES))


def seal(
    key: Secret,
    plaintext: memoryview,
    bound_to: bytes,
    *,
    ending: bytes | bytearray = b"",
    clear: bytes | bytearray = b"",
) -> bytearray:
    """All chunks, each with its tag. The key must never be used again.

    Fresh memory can cost more than the cipher: the plaintext is not copied, but for the chunk in
    which it meets the ending, and the result has its size from the start.

    Args:
        key: 32 bytes, used for this alone.
        plaintext: what is sealed.
        bound_to: what else every chunk is authenticated with.
        ending: sealed as if it were the end of the plaintext.
        clear: put before the first chunk as it is.
    """
    cipher = AESGCM(key.reveal())
    size, at = plaintext.nbytes + len(ending), len(clear)
    sealed = bytearray(at + sealed_size(size))
    sealed[:at] = clear
    for start, nonce in _nonces(size, CHUNK_BYTES):
        end = min(start + CHUNK_BYTES, size)
        if end <= plaintext.nbytes:
            chunk = cipher.encrypt(nonce, plaintext[start:end], bound_to)
        else:
            # Of its final size from the start: one that grows would leave copies behind.
            joined = bytearray(end - start)
            middle = max(0, plaintext.nbytes - start)
            joined[:middle] = plaintext[start:]
            joined[middle:] = ending[start + middle - plaintext.nbytes : end - plaintext.nbytes]
            chunk = cipher.encrypt(nonce, joined, bound_to)
            joined[:] = bytes(len(joined))
        sealed[at : at + len(chunk)] = chunk
        at += len(chunk)
    return sealed


def open_sealed(key: Secret, sealed: memoryview, bound_to: bytes) -> bytearray:
    """The plaintext, in a buffer that the caller may wipe.

    Raises:
        VerificationError: a chunk is changed, missing, repeated or moved.
    """
    cipher = AESGCM(key.reveal())
    plaintext = bytearray()
    step = CHUNK_BYTES + TAG_BYTES
    try:
        for start, nonce in _nonces(sealed.nbytes, step):
            plaintext += cipher.decrypt(nonce, sealed[start : start + step], bound_to)
    except InvalidTag:
        plaintext[:] = bytes(len(plaintext))
        raise VerificationError(
            "a sealed vector does not open: a chunk is changed, missing, repeated or moved"
        ) from None
    return plaintext


def _nonces(size: int, step: int) -> Iterator[tuple[int, bytes]]:
    """Where each chunk starts, and its nonce: index (11 bytes), 1 if it is the last."""
    count = max(1, -(-size // step))
    for index in range(count):
        yield index * step, index.to_bytes(11, "big") + bytes((index == count - 1,))
