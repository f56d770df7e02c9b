"""E1: what an enclave shows of itself is replaced, replayed or made up.

Adversary: whoever carries its messages.
Seen: every frame.
Goal: a client that seals its vector for anybody but the enclave that it trusts.
Protection: evidence over session, keys, roster and expiry: `EvidenceRefused`. All of it is
SIMULATED: whoever controls the machine can sign any quote.

Levels: curious, the only one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from attacks.enclave import FIRST, accusation, announced, scenario, upload
from conformance.scenario import Scenario

from secagg.attestation import Evidence, Policy, Reason, SimulatedPlatform
from secagg.crypto import hpke
from secagg.crypto.rng import seeded
from secagg.errors import EvidenceRefused, LocalProtocolError, ParameterError, SealBindingError
from secagg.protocol import Fail, Identities, Identity, Input, Send, Session
from secagg.protocols._enclave import messages, statements
from secagg.types import ENCLAVE, PartyId, Secret, client


def refusal(world: Scenario, message: messages.Attestation, who: PartyId = FIRST) -> str:
    """Why a client that already has its input refuses; it must not send a thing."""
    party = world.party(who)
    party.start()
    party.handle(Input(world.inputs[who]), who)
    effects = party.handle(message, ENCLAVE)
    assert not any(isinstance(e, Send) for e in effects)
    (failure,) = (e for e in effects if isinstance(e, Fail))
    assert isinstance(failure.error, EvidenceRefused)
    assert failure.error.culprit == ENCLAVE
    return failure.error.why


def test_a_quote_of_another_session_is_refused() -> None:
    """A stale nonce: everything the same but the session."""
    world = scenario()
    assert world.identities is not None
    other = scenario()
    other.identities = world.identities
    other.session = replace(world.session, nonce=bytes(32))
    _, message = announced(other)
    assert refusal(world, message) in {Reason.WRONG_REPORT_DATA, Reason.WRONG_CONFIGURATION}
    assert refusal(world, message) == Reason.WRONG_REPORT_DATA


@pytest.mark.parametrize("field", ["sealing_key", "record_key"])
def test_a_key_that_the_quote_does_not_cover_is_refused(field: str) -> None:
    """The carrier puts its own key in."""
    world = scenario()
    _, message = announced(world)
    own = hpke.OpeningKey(Secret(b"o" * 32)).public
    assert refusal(world, msgspec.structs.replace(message, **{field: own})) == (
        Reason.WRONG_REPORT_DATA
    )


def test_swapped_quotes_are_refused() -> None:
    """Two enclaves of one session: the quote of one with the keys of the other."""
    world = scenario()
    _, first = announced(world)
    _, second = announced(world)
    swapped = msgspec.structs.replace(first, quote=second.quote)
    assert refusal(world, swapped) == Reason.WRONG_REPORT_DATA
    subject_of_first = upload(world, first)
    party, _ = announced(world)
    accused = accusation(party.handle(subject_of_first, client(0)))
    assert isinstance(accused.error, SealBindingError)


def _requote(
    world: Scenario, message: messages.Attestation, **changes: Any
) -> messages.Attestation:
    assert world.identities is not None
    platform = world.identities.of[ENCLAVE].platform
    assert platform is not None
    evidence = platform.sign(replace(Evidence.decode(message.quote), **changes))
    return msgspec.structs.replace(message, quote=evidence.encode())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"measurement": bytes(32)}, Reason.WRONG_MEASUREMENT),
        ({"debug": True}, Reason.DEBUG),
        ({"security_version": 0}, Reason.OLD_SECURITY_VERSION),
        ({"issued_at": 10_000}, Reason.NOT_YET_VALID),
        ({"configuration": bytes(32)}, Reason.WRONG_CONFIGURATION),
    ],
)
def test_other_code_or_settings_get_no_input(changes: dict[str, Any], reason: Reason) -> None:
    world = scenario()
    _, message = announced(world)
    assert refusal(world, _requote(world, message, **changes)) == reason


def _expiring(
    world: Scenario, message: messages.Attestation, expires_at: int
) -> messages.Attestation:
    """What the enclave itself would have said, had it said this expiry."""
    expiry = expires_at.to_bytes(messages.EXPIRY_BYTES, "big")
    data = statements.report_data(world.session, message.sealing_key, message.record_key, expiry)
    return msgspec.structs.replace(_requote(world, message, report_data=data), expiry=expiry)


@pytest.mark.parametrize(
    ("expires_at", "now", "reason"),
    [
        (300, 20, None),
        (20, 20, None),
        (20, 21, Reason.EXPIRED),
        (1, 300, Reason.EXPIRED),
        (0, 0, Reason.ABSURD_EXPIRY),
        (0, 20, Reason.ABSURD_EXPIRY),
        ((1 << 64) - 1, 301, Reason.TOO_OLD),
    ],
)
def test_a_quote_is_good_until_it_expires(expires_at: int, now: int, reason: Reason | None) -> None:
    world = scenario()
    _, message = announced(world)
    changed = _expiring(world, message, expires_at)
    _by_the_clock_of(world, FIRST, now)
    if reason is None:
        assert upload(world, changed).tail.nbytes
    else:
        assert refusal(world, changed) == reason


def test_an_expiry_put_off_by_the_carrier_is_refused() -> None:
    """It is in the report data, so the quote does not fit any more, in time or out of it."""
    world = scenario()
    _, message = announced(world)
    assert int.from_bytes(message.expiry, "big") == 300
    later = msgspec.structs.replace(message, expiry=(600).to_bytes(8, "big"))
    for now in (0, 300):
        _by_the_clock_of(world, FIRST, now)
        assert refusal(world, later) == Reason.WRONG_REPORT_DATA


def _by_the_clock_of(world: Scenario, who: PartyId, now: int) -> None:
    assert world.identities is not None
    mine = replace(world.identities.of[who], now=now)
    world.identities = Identities(world.identities.roster, {**world.identities.of, who: mine})


def test_an_enclave_that_enforces_another_roster_is_refused() -> None:
    """The carrier gives the enclave a roster of its own making, and the clients the true one."""
    world = scenario()
    forged = scenario(seed=9)
    _, message = announced(forged)
    for who in world.plan.task.clients:
        assert refusal(world, message, who) in {Reason.UNKNOWN_ROOT, Reason.WRONG_CONFIGURATION}


def test_an_old_quote_is_too_old_by_the_clients_own_clock() -> None:
    world = scenario()
    _, message = announced(world)
    _by_the_clock_of(world, FIRST, 301)
    assert refusal(world, message) == Reason.TOO_OLD


def test_parties_without_what_they_need_are_refused() -> None:
    world = scenario()
    assert world.identities is not None
    of = world.identities.of
    platform = SimulatedPlatform(Secret(bytes(32)), bytes(32), 0)
    trust = Policy(roots=frozenset(), measurements=frozenset())
    world.identities = None
    with pytest.raises(LocalProtocolError, match="identity"):
        world.party(client(0))
    for who, identity in (
        (client(0), Identity(platform=platform)),
        (client(0), Identity(key=of[client(1)].key, trust=trust)),
        (client(0), Identity(key=of[client(0)].key)),
        (ENCLAVE, of[client(0)]),
    ):
        world.identities = Identities(world.session.roster, {who: identity})
        with pytest.raises(ParameterError):
            world.party(who)
    world.session = Session.fresh(world.plan, seeded(1))
    world.identities = Identities(world.session.roster, of)
    with pytest.raises(ParameterError, match="roster with the clients' keys"):
        world.party(client(0))
