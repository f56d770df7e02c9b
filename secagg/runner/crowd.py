"""A round with clients in worker processes: one driver in each process, and frames in between.

Whoever is no client lives in this process. It never holds more than a batch of what workers send: a
worker that has handed over a batch is asked for the next one, and makes it meanwhile, but hands it
over only when this one has been dealt with. So vectors are added as they come and never queue.
Deadlines pass when nothing is left to do in any process.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, Unpack

from secagg import kernels
from secagg.errors import LocalProtocolError, SecaggError
from secagg.runner import resident
from secagg.runner.crew import Worker
from secagg.runner.outcome import Outcome, PartyReport
from secagg.runner.parcels import Account, Accounts, Batch, Begin, Close, Outbox, Work
from secagg.runner.recipe import Recipe, Staging
from secagg.runner.simulation import Driver
from secagg.transcript import Told
from secagg.types import PartyId, Role
from secagg.wire import Frame

Notify: TypeAlias = Callable[[str, int], None]
"""Called with the name of a message and how many of them have come to whoever is no client."""


@dataclass
class Played:
    """What a round came to.

    Attributes:
        outcome: with the reports of all parties.
        staging: the session, and where the inputs come from.
        given: SHA-256 of what each client was given.
        wall_seconds: from the first step to the last; what is checked afterwards is not in it.
        peak_bytes: of this process's resident memory, before anything was checked.
        worker_peak_bytes: the same of each worker.
    """

    outcome: Outcome
    staging: Staging
    given: dict[PartyId, bytes] = field(default_factory=dict)
    wall_seconds: float = 0.0
    peak_bytes: int = 0
    worker_peak_bytes: list[int] = field(default_factory=list)


def play(recipe: Recipe, crew: Sequence[Worker], threads: int, notify: Notify) -> Played:
    """Run a round from start to end.

    Args:
        recipe: of the round.
        crew: where the clients live; without workers they live here.
        threads: of kernels, in every process.
        notify: told of progress.

    Raises:
        ParameterError: the protocol refuses the task.
        UnavailableError: the protocol needs a package that is not installed.
        WorkerLost: a worker died, hung or spoke nonsense.
    """
    resident.reset_peak()
    began = time.monotonic()
    with kernels.using_threads(threads):
        crowd = _Crowd(recipe, crew, threads, notify)
        crowd.run()
        # Reports and checks are the simulation's, not the server's: its memory is read before.
        peak, seconds = resident.peak_bytes(), time.monotonic() - began
        played = crowd.close()
    played.wall_seconds, played.peak_bytes = seconds, peak
    return played


class _Tally:
    """Counts what comes to those that are no clients."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._counts: dict[str, int] = {}

    def add(self, frame: Frame, **told: Unpack[Told]) -> None:
        if told["recipient"].role is not Role.CLIENT and told["fate"] == "delivered":
            message = told["message"]
            self._counts[message] = count = self._counts.get(message, 0) + 1
            self._notify(message, count)


class _Member:
    """A worker, with what waits for its clients."""

    def __init__(self, worker: Worker, clients: Sequence[PartyId]) -> None:
        self.worker = worker
        self.clients = frozenset(clients)
        self.outbox = Outbox()
        self.busy = False
        self.waiting = False

    def ask(self) -> None:
        """Ask for the next batch if there is anything to do."""
        if not self.worker.asked and (self.busy or self.outbox):
            self.work(expire=False)

    def work(self, expire: bool) -> None:
        parcels, tails = self.outbox.batch()
        self.worker.ask(Work(parcels, expire), tails)

    def hear(self) -> tuple[Batch, list[Frame]]:
        reply, frames = self.worker.hear()
        if not isinstance(reply, Batch):
            raise self.worker.lost(f"expected a batch, got {type(reply).__name__}")
        self.busy, self.waiting = reply.busy, reply.waiting
        return reply, frames

    def close(self) -> Accounts:
        self.worker.ask(Close())
        reply, _ = self.worker.hear()
        if not isinstance(reply, Accounts):
            raise self.worker.lost(f"expected accounts, got {type(reply).__name__}")
        if {account.party for account in reply.accounts} != self.clients:
            raise self.worker.lost("expected accounts of all clients there, got others")
        return reply


class _Crowd:
    """One round: the driver of this process, and the workers."""

    def __init__(
        self, recipe: Recipe, crew: Sequence[Worker], threads: int, notify: Notify
    ) -> None:
        staging = Staging(recipe)
        clients, level = staging.plan.task.clients, kernels.level()
        count = min(len(crew), len(clients))  # a worker without clients has nothing to do
        self._members = [
            _Member(worker, clients[first::count]) for first, worker in enumerate(crew[:count])
        ]
        for first, member in enumerate(self._members):
            member.worker.take_tails_of(staging.largest_message)
            begin = Begin(recipe, staging.session.id, first, count, level, threads)
            member.worker.ask(begin)
        self._home = {party: member for member in self._members for party in member.clients}
        here = [party for party in staging.plan.parties if party not in self._home]
        self._staging = staging
        self._inputs = staging.inputs([] if self._members else clients)
        self._driver = Driver(
            staging.seats(here),
            self._inputs,
            observer=_Tally(notify),
            elsewhere=self._forward,
            beacon=staging.beacon,
            late=True,
        )

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for member in self._members:
                selector.register(member.worker, selectors.EVENT_READ, member)
            while self._advance(selector):
                pass

    def close(self) -> Played:
        outcome, given = self._driver.outcome(), dict(self._inputs.given)
        peaks = []
        for member in self._members:
            closing = member.close()
            for account in closing.accounts:
                outcome.parties[account.party] = _report(account)
                given[account.party] = account.given
            outcome.accused += [(party, SecaggError(why)) for party, why in closing.accused]
            peaks.append(closing.peak_bytes)
        return Played(outcome, self._staging, given, worker_peak_bytes=peaks)

    def _advance(self, selector: selectors.BaseSelector) -> bool:
        """One step; False if nothing can happen any more."""
        for member in self._members:
            member.ask()
        if self._driver.step():
            return True
        asked = [member for member in self._members if member.worker.asked]
        if asked:
            ready = selector.select(asked[0].worker.timeout)
            if not ready:
                raise asked[0].worker.lost("it says nothing")
            for key, _ in ready:
                self._take(key.data)
            return True
        if waiting := self._driver.waiting:
            # Clients wait for the others only: for them no deadline comes before another.
            alike = waiting[0].me.role is Role.CLIENT
            self._driver.expire(waiting if alike else waiting[:1])
            return True
        patient = [member for member in self._members if member.waiting]
        for member in patient:
            member.work(expire=True)
        return bool(patient)

    def _take(self, member: _Member) -> None:
        """A worker's batch, dealt with before another is taken."""
        batch, frames = member.hear()
        member.ask()
        for parcel, frame in zip(batch.parcels, frames, strict=True):
            if parcel.sender not in member.clients:
                raise member.worker.lost(f"{parcel.sender} does not live there")
            try:
                self._forward(parcel.sender, parcel.recipient, frame)
            except LocalProtocolError as error:
                raise member.worker.lost(str(error)) from None
        while self._driver.step():
            pass

    def _forward(self, sender: PartyId, recipient: PartyId, frame: Frame) -> None:
        home = self._home.get(recipient)
        if home is None:
            self._driver.deliver(sender, recipient, frame)
        else:
            home.outbox.add(sender, recipient, frame)


def _report(account: Account) -> PartyReport:
    return PartyReport(
        phase=account.phase,
        cpu_seconds=account.cpu_seconds,
        sent=account.sent,
        received=account.received,
        messages=account.messages,
        effects=account.effects,
        late=account.late,
        refused=[SecaggError(why) for why in account.refused],
        failure=account.failure,
    )
