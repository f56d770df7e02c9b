"""The ledger: what a client has promised itself not to do again, on its own disk.

A session is opened here before its first message, every record is durable here before the effects
that follow it, and the final record closes the session and erases its key. Whoever restores a
party from here sends what was sent, or nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from secagg.errors import (
    DecodeError,
    LedgerCorrupt,
    LedgerUnavailable,
    ParameterError,
    SessionLost,
    SessionRefused,
    VerificationError,
)
from secagg.ledger.entries import Chain, Closed, Entry, Log, Opened, Owner, Recorded
from secagg.ledger.sealing import Sealer
from secagg.ledger.storage import KEY, Storage
from secagg.protocol import Record
from secagg.protocol.memory import ClosedState, RecordHead
from secagg.types import Rng, Secret

KEY_BYTES: Final = 32
ANSWER: Final = "answer"


@dataclass
class _Life:
    """What the log says of one session."""

    opened: Opened
    records: list[Recorded] = field(default_factory=list)
    closed: Closed | None = None


class Ledger:
    """One owner's ledger, open and locked. Use `create` once, then `open`.

    After any change that failed halfway nothing more is done until it is opened again.
    """

    def __init__(
        self, storage: Storage, owner: Owner, device: Secret, rng: Rng, sessions_per_round: int
    ) -> None:
        self.owner = owner
        self._storage = storage
        self._device = device
        self._rng = rng
        self._cap = sessions_per_round
        self._sealer = Sealer(owner.digest, device)
        self._load()

    @classmethod
    def create(cls, storage: Storage, owner: Owner, device: Secret, rng: Rng) -> None:
        """A new, empty ledger. To be asked for by name: a lost one is never replaced silently.

        Args:
            storage: where.
            owner: whose.
            device: 32 bytes that only this device has, kept apart from the ledger.
            rng: the system's generator, but in tests.

        Raises:
            LedgerError: there is one already.
        """
        _check_device(device)
        storage.create(*Chain.begun(owner, device, rng))

    @classmethod
    def open(
        cls, storage: Storage, owner: Owner, device: Secret, rng: Rng, *, sessions_per_round: int
    ) -> Ledger:
        """The ledger, checked from its first byte to its last, and put in order after a crash.

        Args:
            storage: where it is.
            owner: whose it must be.
            device: as when it was created.
            rng: the system's generator, but in tests.
            sessions_per_round: how many sessions may be opened in one training round, 1 or more.

        Raises:
            LedgerMissing: there is none, or no mark.
            LedgerBusy: another process has it open.
            LedgerUnavailable: it cannot be read or written.
            LedgerForeign: another owner's, job's or device's.
            LedgerCorrupt: changed or cut short, with the entry and the byte.
        """
        _check_device(device)
        if sessions_per_round < 1:
            raise ParameterError(f"a round has at least one session, got {sessions_per_round}")
        return cls(storage, owner, device, rng, sessions_per_round)

    def reopen(self) -> None:
        """Close it and open it again: all that it knows comes from its storage once more.

        Raises:
            LedgerError: as `open`; it is closed then.
        """
        self.close()
        self._load()

    def knows(self, session: bytes) -> bool:
        """Whether this session was opened here, be it over or not."""
        return session in self._lives

    @property
    def running(self) -> tuple[bytes, ...]:
        """The sessions that were opened here and are not over, oldest first."""
        return tuple(session for session, life in self._lives.items() if life.closed is None)

    def answered(self, training_round: int) -> bool:
        """Whether a session of this training round was answered."""
        return any(
            life.closed is not None and life.closed.answered
            for life in self._lives.values()
            if life.opened.training_round == training_round
        )

    def opened(self, training_round: int) -> int:
        """How many sessions of this training round were opened, whatever became of them."""
        return sum(life.opened.training_round == training_round for life in self._lives.values())

    def open_session(self, session: bytes, training_round: int) -> None:
        """Open a session, before its first message. Its key is drawn here.

        Raises:
            SessionRefused: it was opened before, its training round has its answer, or as many
                sessions as a round may have.
            LedgerUnavailable: it could not be written.
        """
        if session in self._lives:
            raise self._refused(f"session {_short(session)} was opened before")
        if self.answered(training_round):
            raise self._refused(f"a session of training round {training_round} was answered")
        if self.opened(training_round) >= self._cap:
            raise self._refused(
                f"expected at most {self._cap} sessions in training round {training_round}, got one"
                " more"
            )
        with self._changing():
            # Before the entry: a session that the log knows has a key, or had one.
            self._storage.put(session, KEY, self._rng.bytes(KEY_BYTES))
            self._append(Opened(session, training_round))

    def remember(self, session: bytes, record: Record) -> None:
        """Make a record durable; a final one closes the session and erases its key.

        Raises:
            SessionRefused: not opened here, over, another record than the next one, or an answer
                in a training round that has one. In the last case the session is closed without.
            SessionLost: the session's key is gone.
            DecodeError: not a record.
            LedgerUnavailable: it could not be written.
        """
        life = self._running(session)
        number = RecordHead.parse(record).sequence
        if number != len(life.records):
            raise self._refused(
                f"session {_short(session)}: expected record {len(life.records)}, got record"
                f" {number}"
            )
        if record.final:
            self._finish(life, record)
            return
        sealed = self._sealer.seal(record, session, number, self._key(session), self._rng)
        with self._changing():
            self._storage.put(session, _name(number), sealed)
            self._append(Recorded(session, number, hashlib.sha256(sealed).digest()))

    def give_up(self, session: bytes) -> None:
        """Close a session that will not go on, and erase its key.

        Raises:
            SessionRefused: not opened here, or over.
            LedgerUnavailable: it could not be written.
        """
        self._close(Closed(session, len(self._running(session).records), False, b""))

    def records(self, session: bytes) -> list[Record]:
        """What restores the party of a session: its records in order, or the final one alone.

        Raises:
            SessionRefused: never opened here, or given up.
            SessionLost: its key, or a record, is gone.
            LedgerCorrupt: a record that is not the one stored.
        """
        life = self._life(session)
        if life.closed is None:
            key = self._key(session)
            return [self._stored(_name(r.number), r, key) for r in life.records]
        if not life.closed.stored:
            raise self._refused(f"session {_short(session)} was given up")
        return [self._stored(ANSWER, life.closed, None)]

    def close(self) -> None:
        """Let another process open it. Twice is once."""
        self._usable = False
        self._chain.wipe()
        self._storage.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _load(self) -> None:
        """Read and check everything, and put in order what a crash left."""
        storage = self._storage
        data, mark = storage.load()
        try:
            self._chain, log = Chain.read(data, self.owner, self._device, storage.place)
            marked = self._chain.marked(mark, log, storage.place)
            self._count = len(log.entries)
            self._link = log.link(self._count)
            self._lives: dict[bytes, _Life] = {}
            self._replay(log)
            if log.torn:
                # Its append was never finished, so nothing that follows it was carried out.
                storage.cut(log.end)
            if marked != self._count:
                storage.replace_mark(self._chain.mark(self._count, self._link))
            self._tidy()
        except BaseException:
            storage.close()
            raise
        self._usable = True

    def _replay(self, log: Log) -> None:
        for number, placed in enumerate(log.entries):
            if not self._fits(placed.entry):
                raise LedgerCorrupt(
                    f"a {type(placed.entry).__name__} entry that cannot follow those before it",
                    place=self._storage.place,
                    entry=number,
                    offset=placed.offset,
                )
            self._apply(placed.entry)

    def _finish(self, life: _Life, record: Record) -> None:
        session, number = life.opened.session, len(life.records)
        answered = _sends(record)
        if answered and self.answered(life.opened.training_round):
            self._close(Closed(session, number, False, b""))
            raise self._refused(
                f"another session of training round {life.opened.training_round} was answered;"
                f" {_short(session)} is closed without"
            )
        sealed = self._sealer.seal(record, session, number, None, self._rng)
        with self._changing():
            self._storage.put(session, ANSWER, sealed)
        self._close(Closed(session, number, answered, hashlib.sha256(sealed).digest()))

    def _close(self, closed: Closed) -> None:
        with self._changing():
            self._append(closed)
            self._erase(closed)

    def _erase(self, closed: Closed) -> None:
        self._storage.erase(closed.session, keep=(ANSWER,) if closed.stored else ())

    def _append(self, entry: Entry) -> None:
        data, link = self._chain.entry(self._link, entry)
        self._storage.append(data)
        self._storage.replace_mark(self._chain.mark(self._count + 1, link))
        self._count, self._link = self._count + 1, link
        self._apply(entry)

    def _tidy(self) -> None:
        """Finish what a crash interrupted: items of sessions never opened, keys of ended ones."""
        for session in list(self._storage.sessions()):
            life = self._lives.get(session)
            if life is None:
                self._storage.erase(session)
            elif life.closed is not None and set(self._storage.items(session)) - {ANSWER}:
                self._erase(life.closed)

    def _fits(self, entry: Entry) -> bool:
        life = self._lives.get(entry.session)
        if isinstance(entry, Opened):
            return life is None
        return life is not None and life.closed is None and entry.number == len(life.records)

    def _apply(self, entry: Entry) -> None:
        match entry:
            case Opened():
                self._lives[entry.session] = _Life(entry)
            case Recorded():
                self._lives[entry.session].records.append(entry)
            case Closed():
                self._lives[entry.session].closed = entry

    def _life(self, session: bytes) -> _Life:
        self._check_usable()
        try:
            return self._lives[session]
        except KeyError:
            raise self._refused(f"session {_short(session)} was not opened here") from None

    def _running(self, session: bytes) -> _Life:
        life = self._life(session)
        if life.closed is not None:
            raise self._refused(f"session {_short(session)} is over")
        return life

    def _key(self, session: bytes) -> Secret:
        key = self._storage.get(session, KEY)
        if key is None or len(key) != KEY_BYTES:
            got = "none" if key is None else f"{len(key)} bytes"
            raise SessionLost(
                f"session {_short(session)}: expected a key of {KEY_BYTES} bytes, got {got}",
                place=self._storage.place,
            )
        return Secret(key)

    def _stored(self, name: str, entry: Recorded | Closed, key: Secret | None) -> Record:
        session, place = entry.session, f"{self._storage.place}, session {_short(entry.session)}"
        sealed = self._storage.get(session, name)
        if sealed is None:
            raise SessionLost(f"record {name} is gone", place=place)
        if hashlib.sha256(sealed).digest() != entry.stored:
            raise LedgerCorrupt(f"record {name} is not the one stored", place=place)
        try:
            return self._sealer.open(sealed, session, entry.number, key)
        except VerificationError as error:
            raise SessionLost(
                f"record {name} does not open with the session's key: {error}", place=place
            ) from None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Whatever stops a change halfway, a failing disk or an interrupt, stops the ledger."""
        self._check_usable()
        self._usable = False
        yield
        self._usable = True

    def _check_usable(self) -> None:
        if not self._usable:
            raise LedgerUnavailable(
                "closed, or a change failed halfway: open it again", place=self._storage.place
            )

    def _refused(self, reason: str) -> SessionRefused:
        return SessionRefused(reason, place=self._storage.place)


def _check_device(device: Secret) -> None:
    if len(device) != KEY_BYTES:
        raise ParameterError(f"a device's key has {KEY_BYTES} bytes, got {len(device)}")


def _sends(record: Record) -> bool:
    """Whether a final record is one of a party that sent something in its last act."""
    try:
        state = msgspec.msgpack.decode(RecordHead.parse(record).body, type=ClosedState)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError(f"not the record of a party that has ended: {error}") from None
    return bool(state.sends)


def _short(session: bytes) -> str:
    return session.hex()[:16]


def _name(number: int) -> str:
    return f"{number:06d}"
