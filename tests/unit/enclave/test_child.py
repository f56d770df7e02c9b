"""Sessions one after the other: of one that is over nothing is left but its id."""

from __future__ import annotations

import gc
import sys
import weakref
from dataclasses import replace
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
from conformance.scenario import Scenario
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from secagg import protocols
from secagg.attestation import Evidence, Reason, SimulatedPlatform, measure_installed
from secagg.crypto.rng import StreamRng
from secagg.enclave import channel, child
from secagg.enclave.child import Sessions
from secagg.errors import EvidenceRefused
from secagg.protocol import Fail, Identities, Input, Send, Session
from secagg.protocols._enclave.messages import TABLE, Attestation
from secagg.protocols._enclave.party import EnclaveParty
from secagg.types import ENCLAVE, PartyId, Secret, client
from secagg.wire import Envelope, Frame

PROTOCOL = protocols.get("enclave")
TIME = 1_800_000_000


class Child:
    """The inside of an enclave's process without the process, and clients that trust it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._clock = clock = [TIME]
        # Not a lambda over self: what the module leads to is searched for keys below.
        monkeypatch.setattr(child, "now", lambda: clock[0])
        self.platform = SimulatedPlatform(Secret(b"p" * 32), measure_installed().value, 0)
        self.sessions = Sessions(self.platform)
        self.world = Scenario(PROTOCOL, 3, {"dropout": "0.25"})
        assert self.world.identities is not None
        self._identities = self.world.identities.trusting(self.platform.root)

    def wait(self, seconds: int) -> None:
        self._clock[0] += seconds

    def session(self, nonce: int) -> Session:
        """Another session of the same plan and roster; its clients join now."""
        self.world.session = replace(self.world.session, nonce=bytes((nonce,)) * 32)
        of = {who: replace(one, now=self._clock[0]) for who, one in self._identities.of.items()}
        self.world.identities = Identities(self._identities.roster, of)
        return self.world.session

    def ask(self, request: channel.Request) -> channel.Reply:
        return self.sessions.reply(request)

    def open(self, session: Session) -> channel.Reply:
        return self.ask(
            channel.Open(
                plan=msgspec.msgpack.encode(session.plan),
                epoch=session.roster.epoch,
                clients=session.roster.clients,
                keys=session.roster.keys,
                authority=session.roster.authority,
                job=session.job,
                training_round=session.training_round,
                model_digest=session.model_digest,
                nonce=session.nonce,
            )
        )

    def announced(self, session: Session) -> Attestation:
        """What the enclave shows to every client after it has opened the session."""
        assert not self.open(session).misuse
        first, *_ = self.ask(channel.Start(session.id)).effects
        assert isinstance(first, channel.Sent)
        message = TABLE.decode(Frame.split(first.frame)).message
        assert isinstance(message, Attestation)
        return message

    def upload(self, shown: Attestation, who: PartyId) -> bytes:
        party = self.world.party(who)
        party.start()
        party.handle(shown, ENCLAVE)
        effects = party.handle(Input(self.world.inputs[who]), who)
        (send,) = (effect for effect in effects if isinstance(effect, Send))
        return party.seal(send).join()

    def deliver(self, session: Session, frame: bytes, who: PartyId) -> channel.Reply:
        assert self.ask(channel.Offer(session.id, who, frame, "")).fate == "now"
        return self.ask(channel.Proceed(session.id))

    def close(self, session: Session) -> channel.Reply:
        """The deadline."""
        assert self.ask(channel.Offer(session.id, ENCLAVE, b"", "collect")).fate == "now"
        return self.ask(channel.Proceed(session.id))

    def released(self, session: Session) -> channel.Released:
        """A whole session."""
        shown = self.announced(session)
        for who in self.world.plan.task.clients:
            reply = self.deliver(session, self.upload(shown, who), who)
        last = reply.effects[-1]
        assert isinstance(last, channel.Released)
        total = np.frombuffer(last.total, dtype=self.world.plan.ring.dtype)
        np.testing.assert_array_equal(total, self.world.expected(last.included))
        return last

    @property
    def party(self) -> EnclaveParty:
        assert isinstance(self.sessions._party, EnclaveParty)
        return self.sessions._party


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Child:
    return Child(monkeypatch)


def keys_of(party: EnclaveParty) -> dict[str, bytes]:
    """Everything from which a session's uploads could be opened or its records forged."""
    assert party._opening_key is not None
    assert party._record_key is not None
    assert party._seed is not None
    return {
        "sealing key": party._opening_key._key.private_bytes_raw(),
        "record key": party._record_key._key.private_bytes_raw(),
        "seed": party._seed.reveal(),
    }


def reachable_from(*roots: object) -> list[Any]:
    """All objects that these lead to, through modules of this package but of no other."""
    modules = [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
    others = {id(vars(m)) for m in modules if not m.__name__.startswith("secagg")}
    seen: dict[int, object] = {}
    pending = list(roots)
    while pending:
        found = pending.pop()
        if id(found) not in seen and id(found) not in others:
            seen[id(found)] = found
            pending += gc.get_referents(found)
    return list(seen.values())


def found_in(objects: list[Any], keys: dict[str, bytes]) -> set[str]:
    """Which of the keys are among the objects, as key, secret or bytes."""
    texts = []
    for one in objects:
        if isinstance(one, Ed25519PrivateKey | X25519PrivateKey):
            texts.append(one.private_bytes_raw())
        elif isinstance(one, bytes | bytearray):
            texts.append(bytes(one))
        elif isinstance(one, np.ndarray):
            texts.append(one.tobytes())
    return {name for name, key in keys.items() if any(key in text for text in texts)}


def test_one_session_after_the_other_each_with_its_own_keys(inside: Child) -> None:
    shown = []
    for number in (1, 2, 3):
        inside.wait(1000)  # far beyond the age that a client accepts of a quote
        session = inside.session(number)
        shown.append(inside.announced(session))
        for who in inside.world.plan.task.clients:
            reply = inside.deliver(session, inside.upload(shown[-1], who), who)
        assert isinstance(reply.effects[-1], channel.Released)
        assert reply.phase == "done"
    for name in Attestation.__struct_fields__:
        assert len({getattr(message, name) for message in shown}) == 3, name
    quotes = [Evidence.decode(message.quote) for message in shown]
    assert [quote.issued_at for quote in quotes] == [TIME + 1000, TIME + 2000, TIME + 3000]
    assert len({quote.report_data for quote in quotes}) == 3
    assert len({quote.root for quote in quotes}) == 1


def test_a_session_is_never_opened_twice(inside: Child) -> None:
    first = inside.session(1)
    shown = inside.announced(first)
    assert "opened before" in inside.open(first).misuse
    # The refusal changed nothing: the session goes on to its sum.
    for who in inside.world.plan.task.clients:
        reply = inside.deliver(first, inside.upload(shown, who), who)
    assert isinstance(reply.effects[-1], channel.Released)
    assert "opened before" in inside.open(first).misuse
    assert inside.released(inside.session(2))
    assert "opened before" in inside.open(first).misuse


def test_an_abandoned_session_is_not_opened_again_either(inside: Child) -> None:
    first = inside.session(1)
    inside.announced(first)
    assert inside.released(inside.session(2))
    assert "opened before" in inside.open(first).misuse
    assert "not open here" in inside.ask(channel.Start(first.id)).misuse


@pytest.mark.parametrize("ending", ["released", "too few", "abandoned", "abandoned at its start"])
def test_no_key_of_a_session_is_left_when_the_next_opens(inside: Child, ending: str) -> None:
    """What is reachable is searched; before the end all of it is found there."""
    first = inside.session(1)
    shown = inside.announced(first)
    keys = keys_of(inside.party)
    assert found_in(reachable_from(inside.sessions, child), keys) == set(keys)
    former = weakref.ref(inside.party)
    total = inside.party._total
    uploads = {who: inside.upload(shown, who) for who in inside.world.plan.task.clients}
    count = {"released": 3, "too few": 1, "abandoned": 2, "abandoned at its start": 0}[ending]
    gc.disable()  # so that it is not a collection that comes to the rescue
    try:
        for who in list(uploads)[:count]:
            # Refused first: an accusation must not keep what its traceback saw.
            changed = bytearray(uploads[who])
            changed[-1] ^= 1
            accused = inside.deliver(first, bytes(changed), who).effects
            assert [type(effect) for effect in accused] == [channel.Accused]
            reply = inside.deliver(first, uploads[who], who)
        if ending == "too few":
            reply = inside.close(first)
        if ending in ("released", "too few"):
            expected = channel.Released if ending == "released" else channel.Failed
            assert isinstance(reply.effects[-1], expected)
            # It is over: nothing waits for the next session to go.
            assert former() is None
        else:
            assert former() is not None
            assert total.any() == (ending == "abandoned")
        second = inside.session(2)
        assert not inside.open(second).misuse
        assert former() is None
    finally:
        gc.enable()
    objects = reachable_from(inside.sessions, child)
    assert found_in(objects, keys) == set()
    assert not any(isinstance(one, StreamRng) for one in objects)
    assert ending == "released" or not total.any()
    # All that is kept of the former is its id.
    assert inside.sessions._opened == {first.id, second.id}
    assert found_in(objects, {"id": first.id}) == {"id"}
    traces = {"nonce": first.nonce, "quote": shown.quote, "sealing key": shown.sealing_key}
    assert found_in(objects, traces) == set()


def test_requests_reach_the_open_session_only(inside: Child) -> None:
    """The host mixes sessions up: the one that is open goes on undisturbed."""
    stranger = bytes(32)
    assert "not open here" in inside.ask(channel.Start(stranger)).misuse
    session = inside.session(1)
    shown = inside.announced(session)
    frame = inside.upload(shown, client(0))
    for request in (
        channel.Start(stranger),
        channel.Offer(stranger, client(0), frame, ""),
        channel.Offer(stranger, ENCLAVE, b"", "collect"),
        channel.Proceed(stranger),
    ):
        reply = inside.ask(request)
        assert "not open here" in reply.misuse
        assert not reply.effects
    for who in inside.world.plan.task.clients:
        reply = inside.deliver(session, inside.upload(shown, who), who)
    assert isinstance(reply.effects[-1], channel.Released)
    assert "not open here" in inside.ask(channel.Proceed(session.id)).misuse


def test_what_was_sealed_to_one_session_opens_in_no_other(inside: Child) -> None:
    first = inside.session(1)
    shown = inside.announced(first)
    frame = inside.upload(shown, client(0))
    second = inside.session(2)
    inside.announced(second)
    # As it is: a message of another session.
    assert "expected session" in inside.ask(channel.Offer(second.id, client(0), frame, "")).misuse
    # In an envelope of the second: a signature over another session and quote.
    message = TABLE.decode(Frame.split(frame)).message
    moved = TABLE.encode(Envelope(second.id, client(0), ENCLAVE, message)).join()
    (accused,) = inside.deliver(second, moved, client(0)).effects
    assert isinstance(accused, channel.Accused)
    assert accused.error == "SealBindingError"


def test_the_quote_of_a_former_session_is_refused(inside: Child) -> None:
    """The host shows the clients of the second session the keys of the first."""
    shown = inside.announced(inside.session(1))
    inside.session(2)
    party = inside.world.party(client(0))
    party.start()
    (failure,) = (e for e in party.handle(shown, ENCLAVE) if isinstance(e, Fail))
    assert isinstance(failure.error, EvidenceRefused)
    assert failure.error.why == Reason.WRONG_REPORT_DATA
