"""One party with what its driver keeps for it: its records, parked messages, and accounts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from secagg import kernels
from secagg.protocol import (
    ClientPolicy,
    Effect,
    Fail,
    Identity,
    Input,
    Party,
    Protocol,
    Record,
    Remember,
    Session,
)
from secagg.runner.isolation import EnclaveHost
from secagg.runner.outcome import PartyReport
from secagg.types import PartyId, Rng


class Killed(Exception):
    """The simulated process died; its memory is gone, its records are not."""


@dataclass
class Seat:
    """One party of a simulated run.

    Attributes:
        lifetime: messages that it sends before it vanishes; None if it stays.
        kills: ordinals of the effects before which it is killed.
        identity: what it brings along, where the protocol asks for it.
        host: of the process that it lives in, if that is not this one.
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

    def __post_init__(self) -> None:
        self.report = PartyReport()
        self.gone = self.lifetime == 0
        self.started = False
        self.waits_since = 0
        self._noted_phase = ""
        self._durable = bool(self.kills)
        self._records: list[Record] = []
        self.party: Party = (
            self.protocol.party(self.session, self.me, self.rng, self.policy, self.identity)
            if self.host is None
            else self.host.party(self.protocol, self.session, self.me, self.rng)
        )
        # Opening the session in a process of its own is this party's work as well.
        self.report.cpu_seconds = self.party.cpu_elsewhere

    @property
    def waiting(self) -> bool:
        """Whether a deadline means anything to it."""
        return self.started and not self.gone and not self.party.ended

    @property
    def last_input_phase(self) -> str:
        """The last phase in which the party takes its input: there it goes no further without."""
        handled = type(self.party).handled()
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
        before, elsewhere = clock(), self.party.cpu_elsewhere
        try:
            yield
        finally:
            spent = self.party.cpu_elsewhere - elsewhere
            self.report.cpu_seconds += clock() - before + spent

    def carry_out(self, effects: list[Effect], act: EffectAction) -> None:
        """Carry effects out in order: remembering here, everything else through `act`.

        The list is used up, so that no message is kept beside its frame.

        Raises:
            Killed: the party dies before one of them.
        """
        effects.reverse()
        while effects:
            effect = effects.pop()
            if self.report.effects in self.kills:
                self.kills.discard(self.report.effects)
                raise Killed
            self.report.effects += 1
            if isinstance(effect, Remember):
                self._remember(effect.record)
            elif isinstance(effect, Fail):
                self.report.failure = effect.reason
                act(effect)
            else:
                act(effect)
            if self.gone:
                return

    def restore(self) -> None:
        """Start over from the records; a role that cannot be restored is gone."""
        if not self.party.restorable:
            self.gone = True
            self.report.failure = f"{self.me} keeps its state in memory only and is lost"
            return
        self.party = self.protocol.restore(
            self.session, self.me, self.rng, self.policy, list(self._records), self.identity
        )

    def _remember(self, record: Record) -> None:
        if not self._durable:
            return
        if record.final:
            self._records.clear()
        self._records.append(Record(record.head, memoryview(bytes(record.tail)), record.final))


EffectAction: TypeAlias = Callable[[Effect], None]
