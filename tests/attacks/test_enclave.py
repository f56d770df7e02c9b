"""Attacks on the enclave protocol by whoever carries its messages, and by clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from conformance.scenario import Scenario

from secagg import kernels, protocols
from secagg.attestation import Evidence, Policy, Reason, SimulatedPlatform
from secagg.crypto import chunked, hpke
from secagg.crypto.rng import seeded
from secagg.crypto.signing import SigningKey
from secagg.errors import (
    DuplicateMessage,
    EvidenceRefused,
    LocalProtocolError,
    ParameterError,
    SealBindingError,
)
from secagg.protocol import (
    Accuse,
    Deadline,
    Done,
    Effect,
    Fail,
    Identities,
    Identity,
    Input,
    Party,
    Roster,
    Send,
    Session,
)
from secagg.protocols._enclave import messages, statements
from secagg.types import ENCLAVE, PartyId, Secret, client

PROTOCOL = protocols.get("enclave")
FIRST = client(0)


def scenario(count: int = 4, seed: int = 1, **settings: Any) -> Scenario:
    return Scenario(PROTOCOL, count, {"dropout": "0.25", **settings}, seed=seed)


def announced(world: Scenario) -> tuple[Party, messages.Attestation]:
    party = world.party(ENCLAVE)
    message = next(e.message for e in party.start() if isinstance(e, Send))
    assert isinstance(message, messages.Attestation)
    return party, message


def upload(
    world: Scenario, message: messages.Attestation, who: PartyId = FIRST
) -> messages.SealedVector:
    party = world.party(who)
    party.start()
    party.handle(message, ENCLAVE)
    (send,) = (e for e in party.handle(Input(world.inputs[who]), who) if isinstance(e, Send))
    assert isinstance(send.message, messages.SealedVector)
    return send.message


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


def accusation(effects: list[Effect]) -> Accuse:
    (effect,) = effects
    assert isinstance(effect, Accuse)
    return effect


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


def test_a_clients_signature_counts_once() -> None:
    world = scenario()
    party, message = announced(world)
    first, second = upload(world, message), upload(world, message)
    assert first != second
    assert not party.handle(first, client(0))
    assert party.when(first, client(0)) == "late"
    assert isinstance(accusation(party.handle(second, client(0))).error, DuplicateMessage)
    # Under another name the signature is not that name's.
    accused = accusation(party.handle(first, client(1)))
    assert isinstance(accused.error, SealBindingError)
    (failure,) = party.handle(Deadline("collect"), ENCLAVE)
    assert isinstance(failure, Fail)
    assert "1 of 4 clients delivered, 2 are needed" in failure.reason


def test_one_client_cannot_be_two() -> None:
    key = SigningKey(Secret(bytes(32))).public
    for keys in ((key, key), (key,), (key, b"short")):
        with pytest.raises(ParameterError):
            Roster(0, (client(0), client(1)), keys)


def test_strangers_cannot_fill_the_cohort() -> None:
    """The carrier answers the quote itself: without a roster key nothing is counted."""
    world, stranger = scenario(), scenario(seed=5)
    party, message = announced(world)
    assert stranger.identities is not None
    place = statements.bound_to(world.session, client(1), Evidence.decode(message.quote).digest)
    key = Secret(bytes(32))
    tail = memoryview(chunked.seal(key, memoryview(_packed(world)), place))
    sealed = hpke.seal(message.sealing_key, key.reveal(), place, seeded(1))
    own = stranger.identities.of[client(1)].key
    assert own is not None
    quote = Evidence.decode(message.quote).digest
    statement = statements.upload_statement(world.session, quote, sealed, tail)
    forged = messages.SealedVector(sealed, own.sign(statements.UPLOAD_CONTEXT, statement), tail)
    error = accusation(party.handle(forged, client(1))).error
    assert isinstance(error, SealBindingError)
    assert upload(world, message, client(1)).tail.nbytes == tail.nbytes


def _packed(world: Scenario) -> bytes:
    return bytes(kernels.pack(world.inputs[client(0)], world.plan.ring))


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p + b"\0", lambda p: b""])
def test_an_update_of_the_wrong_length_is_not_added(change: Callable[[bytes], bytes]) -> None:
    """Properly sealed and signed by a client of the roster, but not a vector of the plan."""
    world = scenario()
    party, message = announced(world)
    assert world.identities is not None
    quote = Evidence.decode(message.quote).digest
    place = statements.bound_to(world.session, client(0), quote)
    key = Secret(bytes(32))
    tail = memoryview(chunked.seal(key, memoryview(change(_packed(world))), place))
    sealed = hpke.seal(message.sealing_key, key.reveal(), place, seeded(1))
    statement = statements.upload_statement(world.session, quote, sealed, tail)
    signer = world.identities.of[client(0)].key
    assert signer is not None
    signature = signer.sign(statements.UPLOAD_CONTEXT, statement)
    accused = accusation(party.handle(messages.SealedVector(sealed, signature, tail), client(0)))
    assert accused.culprit == client(0)
    assert "bytes in phase collect" in str(accused.error)
    # Its place is still free for a good one.
    assert not party.handle(upload(world, message), client(0))


def test_a_changed_vector_is_not_added() -> None:
    world = scenario()
    party, message = announced(world)
    good = upload(world, message)
    for position in (0, len(good.tail) // 2, len(good.tail) - 1):
        tail = bytearray(good.tail)
        tail[position] ^= 1
        bad = msgspec.structs.replace(good, tail=memoryview(bytes(tail)))
        assert isinstance(accusation(party.handle(bad, client(0))).error, SealBindingError)
    assert not party.handle(good, client(0))


def _released(world: Scenario) -> tuple[dict[PartyId, Party], messages.MemberRecord, Done]:
    party, message = announced(world)
    clients = {}
    effects: list[Effect] = []
    for who in world.plan.task.clients:
        clients[who] = world.party(who)
        clients[who].start()
        clients[who].handle(message, ENCLAVE)
        (send,) = (
            e for e in clients[who].handle(Input(world.inputs[who]), who) if isinstance(e, Send)
        )
        effects = party.handle(send.message, who)
    records = [e.message for e in effects if isinstance(e, Send)]
    (done,) = (e for e in effects if isinstance(e, Done))
    assert isinstance(records[0], messages.MemberRecord)
    return clients, records[0], done


def test_clients_check_the_record_and_the_total_fits_it() -> None:
    world = scenario()
    clients, record, done = _released(world)
    assert done.total is not None
    assert record.total_digest == statements.total_digest(done.total, world.plan.ring)
    np.testing.assert_array_equal(done.total, world.expected(done.included))
    forger = SigningKey(Secret(bytes(32)))
    statement = statements.record_statement(world.session, record.members, record.total_digest)
    for who, bad in zip(
        world.plan.task.clients,
        (
            msgspec.structs.replace(record, total_digest=bytes(32)),
            msgspec.structs.replace(record, members=b"\x07"),
            msgspec.structs.replace(
                record, signature=forger.sign(statements.RECORD_CONTEXT, statement)
            ),
            record,
        ),
        strict=True,
    ):
        effect = clients[who].handle(bad, ENCLAVE)[-1]
        assert isinstance(effect, Done if bad is record else Fail), who


def test_the_enclave_releases_once_and_remembers_nothing() -> None:
    world = scenario()
    party, message = announced(world)
    for who in world.plan.task.clients[:-1]:
        assert not party.handle(upload(world, message, who), who)
    last = upload(world, message, client(3))
    effects = party.handle(last, client(3))
    assert isinstance(effects[-1], Done)
    assert party.when(last, client(3)) == "late"
    assert party.when(Deadline("collect"), ENCLAVE) == "late"
    with pytest.raises(LocalProtocolError):
        party.handle(last, client(3))
    assert {type(effect) for effect in effects} == {Send, Done}


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


def test_dropouts_that_leave_too_few_are_refused_by_the_plan() -> None:
    with pytest.raises(ParameterError, match="may drop out"):
        Scenario(PROTOCOL, 4, {"corrupt": "0.5", "dropout": "0.5"})


def test_two_enclaves_split_the_cohort_not_covered() -> None:
    """A lying carrier, two genuine enclaves, half of the clients each: the level stops it not.

    Every sum still holds the minimum, and no client is in two of them.
    """
    world = scenario()
    released: list[Done] = []
    for half in (world.plan.task.clients[:2], world.plan.task.clients[2:]):
        party, message = announced(world)
        for who in half:
            party.handle(upload(world, message, who), who)
        done = party.handle(Deadline("collect"), ENCLAVE)[-1]
        assert isinstance(done, Done)
        released.append(done)
    assert [done.included for done in released] == [
        world.plan.task.clients[:2],
        world.plan.task.clients[2:],
    ]
    # With a minimum of more than half there is no second sum.
    strict = scenario(min_clients=3)
    party, message = announced(strict)
    for who in strict.plan.task.clients[:2]:
        party.handle(upload(strict, message, who), who)
    assert isinstance(party.handle(Deadline("collect"), ENCLAVE)[-1], Fail)
