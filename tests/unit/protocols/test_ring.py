"""Level `malicious` on the ring, a client before there is a graph: cohort root and beacon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.protocols.ring import (
    COUNT,
    DEGREE,
    ME,
    NAMED,
    THRESHOLD,
    RingCase,
    RingTable,
    books,
    roots,
    round_bytes,
    tree_of,
)
from unit.protocols.table import bits, changed, refuse

from secagg.errors import (
    BeaconPassed,
    DuplicateMessage,
    InconsistentCohort,
    LocalProtocolError,
    RemoteProtocolError,
)
from secagg.protocol import FAILED, Accuse, BeaconHead, BeaconValue, Deadline, Fail, Send
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import CohortRoot, CohortSignature
from secagg.protocols._masking.authenticated.ring import READING_LAG
from secagg.types import SERVER, client
from secagg.wire import Message


def test_the_small_ring_is_one() -> None:
    table = books()
    assert (table.plan.complete, table.plan.smallest_cohort) == (False, 9)
    assert table.plan.threshold == THRESHOLD
    for number in range(COUNT):
        assert len(table.server._neighbours[number]) == DEGREE
    table.finish().check_sum(*range(COUNT))


# The root: what client 0 is shown before there is a graph.


def forest(*members: int) -> Callable[[RingTable, CohortRoot], Message]:
    """The root and path of a tree over these clients only, and their bitmap."""

    def show(table: RingTable, shown: CohortRoot) -> Message:
        tree = tree_of(table, members)
        path = tree.path(members.index(ME)) if ME in members else tree.path(0)
        return changed(shown, cohort=bits(table, *members), cohort_root=tree.root, path=path)

    return show


def other_leaf(table: RingTable, shown: CohortRoot) -> Message:
    """Everything fits but the keys in my place, which are a neighbour's."""
    tree = tree_of(table, (1, *range(1, COUNT)))
    return changed(shown, cohort_root=tree.root, path=tree.path(0))


ROOTS: dict[str, RingCase] = {
    "a cohort of nobody's bits": (
        lambda t, m: changed(m, cohort=b"\xff\xff"),
        RemoteProtocolError,
        "no bits beyond the last client",
    ),
    "no path": (lambda t, m: changed(m, path=b""), RemoteProtocolError, "an audit path"),
    "another's path": (
        lambda t, m: changed(m, path=t.server._tree.path(1)),
        InconsistentCohort,
        "my keys are not under the cohort root",
    ),
    "another's keys in my place": (
        other_leaf,
        InconsistentCohort,
        "my keys are not under the cohort root",
    ),
    "a cohort in which I have another place": (
        lambda t, m: changed(m, cohort=bits(t, *range(1, COUNT), 0), path=t.server._tree.path(1)),
        InconsistentCohort,
        "my keys are not under the cohort root",
    ),
}


@pytest.mark.parametrize("name", ROOTS)
def test_roots(name: str) -> None:
    """Refused before anything is signed."""
    change, error, words = ROOTS[name]
    table = roots()
    refuse(table, change(table, table.take(CohortRoot, ME)), error, words)
    table.reading = True
    table.finish().check_sum(*range(1, COUNT))


def test_a_smaller_cohort_that_is_large_enough_is_accepted() -> None:
    table = roots()
    shown = forest(*range(9))(table, table.take(CohortRoot, ME))
    assert table.deliver(shown, SERVER, client(ME)) == []
    assert table.client(ME).phase == "commit"


# The round: by this client's own reading it has to be still to come.


@pytest.mark.parametrize(
    ("named", "newest"),
    [
        (0, 0),
        (READING_LAG, 0),
        (7, 7),
        (7, 7 + READING_LAG),
        (7, 7 - READING_LAG),
        (7, 2**63 - 1),
        (2**63, 2**63 - 1),
    ],
)
def test_a_round_that_may_be_known_is_refused(named: int, newest: int) -> None:
    table = roots()
    shown = changed(table.take(CohortRoot, ME), beacon_round=round_bytes(named))
    assert table.deliver(shown, SERVER, client(ME)) == []
    (fail,) = table.read_head(ME, newest)
    assert isinstance(fail, Fail)
    assert isinstance(fail.error, BeaconPassed)
    assert fail.error.culprit == SERVER
    known = newest + READING_LAG
    assert f"a round of the beacon after {known}, which may have come, got {named}" in fail.reason
    assert table.client(ME).phase == FAILED
    assert not any(one.sender == client(ME) for one in table.waiting)


@pytest.mark.parametrize(("named", "newest"), [(2, 0), (9, 7), (2**40, 7), (2**64 - 1, 2**63 - 1)])
def test_a_round_still_to_come_is_signed_however_far_it_is(named: int, newest: int) -> None:
    """A round years ahead costs patience only, as a silent server does: a deadline ends it."""
    table = roots()
    shown = changed(table.take(CohortRoot, ME), beacon_round=round_bytes(named))
    table.deliver(shown, SERVER, client(ME))
    (signed,) = table.read_head(ME, newest)
    party = table.ring_client(ME)
    assert isinstance(signed, Send)
    assert isinstance(signed.message, CohortSignature)
    statement = statements.cohort_statement(
        table.scenario.session.id, party.me, shown.cohort, shown.cohort_root, round_bytes(named)
    )
    statements.check_signature(
        table.scenario.session, party.me, signed.message.signature, statements.COHORT, statement
    )
    assert party.beacon_round == named
    (_, fail) = party.handle(Deadline("draw"), party.me)
    assert isinstance(fail, Fail)
    assert fail.reason == "nothing more came in phase draw"


def test_a_reading_from_before_the_root_is_not_taken() -> None:
    """Nor one from after it was signed: only what was read when it was wanted counts."""
    table = RingTable()
    table.start()
    table.reading = False
    party = table.ring_client(ME)
    early = BeaconHead(1)
    assert not party.wants(BeaconHead)
    assert party.when(early, party.me) == "late"
    with pytest.raises(LocalProtocolError, match="BeaconHead is late"):
        party.handle(early, party.me)
    table.reading = True
    table.until(CohortRoot)
    table.reading = False
    table.deliver(table.take(CohortRoot, ME), SERVER, party.me)
    assert party.wants(BeaconHead)
    assert party.when(early, party.me) == "now"
    assert table.read_head(ME, 1)
    assert not party.wants(BeaconHead)
    for event in (early, BeaconHead(2)):
        assert party.when(event, party.me) == "late"
    assert not party.wants(BeaconValue)


@pytest.mark.parametrize("signed", [False, True])
def test_one_root_is_signed(signed: bool) -> None:
    """The second, for another round or cohort, is refused by name; the first counts."""
    table = roots()
    first = table.take(CohortRoot, ME)
    others = [changed(first, beacon_round=round_bytes(NAMED + 1)), forest(*range(9))(table, first)]
    table.deliver(first, SERVER, client(ME))
    sent = table.read_head(ME, 1) if signed else []
    for other in others:
        (accusation,) = table.deliver(other, SERVER, client(ME))
        assert isinstance(accusation, Accuse)
        assert accusation.culprit == SERVER
        assert isinstance(accusation.error, DuplicateMessage)
    assert table.deliver(first, SERVER, client(ME)) == []
    if not signed:
        sent = table.read_head(ME, 1)
    assert len(sent) == 1
    assert table.ring_client(ME).beacon_round == NAMED
    table.reading = True
    table.finish().check_sum(*range(COUNT))


def test_what_is_signed_says_all_that_was_fixed() -> None:
    table = roots()
    shown = table.take(CohortRoot, ME)
    table.deliver(shown, SERVER, client(ME))
    (sent,) = table.read_head(ME, 1)
    fixed: dict[str, Any] = {
        "session_id": table.scenario.session.id,
        "cohort": shown.cohort,
        "root": shown.cohort_root,
        "beacon_round": shown.beacon_round,
    }
    statement = statements.cohort_statement(signer=client(ME), **fixed)
    assert sent.message.signature == table.sign(ME, statements.COHORT, statement)
    said = {statement, statements.cohort_statement(signer=client(1), **fixed)}
    seeds = {statements.graph_seed(value=value, **fixed) for value in (b"value", b"other")}
    for name, value in fixed.items():
        other = fixed | {name: bytes(len(value))}
        said.add(statements.cohort_statement(signer=client(ME), **other))
        seeds.add(statements.graph_seed(value=b"value", **other))
    assert len(said) == len(seeds) == 2 + len(fixed)


# The beacon says nothing.


def test_a_client_that_cannot_read_the_beacon_is_lost() -> None:
    table = roots()
    table.deliver(table.take(CohortRoot, ME), SERVER, client(ME))
    party = table.ring_client(ME)
    (_, fail) = party.handle(Deadline("commit"), party.me)
    assert isinstance(fail, Fail)
    assert fail.reason == "nothing more came in phase commit"
    table.reading = True
    table.finish().check_sum(*range(1, COUNT))


def test_a_driver_without_a_beacon_tells_nobody_anything() -> None:
    scenario = RingTable().scenario
    scenario.identities = replace(scenario.identities, beacon=None)  # type: ignore[type-var]
    outcome = scenario.run()
    assert outcome.failure == "phase commit: the public beacon said nothing"
    assert outcome.total is None
