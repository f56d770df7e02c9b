"""What both sides share: one party, its time, what came too early for it, and what it came to.

An endpoint does no I/O, reads no clock and never waits: bytes and times go in, bytes come out. So
a loop over it is the same in threads, in asyncio and in a test, but for `await`.
"""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from secagg.endpoint.timing import Deadlines, Timer
from secagg.errors import (
    DecodeError,
    LocalProtocolError,
    ParameterError,
    RemoteProtocolError,
    RoundFailed,
    SecaggError,
)
from secagg.protocol import (
    FAILED,
    Accuse,
    BeaconHead,
    BeaconValue,
    Deadline,
    Done,
    Effect,
    Event,
    Fail,
    Party,
    Protocol,
    Remember,
    Send,
    Session,
)
from secagg.types import PartyId
from secagg.wire import Frame, Message

BEACON_SECONDS: Final = 1.0
"""How often a beacon is looked at that has not spoken yet."""

_Given: TypeAlias = tuple[Event, PartyId]


class Outgoing(NamedTuple):
    """A message to be delivered, as it is, over a channel that says who sent it."""

    to: PartyId
    data: bytes

    def __repr__(self) -> str:
        # Messages have no place in a log.
        return f"Outgoing(to={self.to}, {len(self.data)} bytes)"


class BeaconSource(typing.Protocol):
    """What an integrator knows of a public beacon, by itself: never from the server of the session.

    It is asked in the middle of a call and answers at once.
    """

    def newest(self) -> int:
        """The newest round that there is now: by the beacon's period and the own clock, or read.

        A number that is kept from earlier can expose a client; one that is too large cannot.
        """
        ...

    def value(self, number: int) -> bytes | None:
        """What the beacon said in this round; None if it has not spoken, or is not yet read."""
        ...


def reads_beacon(role: type[Party]) -> bool:
    """Whether a party of this kind needs a `BeaconSource`."""
    handled = {event for events in role.handled().values() for event in events}
    return bool(handled & {BeaconHead.__name__, BeaconValue.__name__})


def timer_for(
    protocol: Protocol,
    session: Session,
    me: PartyId,
    deadlines: Deadlines,
    beacon: BeaconSource | None,
) -> Timer:
    """The time of a party that is about to be made; here, so that nothing is opened in vain.

    Raises:
        LocalProtocolError: it has no part in the session.
        ParameterError: the protocol lives in a process of its own, the party reads a beacon and has
            none, or as `Timer`.
    """
    if protocol.isolated:
        raise ParameterError(f"{protocol.name} is driven by secagg.run only")
    roles = protocol.at(session.plan.task.level).roles
    if me not in session.members or me.role not in roles:
        raise LocalProtocolError(f"{me} has no part in this session")
    role = roles[me.role]
    if beacon is None and reads_beacon(role):
        raise ParameterError(f"{protocol.name} needs a public beacon for {me} to read: pass one")
    return Timer(deadlines, role.phases)


class Endpoint(ABC):
    """One party of one session. Use `ClientEndpoint` or `ServerEndpoint`.

    Attributes:
        me: the party.
        session: the id of the session, 32 bytes; a name for its messages, nothing secret.
        largest_message: bytes of any message from or to a client, at most, so that a channel need
            not take more.
        done: whether nothing more will happen here.
        failure: why there is no result, once `done`; None if there is one.
    """

    def __init__(
        self,
        protocol: Protocol,
        session: Session,
        party: Party,
        timer: Timer,
        beacon: BeaconSource | None,
    ) -> None:
        self.me = party.me
        self.session = session.id
        self.largest_message = max(protocol.traffic(session.plan))
        self.done = False
        self.failure: SecaggError | None = None
        self._party = party
        self._beacon = beacon
        self._timer = timer
        self._started = False
        self._out: list[Outgoing] = []
        self._last: dict[PartyId, Outgoing] = {}
        self._waiting: deque[_Given] = deque()
        self._early: dict[tuple[PartyId, type[Event]], Event] = {}
        self._due = ""
        self._looked = False

    @property
    def phase(self) -> str:
        """Where the party is, or how it ended."""
        return self._party.phase if self.failure is None else FAILED

    def start(self, now: float) -> list[Outgoing]:
        """Begin; after a restart: say again what was said last.

        Args:
            now: seconds by any monotonic clock, the same one in all calls.

        Raises:
            LocalProtocolError: started before, or no monotonic clock.
        """
        if self._started:
            raise LocalProtocolError(f"{self.me} was started twice")
        self._timer.move(now)
        self._started = True
        self._carry_out(self._begin)
        self._enter()
        return self._run()

    def receive(
        self, sender: PartyId, data: bytes | bytearray | memoryview, now: float
    ) -> list[Outgoing]:
        """Take one message.

        Args:
            sender: who sent it, as the channel knows: not what the message says.
            data: one message, whole.
            now: as in `start`.

        Raises:
            LocalProtocolError: not started, or no monotonic clock. Nothing that a peer sends
                raises anything.
        """
        self._move(now)
        if not self.done:
            try:
                # A copy of what the caller could change: vectors are added up later, in groups.
                message = self._party.open(Frame.split(bytes(data)), sender)
            except (DecodeError, RemoteProtocolError) as error:
                self._refused(sender, bare(error))
            else:
                self._waiting.append((message, sender))
        return self._run()

    def tick(self, now: float) -> list[Outgoing]:
        """Let the time pass: call it when `wait` is over.

        Raises:
            LocalProtocolError: not started, or no monotonic clock.
        """
        self._move(now)
        return self._run()

    def wait(self, now: float) -> float | None:
        """Seconds until `tick` is to be called if nothing comes; None if nothing is waited for.

        0 if there is more to do, once what was said is on its way: see `_run`.
        """
        if self.done or not self._started:
            return None
        if self._waiting or self._party.wants(BeaconHead):
            return 0.0
        left = self._timer.left(now)
        return min(left, BEACON_SECONDS) if self._party.wants(BeaconValue) else left

    def resend(self) -> list[Outgoing]:
        """The last message to each peer, again, for a channel that lost some.

        Whoever has them ignores them.
        """
        return list(self._last.values())

    # What a side adds.

    @abstractmethod
    def _begin(self) -> list[Effect]:
        """The party's first effects, or its last ones again."""

    @abstractmethod
    def _handle(self, event: Event, sender: PartyId) -> list[Effect]:
        """What follows from an event that is to be handled now."""

    @abstractmethod
    def _refused(self, sender: PartyId, error: SecaggError) -> None:
        """A peer sent what cannot be taken; nothing has changed."""

    def _remember(self, effect: Remember) -> None:  # noqa: B027
        """Make a record durable. By default it is forgotten: whoever dies is lost."""

    @abstractmethod
    def _finish(self, effect: Done) -> None:
        """The party has finished."""

    def _late(self, sender: PartyId) -> None:  # noqa: B027
        """A message came too late, or a second time. The default is nothing."""

    # How it works.

    def _run(self) -> list[Outgoing]:
        """Let events happen until one of them says something.

        The rest waits for the next call, by when the caller has sent it. A party that is restored
        repeats what its last event said, and that only: were two to speak in one call, a crash
        after it would lose the words of the first.
        """
        self._looked = False
        while not self.done and not self._out and (given := self._next()) is not None:
            event, sender = given
            fate = self._party.when(event, sender)
            if fate == "now":
                self._carry_out(partial(self._handle, event, sender))
                self._enter()
            elif fate == "early":
                self._keep(event, sender)
            elif isinstance(event, Message):
                self._late(sender)
        taken, self._out = self._out, []
        return taken

    def _next(self) -> _Given | None:
        """What happens next: what the beacon says, read when it is wanted and not before."""
        party, beacon = self._party, self._beacon
        if beacon is not None and party.wants(BeaconHead):
            return BeaconHead(beacon.newest()), self.me
        if beacon is not None and party.wants(BeaconValue) and not self._looked:
            # Once in a call: what is refused now is looked at again later.
            self._looked = True
            if (value := beacon.value(party.beacon_round)) is not None:
                return BeaconValue(party.beacon_round, value), self.me
        return self._waiting.popleft() if self._waiting else None

    def _enter(self) -> None:
        """If the party is in another phase: begin its time, and look at what came too early."""
        if self.done or self._party.phase == self._timer.phase:
            return
        self._timer.enter(self._party.phase)
        early = [(event, sender) for (sender, _), event in self._early.items()]
        self._early.clear()
        self._waiting.extendleft(reversed(early))

    def _keep(self, event: Event, sender: PartyId) -> None:
        """Keep what came too early, one of each kind: a peer cannot fill the memory."""
        if self._early.setdefault((sender, type(event)), event) != event:
            name = type(event).__name__
            self._refused(
                sender, RemoteProtocolError(sender, f"expected one {name}, got a second one")
            )

    def _move(self, now: float) -> None:
        if not self._started:
            raise LocalProtocolError(f"{self.me} was not started")
        self._timer.move(now)
        if not self.done and self._timer.expired and self._due != self._timer.phase:
            # Behind what waits already, before what comes now.
            self._due = self._timer.phase
            self._waiting.append((Deadline(self._due), self.me))

    def _carry_out(self, decide: Callable[[], list[Effect]]) -> None:
        try:
            for effect in decide():
                self._act(effect)
        except BaseException as error:
            if isinstance(error, SecaggError) and not isinstance(error, LocalProtocolError):
                self._fail(bare(error))
                return
            # A bug, or an interrupt: half of an event may have happened.
            self._fail(RoundFailed(f"{type(error).__name__} inside"))
            raise

    def _act(self, effect: Effect) -> None:
        match effect:
            case Remember():
                self._remember(effect)
            case Send(to=to):
                self._last[to] = Outgoing(to, self._party.seal(effect).join())
                self._out.append(self._last[to])
            case Accuse(culprit=culprit, error=error):
                self._refused(culprit, error)
            case Done():
                self.done = True
                self._waiting.clear()
                self._early.clear()
                self._finish(effect)
            case Fail(reason=reason, error=error):
                self._fail(RoundFailed(reason) if error is None else error)

    def _fail(self, error: SecaggError) -> None:
        """End here, and release nothing more."""
        self.done, self.failure = True, error
        self._waiting.clear()
        self._early.clear()
        self._party.abandon()


def bare(error: SecaggError) -> SecaggError:
    """An error without a traceback, which would keep frames, and the secrets in them."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
