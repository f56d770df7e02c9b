"""Replayed, foreign, unknown, late, contradictory, truncated and garbled messages."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from conformance.scenario import Offered, Scenario
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg.errors import (
    DecodeError,
    LocalProtocolError,
    ParameterError,
    PolicyError,
    UnknownParty,
    WrongSession,
)
from secagg.protocol import (
    FAILED,
    Accuse,
    Adversary,
    ClientPolicy,
    Deadline,
    Fail,
    Input,
    Level,
    Remember,
    Session,
)
from secagg.runner import Faults
from secagg.types import PartyId, Role, client
from secagg.wire import ENVELOPE_BYTES, Envelope, Frame, Message


def frames_of(scenario: Scenario) -> list[tuple[Frame, PartyId, PartyId]]:
    """Every frame of an undisturbed run."""
    seen: list[tuple[Frame, PartyId, PartyId]] = []

    def watch(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        seen.append((Frame(frame.head, memoryview(bytes(frame.tail))), sender, recipient))
        return frame

    scenario.run(Faults(tamper=watch))
    return seen


def test_replayed_messages_of_another_session_are_refused(offered: Offered) -> None:
    """Every message of an earlier session, put in place of its successor, is refused."""
    old = frames_of(Scenario(offered, 3, seed=1))
    new = Scenario(offered, 3, {"dropout": "0.3"}, seed=2)
    assert new.session.id != Scenario(offered, 3, seed=1).session.id

    def replay(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        kind = frame.head[5]
        same = [f for f, s, r in old if (f.head[5], s, r) == (kind, sender, recipient)]
        return same[0] if sender == client(1) else frame

    outcome = new.run(Faults(tamper=replay))
    new.check(outcome)
    assert client(1) not in outcome.included
    refused = [error for report in outcome.parties.values() for error in report.refused]
    assert refused
    assert all(isinstance(error, WrongSession) for error in refused)


def test_a_party_opens_only_what_is_meant_for_it(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    frame, sender, recipient = frames_of(scenario)[0]
    envelope = offered.offering.table.decode(frame)
    party = scenario.party(recipient)
    assert party.open(frame, sender) == envelope.message
    changed: Envelope
    for changed, error in (
        (Envelope(bytes(32), sender, recipient, envelope.message), WrongSession),
        (Envelope(envelope.session, sender, client(2), envelope.message), UnknownParty),
        (Envelope(envelope.session, client(99), recipient, envelope.message), UnknownParty),
        (
            Envelope(envelope.session, PartyId(Role.HELPER, 9), recipient, envelope.message),
            UnknownParty,
        ),
    ):
        with pytest.raises(error, match="expected"):
            party.open(offered.offering.table.encode(changed), changed.sender)
    with pytest.raises(UnknownParty, match="calls itself"):
        party.open(frame, client(2))


def test_unknown_senders_and_misdirected_messages_change_nothing(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    frame, _, recipient = frames_of(scenario)[0]
    message = offered.offering.table.decode(frame).message
    party = scenario.party(recipient)
    party.start()
    phase = party.phase
    for stranger in (client(99), PartyId(Role.HELPER, 9)):
        (effect,) = party.handle(message, stranger)
        assert isinstance(effect, Accuse)
        assert isinstance(effect.error, UnknownParty)
    # The right message from the wrong role: the server's own words from the server to itself.
    (effect,) = party.handle(message, recipient)
    assert isinstance(effect, Accuse)
    assert party.phase == phase


def test_late_messages_are_dropped_and_counted(offered: Offered) -> None:
    """A client whose messages come after the deadline is a dropout, nothing worse."""
    scenario = Scenario(offered, 4, {"dropout": "0.25"})
    late = 0
    for every in range(2, 14):
        outcome = scenario.run(schedule=_Hasty(every))
        scenario.check(outcome)
        assert not outcome.accused
        late += sum(report.late for report in outcome.parties.values())
    assert late > 0


class _Hasty:
    """Lets the server's deadline pass at every so many steps, whoever is still on the way."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._steps = 0

    def next(self, pending: int, waiting: int) -> int:
        self._steps += 1
        return pending if waiting and self._steps % self._every == 0 else 0


def test_a_second_different_message_is_not_taken(offered: Offered) -> None:
    """The first of two contradicting messages counts, and the sender is named."""
    scenario = Scenario(offered, 3)
    server = scenario.party(scenario.collector)
    message, sender = scenario.first_words(server)
    server.handle(message, sender)
    assert server.when(message, sender) == "late"
    altered = _altered(message)
    if altered is None:  # nothing but a tail: the first vector counts
        return
    assert server.when(altered, sender) == "now"
    (effect,) = server.handle(altered, sender)
    assert isinstance(effect, Accuse)
    assert effect.culprit == sender
    assert "second" in str(effect.error)


def _altered(message: Message) -> Message | None:
    values = [getattr(message, name) for name in message.__struct_fields__]
    for position, value in enumerate(values):
        if isinstance(value, bytes) and value:
            values[position] = bytes([value[0] ^ 1]) + value[1:]
            return type(message)(*values)
    return None


def test_truncated_and_oversized_frames_are_refused(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    for frame, sender, recipient in frames_of(scenario):
        party = scenario.party(recipient)
        joined = frame.join()
        for cut in {0, 1, ENVELOPE_BYTES - 1, ENVELOPE_BYTES, len(joined) - 1}:
            with pytest.raises(DecodeError):
                party.open(Frame.split(joined[:cut]), sender)
        with pytest.raises(DecodeError):
            party.open(Frame.split(joined + b"\0"), sender)
        with pytest.raises(DecodeError):
            party.open(Frame(frame.head + b"\0", frame.tail), sender)
        with pytest.raises(DecodeError):
            party.open(Frame(frame.head, memoryview(bytes(frame.tail) + b"\0")), sender)


def test_a_vector_of_the_wrong_length_is_not_added(offered: Offered) -> None:
    """A client that sends a shorter or longer vector is named and counts as lost."""
    scenario = Scenario(offered, 4, {"dropout": "0.25"})
    for change in (lambda tail: tail[:-1], lambda tail: tail + b"\0"):

        def resize(frame: Frame, sender: PartyId, recipient: PartyId, change=change) -> Frame:  # type: ignore[no-untyped-def]
            if sender != client(0) or not frame.tail.nbytes:
                return frame
            envelope = offered.offering.table.decode(frame)
            values = [getattr(envelope.message, n) for n in envelope.message.__struct_fields__]
            values[-1] = memoryview(change(bytes(frame.tail)))
            changed = type(envelope.message)(*values)
            return offered.offering.table.encode(
                Envelope(envelope.session, envelope.sender, envelope.recipient, changed)
            )

        outcome = scenario.run(Faults(tamper=resize))
        scenario.check(outcome)
        ((culprit, error),) = outcome.accused
        assert culprit == client(0)
        # As a value: a traceback would keep the frames of the handler, and the secrets in them.
        assert [error.__traceback__, error.__context__, error.__cause__] == [None] * 3
        assert outcome.included == (client(1), client(2), client(3))


def test_an_abandoned_party_has_no_secrets_and_takes_nothing_more(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    for started in (True, False):
        for who in scenario.plan.parties:
            party = scenario.party(who)
            if started:
                party.start()
            phase = party.phase
            party.abandon()
            assert party.phase == FAILED
            assert not party._seed
            assert party.when(Deadline(phase), who) == "late"
            assert not party.resume()
            with pytest.raises(LocalProtocolError):
                party.start()
            with pytest.raises(LocalProtocolError):
                party.handle(Deadline(phase), who)
            party.abandon()


@given(data=st.data())
@settings(max_examples=150)
def test_garbled_frames_never_give_a_wrong_sum(offered_name: str, data: st.DataObject) -> None:
    """One frame with a flipped bit in its head or body: an exact sum, or none, never a crash."""
    scenario = Scenario(Offered.named(offered_name), 4, {"dropout": "0.25"})
    victim = data.draw(st.integers(0, 30))
    count = 0

    def flip(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        nonlocal count
        count += 1
        if count - 1 != victim:
            return frame
        head = bytearray(frame.head)
        position = data.draw(st.integers(0, len(head) - 1))
        head[position] ^= 1 << data.draw(st.integers(0, 7))
        return Frame(bytes(head), frame.tail)

    scenario.check(scenario.run(Faults(tamper=flip)))


@given(noise=st.binary(max_size=300), kind=st.integers(0, 12), header=st.booleans())
@settings(max_examples=300)
def test_decoders_refuse_noise_or_agree_with_the_encoder(
    offered_name: str, noise: bytes, kind: int, header: bool
) -> None:
    table = Offered.named(offered_name).offering.table
    data = noise
    if header:
        envelope = b"SAGG\x01" + bytes((kind, 1)) + bytes(4) + b"\x02" + bytes(4) + bytes(32)
        data = envelope + len(noise).to_bytes(4, "little") + bytes(8) + noise
    try:
        frame = Frame.split(data)
        decoded = table.decode(frame)
    except DecodeError:
        return
    again = table.encode(decoded)
    assert again.join() == data


def test_every_message_encodes_to_what_it_was_decoded_from(offered: Offered) -> None:
    seen = set()
    for frame, sender, recipient in frames_of(Scenario(offered, 3)):
        envelope = offered.offering.table.decode(frame)
        assert (envelope.sender, envelope.recipient) == (sender, recipient)
        assert offered.offering.table.encode(envelope).join() == frame.join()
        assert Frame.split(frame.join()).join() == frame.join()
        seen.add(type(envelope.message))
    assert seen == set(offered.offering.messages)


def test_a_party_that_failed_releases_nothing_more(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    vector = scenario.inputs[client(0)]
    for victim in (client(0), scenario.collector):
        party = scenario.party(victim)
        party.start()
        effects = party.handle(Deadline(party.phase), party.me)
        assert isinstance(effects[-1], Fail)
        assert party.phase == FAILED
        for frame, sender, recipient in frames_of(scenario):
            if recipient == victim:
                message = offered.offering.table.decode(frame).message
                assert party.when(message, sender) == "late"
                with pytest.raises(LocalProtocolError):
                    party.handle(message, sender)
        if party.takes_input:
            assert party.when(Input(vector), victim) == "late"


def test_a_client_refuses_an_altered_plan(offered: Offered) -> None:
    scenario = Scenario(offered, 4)
    plan = scenario.plan
    for changes in ({"minimum": 1}, {"corrupt": 3}, {"version": 99}, {"dropouts": 7}):
        forged = msgspec.structs.replace(plan, **changes)
        session = Session.fresh(forged, scenario.rng)
        assert session.id != scenario.session.id
        with pytest.raises(ParameterError, match="derives"):
            offered.protocol.party(session, client(0), scenario.rng, ClientPolicy.accepting(forged))


def test_a_client_refuses_a_plan_below_its_policy(offered: Offered) -> None:
    scenario = Scenario(offered, 4, {"min_clients": 3})
    plan = scenario.plan
    guarantees = offered.protocol.guarantees(plan.task.level)
    accepting: dict[str, Any] = {"min_clients": 3, "corrupt": 0, "trusted_server": True}
    accepting["protocols"] = frozenset({plan.protocol})
    scenario.party(client(0), ClientPolicy(**accepting))
    authority = b"authority of this test's roster."
    demands: list[tuple[str, dict[str, Any]]] = [
        ("min_clients", {"min_clients": plan.minimum + 1}),
        ("corrupt", {"corrupt": plan.corrupt + 1}),
        ("sigma", {"sigma": plan.task.sigma + 1}),
        ("protocols", {"protocols": frozenset({"another"})}),
        ("suites", {"suites": frozenset({"another"})}),
        ("authority", {"authority": authority}),
        ("least_epoch", {"least_epoch": scenario.session.roster.epoch + 1}),
    ]
    if plan.task.level is Level.CURIOUS:
        demands.append(("level", {"level": Level.MALICIOUS, "authority": authority}))
    if plan.mask_strength == 128:
        demands.append(("mask_key_bits", {"mask_key_bits": 256}))
    if guarantees.adversary is Adversary.TRUSTED_SERVER:
        demands.append(("trusted_server", {"trusted_server": False}))
    for field, demand in demands:
        with pytest.raises(PolicyError, match=f"^{field}: ") as refused:
            scenario.party(client(0), ClientPolicy(**{**accepting, **demand}))
        assert refused.value.field == field
        # Only clients have a policy.
        scenario.party(scenario.collector, ClientPolicy(**{**accepting, **demand}))


def test_someone_without_a_part_gets_no_party(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    for outsider in (client(77), PartyId(Role.ENCLAVE, 3)):
        with pytest.raises(LocalProtocolError, match="no part"):
            scenario.party(outsider)


def test_inputs_are_checked_before_anything_is_sent(offered: Offered) -> None:
    from secagg.errors import InputError

    scenario = Scenario(offered, 3)
    ring = scenario.plan.ring
    good = scenario.inputs[client(0)]
    lane = ring.dtype.type
    bound = scenario.plan.task.bound
    bad: dict[str, Any] = {
        "lanes": good.astype(np.float64),
        "shape": good[:-1],
        "contiguous": np.repeat(good, 2)[::2],
        "bound": np.full_like(good, lane(bound + 1)),
        "empty": good[:0],
        "matrix": good.reshape(1, -1),
    }
    party = scenario.party(client(0))
    party.start()
    for name, vector in bad.items():
        with pytest.raises(InputError, match="expected"):
            party.handle(Input(vector), client(0))
        assert not party.ended, name
    effects = party.handle(Input(good), client(0))
    assert not any(isinstance(effect, Fail) for effect in effects)
    # The input is given once.
    assert party.when(Input(good), client(0)) == "late"


def test_the_driver_is_told_when_it_errs(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    party = scenario.party(client(0))
    with pytest.raises(LocalProtocolError, match="before it was started"):
        party.handle(Input(scenario.inputs[client(0)]), client(0))
    party.start()
    assert party.when(Deadline("no such phase"), client(0)) == "late"
    with pytest.raises(LocalProtocolError):
        party.handle(Deadline("no such phase"), client(0))


def test_every_wire_field_is_bounded(offered: Offered) -> None:
    """No default, a cap on every byte string, one sender, a kind of its own."""
    kinds = [message.KIND for message in offered.offering.messages]
    assert len(set(kinds)) == len(kinds)
    for message in offered.offering.messages:
        assert message.SENDER in offered.offering.roles
        for field in msgspec.structs.fields(message):
            assert field.required, (message, field.name)
            if field.name != "tail":
                meta = msgspec.inspect.type_info(field.type)
                assert isinstance(meta, msgspec.inspect.BytesType), (message, field.name)
                assert meta.max_length is not None, (message, field.name)


def test_nothing_prints_its_content(offered: Offered) -> None:
    """No repr of a party, event, effect, frame or record shows four bytes of what it holds."""
    scenario = Scenario(offered, 3)
    shown, held = [], []
    for frame, _, _ in frames_of(scenario):
        message = offered.offering.table.decode(frame).message
        shown += [repr(frame), repr(message)]
        held += [getattr(message, name) for name in message.__struct_fields__]
    for who in scenario.plan.parties:
        party = scenario.party(who)
        effects = party.start()
        shown += [repr(party), *map(repr, effects)]
        held += [e.record.head for e in effects if isinstance(e, Remember)]
    vector = scenario.inputs[client(0)]
    shown.append(repr(Input(vector)))
    assert str(vector[0]) not in repr(Input(vector))
    text = "\n".join(shown)
    for value in held:
        data = bytes(value)
        for start in range(0, len(data) - 4, 4):
            part = data[start : start + 4]
            assert repr(part)[2:-1] not in text, part
            assert part.hex() not in text
