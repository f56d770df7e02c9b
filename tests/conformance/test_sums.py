"""The sum is exact, whoever drops out and whenever."""

from __future__ import annotations

import itertools
from decimal import Decimal

import numpy as np
import pytest
from conformance.scenario import Offered, Scenario

from secagg.errors import RoundFailed
from secagg.runner import Faults
from secagg.types import PartyId, Role, client


@pytest.mark.parametrize("count", [2, 3, 4, 10])
def test_the_sum_is_exact(offered: Offered, count: int) -> None:
    scenario = Scenario(offered, count)
    outcome = scenario.run()
    assert outcome.failure is None
    assert outcome.included == scenario.plan.task.clients
    np.testing.assert_array_equal(outcome.sum(), scenario.expected(outcome.included))
    assert {report.phase for report in outcome.parties.values()} == {"done"}


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 64, 1000])
@pytest.mark.parametrize("bound", [1, 1000, 1 << 20, 1 << 40])
def test_any_length_and_bound(offered: Offered, length: int, bound: int) -> None:
    scenario = Scenario(offered, 3, {"length": length, "bound": bound})
    scenario.check(outcome := scenario.run())
    assert outcome.included == scenario.plan.task.clients


def test_clients_need_not_be_numbered_from_zero(offered: Offered) -> None:
    from secagg.crypto.rng import seeded
    from secagg.protocol import Session, Task
    from secagg.runner import run

    clients = tuple(client(number) for number in (3, 17, 200, 70_000))
    task = Task(
        clients=clients, length=3, bound=5, min_clients=2, corrupt=Decimal(0), dropout=Decimal(0)
    )
    plan = offered.protocol.plan(task)
    rng = seeded(5)
    ones = {party: np.ones(3, dtype=plan.ring.dtype) for party in clients}
    outcome = run(offered.protocol, Session.fresh(plan, rng), ones, rng)
    assert outcome.included == clients
    assert outcome.sum().tolist() == [4, 4, 4]


@pytest.mark.parametrize("count", [3, 4])
def test_every_dropout_pattern_at_every_phase(offered: Offered, count: int) -> None:
    steps = offered.client_steps
    scenario = Scenario(offered, count, {"dropout": "0.25"})
    for lifetimes in itertools.product([None, *range(steps)], repeat=count):
        lost = {
            client(number): lifetime
            for number, lifetime in enumerate(lifetimes)
            if lifetime is not None
        }
        outcome = scenario.run(Faults(lost=lost))
        scenario.check(outcome)
        stayed = set(scenario.plan.task.clients) - set(lost)
        if outcome.total is None:
            assert len(lost) > scenario.plan.dropouts, (lifetimes, outcome.failure)
            with pytest.raises(RoundFailed, match="needed"):
                outcome.sum()
        else:
            assert stayed <= set(outcome.included)
        if len(stayed) < scenario.plan.minimum and all(lost.values()) is False:
            never = [party for party, lifetime in lost.items() if lifetime == 0]
            if count - len(never) < scenario.plan.minimum:
                assert outcome.total is None


def test_nothing_is_released_below_the_minimum(offered: Offered) -> None:
    scenario = Scenario(offered, 6, {"min_clients": 5, "corrupt": "0.1", "dropout": "0.1"})
    for lost in ([0], [0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]):
        outcome = scenario.run(Faults(lost={client(number): 0 for number in lost}))
        released = outcome.total is not None
        assert released == (6 - len(lost) >= scenario.plan.minimum)
        if not released:
            assert str(scenario.plan.minimum) in (outcome.failure or "")


def test_the_inputs_are_left_unchanged(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    before = {party: vector.copy() for party, vector in scenario.inputs.items()}
    scenario.run()
    for party, vector in scenario.inputs.items():
        np.testing.assert_array_equal(vector, before[party])


def test_bytes_equal_the_documented_formula(offered: Offered) -> None:
    for count, length in ((2, 1), (5, 17), (9, 300)):
        scenario = Scenario(offered, count, {"length": length})
        outcome = scenario.run()
        traffic = offered.protocol.traffic(scenario.plan)
        for party in scenario.plan.task.clients:
            report = outcome.parties[party]
            assert (report.sent, report.received) == (traffic.up, traffic.down), (count, party)
    assert offered.offering.traffic_formula


def test_bytes_never_exceed_the_formula(offered: Offered) -> None:
    scenario = Scenario(offered, 5, {"dropout": "0.2"})
    traffic = offered.protocol.traffic(scenario.plan)
    for step in range(offered.client_steps):
        outcome = scenario.run(Faults(lost={client(1): step}))
        for party in scenario.plan.task.clients:
            report = outcome.parties[party]
            assert report.sent <= traffic.up
            assert report.received <= traffic.down


def test_the_same_seed_gives_the_same_bytes(offered: Offered) -> None:
    """The same messages of the same sizes, and where all roles are restorable the same bytes.

    A role that is not may draw randomness from a library that takes no seed.
    """
    from secagg.transcript import Transcript

    repeatable = all(role.restorable for role in offered.offering.roles.values())

    def entries() -> list[tuple[str, str, str, int, str]]:
        transcript = Transcript()
        Scenario(offered, 3).run(transcript=transcript)
        return [
            (e.sender, e.recipient, e.message, e.size, e.sha256 if repeatable else "")
            for e in transcript.entries
        ]

    assert entries() == entries() != []


def test_work_is_accounted_for_by_party(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    outcome = scenario.run()
    sent = sum(report.sent for report in outcome.parties.values())
    received = sum(report.received for report in outcome.parties.values())
    assert sent == received > 0
    assert outcome.cpu_seconds(Role.CLIENT) > 0
    assert outcome.parties[scenario.collector].cpu_seconds > 0
    assert all(isinstance(party, PartyId) for party in outcome.parties)


def test_a_cohort_large_enough_for_a_sparse_graph(offered: Offered) -> None:
    """With exactly the planned dropouts, spread over all phases, the survivors' sum is exact."""
    scenario = Scenario(offered, 100, {"corrupt": "0.05", "dropout": "0.05", "min_clients": 3})
    steps = offered.client_steps
    lost = {client(number * 19): number % steps for number in range(5)}
    outcome = scenario.run(Faults(lost=lost))
    scenario.check(outcome)
    assert outcome.failure is None
    assert set(scenario.plan.task.clients) - set(lost) <= set(outcome.included)


def test_bytes_equal_the_formula_on_a_sparse_graph(offered: Offered) -> None:
    scenario = Scenario(offered, 100, {"corrupt": "0.05", "dropout": "0.05"})
    outcome = scenario.run()
    traffic = offered.protocol.traffic(scenario.plan)
    for party in scenario.plan.task.clients:
        report = outcome.parties[party]
        assert (report.sent, report.received) == (traffic.up, traffic.down)
