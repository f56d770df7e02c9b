"""E2, E3: an enclave's uploads, sums and records are changed, moved or repeated.

Adversary: whoever carries them, and clients.
Seen: every frame.
Goal: an upload of another client or session in the sum, or a record of another sum.
Protection: uploads are sealed for one enclave and session, and signed: `SealBindingError`; one for
each client: `DuplicateMessage`.

Levels: curious, the only one.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from attacks.enclave import PROTOCOL, accusation, announced, scenario, upload
from conformance.scenario import Scenario

from secagg import kernels
from secagg.attestation import Evidence
from secagg.crypto import chunked, hpke
from secagg.crypto.rng import seeded
from secagg.crypto.signing import SigningKey
from secagg.errors import DuplicateMessage, LocalProtocolError, ParameterError, SealBindingError
from secagg.protocol import Deadline, Done, Effect, Fail, Input, Party, Roster, Send
from secagg.protocols._enclave import messages, statements
from secagg.types import ENCLAVE, PartyId, Secret, client


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
