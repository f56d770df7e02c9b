"""Whether what its sender did not sign is ever taken, and clients can be told different tales."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from secagg.audit.adversary import Network, ServerView, ask
from secagg.audit.checks import inputs
from secagg.audit.library import ProtocolSubject, from_ring, to_ring
from secagg.audit.registry import Check, Settings, against_lies
from secagg.audit.subject import Subject
from secagg.audit.verdicts import Judgement, Severity, beside, failed, passed
from secagg.crypto import signing
from secagg.errors import CannotTell, SecaggError
from secagg.protocol import Session
from secagg.protocols._masking.authenticated.messages import (
    SignedAnswer,
    SurvivorList,
    SurvivorSignature,
)
from secagg.protocols._masking.authenticated.statements import SURVIVORS, survivor_digest
from secagg.protocols._masking.messages import UnmaskShares
from secagg.runner import Faults, Outcome, run
from secagg.types import PartyId, Role, client
from secagg.wire import Envelope, Frame, Message

LENGTH: Final = 32


def _flipped(value: bytes | memoryview) -> bytes | memoryview:
    """The same with its first bit changed."""
    changed = bytearray(value)
    changed[0] ^= 1
    return memoryview(bytes(changed)) if isinstance(value, memoryview) else bytes(changed)


def _session_with(
    subject: ProtocolSubject, settings: Settings, message: type[Message], part: str
) -> tuple[Outcome, str]:
    """A session with one field of client 0 changed on its way; what is wrong with its sum."""
    rng = settings.rng(f"signatures {message.__name__}.{part}")
    plan = subject.plan(settings.clients, LENGTH, inputs.bound(settings))
    session, identities = subject.identities(Session.fresh(plan, rng), rng)
    table = subject.offering.table

    def change(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        envelope = table.decode(frame)
        if sender != client(0) or not isinstance(envelope.message, message):
            return frame
        fields: dict[str, Any] = {part: _flipped(getattr(envelope.message, part))}
        other = msgspec.structs.replace(envelope.message, **fields)
        return table.encode(Envelope(envelope.session, sender, recipient, other))

    values = inputs.random(settings, LENGTH, "signatures")
    given = {client(number): to_ring(row, plan.ring) for number, row in enumerate(values)}
    outcome = run(
        subject.protocol, session, given, rng, Faults(tamper=change), identities=identities
    )
    if outcome.total is None:
        return outcome, ""
    members = [party.number for party in outcome.included]
    right = np.array_equal(from_ring(outcome.total, plan.ring), values[members].sum(axis=0))
    return outcome, "" if right else "a wrong sum was released"


def _messages(subject: Subject, settings: Settings) -> Judgement:
    assert isinstance(subject, ProtocolSubject)  # noqa: S101
    sent = [one for one in subject.offering.messages if one.SENDER is Role.CLIENT]
    signed = [one for one in sent if "signature" in one.__struct_fields__]
    tried = 0
    for message in sent:
        for part in ("signature", "tail"):
            if part not in message.__struct_fields__:
                continue
            outcome, wrong = _session_with(subject, settings, message, part)
            place = f"{message.__name__}.{part}"
            if wrong:
                return failed(f"{place} changed on its way: {wrong}")
            if not any(culprit == client(0) for culprit, _ in outcome.accused):
                return failed(f"{place} changed on its way, and nobody was named")
            tried += 1
    if len(signed) < len(sent):
        names = ", ".join(one.__name__ for one in sent if one not in signed)
        return failed(f"not signed: {names}")
    return passed(f"{tried} changed messages, each refused and its sender named")


def _survivors(subject: Subject, settings: Settings) -> Judgement:
    assert isinstance(subject, ProtocolSubject)  # noqa: S101
    everybody = tuple(range(settings.clients))
    control = subject.network(settings.clients, seed=settings.draw("survivors"))
    ask(control, dict.fromkeys(everybody, everybody), padded=False)
    if not _answers(control):
        raise CannotTell("nobody answered about one list either")
    network = subject.network(settings.clients, seed=settings.draw("survivors"))
    half = settings.clients // 2
    told = {
        number: everybody[:-1] if number < half else everybody[1:] for number in everybody[1:-1]
    }
    # Each is told of a sum that it is in, so nothing but the others can show it the other list.
    try:
        ask(network, told, padded=False)
    except SecaggError as error:
        return passed(f"two lists of survivors: {type(error).__name__}")
    answered = _answers(network)
    if len({number < half for number in answered}) > 1:
        return failed(f"clients answered about two lists of survivors, {len(answered)} in all")
    return passed(
        f"two lists of survivors: {len(answered)} clients answered, {len(_answers(control))} where"
        " there was one list"
    )


def _answers(network: Network) -> list[int]:
    """The clients that gave shares."""
    given = UnmaskShares | SignedAnswer
    return [seen.sender.number for seen in network.seen if isinstance(seen.message, given)]


def _digest(subject: Subject, settings: Settings) -> Judgement:
    assert isinstance(subject, ProtocolSubject)  # noqa: S101
    if SurvivorSignature not in subject.offering.messages:
        if any("signature" in one.__struct_fields__ for one in subject.offering.messages):
            return beside("nobody is asked who survived")
        return failed("survivors sign nothing")
    network = subject.network(settings.clients, seed=settings.draw("digest"))
    everybody = tuple(range(settings.clients))
    ask(network, dict.fromkeys(everybody, everybody), padded=False)
    view, digests = ServerView.of(network), set[bytes]()
    for number, signature in view.signatures.items():
        told = view.survivors[number]
        assert isinstance(told, SurvivorList)  # noqa: S101
        digest = survivor_digest(view.transcript, told.dealt, told.included)
        try:
            key = network.session.roster.key_of(client(number))
            signing.verify(key, signature, SURVIVORS, digest)
        except SecaggError as error:
            return failed(f"client {number}: {error}")
        digests.add(digest)
    if len(view.signatures) < view.plan.threshold or len(digests) != 1:
        return failed(f"{len(view.signatures)} signatures on {len(digests)} digests")
    return passed(f"{len(view.signatures)} clients signed one digest, by their roster keys")


CHECKS: Final = tuple(
    Check(
        id=f"signatures.{name}",
        claim=claim,
        method=method,
        judge=judge,
        severity=Severity.CRITICAL,
        promised=against_lies,
        kinds=frozenset(("protocol",)),
        source=source,
        elsewhere="an adapter hands out no messages that could be changed on their way",
    )
    for name, claim, method, judge, source in (
        (
            "messages",
            "every message of a client is signed, and none is taken that was changed on its way",
            "a bit of every signature and of the vector is changed; the sender must be named",
            _messages,
            "A5",
        ),
        (
            "digest",
            "all survivors sign one statement of who survived, with their roster keys",
            "the digest computed anew, and every signature on it verified",
            _digest,
            "A1",
        ),
        (
            "survivors",
            "no two clients answer about different survivors",
            "half of the clients are told one list, the others another",
            _survivors,
            "A1",
        ),
    )
)
