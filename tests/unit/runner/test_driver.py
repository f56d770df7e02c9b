"""A driver of some of the parties, and inputs that are given one by one."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from conformance.scenario import Scenario

from secagg import kernels, protocols
from secagg.errors import LocalProtocolError
from secagg.protocol import ClientPolicy, Protocol
from secagg.runner import Faults
from secagg.runner.seat import Seat
from secagg.runner.simulation import Driver
from secagg.transcript import Transcript
from secagg.types import SERVER, PartyId, RingVector, Role, client
from secagg.wire import Frame


@pytest.fixture(params=protocols.names())
def protocol(request: pytest.FixtureRequest) -> Protocol:
    return protocols.get(request.param)


def seats(scenario: Scenario, lost: Mapping[PartyId, int] | None = None) -> list[Seat]:
    policy = ClientPolicy.accepting(scenario.plan)
    return [
        Seat(
            scenario.protocol,
            scenario.session,
            party,
            scenario.rng,
            policy,
            (lost or {}).get(party),
            set(),
            scenario.identity(party),
        )
        for party in scenario.plan.parties
    ]


class Watched(Mapping[PartyId, RingVector]):
    """Inputs that are made when they are asked for; counts those that somebody still holds."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._made: list[weakref.ref[Any]] = []
        self.given: list[PartyId] = []
        self.delivered = 0
        self.most_held = 0
        self.most_under_way = 0

    def __getitem__(self, party: PartyId) -> RingVector:
        vector = self._scenario.inputs[party].copy()
        self._made.append(weakref.ref(vector))
        self.given.append(party)
        return vector

    def __iter__(self) -> Iterator[PartyId]:
        return iter(self._scenario.inputs)

    def __len__(self) -> int:
        return len(self._scenario.inputs)

    def add(self, frame: Frame, *, sender: PartyId, **_: Any) -> None:
        self.delivered += sender.role is Role.CLIENT and frame.tail.nbytes > 0
        self.most_under_way = max(self.most_under_way, len(self.given) - self.delivered)
        self.most_held = max(self.most_held, sum(made() is not None for made in self._made))


def test_late_inputs_are_given_one_by_one_and_nobody_keeps_them(protocol: Protocol) -> None:
    scenario = Scenario(protocol, 6, {"length": 3000})
    inputs = Watched(scenario)
    outcome = Driver(seats(scenario), inputs, observer=inputs, late=True).run()
    scenario.check(outcome)
    assert outcome.included == scenario.plan.task.clients
    assert sorted(inputs.given) == list(scenario.plan.task.clients)
    # The next is given when the vector of the one before has been added.
    assert inputs.most_under_way == 0
    assert inputs.most_held <= 1


def test_eager_inputs_all_wait(protocol: Protocol) -> None:
    """What the test above would see otherwise."""
    scenario = Scenario(protocol, 6, {"length": 3000})
    inputs = Watched(scenario)
    outcome = Driver(seats(scenario), inputs, observer=inputs).run()
    scenario.check(outcome)
    assert inputs.most_under_way >= 5


def test_who_vanishes_gets_late_inputs_up_to_then(protocol: Protocol) -> None:
    scenario = Scenario(protocol, 6, {"dropout": "0.3"})
    inputs = Watched(scenario)
    driver = Driver(seats(scenario, {client(1): 0}), inputs, late=True)
    outcome = driver.run()
    scenario.check(outcome)
    assert len(outcome.included) == 5
    assert client(1) not in inputs.given


def split(scenario: Scenario) -> tuple[Driver, Driver]:
    """The clients in one driver, everybody else in another; messages go to and fro at once."""
    everybody = seats(scenario)
    clients = [seat for seat in everybody if seat.me.role is Role.CLIENT]
    others = [seat for seat in everybody if seat.me.role is not Role.CLIENT]
    drivers: list[Driver] = []
    here = Driver(
        others, {}, elsewhere=lambda *letter: drivers[1].deliver(*letter), observer=Transcript()
    )
    there = Driver(
        clients, scenario.inputs, elsewhere=lambda *letter: drivers[0].deliver(*letter), late=True
    )
    drivers += (here, there)
    return here, there


def test_two_drivers_make_one_round(protocol: Protocol) -> None:
    scenario = Scenario(protocol, 5)
    here, there = split(scenario)
    assert (here.busy, there.busy) == (True, True)
    while here.step() or there.step():
        pass
    assert (here.busy, there.busy) == (False, False)
    outcome, of_clients = here.outcome(), there.outcome()
    scenario.check(outcome)
    assert outcome.included == scenario.plan.task.clients
    assert of_clients.total is None
    assert of_clients.failure is None
    together = {**of_clients.parties, **outcome.parties}
    assert list(together) == [*scenario.plan.task.clients, *outcome.parties]
    alone = Scenario(protocol, 5).run()
    for party, report in alone.parties.items():
        assert (together[party].sent, together[party].received) == (report.sent, report.received)
        assert together[party].phase == report.phase


def test_deadlines_pass_when_they_are_told_to() -> None:
    scenario = Scenario(protocols.get("secagg"), 4, {"dropout": "0.25"})
    here, there = split(scenario)
    # Client 3 never speaks: the server waits, and its deadline comes before the clients'.
    there._seats[client(3)].gone = True
    while here.step() or there.step():
        pass
    (waiting,) = here.waiting
    assert waiting.me == SERVER
    assert [seat.me for seat in there.waiting] == [client(0), client(1), client(2)]
    for _ in range(20):
        here.expire(here.waiting)
        while here.step() or there.step():
            pass
    outcome = here.outcome()
    scenario.check(outcome)
    assert outcome.included == (client(0), client(1), client(2))
    assert not there.waiting


def test_a_stranger_is_not_delivered_to() -> None:
    here, _ = split(Scenario(protocols.get("plain"), 3))
    with pytest.raises(LocalProtocolError, match="client 0 does not live here"):
        here.deliver(SERVER, client(0), Frame(b"", memoryview(b"")))


def test_faults_on_the_way_to_elsewhere() -> None:
    scenario = Scenario(protocols.get("plain"), 3)
    sent: list[tuple[PartyId, PartyId, bytes]] = []
    driver = Driver(
        [seat for seat in seats(scenario) if seat.me == client(0)],
        {client(0): scenario.inputs[client(0)]},
        Faults(duplicate=True, tamper=lambda *_: Frame(b"changed", memoryview(b""))),
        elsewhere=lambda sender, to, frame: sent.append((sender, to, frame.head)),
    )
    driver.run()
    assert sent == [(client(0), SERVER, b"changed")] * 2


def test_messages_are_not_kept_beside_their_frames() -> None:
    """Effects are used up as they are carried out, and only a replay remembers them."""
    scenario = Scenario(protocols.get("secagg"), 3)
    party = scenario.party(client(0))
    seat = seats(scenario)[0]
    effects = party.start()
    assert len(effects) == 2
    left: list[int] = []
    seat.carry_out(effects, lambda _: left.append(len(effects)))
    assert left == [0]
    assert party._last == (b"", [])


def test_the_input_of_a_party_is_not_kept_once_sent() -> None:
    scenario = Scenario(protocols.get("plain"), 2)
    vector = scenario.inputs[client(0)].copy()
    held = weakref.ref(vector)
    driver = Driver(
        [seat for seat in seats(scenario) if seat.me == client(0)],
        {client(0): vector},
        elsewhere=lambda *_: None,
    )
    del vector
    driver.run()
    driver._inputs = {}
    assert held() is None
    assert np.any(scenario.inputs[client(0)])


def burn() -> None:
    """A tenth of a second of this thread's CPU time, and some more."""
    until = time.thread_time() + 0.1
    while time.thread_time() < until:
        pass


@pytest.mark.parametrize("threads", [1, 2])
def test_the_clock_counts_the_threads_of_kernels(threads: int) -> None:
    seat = seats(Scenario(protocols.get("plain"), 2))[0]
    with kernels.using_threads(threads), seat.on_the_clock():
        worker = threading.Thread(target=burn)
        worker.start()
        worker.join()
    assert (seat.report.cpu_seconds >= 0.1) == (threads > 1)
