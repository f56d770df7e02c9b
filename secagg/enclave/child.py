"""The enclave's process: requests in, effects out, and no way to write a key down.

It refuses to run when it has loaded anything that was not measured. After that its confinement
lets it open nothing any more, so what is loaded is what was measured, but for the standard library
and the interpreter.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from secagg import kernels
from secagg.attestation import SimulatedPlatform
from secagg.attestation.measurement import (
    DISTRIBUTIONS,
    distribution_files,
    measure,
    reachable_modules,
)
from secagg.crypto.rng import SEED_BYTES, SystemRng
from secagg.enclave import channel
from secagg.enclave.confinement import confine
from secagg.enclave.rehearsal import rehearse
from secagg.errors import (
    DecodeError,
    LocalProtocolError,
    ParameterError,
    RemoteProtocolError,
)
from secagg.protocol import (
    Accuse,
    ClientPolicy,
    Deadline,
    Done,
    Effect,
    Event,
    Fail,
    Identity,
    Party,
    Roster,
    Send,
    Session,
)
from secagg.protocols.enclave import PROTOCOL, EnclavePlan
from secagg.types import ENCLAVE, PartyId, Secret
from secagg.wire import Frame

CHANNEL: Final = 0
EXIT_UNMEASURED: Final = 70
EXIT_CHANNEL: Final = 71


def serve(package: str, native: str, places: Sequence[str]) -> NoReturn:
    """Measure, give up everything that is not needed, and answer until the host hangs up."""
    compiled = Path(native) if native else None
    measurement = measure(Path(package), compiled, places).value
    rng = SystemRng()
    platform = SimulatedPlatform(Secret(rng.bytes(SEED_BYTES)), measurement, now())
    rehearse()
    if strangers := unmeasured(Path(package), compiled, places):
        _answer(channel.Reply("", (), "", 0.0, f"loaded but not measured: {strangers}"))
        os._exit(EXIT_UNMEASURED)
    safeguards = confine()
    _answer(channel.Ready(platform.root, measurement, safeguards, time.process_time()))
    sessions = Sessions(platform)
    with kernels.using_threads(1):  # confined, it cannot start others
        while True:
            try:
                request = channel.read_request(lambda count: os.read(CHANNEL, count))
            except (DecodeError, EOFError, OSError):
                os._exit(EXIT_CHANNEL)
            _answer(sessions.reply(request))


def now() -> int:
    """Seconds since 1970 by the host's clock, which may lie: docs/enclave.md."""
    return int(time.time())


def unmeasured(package: Path, native: Path | None, places: Sequence[str]) -> list[str]:
    """Loaded modules that are neither measured nor of the standard library."""
    measured = {package / path for path in reachable_modules(package)}
    measured |= {native} if native is not None else set()
    for name in DISTRIBUTIONS:
        measured |= set(distribution_files(name, places))
    known = {os.path.realpath(path) for path in measured}
    library = os.path.realpath(sysconfig.get_path("stdlib"))
    found = []
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path is None:
            continue
        real = os.path.realpath(path)
        standard = real.startswith(library + os.sep) and "site-packages" not in real
        if not standard and real not in known:
            found.append(name)
    return found


def _answer(value: channel.Ready | channel.Reply) -> None:
    data = memoryview(channel.encode(value))
    try:
        while data:
            data = data[os.write(CHANNEL, data) :]
    except OSError:
        os._exit(EXIT_CHANNEL)


class Sessions:
    """The sessions of this process, one after the other, each with keys of its own.

    Of one that is over nothing is kept but its id, which is never opened again: no process releases
    two sums of one session. One that is still open when the next is opened ends without a sum.
    """

    def __init__(self, platform: SimulatedPlatform) -> None:
        self._platform = platform
        self._opened: set[bytes] = set()
        self._party: Party | None = None
        self._offered: tuple[Event, PartyId] | None = None

    def reply(self, request: channel.Request) -> channel.Reply:
        """Do what is asked, and say what came of it."""
        try:
            fate, effects = self._act(request)
        except (LocalProtocolError, ParameterError, DecodeError, RemoteProtocolError) as error:
            return self._told("", (), str(error))
        reply = self._told(fate, effects, "")
        if self._party is not None and self._party.ended:
            self._end()
        return reply

    def _told(self, fate: str, effects: Sequence[Effect], misuse: str) -> channel.Reply:
        party = self._party
        carried = () if party is None else tuple(_carried(party, effect) for effect in effects)
        phase = "" if party is None else party.phase
        return channel.Reply(fate, carried, phase, time.process_time(), misuse)

    def _act(self, request: channel.Request) -> tuple[str, Sequence[Effect]]:
        if isinstance(request, channel.Open):
            self._open(_session(request))
            return "now", ()
        party = self._party
        if party is None or party.session.id != request.session:
            raise LocalProtocolError(f"session {request.session.hex()[:16]} is not open here")
        if isinstance(request, channel.Start):
            return "now", party.start()
        if isinstance(request, channel.Offer):
            event = _event(party, request)
            self._offered = (event, request.sender)
            return party.when(event, request.sender), ()
        if self._offered is None:
            raise LocalProtocolError("nothing was offered")
        event, sender = self._offered
        self._offered = None
        return "now", party.handle(event, sender)

    def _open(self, session: Session) -> None:
        if session.id in self._opened:
            raise LocalProtocolError(
                f"session {session.id.hex()[:16]} was opened before, and none is opened twice"
            )
        self._opened.add(session.id)
        self._end()
        self._platform.now = now()
        identity = Identity(platform=self._platform)
        policy = ClientPolicy.accepting(session.plan)
        self._party = PROTOCOL.party(session, ENCLAVE, SystemRng(), policy, identity)

    def _end(self) -> None:
        if self._party is not None:
            self._party.abandon()
        self._party = self._offered = None


def _session(request: channel.Open) -> Session:
    try:
        plan = msgspec.msgpack.decode(request.plan, type=EnclavePlan)
    except (msgspec.MsgspecError, ValueError) as error:
        raise DecodeError(f"not a plan: {error}") from None
    roster = Roster(request.epoch, request.clients, request.keys, request.authority)
    return Session(
        plan=plan,
        roster=roster,
        job=request.job,
        training_round=request.training_round,
        model_digest=request.model_digest,
        nonce=request.nonce,
    )


def _event(party: Party, offer: channel.Offer) -> Event:
    if not offer.frame:
        return Deadline(offer.phase)
    return party.open(Frame.split(offer.frame), offer.sender)


def _carried(
    party: Party, effect: Effect
) -> channel.Sent | channel.Accused | channel.Released | channel.Failed:
    match effect:
        case Send(to=to):
            return channel.Sent(to, party.seal(effect).join())
        case Accuse(culprit=culprit, error=RemoteProtocolError() as error):
            return channel.Accused(culprit, type(error).__name__, error.reason)
        case Accuse(culprit=culprit, error=error):
            return channel.Accused(culprit, "RemoteProtocolError", str(error))
        case Done(total=total, included=included) if total is not None:
            return channel.Released(total.tobytes(), included)
        case Fail(reason=reason):
            return channel.Failed(reason)
    raise LocalProtocolError(f"an enclave asks for no {type(effect).__name__}")
