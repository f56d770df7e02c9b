"""A session of `secagg` in which one client keeps a ledger, and dies where a test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol, TypeVar

from conformance.scenario import Scenario

from secagg import protocols
from secagg.crypto.rng import SystemRng
from secagg.ledger import Keeper, Ledger, MemoryStorage, Owner, Storage
from secagg.protocol import (
    ClientPolicy,
    Done,
    Effect,
    Identity,
    Input,
    Level,
    Party,
    Send,
    Session,
)
from secagg.protocols.secagg import SecAgg
from secagg.types import SERVER, PartyId, RingVector, Rng, Secret, client
from secagg.wire import Frame

DEVICE = Secret(bytes(range(32)))
VICTIM = client(1)
MASKED_VECTOR, UNMASK_SHARES = 5, 7
_T = TypeVar("_T")


def scenario(seed: int = 1) -> Scenario:
    return Scenario(protocols.get("secagg"), 4, {"corrupt": "0.1", "dropout": "0.1"}, seed)


def owner_of(session: Session) -> Owner:
    return Owner.of(session, VICTIM)


def opened(storage: Storage, session: Session, cap: int = 1) -> Ledger:
    return Ledger.open(storage, owner_of(session), DEVICE, SystemRng(), sessions_per_round=cap)


def keeper(ledger: Ledger, of: Scenario) -> Keeper:
    """With fresh randomness each time: what is sent again must come from the ledger."""
    policy = ClientPolicy.accepting(of.plan)
    return Keeper(ledger, of.protocol, of.session, VICTIM, SystemRng(), policy)


class Claiming(SecAgg):
    """Says that it withstands a lying server. It does nothing of the kind."""

    levels = {
        Level.CURIOUS: replace(
            SecAgg.levels[Level.CURIOUS],
            guarantees=SecAgg.levels[Level.MALICIOUS].guarantees,
            identified=True,
        )
    }

    def identified_party(
        self, session: Session, me: PartyId, rng: Rng, identity: Identity
    ) -> Party:
        return self.at(Level.CURIOUS).roles[me.role](session, me, rng)


class Crash(Exception):
    """The process died."""


class CrashingStorage(MemoryStorage):
    """Dies in the change numbered `fuse`, of which `kept` bytes (or steps) still happen."""

    def __init__(self, fuse: int = -1, kept: int = 0) -> None:
        super().__init__()
        self.fuse, self.kept = fuse, kept
        self.changes: list[tuple[str, int]] = []

    def append(self, data: bytes) -> None:
        self._change("append", len(data), lambda n: super(CrashingStorage, self).append(data[:n]))

    def cut(self, size: int) -> None:
        self._change("cut", 1, lambda n: super(CrashingStorage, self).cut(size) if n else None)

    def replace_mark(self, mark: bytes) -> None:
        replace = super().replace_mark
        self._change("mark", 1, lambda n: replace(mark) if n else None)

    def put(self, session: bytes, name: str, data: bytes | bytearray) -> None:
        put = super().put
        self._change("put", len(data), lambda n: put(session, name, data[:n]))

    def erase(self, session: bytes, keep: Collection[str] = ()) -> None:
        erase, names = super().erase, self.items(session)

        def part(steps: int) -> None:
            if steps:
                erase(session, keep if steps == 2 else [name for name in names if name != "key"])

        self._change("erase", 2, part)

    def _change(self, name: str, size: int, part: Callable[[int], None]) -> None:
        dies = len(self.changes) == self.fuse
        self.changes.append((name, size))
        part(min(self.kept, size) if dies else size)
        if dies:
            self.close()
            raise Crash


class Victim(Protocol):
    """The client with the ledger: each call gives the frames to be sent, or raises Crash."""

    def begin(self) -> list[bytes]: ...

    def give(self, vector: RingVector) -> list[bytes]: ...

    def deliver(self, frame: bytes) -> list[bytes]: ...


class KeptVictim:
    """The client in this process."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.done = False

    def begin(self) -> list[bytes]:
        return self._frames(self.keeper.begin())

    def give(self, vector: RingVector) -> list[bytes]:
        event, me = Input(vector), self.keeper.party.me
        if self.keeper.party.when(event, me) == "late":
            return []
        return self._frames(self.keeper.handle(event, me))

    def deliver(self, frame: bytes) -> list[bytes]:
        party = self.keeper.party
        message = party.open(Frame.split(frame), SERVER)
        fate = party.when(message, SERVER)
        if fate == "late":
            return []
        assert fate == "now"
        return self._frames(self.keeper.handle(message, SERVER))

    def _frames(self, effects: list[Effect]) -> list[bytes]:
        self.done = self.done or any(isinstance(effect, Done) for effect in effects)
        party = self.keeper.party
        return [party.seal(effect).join() for effect in effects if isinstance(effect, Send)]


class World:
    """All parties; the server and the other clients never fail."""

    def __init__(self, make: Callable[[], Victim], of: Scenario | None = None) -> None:
        self.scenario = of or scenario()
        self.make = make
        self.victim: Victim | None = None
        self.crashes = 0
        self.sent: dict[int, list[bytes]] = {}
        self.told: list[bytes] = []
        self.total: RingVector | None = None
        self.included: tuple[PartyId, ...] = ()
        self.hold: int | None = None
        self._others = {
            who: self.scenario.party(who) for who in self.scenario.plan.parties if who != VICTIM
        }
        self._queue: list[tuple[PartyId, PartyId, bytes]] = []

    def run(self) -> None:
        """The whole session; messages of kind `hold` to the victim are kept in `told` only."""
        for who, party in self._others.items():
            self._act(who, party.start())
        inputs = self.scenario.inputs
        self.ask(lambda victim: victim.give(inputs[VICTIM]))
        for who, vector in inputs.items():
            if who != VICTIM:
                self._act(who, self._others[who].handle(Input(vector), who))
        while self._queue:
            sender, recipient, frame = self._queue.pop(0)
            if recipient == VICTIM:
                self.told.append(frame)
                if frame[5] != self.hold:
                    self.deliver(frame)
                continue
            party = self._others[recipient]
            message = party.open(Frame.split(frame), sender)
            if party.when(message, sender) == "now":
                self._act(recipient, party.handle(message, sender))

    def deliver(self, frame: bytes) -> None:
        self.ask(lambda victim: victim.deliver(frame))

    def ask(self, action: Callable[[Victim], list[bytes]]) -> None:
        """Let the victim do something, over again after every death."""
        while True:
            try:
                if self.victim is None:
                    self.victim = self.make()
                    self._send(self.victim.begin())
                self._send(action(self.victim))
                return
            except Crash:
                self.victim, self.crashes = None, self.crashes + 1

    def check(self) -> None:
        """The sum is right and has the victim in it, which said each thing in one way only."""
        assert self.total is not None
        assert VICTIM in self.included
        assert (self.total == self.scenario.expected(self.included)).all()
        assert {kind: len(set(frames)) for kind, frames in self.sent.items()} == dict.fromkeys(
            (1, 3, MASKED_VECTOR, UNMASK_SHARES), 1
        )

    def _send(self, frames: list[bytes]) -> None:
        for frame in frames:
            self.sent.setdefault(frame[5], []).append(frame)
            self._queue.append((VICTIM, SERVER, frame))

    def _act(self, who: PartyId, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(to=to):
                    self._queue.append((who, to, self._others[who].seal(effect).join()))
                case Done(total=total, included=included) if total is not None:
                    self.total, self.included = total, included
