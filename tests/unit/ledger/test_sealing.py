from __future__ import annotations

import pytest
from unit.ledger.world import DEVICE

from secagg.crypto import chunked
from secagg.crypto.rng import SystemRng
from secagg.errors import VerificationError
from secagg.ledger.sealing import SALT_BYTES, Sealer
from secagg.protocol import Record
from secagg.types import Secret

OWNER, OTHER = b"o" * 32, b"p" * 32
SESSION = b"s" * 32
KEY = Secret(b"k" * 32)
RECORD = Record(b"head", memoryview(b"tail" * 5))


def seal(key: Secret | None = KEY) -> bytearray:
    return Sealer(OWNER, DEVICE).seal(RECORD, SESSION, 3, key, SystemRng())


@pytest.mark.parametrize("key", [KEY, None])
@pytest.mark.parametrize(("head", "tail"), [(b"", b""), (b"h", b""), (b"", b"t"), (b"hh", b"ttt")])
def test_what_is_sealed_opens(key: Secret | None, head: bytes, tail: bytes) -> None:
    sealer = Sealer(OWNER, DEVICE)
    sealed = sealer.seal(Record(head, memoryview(tail)), SESSION, 3, key, SystemRng())
    record = sealer.open(sealed, SESSION, 3, key)
    assert (record.head, bytes(record.tail), record.final) == (head, tail, key is None)


@pytest.mark.parametrize("left", ["key and place", "key", "place"])
def test_a_record_opens_in_its_place_only(left: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place is bound twice, into the key and as associated data: each alone is enough."""
    if left == "key":
        monkeypatch.setattr(Sealer, "_place", lambda *place: b"")
    if left == "place":
        monkeypatch.setattr(Sealer, "_key", lambda *place: Secret(b"1" * 32))
    sealed, final = seal(), seal(None)
    Sealer(OWNER, DEVICE).open(sealed, SESSION, 3, KEY)
    for owner, session, number, key, data in (
        (OTHER, SESSION, 3, KEY, sealed),
        (OWNER, b"t" * 32, 3, KEY, sealed),
        (OWNER, SESSION, 4, KEY, sealed),
        (OWNER, SESSION, 3, None, sealed),
        (OWNER, SESSION, 3, KEY, final),
    ):
        with pytest.raises(VerificationError, match="does not open"):
            Sealer(owner, DEVICE).open(data, session, number, key)


def test_a_head_longer_than_the_record_is_refused() -> None:
    """Only this device can seal one; cut from the wrong end, it would be another record."""
    sealer, salt = Sealer(OWNER, DEVICE), b"s" * SALT_BYTES
    for size, fits in ((8, True), (9, False), ((1 << 64) - 1, False)):
        plaintext = memoryview(b"tailhead" + size.to_bytes(8, "big"))
        once, place = sealer._key(SESSION, 3, KEY, salt), sealer._place(SESSION, 3, KEY)
        sealed = chunked.seal(once, plaintext, place, clear=salt)
        if fits:
            assert sealer.open(sealed, SESSION, 3, KEY).head == b"tailhead"
        else:
            with pytest.raises(VerificationError, match=f"has no head of {size}"):
                sealer.open(sealed, SESSION, 3, KEY)


def test_both_keys_are_needed() -> None:
    other = Secret(b"d" * 32)
    with pytest.raises(VerificationError):
        Sealer(OWNER, DEVICE).open(seal(), SESSION, 3, other)
    for key in (KEY, None):
        with pytest.raises(VerificationError):
            Sealer(OWNER, other).open(seal(key), SESSION, 3, key)


def test_one_key_never_seals_two_records() -> None:
    """The nonces are fixed, so the same number again, as after a crash, must have another key."""
    first, second = seal(), seal()
    assert first[SALT_BYTES:] != second[SALT_BYTES:]
    for salt, sealed in ((first, second), (second, first)):
        mixed = salt[:SALT_BYTES] + sealed[SALT_BYTES:]
        with pytest.raises(VerificationError):
            Sealer(OWNER, DEVICE).open(mixed, SESSION, 3, KEY)


def test_what_is_shorter_than_a_salt_is_refused() -> None:
    for size in range(SALT_BYTES + 17):
        with pytest.raises(VerificationError):
            Sealer(OWNER, DEVICE).open(seal()[:size], SESSION, 3, KEY)
