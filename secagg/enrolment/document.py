"""What a roster says: a federation's clients by number, in an epoch, for a time.

Entries are only ever added. A revoked client keeps its entry, so a number is never given to another
key, and the number of a client is the position of its entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from secagg.crypto.signing import PUBLIC_KEY_BYTES
from secagg.enrolment.public import KeyRole, PublicKey, fingerprint, is_name
from secagg.enrolment.reason import Reason
from secagg.errors import DecodeError, ParameterError, RosterRefused
from secagg.protocol import Roster
from secagg.types import PartyId, client

FORMAT: Final = "secagg roster document 1"
MAX_ENTRIES: Final = 1 << 20
MAX_EPOCH: Final = (1 << 63) - 1
MAX_TIME: Final = (1 << 40) - 1


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One client.

    Attributes:
        number: its party number; the position of the entry.
        key: its public signing key.
        name: for people; unique among those not revoked.
        revoked: whether it may no longer take part. Never taken back.
    """

    number: int
    key: bytes
    name: str
    revoked: bool


class Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A roster before it is signed, and what a signature covers.

    Attributes:
        format: says what this is.
        federation: whose roster.
        epoch: from 1, raised with every change.
        not_before: first second of its validity, since 1970; 0 until it is signed.
        not_after: last second of its validity; 0 until it is signed.
        entries: by party number.

    Raises:
        RosterRefused: on construction, for whatever no roster can say; the entry is named.
    """

    format: str
    federation: str
    epoch: int
    not_before: int
    not_after: int
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise _malformed(f"expected {FORMAT!r}, got {self.format[:40]!r}")
        if not is_name(self.federation):
            raise _malformed(f"{self.federation[:80]!r} names no federation")
        if not 1 <= self.epoch <= MAX_EPOCH:
            raise _malformed(f"an epoch lies in 1..2**63-1, got {self.epoch}")
        if not 0 <= self.not_before <= self.not_after <= MAX_TIME:
            raise _malformed(
                f"valid from second {self.not_before} to {self.not_after} since 1970 is no time"
            )
        if len(self.entries) > MAX_ENTRIES:
            raise _malformed(f"at most {MAX_ENTRIES} entries, got {len(self.entries)}")
        _check_entries(self.entries)

    @classmethod
    def empty(cls, federation: str) -> Document:
        """The first epoch, without anybody.

        Raises:
            ParameterError: no name of a federation.
        """
        if not is_name(federation):
            raise ParameterError(
                "a federation's name has 1 to 64 letters, digits and . _ @ - and starts with a"
                f" letter or digit, got {federation!r}"
            )
        return cls(FORMAT, federation, 1, 0, 0, ())

    @property
    def members(self) -> tuple[Entry, ...]:
        """Those not revoked."""
        return tuple(entry for entry in self.entries if not entry.revoked)

    def roster(self, authority: bytes) -> Roster:
        """The protocol's roster: who is not revoked.

        Args:
            authority: the public key by which this document was verified.

        Raises:
            ParameterError: that key is also a client's, or nobody is in it.
        """
        members = self.members
        return Roster(
            self.epoch,
            tuple(client(entry.number) for entry in members),
            tuple(entry.key for entry in members),
            authority,
        )

    @property
    def encoded(self) -> bytes:
        """The one encoding."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Document:
        """The inverse of `encoded`.

        Raises:
            DecodeError: not the canonical encoding of a roster.
            RosterRefused: of something that no roster can say.
        """
        try:
            document = _DECODER.decode(data)
        except (msgspec.MsgspecError, ValueError) as error:
            raise DecodeError(f"roster: {error}") from None
        if document.encoded != data:
            raise DecodeError("roster: not the canonical encoding of its fields")
        return document

    def party_of(self, key: bytes) -> PartyId:
        """The client with this public key.

        Raises:
            RosterRefused: it is unknown or revoked.
        """
        for entry in self.entries:
            if entry.key == key:
                if entry.revoked:
                    raise RosterRefused(
                        Reason.REVOKED,
                        f"{entry.name}, client {entry.number}, is revoked in epoch {self.epoch}",
                    )
                return client(entry.number)
        raise RosterRefused(
            Reason.UNKNOWN, f"no entry of epoch {self.epoch} has the key {fingerprint(key)}"
        )

    def adding(self, keys: Sequence[PublicKey]) -> Document:
        """With new clients behind the others.

        Raises:
            ParameterError: a key for another purpose, or a key or a name that is there already.
        """
        entries = list(self.entries)
        known = {entry.key: entry for entry in entries}
        names = {entry.name for entry in self.members}
        for public in keys:
            if public.role is not KeyRole.CLIENT:
                raise ParameterError(f"{public.name}: expected a client's key, got {public.role}")
            if public.key in known:
                raise ParameterError(
                    f"{public.name}: client {known[public.key].number} has this key"
                    + (" and was revoked: draw a new one" if known[public.key].revoked else "")
                )
            if public.name in names:
                raise ParameterError(f"{public.name}: another client has this name")
            entry = Entry(len(entries), public.key, public.name, revoked=False)
            entries.append(entry)
            known[entry.key] = entry
            names.add(entry.name)
        return self._changed(entries)

    def revoking(self, who: Sequence[str]) -> Document:
        """Without these clients, by name or by fingerprint.

        Raises:
            ParameterError: somebody who is not in the roster, or is revoked already.
        """
        revoked = {self._find(one) for one in who}
        entries = [
            msgspec.structs.replace(entry, revoked=True) if entry.number in revoked else entry
            for entry in self.entries
        ]
        return self._changed(entries)

    def following(self) -> Document:
        """The same entries in the next epoch, to be changed and signed again.

        Raises:
            ParameterError: there is no next epoch.
        """
        if self.epoch == MAX_EPOCH:
            raise ParameterError("the epochs of this roster are used up")
        return msgspec.structs.replace(self, epoch=self.epoch + 1, not_before=0, not_after=0)

    def _find(self, who: str) -> int:
        for entry in self.members:
            if who in (entry.name, fingerprint(entry.key)):
                return entry.number
        raise ParameterError(f"{who}: no client of this name or fingerprint, or revoked already")

    def _changed(self, entries: Sequence[Entry]) -> Document:
        return msgspec.structs.replace(self, not_before=0, not_after=0, entries=tuple(entries))


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Document)


def _check_entries(entries: Sequence[Entry]) -> None:
    keys: dict[bytes, int] = {}
    names: set[str] = set()
    for position, entry in enumerate(entries):
        if entry.number != position:
            raise _malformed(f"entry {position} says that it is number {entry.number}")
        if len(entry.key) != PUBLIC_KEY_BYTES:
            raise _malformed(
                f"entry {position}: a key has {PUBLIC_KEY_BYTES} bytes, got {len(entry.key)}"
            )
        if not is_name(entry.name):
            raise _malformed(f"entry {position}: {entry.name[:80]!r} is no name")
        if entry.key in keys:
            raise RosterRefused(
                Reason.DUPLICATE_KEY, f"entries {keys[entry.key]} and {position} have one key"
            )
        keys[entry.key] = position
        if not entry.revoked:
            if entry.name in names:
                raise _malformed(f"entry {position}: {entry.name} is another client's name")
            names.add(entry.name)


def _malformed(details: str) -> RosterRefused:
    return RosterRefused(Reason.MALFORMED, details)
