"""Whatever the order of messages and the moment of deadlines, and whoever dies when."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from conformance.scenario import Offered, Scenario
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg.errors import DecodeError, LocalProtocolError
from secagg.protocol import (
    Adversary,
    Deadline,
    Effect,
    Party,
    Record,
    Remember,
)
from secagg.runner import Faults
from secagg.types import PartyId, Role, client
from secagg.wire import Frame


class DrawnOrder:
    """Hypothesis chooses the next delivery, and now and then lets a deadline pass."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int], deadlines: bool) -> None:
        self._draw = draw
        self._deadlines = deadlines

    def next(self, pending: int, waiting: int) -> int:
        # Most of the time a delivery, or every run would end in the first phase.
        deadline = not pending or (
            self._deadlines and waiting > 0 and self._draw(st.integers(0, 11)) == 11
        )
        if deadline:
            return pending + (self._draw(st.integers(0, waiting - 1)) if self._deadlines else 0)
        return self._draw(st.integers(0, pending - 1))


@given(data=st.data())
@settings(max_examples=60)
def test_any_delivery_order_gives_the_sum_of_all(offered_name: str, data: st.DataObject) -> None:
    scenario = Scenario(Offered.named(offered_name), data.draw(st.integers(2, 4)))
    outcome = scenario.run(schedule=DrawnOrder(data.draw, deadlines=False))
    scenario.check(outcome)
    assert outcome.included == scenario.plan.task.clients


@given(data=st.data())
@settings(max_examples=200)
def test_deadlines_at_any_moment(offered_name: str, data: st.DataObject) -> None:
    offered = Offered.named(offered_name)
    count = data.draw(st.integers(3, 5))
    scenario = Scenario(offered, count, {"dropout": "0.2"})
    lifetimes = st.integers(0, offered.client_steps - 1)
    lost = data.draw(st.dictionaries(st.integers(0, count - 1).map(client), lifetimes, max_size=2))
    faults = Faults(lost=lost, duplicate=data.draw(st.booleans()))
    scenario.check(scenario.run(faults, schedule=DrawnOrder(data.draw, deadlines=True)))


def test_every_message_twice_changes_nothing(offered: Offered) -> None:
    scenario = Scenario(offered, 4)
    outcome = scenario.run(Faults(duplicate=True))
    scenario.check(outcome)
    assert outcome.included == scenario.plan.task.clients
    assert not outcome.accused
    assert sum(report.late for report in outcome.parties.values()) > 0


def test_every_party_killed_and_restored_at_every_effect(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    undisturbed = scenario.run()
    for party, report in undisturbed.parties.items():
        assert report.effects > 1
        if not offered.offering.roles[party.role].restorable:
            continue  # see test_a_role_that_cannot_be_restored_is_lost
        for ordinal in range(report.effects):
            outcome = scenario.run(Faults(kills={party: (ordinal,)}))
            assert outcome.failure is None, (party, ordinal, outcome.failure)
            assert outcome.included == scenario.plan.task.clients
            np.testing.assert_array_equal(outcome.sum(), scenario.expected(outcome.included))
            assert not outcome.accused, (party, ordinal)


def test_every_party_killed_twice(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    for party, report in scenario.run().parties.items():
        if not offered.offering.roles[party.role].restorable:
            continue
        for ordinal in range(report.effects - 1):
            outcome = scenario.run(Faults(kills={party: (ordinal, ordinal + 1)}))
            assert outcome.included == scenario.plan.task.clients, (party, ordinal)
            assert not outcome.accused


@given(data=st.data())
@settings(max_examples=60)
def test_kills_in_any_order_of_messages(offered_name: str, data: st.DataObject) -> None:
    scenario = Scenario(Offered.named(offered_name), 3)
    roles = scenario.offering.roles
    parties = st.sampled_from([p for p in scenario.plan.parties if roles[p.role].restorable])
    kills = data.draw(st.dictionaries(parties, st.sets(st.integers(0, 12), max_size=3)))
    outcome = scenario.run(Faults(kills=kills), schedule=DrawnOrder(data.draw, deadlines=False))
    scenario.check(outcome)
    assert outcome.included == scenario.plan.task.clients


def test_a_restored_party_sends_the_same_bytes(offered: Offered) -> None:
    """Of a client killed before each of its effects, every message equals the one sent before."""
    victim = client(1)
    scenario = Scenario(offered, 3)
    for ordinal in range(1, scenario.run().parties[victim].effects):
        first: dict[tuple[PartyId, bytes], bytes] = {}
        frames: list[bytes] = []

        def watch(
            frame: Frame, sender: PartyId, recipient: PartyId, frames: list[bytes] = frames
        ) -> Frame:
            if sender == victim:
                frames.append(frame.join())
            return frame

        scenario.run(Faults(kills={victim: (ordinal,)}, tamper=watch))
        for frame in frames:
            kind = (victim, frame[5:6])
            assert first.setdefault(kind, frame) == frame


def test_a_role_that_cannot_be_restored_is_lost(offered: Offered) -> None:
    """Killed, it releases nothing; a lost server ends the round, a lost client is a dropout."""
    remembers = offered.offering.guarantees.adversary.at_least(Adversary.LYING_SERVER)
    for role in offered.offering.roles:
        if role is Role.CLIENT and remembers:
            with pytest.raises(LocalProtocolError, match="a ledger cannot help"):
                Scenario(_fragile(offered, role), 4).run()
        else:
            _check_that_it_is_lost(_fragile(offered, role), role)


def _check_that_it_is_lost(fragile: Offered, role: Role) -> None:
    scenario = Scenario(fragile, 4, {"dropout": "0.25"})
    victim = next(party for party in scenario.plan.parties if party.role is role)
    effects = scenario.run().parties[victim].effects
    for ordinal in range(1, effects):
        outcome = scenario.run(Faults(kills={victim: (ordinal,)}))
        assert outcome.parties[victim].effects == ordinal
        assert "lost" in (outcome.parties[victim].failure or "")
        scenario.check(outcome)
        if role is Role.CLIENT:
            assert set(outcome.included) >= set(scenario.plan.task.clients) - {victim}
        elif role is scenario.collector.role:
            assert outcome.total is None


def test_a_party_restored_without_records_is_fresh(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    me = client(0)
    party = scenario.restore(me, [])
    party.start()
    with pytest.raises(LocalProtocolError, match="fresh"):
        party.restore([])
    with pytest.raises(LocalProtocolError, match="twice"):
        party.start()


def test_records_of_another_party_or_session_are_refused(offered: Offered) -> None:
    """First and final records alike: what they hold would be sent in the wrong place."""
    scenario, other = Scenario(offered, 3), Scenario(offered, 3, seed=2)
    me, stranger, *_ = _restorable(scenario)
    party = scenario.party(me)
    first = _records(party.start())
    final: list[Record] = []
    while not party.ended:
        final = _records(party.handle(Deadline(party.phase), me))
    assert final[0].final
    for records in (first, final):
        for world, who in ((scenario, stranger), (other, me)):
            with pytest.raises(DecodeError, match="another's"):
                world.restore(who, records)
        assert scenario.restore(me, records).ended == (records is final)


def test_damaged_records_are_refused(offered: Offered) -> None:
    scenario = Scenario(offered, 3)
    me, *_ = _restorable(scenario)
    party = scenario.party(me)
    (start,) = _records(party.start())
    (second,) = _records(party.handle(Deadline(party.phase), me))
    damaged = Record(start.head[:-1], start.tail)
    for records in ([damaged], [start, start], [damaged, second][: 1 if second.final else 2]):
        with pytest.raises(DecodeError):
            scenario.restore(me, records)


def test_a_role_that_is_not_restorable_remembers_nothing(offered: Offered) -> None:
    """Its records would hold its keys, for nobody's use."""
    scenario = Scenario(offered, 3)
    for who in scenario.plan.parties:
        party = scenario.party(who)
        assert bool(_records(party.start())) == party.restorable


def _restorable(scenario: Scenario) -> list[PartyId]:
    roles = scenario.offering.roles
    return [party for party in scenario.plan.parties if roles[party.role].restorable]


def _records(effects: Iterable[Effect]) -> list[Record]:
    return [effect.record for effect in effects if isinstance(effect, Remember)]


def _fragile(offered: Offered, role: Role) -> Offered:
    fragile, offering = copy.copy(offered.protocol), offered.offering
    party: type[Party] = offering.roles[role]
    lost = type(party.__name__, (party,), {"restorable": False})
    changed = replace(offering, roles={**offering.roles, role: lost})
    fragile.levels = {offered.level: changed}  # type: ignore[misc]
    return Offered(fragile, offered.level)
