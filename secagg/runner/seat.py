"""One party with what its driver keeps for it: its ledger or its records, and accounts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from secagg import kernels
from secagg.crypto.rng import SEED_BYTES, StreamRng
from secagg.errors import LedgerError, PolicyError
from secagg.ledger import Keeper, Ledger, MemoryStorage, Owner
from secagg.protocol import (
    FAILED,
    Adversary,
    ClientPolicy,
    Effect,
    Event,
    Fail,
    Identity,
    Input,
    Party,
    Protocol,
    Record,
    Remember,
    Session,
)
from secagg.record import Witness
from secagg.runner.isolation import EnclaveHost
from secagg.runner.outcome import PartyReport
from secagg.types import PartyId, Rng, Role, Secret


class Killed(Exception):
    """The simulated process died; its memory is gone, its records are not."""


@dataclass
class Seat:
    """One party of a simulated run.

    With a ledger it is driven through a `Keeper`; what its ledger refuses ends it before anything
    is sent, and is in its report. Without one its records are kept here, as long as the run lasts.
    A client that must have a ledger and was given none gets one in memory.

    Attributes:
        lifetime: messages that it sends before it vanishes; None if it stays.
        kills: ordinals of the effects before which it is killed.
        identity: what it brings along, where the protocol asks for it.
        host: of the process that it lives in, if that is not this one.
        ledger: of a client. If the client is killed it is opened again from its storage.
        witness: who is told what happens to it.

    Raises:
        PolicyError: the client's policy refuses the session for what it is, and not for how many
            came before it.
        SecaggError: whatever else `Protocol.party` or `Keeper` finds wrong with the arguments.
    """

    protocol: Protocol
    session: Session
    me: PartyId
    rng: Rng
    policy: ClientPolicy
    lifetime: int | None
    kills: set[int]
    identity: Identity | None = None
    host: EnclaveHost | None = None
    ledger: Ledger | None = None
    witness: Witness | None = None

    def __post_init__(self) -> None:
        self.report = PartyReport()
        self.gone = self.lifetime == 0
        self.started = False
        self.waits_since = 0
        self._noted_phase = ""
        self._durable = bool(self.kills)
        self._records: list[Record] = []
        self._party: Party | None = None
        self._keeper: Keeper | None = None
        if self.ledger is None and needs_ledger(self.protocol, self.session, self.me):
            self.ledger = ledger_in_memory(self.session, self.me, self.policy, self.rng)
        if self.ledger is not None:
            self._keep(self.ledger)
            return
        self._party = (
            self.protocol.party(self.session, self.me, self.rng, self.policy, self.identity)
            if self.host is None
            else self.host.party(self.protocol, self.session, self.me, self.rng)
        )
        # Opening the session in a process of its own is this party's work as well.
        self.report.cpu_seconds = self._party.cpu_elsewhere

    @property
    def party(self) -> Party:
        """Its state machine. A client that its ledger kept out has none, and is gone."""
        assert self._party is not None, f"{self.me} was refused by its ledger"  # noqa: S101
        return self._party

    @property
    def phase(self) -> str:
        """Where it is, or where it ended."""
        # What a party came to is nothing if its ledger did not take it.
        refused = self._party is None or self.report.refusal is not None
        return FAILED if refused else self.party.phase

    @property
    def waiting(self) -> bool:
        """Whether a deadline means anything to it."""
        return self.started and not self.gone and not self.party.ended

    @property
    def last_input_phase(self) -> str:
        """The last phase in which the party takes its input: there it goes no further without."""
        if self._party is None:
            return ""
        handled = type(self._party).handled()
        return [phase for phase, events in handled.items() if Input.__name__ in events][-1]

    def note_phase(self, step: int) -> None:
        """Note the step at which the party came into its phase."""
        if self.party.phase != self._noted_phase:
            self._noted_phase, self.waits_since = self.party.phase, step

    @contextmanager
    def on_the_clock(self) -> Iterator[None]:
        """Count this thread's CPU time for the party, and what it spent in its own process.

        Where kernels may use several threads it is this process's time: theirs belongs to it.
        """
        clock = time.thread_time if kernels.threads_in_use() == 1 else time.process_time
        before, elsewhere = clock(), self._cpu_elsewhere
        try:
            yield
        finally:
            spent = self._cpu_elsewhere - elsewhere
            self.report.cpu_seconds += clock() - before + spent

    def start(self) -> list[Effect]:
        """Let it begin; nothing comes of it if its ledger refuses."""
        start = self.party.start if self._keeper is None else self._keeper.begin
        return self._witnessed(None, self.me, self._asked(start))

    def handle(self, event: Event, sender: PartyId) -> list[Effect]:
        """Let an event happen; nothing comes of it if its ledger refuses."""
        handle = self.party.handle if self._keeper is None else self._keeper.handle
        return self._witnessed(event, sender, self._asked(lambda: handle(event, sender)))

    def resume(self) -> list[Effect]:
        """The effects of the last event that a restored party remembers, again."""
        return [] if self.gone else self.party.resume()

    def carry_out(self, effects: list[Effect], act: EffectAction) -> None:
        """Carry effects out in order: remembering here, everything else through `act`.

        The list is used up, so that no message is kept beside its frame.

        Raises:
            Killed: the party dies before one of them.
        """
        effects.reverse()
        while effects:
            effect = effects.pop()
            self.count_effect()
            if isinstance(effect, Remember):
                self._remember(effect.record)
            elif isinstance(effect, Fail):
                self.report.failure = effect.reason
                act(effect)
            else:
                act(effect)
            if self.gone:
                return

    def count_effect(self) -> None:
        """Count an effect that is about to be carried out.

        Raises:
            Killed: the party dies before it.
        """
        if self.report.effects in self.kills:
            self.kills.discard(self.report.effects)
            raise Killed
        self.report.effects += 1

    def restore(self) -> None:
        """Start over from ledger or records; a role that cannot be restored is gone."""
        if self.ledger is not None:
            self._party = self._keeper = None
            self._keep(self.ledger, reopen=True)
            return
        if not self.party.restorable:
            self.gone = True
            self.report.failure = f"{self.me} keeps its state in memory only and is lost"
            return
        self._party = self.protocol.restore(
            self.session, self.me, self.rng, self.policy, list(self._records), self.identity
        )

    @property
    def _cpu_elsewhere(self) -> float:
        return 0.0 if self._party is None else self._party.cpu_elsewhere

    def _keep(self, ledger: Ledger, *, reopen: bool = False) -> None:
        """Open the session in the ledger, or take it up again there."""
        try:
            with self.on_the_clock():
                if reopen:
                    ledger.reopen()
                self._keeper = _MortalKeeper(self, ledger)
                self._party = self._keeper.party
        except LedgerError as refusal:
            self._refuse(refusal)
        except PolicyError as refusal:
            # The one field that is not about this session but about those before it.
            if refusal.field != "sessions_per_round":
                raise
            self._refuse(refusal)

    def _asked(self, act: Callable[[], list[Effect]]) -> list[Effect]:
        try:
            with self.on_the_clock():
                return act()
        except LedgerError as refusal:
            self._refuse(refusal)
            return []

    def _witnessed(
        self, event: Event | None, sender: PartyId, effects: list[Effect]
    ) -> list[Effect]:
        if self.witness is not None:
            self.witness.happened(event, sender, effects)
        return effects

    def _refuse(self, refusal: LedgerError | PolicyError) -> None:
        # Without a traceback, which would keep frames, and the secrets in them.
        refusal.__traceback__ = refusal.__context__ = refusal.__cause__ = None
        self.gone = True
        self.report.refusal, self.report.failure = refusal, str(refusal)

    def _remember(self, record: Record) -> None:
        if not self._durable:
            return
        if record.final:
            self._records.clear()
        self._records.append(Record(record.head, memoryview(bytes(record.tail)), record.final))


class _MortalKeeper(Keeper):
    """A keeper whose process may die before a record is durable, as before any other effect."""

    def __init__(self, seat: Seat, ledger: Ledger) -> None:
        self._seat = seat
        super().__init__(
            ledger, seat.protocol, seat.session, seat.me, seat.rng, seat.policy, seat.identity
        )

    def remember(self, record: Record) -> None:
        self._seat.count_effect()
        super().remember(record)


def needs_ledger(protocol: Protocol, session: Session, me: PartyId) -> bool:
    """Whether this party is made only for a session that is open in its ledger."""
    promised = protocol.guarantees(session.plan.task.level)
    return me.role is Role.CLIENT and promised.adversary.at_least(Adversary.LYING_SERVER)


def ledger_in_memory(session: Session, me: PartyId, policy: ClientPolicy, rng: Rng) -> Ledger:
    """An empty ledger of a simulated client: it ends with the run, and knows of no run before."""
    storage, owner = MemoryStorage(f"ledger of {me} in memory"), Owner.of(session, me)
    device, draws = Secret(rng.bytes(SEED_BYTES)), StreamRng(rng.bytes(SEED_BYTES))
    Ledger.create(storage, owner, device, draws)
    return Ledger.open(storage, owner, device, draws, sessions_per_round=policy.sessions_per_round)


EffectAction: TypeAlias = Callable[[Effect], None]
