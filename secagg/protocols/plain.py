"""No protection: every client sends its vector as it is. The baseline of every comparison.

| round | from | to | what |
|---|---|---|---|
| upload | client | server | the packed vector |
"""

from __future__ import annotations

from typing import Final

import numpy as np

from secagg import kernels
from secagg.errors import RemoteProtocolError
from secagg.protocol import (
    Adversary,
    Collusion,
    Deadline,
    Done,
    Dropouts,
    Effects,
    Evidence,
    Exactness,
    Fail,
    Guarantees,
    Input,
    Level,
    Offering,
    Party,
    Plan,
    Protocol,
    Send,
    Session,
    Task,
    Traffic,
    Validity,
    on,
)
from secagg.types import SERVER, PartyId, Ring, Rng, Role
from secagg.wire import Message, MessageTable, Tail, frame_size


class Upload(Message, frozen=True):
    """The packed vector."""

    KIND = 1
    SENDER = Role.CLIENT
    tail: Tail


TABLE: Final = MessageTable((Upload,))


class Client(Party):
    """Sends its vector once."""

    phases = ("upload",)
    table = TABLE

    @on(Input, "upload")
    def upload(self, event: Input, sender: PartyId) -> Effects:
        """Pack and send."""
        packed = kernels.pack(event.vector, self.plan.ring)
        yield Send(SERVER, Upload(memoryview(packed)))
        yield Done()


class Server(Party):
    """Adds what comes, until everybody has spoken or time is up."""

    phases = ("upload",)
    table = TABLE
    tolerant = True

    def __init__(self, session: Session, me: PartyId, rng: Rng) -> None:
        super().__init__(session, me, rng)
        self._total = np.zeros(self.plan.task.length, dtype=self.plan.ring.dtype)
        self._included: list[PartyId] = []

    @on(Upload, "upload")
    def add(self, message: Upload, sender: PartyId) -> Effects:
        """Add one vector and forget it."""
        ring = self.plan.ring
        expected = ring.packed_size(self.plan.task.length)
        if message.tail.nbytes != expected:
            raise RemoteProtocolError(
                sender, f"expected a vector of {expected} bytes, got {message.tail.nbytes}"
            )
        kernels.unpack_add(self._total, message.tail, ring)
        self._included.append(sender)
        return self._release() if len(self._included) == len(self.plan.task.clients) else ()

    @on(Deadline, "upload")
    def close(self, event: Deadline, sender: PartyId) -> Effects:
        """Make do with whoever came."""
        return self._release()

    def _release(self) -> Effects:
        if len(self._included) < self.plan.minimum:
            yield Fail(
                f"{len(self._included)} of {len(self.plan.task.clients)} clients delivered,"
                f" {self.plan.minimum} are needed"
            )
            return
        kernels.ring_reduce(self._total, self.plan.ring)
        yield Done(self._total, tuple(sorted(self._included)))


class Plain(Protocol):
    """Sums in the clear."""

    name = "plain"
    title = "no protection (baseline)"
    version = 1
    levels = {
        level: Offering(
            guarantees=Guarantees(
                adversary=Adversary.TRUSTED_SERVER,
                collusion=Collusion.NOBODY,
                dropouts=Dropouts.ANY,
                exactness=Exactness.EXACT,
                validity=Validity.UNCHECKED,
                evidence=Evidence.NONE,
                source="the baseline",
            ),
            roles={Role.CLIENT: Client, Role.SERVER: Server},
            traffic_formula="up: 61 + ceil(d b / 8); down: 0",
        )
        for level in Level
    }

    def plan(self, task: Task) -> Plan:
        """The ring that holds the sum; nobody is withstood."""
        return Plan(
            protocol=self.name,
            version=self.version,
            task=task,
            ring=Ring.for_sum(len(task.clients), task.bound),
            minimum=task.min_clients,
            corrupt=0,
            dropouts=len(task.clients) - task.min_clients,
        )

    def traffic(self, plan: Plan) -> Traffic:
        """One vector up, nothing down."""
        return Traffic(up=frame_size((), plan.ring.packed_size(plan.task.length)), down=0)


PROTOCOL: Final = Plain()
