"""What bfv and ckks refuse, and whom they name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conformance.scenario import Scenario

from secagg import protocols
from secagg.errors import (
    CohortTooSmall,
    LocalProtocolError,
    ParameterError,
    RemoteProtocolError,
    SecaggError,
    WrongContext,
)
from secagg.he import workers
from secagg.protocol import DONE, FAILED, Accuse, Deadline, Exactness, Fail, Input, Level, Send
from secagg.protocols._homomorphic.decryptor import Decryptor
from secagg.protocols._homomorphic.messages import (
    OfferContext,
    OpenedSum,
    OpenSum,
    RelayContext,
    Upload,
    bitmap,
    members,
)
from secagg.runner import Faults, Outcome
from secagg.types import DECRYPTOR, SERVER, PartyId, Role, client
from secagg.wire import Envelope, Frame, Message

NAMES = ("bfv", "ckks")


def scenario(name: str, count: int = 4, **task: Any) -> Scenario:
    return Scenario(protocols.get(name), count, {"dropout": "0.25", **task})


def messages_of(run: Scenario) -> dict[tuple[type[Message], PartyId], Message]:
    """Every message of an undisturbed run, by kind and the client concerned (or the sender)."""
    seen: dict[tuple[type[Message], PartyId], Message] = {}

    def watch(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        message = run.offering.table.decode(frame).message
        seen[type(message), recipient if isinstance(message, RelayContext) else sender] = message
        return frame

    run.run(Faults(tamper=watch))
    return seen


def tampered(run: Scenario, kind: type, who: PartyId, change: Callable[[Any], Message]) -> Outcome:
    """A run in which one message, from or to `who`, is replaced on its way."""

    def tamper(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        envelope = run.offering.table.decode(frame)
        if not isinstance(envelope.message, kind) or who not in (sender, recipient):
            return frame
        changed = change(envelope.message)
        return run.offering.table.encode(Envelope(envelope.session, sender, recipient, changed))

    return run.run(Faults(tamper=tamper))


def only(outcome: Outcome) -> tuple[PartyId, SecaggError]:
    (accused,) = outcome.accused
    return accused


def asked(run: Scenario) -> tuple[Decryptor, OpenSum]:
    """A decryptor that waits for its one question, and the honest question."""
    question = messages_of(run)[OpenSum, SERVER]
    fresh = Scenario(run.protocol, run.count, run.task, run.seed)
    seats = {who: fresh.party(who) for who in fresh.plan.parties}
    decryptor = seats[DECRYPTOR]
    (send,) = [e for e in decryptor.start() if isinstance(e, Send)]
    context = send.message
    assert isinstance(context, OfferContext)
    assert isinstance(decryptor, Decryptor)
    server = seats[SERVER]
    server.start()
    server.handle(context, DECRYPTOR)
    effects: list[Any] = []
    for who in fresh.plan.task.clients:
        party = seats[who]
        party.start()
        party.handle(Input(fresh.inputs[who]), who)
        uploads = party.handle(RelayContext(context.context), SERVER)
        (upload,) = [e.message for e in uploads if isinstance(e, Send)]
        effects = server.handle(upload, who)
    (question,) = [e.message for e in effects if isinstance(e, Send)]
    assert isinstance(question, OpenSum)
    return decryptor, question


@pytest.mark.parametrize("name", NAMES)
class TestUploads:
    def test_under_another_context_is_refused(self, name: str) -> None:
        run = scenario(name)
        outcome = tampered(run, Upload, client(1), lambda m: Upload(bytes(32), m.tail))
        culprit, error = only(outcome)
        assert (culprit, type(error)) == (client(1), WrongContext)
        assert outcome.included == (client(0), client(2), client(3))
        run.check(outcome)

    def test_of_an_earlier_session_is_refused_although_the_envelope_is_new(self, name: str) -> None:
        old = messages_of(Scenario(protocols.get(name), 4, {"dropout": "0.25"}, seed=2))
        run = scenario(name)
        outcome = tampered(run, Upload, client(1), lambda m: old[Upload, client(1)])
        assert only(outcome)[0] == client(1)
        run.check(outcome)

    def test_with_residues_above_their_primes_is_refused(self, name: str) -> None:
        run = scenario(name)
        outcome = tampered(
            run,
            Upload,
            client(2),
            lambda m: Upload(m.context_digest, memoryview(b"\xff" * m.tail.nbytes)),
        )
        culprit, error = only(outcome)
        assert culprit == client(2)
        assert "below their primes" in str(error)
        assert client(2) not in outcome.included
        run.check(outcome)

    def test_of_other_parameters_is_refused(self, name: str) -> None:
        other = messages_of(scenario("ckks" if name == "bfv" else "bfv"))[Upload, client(3)]
        assert isinstance(other, Upload)
        run = scenario(name)
        outcome = tampered(run, Upload, client(3), lambda m: Upload(m.context_digest, other.tail))
        culprit, error = only(outcome)
        assert culprit == client(3)
        assert "expected ciphertexts of" in str(error)
        run.check(outcome)

    def test_that_encrypt_noise_end_the_round_without_a_sum(self, name: str) -> None:
        """A client that cheats can end a round; the counter finds it, the key is gone."""
        run = scenario(name)
        for position in (5, 4001):

            def garble(message: Upload, position: int = position) -> Upload:
                tail = bytearray(message.tail)
                for offset in range(400):
                    tail[position + 8 * offset] ^= 0x11
                return Upload(message.context_digest, memoryview(bytes(tail)))

            outcome = tampered(run, Upload, client(0), garble)
            assert outcome.total is None or outcome.included != run.plan.task.clients
            assert outcome.failure or outcome.accused


@pytest.mark.parametrize("name", NAMES)
class TestContexts:
    def test_changed_on_the_way_to_one_client_costs_that_client_only(self, name: str) -> None:
        def change(message: RelayContext) -> RelayContext:
            context = bytearray(message.context)
            context[1000] ^= 1
            return RelayContext(bytes(context))

        run = scenario(name)
        outcome = tampered(run, RelayContext, client(2), change)
        culprit, error = only(outcome)
        assert (culprit, type(error)) == (client(2), WrongContext)
        assert outcome.included == (client(0), client(1), client(3))
        run.check(outcome)

    def test_of_other_parameters_ends_the_client_and_names_the_server(self, name: str) -> None:
        other = messages_of(scenario(name, 4, bound=1 << 30))[RelayContext, client(0)]
        party = scenario(name).party(client(0))
        party.start()
        effects = party.handle(other, SERVER)
        (fail,) = [e for e in effects if isinstance(e, Fail)]
        assert isinstance(fail.error, WrongContext)
        assert fail.error.culprit == SERVER
        assert party.phase == FAILED

    def test_of_other_parameters_is_not_relayed(self, name: str) -> None:
        run = scenario(name)
        outcome = tampered(run, OfferContext, DECRYPTOR, lambda m: OfferContext(m.context[:-1]))
        culprit, error = only(outcome)
        assert (culprit, type(error)) == (DECRYPTOR, WrongContext)
        assert outcome.total is None
        assert not any(report.sent for who, report in outcome.parties.items() if who != DECRYPTOR)


@pytest.mark.parametrize("name", NAMES)
class TestTheDecryptor:
    def test_missing_or_lost_ends_the_round_with_its_name(self, name: str) -> None:
        for messages in (0, 1):
            outcome = scenario(name).run(Faults(lost={DECRYPTOR: messages}))
            assert outcome.total is None
            assert str(DECRYPTOR) in (outcome.failure or "")

    def test_answers_once_and_erases_the_key(self, name: str) -> None:
        decryptor, question = asked(scenario(name))
        seed = vars(decryptor)["_secret"].seed
        effects = decryptor.handle(question, SERVER)
        assert any(isinstance(e, Send) for e in effects)
        assert decryptor.phase == DONE
        assert len(seed) == 0
        assert decryptor._secret is None
        other = OpenSum(question.context_digest, question.included, memoryview(b"another"))
        for again in (question, other):
            assert decryptor.when(again, SERVER) == "late"
            with pytest.raises(LocalProtocolError):
                decryptor.handle(again, SERVER)

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            (lambda m: OpenSum(bytes(32), m.included, m.tail), WrongContext),
            (lambda m: OpenSum(m.context_digest, b"\x01", m.tail), CohortTooSmall),
            (lambda m: OpenSum(m.context_digest, b"\x1f", m.tail), RemoteProtocolError),
            (lambda m: OpenSum(m.context_digest, b"\x0f\x00", m.tail), RemoteProtocolError),
            (lambda m: OpenSum(m.context_digest, b"", m.tail), RemoteProtocolError),
            (lambda m: OpenSum(m.context_digest, m.included, m.tail[:-1]), RemoteProtocolError),
        ],
    )
    def test_refuses_a_malformed_question_and_still_answers_the_right_one(
        self, name: str, change: Callable[[OpenSum], OpenSum], error: type[SecaggError]
    ) -> None:
        decryptor, question = asked(scenario(name))
        (effect,) = decryptor.handle(change(question), SERVER)
        assert isinstance(effect, Accuse)
        assert type(effect.error) is error
        assert effect.culprit == SERVER
        assert any(isinstance(e, Send) for e in decryptor.handle(question, SERVER))

    def test_refuses_a_sum_over_another_number_and_is_finished(self, name: str) -> None:
        decryptor, question = asked(scenario(name))
        effects = decryptor.handle(OpenSum(question.context_digest, b"\x07", question.tail), SERVER)
        assert isinstance(effects[-1], Fail)
        assert not any(isinstance(e, Send) for e in effects)
        assert decryptor.phase == FAILED
        assert decryptor._secret is None

    def test_waits_through_one_deadline(self, name: str) -> None:
        decryptor, question = asked(scenario(name))
        decryptor.handle(Deadline("upload"), DECRYPTOR)
        assert any(isinstance(e, Send) for e in decryptor.handle(question, SERVER))
        decryptor, _ = asked(scenario(name))
        decryptor.handle(Deadline("upload"), DECRYPTOR)
        effects = decryptor.handle(Deadline("open"), DECRYPTOR)
        assert isinstance(effects[-1], Fail)
        assert decryptor._secret is None

    def test_answers_that_do_not_fit_the_question_are_not_released(self, name: str) -> None:
        for change in (
            lambda m: OpenedSum(b"\x07", m.tail),
            lambda m: OpenedSum(m.included, m.tail[:-1]),
            lambda m: OpenedSum(m.included, memoryview(bytes(m.tail) + b"\0")),
        ):
            outcome = tampered(scenario(name), OpenedSum, DECRYPTOR, change)
            assert outcome.total is None
            assert only(outcome)[0] == DECRYPTOR
            assert str(DECRYPTOR) in (outcome.failure or "")


def test_bitmaps_have_one_encoding() -> None:
    clients = tuple(client(number) for number in range(11))
    chosen = frozenset({client(0), client(8), client(10)})
    encoded = bitmap(chosen, clients)
    assert members(encoded, clients, SERVER) == tuple(sorted(chosen))
    for wrong in (encoded + b"\0", encoded[:1], b"\x00\x08", b""):
        with pytest.raises(RemoteProtocolError, match="bitmap"):
            members(wrong, clients, SERVER)


def test_only_the_curious_level_is_offered() -> None:
    for name in NAMES:
        with pytest.raises(ParameterError, match="offers level curious"):
            scenario(name, level=Level.MALICIOUS)


def test_sums_that_do_not_fit_are_refused_before_anything_is_sent() -> None:
    for name in NAMES:
        with pytest.raises(ParameterError, match="lower the precision"):
            scenario(name, bound=1 << 59)


def test_ckks_states_its_error_and_keeps_it() -> None:
    run = scenario("ckks", 10, bound=1 << 22, length=3000)
    assert run.protocol.guarantees(Level.CURIOUS).exactness is Exactness.BOUNDED_ERROR
    assert run.plan.error_bound > 0
    assert run.plan.mean_error_bound <= 2**-16 + 1e-7  # type: ignore[attr-defined]
    assert dict(run.plan.describe())["largest error of the sum"]
    run.check(run.run())
    exact = scenario("bfv", 10, bound=1 << 22, length=3000)
    assert exact.plan.error_bound == 0
    assert "largest error of the sum" not in dict(exact.plan.describe())


def test_a_session_with_worker_processes_gives_the_same_sum() -> None:
    alone, together = scenario("bfv", 3, length=9000), scenario("bfv", 3, length=9000)
    expected = alone.run().sum()
    with workers.processes(2):
        np.testing.assert_array_equal(together.run().sum(), expected)


def test_the_work_of_worker_processes_is_that_of_the_role_that_asked() -> None:
    run = scenario("bfv", 3, length=100_000)
    with workers.processes(1):
        pool = workers._POOL.get()
        assert pool is not None
        pool._start()
        before = _clock(pool.pids[0])
        began = time.thread_time()
        outcome = run.run()
        here, there = time.thread_time() - began, _clock(pool.pids[0]) - before
    roles = {role: outcome.cpu_seconds(role) for role in Role if role is not Role.ENCLAVE}
    # Three vectors are encrypted, one is decrypted, and little else happens.
    assert roles[Role.CLIENT] > 0.5 * there
    assert roles[Role.DECRYPTOR] > 0.02 * there
    assert roles[Role.SERVER] < 0.5 * there
    assert 0.9 * there < sum(roles.values()) <= here + 1.1 * there


def _clock(pid: int) -> float:
    """CPU seconds of a process, by the kernel: MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)."""
    return time.clock_gettime((~pid << 3) | 2)
