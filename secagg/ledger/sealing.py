"""How a record is sealed: AES-256-GCM under a key that is used for this one record.

A session's records are sealed under the session's key, which is erased when the session ends; the
final record, which holds no key of the party but what it sent last, under the device's key alone,
so that it can be sent again.
"""

from __future__ import annotations

import struct
from typing import Final

from secagg.crypto import chunked, kdf
from secagg.crypto.digest import join_framed
from secagg.errors import VerificationError
from secagg.protocol import Record
from secagg.types import Rng, Secret

SALT_BYTES: Final = 32

_LENGTH: Final = struct.Struct(">Q")


class Sealer:
    """Seals and opens the records of one owner on one device."""

    def __init__(self, owner: bytes, device: Secret) -> None:
        self._owner = owner
        self._device = device

    def seal(
        self, record: Record, session: bytes, number: int, key: Secret | None, rng: Rng
    ) -> bytearray:
        """A salt, then the sealed record. Without a session's key: a final record."""
        salt, size = rng.bytes(SALT_BYTES), len(record.head)
        ending = bytearray(size + _LENGTH.size)
        ending[:size] = record.head
        _LENGTH.pack_into(ending, size, size)
        try:
            once = self._key(session, number, key, salt)
            place = self._place(session, number, key)
            # The tail first: a vector must come back aligned, without a copy.
            return chunked.seal(once, record.tail, place, ending=ending, clear=salt)
        finally:
            ending[:] = bytes(len(ending))

    def open(
        self, sealed: bytes | bytearray, session: bytes, number: int, key: Secret | None
    ) -> Record:
        """The record.

        Raises:
            VerificationError: changed, or sealed for another owner, device, session or number.
        """
        salt, rest = bytes(sealed[:SALT_BYTES]), memoryview(sealed)[SALT_BYTES:]
        once = self._key(session, number, key, salt)
        plaintext = chunked.open_sealed(once, rest, self._place(session, number, key))
        if len(plaintext) < _LENGTH.size:
            raise VerificationError(f"a sealed record has at least 8 bytes, got {len(plaintext)}")
        end = len(plaintext) - _LENGTH.size
        size = _LENGTH.unpack_from(plaintext, end)[0]
        if size > end:
            raise VerificationError(f"a sealed record of {end} bytes has no head of {size}")
        cut = end - size
        view = memoryview(plaintext)
        return Record(bytes(view[cut:end]), view[:cut], final=key is None)

    def _key(self, session: bytes, number: int, key: Secret | None, salt: bytes) -> Secret:
        # The salt keeps a second record of the same number, after a crash, under another key.
        secret = self._device if key is None else Secret(key.reveal() + self._device.reveal())
        return kdf.derive(
            secret,
            context=session,
            purpose=_purpose(key),
            details=(self._owner, number.to_bytes(8, "big"), salt),
            length=chunked.KEY_BYTES,
        )

    def _place(self, session: bytes, number: int, key: Secret | None) -> bytes:
        return join_framed(_purpose(key).value, self._owner, session, number.to_bytes(8, "big"))


def _purpose(key: Secret | None) -> kdf.Purpose:
    return kdf.Purpose.LEDGER_ANSWER if key is None else kdf.Purpose.LEDGER_RECORD
