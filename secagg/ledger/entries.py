"""A ledger's log as bytes: a header, then entries, each chained to the one before it.

    header:  "SAGL" | version u8 | length u32 | body | link 32
    entry:   length u32 | check 16 | body | link 32                         (big-endian)

A link is HMAC-SHA256, under a key that only this device has, of the link before it and of the body;
a check is the same of the length alone. So whoever lacks the device's key can change nothing, and
a length can be believed before its entry is complete: what is missing at the end is told from what
was changed.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import msgspec

from secagg.crypto import kdf
from secagg.crypto.digest import DIGEST_BYTES, digest, encode_party, join_framed
from secagg.errors import LedgerCorrupt, LedgerForeign, LedgerMissing
from secagg.protocol import Session
from secagg.types import PartyId, Rng, Secret

MAGIC: Final = b"SAGL"
MARK_MAGIC: Final = b"SAGM"
VERSION: Final = 1
NONCE_BYTES: Final = 32
CHECK_BYTES: Final = 16

_PREAMBLE: Final = struct.Struct(">4sBI")
_LENGTH: Final = struct.Struct(">I")
_MARK: Final = struct.Struct(">4sBQ32s32s")
_HEAD_BYTES: Final = _LENGTH.size + CHECK_BYTES


@dataclass(frozen=True)
class Owner:
    """Whose ledger it is.

    Attributes:
        name: the client's public key where the roster has keys, else the party as five bytes.
        job: the training job; another job has another ledger.
    """

    name: bytes
    job: str

    @classmethod
    def of(cls, session: Session, me: PartyId) -> Owner:
        """The owner of the ledger that a party of this session keeps."""
        roster = session.roster
        return cls(roster.key_of(me) if roster.keys else encode_party(me), session.job)

    @property
    def digest(self) -> bytes:
        """32 bytes, bound into every sealed record."""
        return digest("ledger owner", self.name, self.job.encode())

    def __str__(self) -> str:
        return f"{self.name.hex()} in job {self.job!r}"


class Opened(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """A session was opened: its id, and the training round that it serves."""

    session: bytes
    training_round: int


class Recorded(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """A record of a session was stored: its number, and the SHA-256 of its sealed bytes."""

    session: bytes
    number: int
    stored: bytes


class Closed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """A session has ended.

    `answered` says whether its last act sent anything. `stored` is the SHA-256 of the sealed final
    record, empty if there is none: the session was given up.
    """

    session: bytes
    number: int
    answered: bool
    stored: bytes


Entry: TypeAlias = Opened | Recorded | Closed


class _Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    name: bytes
    job: str
    device: bytes
    nonce: bytes


class Placed(NamedTuple):
    """An entry, where it begins and ends, and its link."""

    entry: Entry
    offset: int
    end: int
    link: bytes


@dataclass(frozen=True)
class Log:
    """What was read: entries, where the whole ones end, and whether a torn one follows."""

    first: bytes = field(repr=False)
    entries: tuple[Placed, ...]
    end: int
    torn: bool

    def link(self, count: int) -> bytes:
        """The link after this many entries."""
        return self.entries[count - 1].link if count else self.first


class Chain:
    """Writes and reads the log of one owner on one device."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    @staticmethod
    def device_id(device: Secret) -> bytes:
        """A public name of the device's key."""
        purpose = kdf.Purpose.LEDGER_DEVICE
        return kdf.derive(device, context=b"device", purpose=purpose).reveal()

    @classmethod
    def begun(cls, owner: Owner, device: Secret, rng: Rng) -> tuple[bytes, bytes]:
        """The log and the mark of a new ledger."""
        nonce = rng.bytes(NONCE_BYTES)
        body = msgspec.msgpack.encode(_Header(owner.name, owner.job, cls.device_id(device), nonce))
        chain = cls._keyed(device, nonce)
        head = _PREAMBLE.pack(MAGIC, VERSION, len(body)) + body
        link = chain._tag(b"header", head)
        return head + link, chain.mark(0, link)

    @classmethod
    def read(cls, log: bytes, owner: Owner, device: Secret, place: str) -> tuple[Chain, Log]:
        """The chain, and everything in a log.

        Raises:
            LedgerCorrupt: not a ledger, or changed, with the entry and the byte.
            LedgerForeign: of another owner or device.
        """
        chain, first, start = cls._opened(log, owner, device, place)
        entries = tuple(chain._entries(log, start, first, place))
        end = entries[-1].end if entries else start
        return chain, Log(first, entries, end, torn=end != len(log))

    def entry(self, previous: bytes, entry: Entry) -> tuple[bytes, bytes]:
        """An entry's bytes, and its link."""
        body = msgspec.msgpack.encode(entry)
        length = _LENGTH.pack(len(body))
        check = self._tag(b"length", previous, length)[:CHECK_BYTES]
        link = self._tag(b"entry", previous, body)
        return length + check + body + link, link

    def mark(self, count: int, link: bytes) -> bytes:
        """How far the log has come: a number of entries, and the link after them."""
        tag = self._tag(b"mark", count.to_bytes(8, "big"), link)
        return _MARK.pack(MARK_MAGIC, VERSION, count, link, tag)

    def marked(self, mark: bytes, log: Log, place: str) -> int:
        """The number of entries that a mark vouches for, all of them in the log.

        Raises:
            LedgerCorrupt: not this ledger's mark, or one that the log does not agree with.
        """
        count, link = self._parsed_mark(mark, place)
        found = len(log.entries)
        if found < count:
            raise LedgerCorrupt(
                f"cut short: the mark tells of {count} entries, {found} are here",
                place=place,
                entry=found,
                offset=log.end,
            )
        if found > count + 1 or (found == count + 1 and log.torn):
            raise LedgerCorrupt(
                f"the mark is old: it tells of {count} entries, at least {found} are here",
                place=place,
                entry=count,
                offset=log.entries[count].offset,
            )
        if not hmac.compare_digest(log.link(count), link):
            raise LedgerCorrupt(
                "the mark is of another course of this ledger", place=place, entry=count
            )
        return count

    def wipe(self) -> None:
        """Drop the key."""
        self._key.wipe()

    @classmethod
    def _keyed(cls, device: Secret, nonce: bytes) -> Chain:
        return cls(kdf.derive(device, context=nonce, purpose=kdf.Purpose.LEDGER_CHAIN))

    @classmethod
    def _opened(
        cls, log: bytes, owner: Owner, device: Secret, place: str
    ) -> tuple[Chain, bytes, int]:
        if len(log) < _PREAMBLE.size:
            raise LedgerCorrupt(f"too short for a ledger: {len(log)} bytes", place=place, offset=0)
        magic, version, length = _PREAMBLE.unpack_from(log)
        if magic != MAGIC or version != VERSION:
            raise LedgerCorrupt(
                f"expected a ledger of version {VERSION}, got {magic!r}, version {version}",
                place=place,
                offset=0,
            )
        end = _PREAMBLE.size + length
        try:
            header = msgspec.msgpack.decode(log[_PREAMBLE.size : end], type=_Header)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LedgerCorrupt(f"not a header: {error}", place=place, offset=0) from None
        if header.device != cls.device_id(device):
            raise LedgerForeign("the ledger of another device", place=place, offset=0)
        found = Owner(header.name, header.job)
        if found != owner:
            raise LedgerForeign(
                f"expected the ledger of {owner}, got that of {found}", place=place, offset=0
            )
        chain, link = cls._keyed(device, header.nonce), log[end : end + DIGEST_BYTES]
        if not hmac.compare_digest(chain._tag(b"header", log[:end]), link):
            raise LedgerCorrupt("the header was changed", place=place, offset=0)
        return chain, link, end + DIGEST_BYTES

    def _entries(self, log: bytes, start: int, link: bytes, place: str) -> Iterator[Placed]:
        """The whole entries from `start` on; ends at a torn one."""
        number = 0
        while start + _HEAD_BYTES <= len(log):
            length = log[start : start + _LENGTH.size]
            body_at = start + _HEAD_BYTES
            check = self._tag(b"length", link, length)[:CHECK_BYTES]
            if not hmac.compare_digest(check, log[start + _LENGTH.size : body_at]):
                raise LedgerCorrupt(
                    "the entry's length was changed", place=place, entry=number, offset=start
                )
            link_at = body_at + _LENGTH.unpack(length)[0]
            end = link_at + DIGEST_BYTES
            if end > len(log):
                return
            expected = self._tag(b"entry", link, log[body_at:link_at])
            if not hmac.compare_digest(expected, log[link_at:end]):
                raise LedgerCorrupt(
                    "the entry was changed", place=place, entry=number, offset=start
                )
            try:
                entry = msgspec.msgpack.decode(log[body_at:link_at], type=Entry)
            except msgspec.MsgspecError as error:
                raise LedgerCorrupt(
                    f"not an entry: {error}", place=place, entry=number, offset=start
                ) from None
            yield Placed(entry, start, end, expected)
            start, link, number = end, expected, number + 1

    def _parsed_mark(self, mark: bytes, place: str) -> tuple[int, bytes]:
        place = f"{place}, mark"
        if not mark:
            raise LedgerMissing("there is no mark beside the log", place=place)
        if len(mark) != _MARK.size:
            raise LedgerCorrupt(f"expected {_MARK.size} bytes, got {len(mark)}", place=place)
        magic, version, count, link, _ = _MARK.unpack(mark)
        if magic != MARK_MAGIC or not hmac.compare_digest(self.mark(count, link), mark):
            raise LedgerCorrupt(f"not the mark of this ledger, version {version}", place=place)
        return count, link

    def _tag(self, what: bytes, *parts: bytes) -> bytes:
        return hmac.digest(self._key.reveal(), join_framed(what, *parts), "sha256")
