"""One party as a state machine: events in, effects out. No I/O, no clock, no own randomness.

Subclasses say in a table, through `@on`, which event they handle in which phase. The base class
does the rest once for all protocols: who may speak, duplicates, early and late messages, failing
closed, and memory. Memory works by replay: a party is a deterministic function of its session,
one seed and its events, so remembering each event before its effects are carried out is enough to
restore it, and a restored party sends the very same bytes. The randomness of each call is derived
from the seed and the event, so that even a party rolled back to an old state never uses the same
randomness for two different events.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Literal, TypeAlias, TypeVar

from secagg.crypto import kdf
from secagg.crypto.digest import digest
from secagg.crypto.rng import SEED_BYTES, StreamRng
from secagg.errors import (
    DecodeError,
    DuplicateMessage,
    LocalProtocolError,
    RemoteProtocolError,
    UnknownParty,
    WrongSession,
)
from secagg.protocol.effects import (
    Accuse,
    BeaconHead,
    BeaconValue,
    Deadline,
    Done,
    Effect,
    Effects,
    Event,
    Fail,
    Input,
    Record,
    Remember,
    Send,
)
from secagg.protocol.memory import START, Memory, RecordHead
from secagg.protocol.task import Session
from secagg.types import PartyId, Rng, Secret
from secagg.wire import Envelope, Frame, Message, MessageTable

DONE: Final = "done"
FAILED: Final = "failed"

Fate: TypeAlias = Literal["now", "early", "late"]

_E = TypeVar("_E", bound=Event)
_P = TypeVar("_P", bound="Party")
_Handler: TypeAlias = Callable[[_P, _E, PartyId], Effects]
_HANDLES: Final = "_secagg_handles"


def on(event: type[_E], *phases: str) -> Callable[[_Handler[_P, _E]], _Handler[_P, _E]]:
    """Mark a method as the handler of an event in these phases.

    The method takes the event and its sender, checks everything before it changes anything, and
    returns the effects. What a peer did wrong it raises as RemoteProtocolError.
    """

    def mark(handler: _Handler[_P, _E]) -> _Handler[_P, _E]:
        setattr(handler, _HANDLES, (event, phases))
        return handler

    return mark


class Party(ABC):
    """One party of one session. Subclasses set the class attributes and write handlers.

    Attributes:
        phases: in order; a party only moves forward. `done` and `failed` come after them.
        silent: those of them that have no message of their own.
        table: the messages of the protocol.
        restorable: whether a killed party may be rebuilt from its records; if not, it is lost, and
            it never asks to remember anything, because its records would hold its keys.
        tolerant: whether a peer's misbehaviour is answered by ignoring that peer's message (a
            server) or by ending this party (a client, whose only peer is the server).
    """

    phases: ClassVar[tuple[str, ...]]
    silent: ClassVar[frozenset[str]] = frozenset()
    table: ClassVar[MessageTable]
    restorable: ClassVar[bool] = True
    tolerant: ClassVar[bool] = False
    _handlers: ClassVar[dict[type[Any], dict[str, Callable[..., Effects]]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._handlers = {}
        for name in dir(cls):
            handler: Callable[..., Effects] | None = getattr(cls, name, None)
            mark = getattr(handler, _HANDLES, None)
            if handler is None or mark is None:
                continue
            event, phases = mark
            if unknown := set(phases) - set(cls.phases):
                raise TypeError(f"{cls.__name__}.{name}: no such phases: {sorted(unknown)}")
            per_phase = cls._handlers.setdefault(event, {})
            for phase in phases:
                if phase in per_phase:
                    raise TypeError(f"{cls.__name__}: two handlers of {event} in {phase}")
                per_phase[phase] = handler

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        self.session = session
        self.plan = session.plan
        self.me = me
        self.phase = self.phases[0]
        # Asked once, when the party starts: what it drew then is the seed, kept nowhere else.
        self._entropy: Rng | None = rng
        self._seed: Secret | None = None
        self._memory = Memory(session, me, self.table)
        self._call_rng: StreamRng | None = None
        self._event_digest = b""
        self._sequence = 0
        self._heard: dict[tuple[PartyId, int], bytes] = {}
        self._input_given = False
        # What the last event led to: kept while records are replayed only, for it holds vectors.
        self._last: tuple[bytes, list[Effect]] = (b"", [])
        self._replaying = False
        self._restored = False

    # What subclasses use.

    def begin(self) -> Effects:
        """What the party does unasked. The default is nothing."""
        return ()

    def forget(self) -> None:  # noqa: B027
        """Drop all secrets. Called once, when the party has ended."""

    def advance(self, phase: str) -> None:
        """Move to a later phase."""
        if self.phases.index(phase) <= self.phases.index(self.phase):
            raise LocalProtocolError(f"a party moves forward only: {self.phase} to {phase}")
        self.phase = phase

    @property
    def rng(self) -> Rng:
        """The randomness of this call: a function of the party's seed and the event handled."""
        if self._call_rng is None:
            assert self._seed is not None, "a party draws nothing before it starts"  # noqa: S101
            key = kdf.derive(
                self._seed,
                context=self.session.id,
                purpose=kdf.Purpose.PARTY_RANDOMNESS,
                parties=(self.me,),
                details=(self._sequence.to_bytes(8, "big"), self._event_digest),
                length=SEED_BYTES,
            )
            self._call_rng = StreamRng(key.reveal())
        return self._call_rng

    # What drivers use.

    @property
    def ended(self) -> bool:
        """Whether the party is done or failed."""
        return self.phase in (DONE, FAILED)

    @property
    def cpu_elsewhere(self) -> float:
        """CPU seconds that this party spent in another process."""
        return 0.0

    @property
    def takes_input(self) -> bool:
        """Whether this kind of party is given a vector."""
        return Input in self._handlers

    @property
    def needs_input(self) -> bool:
        """Whether it still has to be given a vector; one that it was restored with is enough."""
        return self.takes_input and not self._input_given and not self.ended

    def wants(self, event: type[BeaconHead | BeaconValue]) -> bool:
        """Whether the party waits for its driver to read this from the public beacon, now.

        A driver asks after every call, and after a restore. What it owes the party when it reads
        is said of `BeaconHead`.
        """
        return self.phase in self._handlers.get(event, {})

    @property
    def beacon_round(self) -> int:
        """The round of the public beacon whose value the party waits for, or is to wait for."""
        return 0

    @classmethod
    def handled(cls) -> dict[str, tuple[str, ...]]:
        """Phase to the names of the events handled in it: the table behind docs and diagrams."""
        return {
            phase: tuple(
                sorted(e.__name__ for e, handlers in cls._handlers.items() if phase in handlers)
            )
            for phase in cls.phases
        }

    def open(self, frame: Frame, sender: PartyId) -> Message:
        """The message in a frame that came from `sender`, as the channel knows it.

        Below level `malicious` messages are not signed: who speaks is what the channel
        authenticates, and a frame that names another sender is refused.

        Raises:
            DecodeError: not a canonical frame of this protocol.
            WrongSession: of another session.
            UnknownParty: for somebody else, from somebody who has no part in this session, or in
                another's name.
        """
        envelope = self.table.decode(frame)
        if envelope.sender != sender:
            raise UnknownParty(sender, f"expected its own name, it calls itself {envelope.sender}")
        if envelope.session != self.session.id:
            raise WrongSession(
                sender,
                f"expected session {self.session.id.hex()[:16]}, got {envelope.session.hex()[:16]}",
            )
        if envelope.recipient != self.me:
            raise UnknownParty(
                sender, f"expected a message for me, got one for {envelope.recipient}"
            )
        if sender not in self.session.members:
            raise UnknownParty(sender, "expected a party of this session")
        return envelope.message

    def seal(self, send: Send) -> Frame:
        """The frame of a message that this party sends."""
        return self.table.encode(Envelope(self.session.id, self.me, send.to, send.message))

    def start(self) -> list[Effect]:
        """Begin. On a restored party: the effects of its start again, if nothing came since."""
        if self._seed is not None or self.ended:
            return self._again(_START_KEY) if self._restored else self._already_started()
        assert self._entropy is not None  # noqa: S101
        self._seed = Secret(self._entropy.bytes(SEED_BYTES))
        self._entropy = None
        return self._call(_START_KEY, self._memory.started(self._seed), self.begin)

    def when(self, event: Event, sender: PartyId) -> Fate:
        """Whether to handle an event now, park it until a later phase, or drop it as too late.

        An event that fits no phase at all is to be handled now: `handle` says what is wrong.
        """
        if self._restored and self._key(event, sender) == self._last[0]:
            return "now"
        if self.ended:
            return "late"
        if isinstance(event, Deadline):
            return "now" if event.phase == self.phase else "late"
        if isinstance(event, Input) and self._input_given:
            return "late"
        if isinstance(event, Message) and (sender, event.KIND) in self._heard:
            same = self._heard[sender, event.KIND] == self._key(event, sender)
            return "late" if same else "now"
        handlers = self._handlers.get(type(event), {})
        if not handlers or self.phase in handlers:
            return "now"
        if isinstance(event, BeaconHead | BeaconValue):
            return "late"
        current = self.phases.index(self.phase)
        return "early" if any(self.phases.index(p) > current for p in handlers) else "late"

    def handle(self, event: Event, sender: PartyId) -> list[Effect]:
        """Let an event happen.

        Raises:
            LocalProtocolError: an event that `when` does not call "now": the driver's mistake.
            InputError: an input of the wrong shape, type or size; nothing has changed.
        """
        key = self._key(event, sender)
        if self._restored and key == self._last[0]:
            return self._again(key)
        if self._seed is None:
            raise LocalProtocolError(f"{self.me} got an event before it was started")
        if (fate := self.when(event, sender)) != "now":
            raise LocalProtocolError(
                f"{self.me} in phase {self.phase}: {type(event).__name__} is {fate}"
            )
        self._restored = False
        if isinstance(event, Message):
            try:
                self._admit(event, sender, key)
            except RemoteProtocolError as error:
                return [Accuse(error.culprit, error.as_value())]
        elif isinstance(event, Input):
            self.plan.check_input(event.vector)
        handler = self._handlers.get(type(event), {}).get(self.phase)
        if handler is None and isinstance(event, Deadline):
            handler = _fail_at_deadline
        if handler is None:
            raise LocalProtocolError(f"{self.me} takes no {type(event).__name__}")
        record, phase = self._memory.happened(self._sequence, event, sender), self.phase
        try:
            result = self._call(key, record, lambda: handler(self, event, sender))
        except RemoteProtocolError as error:
            if self.tolerant:
                return [Accuse(error.culprit, error.as_value())]
            failure = Fail(str(error), error.as_value())
            return self._call(key, record, lambda: (failure,))
        if isinstance(event, Message):
            self._heard[sender, event.KIND] = key
        self._input_given = self._input_given or isinstance(event, Input)
        if isinstance(event, Deadline) and self.phase == phase:
            raise LocalProtocolError(f"{type(self).__name__}: a deadline did not end {phase}")
        return result

    def restore(self, records: Sequence[Record]) -> None:
        """Replay what was remembered. The party then answers the last event again, verbatim.

        Raises:
            LocalProtocolError: this party has already started.
            DecodeError: not the records of one party of this session, in order.
        """
        if self._seed is not None:
            raise LocalProtocolError("only a fresh party can be restored")
        if records and (final := records[-1]).final:
            self._restore_closed(self._memory.read(final))
            return
        self._replaying = True
        for position, record in enumerate(records):
            self._replay(position, self._memory.read(record), record.tail)
        self._replaying, self._restored = False, bool(records)

    def abandon(self) -> None:
        """End here and drop all secrets, for a driver that will carry nothing more out."""
        if not self.ended:
            self.phase = FAILED
            self._drop_secrets()
        self._entropy, self._last = None, (b"", [])

    def resume(self) -> list[Effect]:
        """The effects of the last remembered event, again: some may not have been carried out.

        A driver carries these out right after `restore`, before any new event.
        """
        return self._again(self._last[0]) if self._restored else []

    # How it works.

    def _call(self, key: bytes, record: Record, handler: Callable[[], Effects]) -> list[Effect]:
        self._event_digest, self._call_rng = key, None
        result = list(handler())
        ending = [effect for effect in result if isinstance(effect, Done | Fail)]
        if ending:
            self.phase = DONE if isinstance(ending[0], Done) else FAILED
            record = self._memory.ended(self._sequence, key, self.phase, result)
            self._drop_secrets()
        if self.restorable:
            result.insert(0, Remember(record))
        if self._replaying:
            self._last = (key, result)
        self._sequence += 1
        return result

    def _drop_secrets(self) -> None:
        self.forget()
        self._call_rng = None
        if self._seed is not None:
            self._seed.wipe()

    def _admit(self, message: Message, sender: PartyId, key: bytes) -> None:
        if sender not in self.session.members:
            raise UnknownParty(sender, "expected a party of this session")
        name = type(message).__name__
        if type(message) not in self._handlers or sender.role is not message.SENDER:
            raise RemoteProtocolError(
                sender, f"{self.me} takes no {name} from a {sender.role.name}"
            )
        if self._heard.get((sender, message.KIND), key) != key:
            raise DuplicateMessage(sender, f"expected one {name}, got a second, different one")

    def _key(self, event: Event, sender: PartyId) -> bytes:
        return self._memory.digest_of(event, sender)

    def _replay(self, position: int, head: RecordHead, tail: memoryview) -> None:
        if head.sequence != position or (head.type == START) != (position == 0):
            raise DecodeError(f"expected record {position}, got record {head.sequence}")
        if head.type == START:
            self._entropy = _Replayed(head.body)
            self.start()
        else:
            self.handle(*self._memory.event(head, tail))

    def _restore_closed(self, head: RecordHead) -> None:
        state = self._memory.closed(head)
        self._entropy, self._seed = None, Secret(b"")
        self._sequence, self.phase = head.sequence + 1, state.phase
        self._last = (state.event, list(self._memory.effects(state)))
        self._restored = True

    def _again(self, key: bytes) -> list[Effect]:
        """The effects of the last event, but for its record: what was restored is durable."""
        last_key, effects = self._last
        return [e for e in effects if not isinstance(e, Remember)] if key == last_key else []

    def _already_started(self) -> list[Effect]:
        raise LocalProtocolError(f"{self.me} was started twice")


class _Replayed:
    """The seed of a remembered start, in place of fresh randomness."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def bytes(self, count: int) -> bytes:
        if count != len(self._seed):
            raise DecodeError(f"expected a seed of {count} bytes, got {len(self._seed)}")
        return self._seed


def _fail_at_deadline(party: Party, event: Deadline, sender: PartyId) -> Effects:
    yield Fail(f"nothing more came in phase {event.phase}")


_START_KEY: Final = digest("event", b"start")
