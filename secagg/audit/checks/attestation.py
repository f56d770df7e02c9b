"""Whether a client seals its vector to anything but the code that it trusts.

The evidence is SIMULATED, so this shows how evidence is checked, never that hardware is there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from secagg.attestation import Policy, SimulatedPlatform, measure_installed
from secagg.attestation.policy import SIMULATED
from secagg.audit.checks import inputs
from secagg.audit.library import ProtocolSubject, to_ring
from secagg.audit.registry import Check, Settings, private
from secagg.audit.subject import Subject
from secagg.audit.verdicts import Judgement, Severity, beside, failed, passed
from secagg.crypto.rng import SEED_BYTES, StreamRng
from secagg.errors import EvidenceRefused
from secagg.protocol import Identities, Session
from secagg.protocols._enclave.messages import Attestation
from secagg.runner import Faults, Outcome, run
from secagg.types import ENCLAVE, PartyId, Role, Secret, client
from secagg.wire import Envelope, Frame

LENGTH: Final = 8
LATER: Final = 10_000
NONE: Final = "no role of this protocol shows evidence"


class World(NamedTuple):
    """What an enclave runs on, and what the clients believe.

    Attributes:
        platform: of the enclave.
        trusted: whose root the clients accept.
        now: by the clients' clocks.
        swapped: whether whoever carries the quote puts another key beside it.
    """

    platform: SimulatedPlatform
    trusted: SimulatedPlatform
    now: int = 0
    swapped: bool = False


def _hold(subject: ProtocolSubject, settings: Settings, world: World) -> Outcome:
    rng = settings.rng("attestation")
    plan = subject.plan(settings.clients, LENGTH, inputs.bound(settings))
    drawn = Identities.drawn(plan, rng, measure_installed().value)
    trust = Policy(
        roots=frozenset({world.trusted.root}),
        measurements=frozenset({measure_installed().value}),
    )
    of = {
        who: replace(one, platform=world.platform)
        if who == ENCLAVE
        else replace(one, trust=trust, now=world.now)
        for who, one in drawn.of.items()
    }
    session = replace(Session.fresh(plan, rng), roster=drawn.roster)
    table = subject.offering.table

    def carry(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        envelope = table.decode(frame)
        if not (world.swapped and isinstance(envelope.message, Attestation)):
            return frame
        other = msgspec.structs.replace(envelope.message, sealing_key=bytes(31) + b"\x09")
        return table.encode(Envelope(envelope.session, sender, recipient, other))

    values = inputs.constant(settings, LENGTH, 1)
    given = {client(number): to_ring(row, plan.ring) for number, row in enumerate(values)}
    return run(
        subject.protocol,
        session,
        given,
        rng,
        Faults(tamper=carry),
        identities=Identities(drawn.roster, of, drawn.beacon),
    )


def _platform(rng: StreamRng, measurement: bytes) -> SimulatedPlatform:
    return SimulatedPlatform(Secret(rng.bytes(SEED_BYTES)), measurement, 0)


def _evidence(subject: Subject, settings: Settings) -> Judgement:
    assert isinstance(subject, ProtocolSubject)  # noqa: S101
    if Role.ENCLAVE not in subject.offering.roles:
        return beside(NONE)
    rng, right = settings.rng("platforms"), measure_installed().value
    honest, other = _platform(rng, right), _platform(rng, right)
    changed = _platform(rng, bytes(32))
    control = _hold(subject, settings, World(honest, honest))
    if control.total is None:
        return failed(f"good evidence was refused too: {control.failure}")
    worlds: dict[str, World] = {
        "of another root": World(other, honest),
        "of other code": World(changed, changed),
        "too old": World(honest, honest, now=LATER),
        "beside another key": World(honest, honest, swapped=True),
    }
    for name, world in worlds.items():
        outcome = _hold(subject, settings, world)
        sent = sum(r.sent for who, r in outcome.parties.items() if who.role is Role.CLIENT)
        if outcome.total is not None or sent:
            return failed(f"a quote {name}: clients sent {sent} bytes")
        refused = [error for _, error in outcome.accused if isinstance(error, EvidenceRefused)]
        if len(refused) != settings.clients:
            return failed(f"a quote {name}: refused by {len(refused)} of {settings.clients}")
    return passed(f"quotes {', '.join(worlds)}: every client refused and sent nothing. {SIMULATED}")


CHECKS: Final = (
    Check(
        id="attestation.evidence",
        claim="clients seal to no code, key or machine but the one that they trust (SIMULATED)",
        method="quotes of another root, of other code, too old, and beside another key",
        judge=_evidence,
        severity=Severity.CRITICAL,
        promised=private,
        kinds=frozenset(("protocol",)),
        elsewhere=NONE,
    ),
)
