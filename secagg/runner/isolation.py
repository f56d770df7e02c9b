"""The enclave's own process, seen from the host: it starts it, carries sealed frames, buries it.

The host never holds an update, a seed or a key of the round. What it can do is lose the round: by
killing the process, by dropping frames, by starting another process. It cannot get a sum over
fewer clients than planned, or two sums of a session from one process. A process serves sessions one
after the other; one that has ended serves none, and another must be launched.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from secagg import errors
from secagg.attestation.measurement import DISTRIBUTIONS, ENTRY, LAUNCH_FLAGS
from secagg.enclave import channel
from secagg.errors import (
    DecodeError,
    EnclaveLost,
    LocalProtocolError,
    RemoteProtocolError,
    UnavailableError,
)
from secagg.processes import Child, launching
from secagg.protocol import (
    FAILED,
    Accuse,
    Deadline,
    Done,
    Effect,
    Event,
    Fail,
    Fate,
    Party,
    Protocol,
    Send,
    Session,
)
from secagg.types import PartyId, Rng
from secagg.wire import Envelope, Frame, Message, MessageTable

TIMEOUT_SECONDS: Final = 120.0


class EnclaveHost(Child):
    """One enclave process, for any number of sessions. Use it in a `with` block, which ends it.

    Attributes:
        ready: what the process said of itself: root, measurement and safeguards. SIMULATED.
        cpu_seconds: that the process has used since its start, as of its last word.
    """

    def __init__(self, command: list[str], timeout: float) -> None:
        super().__init__(command, timeout, env={}, cwd="/", stderr=subprocess.DEVNULL)
        self._end = ""
        try:
            ready = self._receive()
        except EnclaveLost as error:
            raise UnavailableError(f"the enclave's process did not start: {error}") from None
        if not isinstance(ready, channel.Ready):
            self.close()
            raise UnavailableError(f"the enclave's process refuses to run: {ready.misuse}")
        self.ready = ready
        self.cpu_seconds = ready.cpu_seconds

    @classmethod
    def launch(cls, package: Path | None = None, timeout: float = TIMEOUT_SECONDS) -> EnclaveHost:
        """Start a process from the installed package, or from a copy of it.

        Raises:
            UnavailableError: it did not come up, for instance because it loaded unmeasured code.
        """
        return cls(launching(ENTRY, LAUNCH_FLAGS, DISTRIBUTIONS, package), timeout)

    @property
    def status(self) -> tuple[str, ...]:
        """What protects the process and what does not, for people."""
        return ("SIMULATED enclave", *map(str, self.ready.safeguards))

    @property
    def alive(self) -> bool:
        """Whether the process can serve another session."""
        return not self._end and self._process.poll() is None

    def ask(self, request: channel.Request) -> channel.Reply:
        """One request, one reply.

        Raises:
            EnclaveLost: there will be no more replies.
            LocalProtocolError: the process calls the request a mistake.
        """
        if self._end:
            raise EnclaveLost(self._end)
        try:
            self._socket.sendall(channel.encode(request))
        except OSError as error:
            raise self._lost(str(error)) from None
        reply = self._receive()
        if not isinstance(reply, channel.Reply):
            raise self._lost("it said twice that it is ready")
        self.cpu_seconds = reply.cpu_seconds
        if reply.misuse:
            raise LocalProtocolError(reply.misuse)
        return reply

    def party(self, protocol: Protocol, session: Session, me: PartyId, rng: Rng) -> Party:
        """The party in the process, to be driven like any other, until the next one is made.

        Raises:
            LocalProtocolError: the process has opened this session before, or refuses the plan.
        """
        role = protocol.at(session.plan.task.level).roles[me.role]
        attributes = {"phases": role.phases, "table": role.table, "tolerant": role.tolerant}
        proxy: type[IsolatedParty] = type(f"Isolated{role.__name__}", (IsolatedParty,), attributes)
        return proxy(session, me, rng, self)

    def close(self) -> None:
        """End the process."""
        self._end = self._end or "it was closed"
        super().close()

    def _receive(self) -> channel.Ready | channel.Reply:
        try:
            return channel.read_reply(self._socket.recv)
        except (OSError, EOFError, DecodeError) as error:
            raise self._lost(str(error)) from None

    def _lost(self, why: str) -> EnclaveLost:
        self.close()
        self._end = f"{why} (exit status {self._process.returncode})"
        return EnclaveLost(self._end)


class IsolatedParty(Party):
    """The stand-in for a party in another process: frames in, effects out."""

    phases = ("isolated",)
    table = MessageTable(())
    restorable = False

    def __init__(self, session: Session, me: PartyId, rng: Rng, host: EnclaveHost) -> None:
        super().__init__(session, me, rng)
        self._host = host
        self._offered: Event | None = None
        self._cpu_seconds = 0.0
        roster = session.roster
        request = channel.Open(
            plan=msgspec.msgpack.encode(session.plan),
            epoch=roster.epoch,
            clients=roster.clients,
            keys=roster.keys,
            authority=roster.authority,
            job=session.job,
            training_round=session.training_round,
            model_digest=session.model_digest,
            nonce=session.nonce,
        )
        self._effects(request)

    @property
    def cpu_elsewhere(self) -> float:
        """CPU seconds of the process for this party: all since its last word before this one."""
        return self._cpu_seconds

    def start(self) -> list[Effect]:
        """Start the party in the process."""
        return self._effects(channel.Start(self.session.id))

    def when(self, event: Event, sender: PartyId) -> Fate:
        """As the party in the process sees it; "now" if it is lost, so that `handle` says so."""
        if self.ended:
            return "late"
        try:
            reply = self._ask(self._offer(event, sender))
        except EnclaveLost:
            return "now"
        self._offered = event
        return "early" if reply.fate == "early" else "now" if reply.fate == "now" else "late"

    def handle(self, event: Event, sender: PartyId) -> list[Effect]:
        """Let it happen in the process. A process that is gone fails the round."""
        if self.ended:
            raise LocalProtocolError(f"{self.me} in phase {self.phase} takes nothing more")
        if self._offered is not event:
            fate = self.when(event, sender)
            if fate != "now":
                raise LocalProtocolError(f"{self.me}: {type(event).__name__} is {fate}")
        self._offered = None
        return self._effects(channel.Proceed(self.session.id))

    def _offer(self, event: Event, sender: PartyId) -> channel.Offer:
        if isinstance(event, Deadline):
            return channel.Offer(self.session.id, sender, b"", event.phase)
        if not isinstance(event, Message):
            raise LocalProtocolError(f"{self.me} takes no {type(event).__name__}")
        frame = self.table.encode(Envelope(self.session.id, sender, self.me, event))
        return channel.Offer(self.session.id, sender, frame.join(), "")

    def _ask(self, request: channel.Request) -> channel.Reply:
        before = self._host.cpu_seconds
        try:
            return self._host.ask(request)
        finally:
            self._cpu_seconds += self._host.cpu_seconds - before

    def _effects(self, request: channel.Request) -> list[Effect]:
        try:
            reply = self._ask(request)
            effects = [self._effect(carried) for carried in reply.effects]
        except (EnclaveLost, DecodeError) as error:
            self._host.close()
            self.phase = FAILED
            lost = EnclaveLost(
                f"{self.me} is lost: its process ended ({error}); its keys were in memory only, so"
                " this round is lost and its inputs stay sealed; the next needs another launch"
            )
            return [Fail(lost.reason, lost)]
        self.phase = reply.phase
        return effects

    def _effect(
        self, carried: channel.Sent | channel.Accused | channel.Released | channel.Failed
    ) -> Effect:
        match carried:
            case channel.Sent(to=to, frame=data):
                return Send(to, self._message(Frame.split(data)))
            case channel.Accused(culprit=culprit, error=name, reason=reason):
                return Accuse(culprit, _accusation(name, culprit, reason))
            case channel.Released(total=data, included=included):
                dtype, length = self.plan.ring.dtype, self.plan.task.length
                if len(data) != length * dtype.itemsize:
                    raise DecodeError(f"expected a total of {length} elements")
                return Done(np.frombuffer(data, dtype=dtype), included)
            case channel.Failed(reason=reason):
                return Fail(reason)

    def _message(self, frame: Frame) -> Message:
        envelope = self.table.decode(frame)
        if envelope.session != self.session.id or envelope.sender != self.me:
            raise DecodeError("expected a frame of this session and party")
        return envelope.message


def _accusation(name: str, culprit: PartyId, reason: str) -> RemoteProtocolError:
    found = getattr(errors, name, None)
    kind = found if isinstance(found, type) and issubclass(found, RemoteProtocolError) else None
    try:
        return (kind or RemoteProtocolError)(culprit, reason)
    except (TypeError, AttributeError):
        return RemoteProtocolError(culprit, reason)
