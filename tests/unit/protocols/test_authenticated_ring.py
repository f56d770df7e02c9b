"""What level `malicious` adds on a sparse graph: the cohort is fixed before the graph is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.protocols.table import Case, Table, assert_refused, bits, changed, flipped, refuse

from secagg.crypto.rng import seeded
from secagg.crypto.signing import SigningKey
from secagg.errors import (
    BadSignature,
    BeaconPassed,
    CohortTooSmall,
    InconsistentCohort,
    LocalProtocolError,
    ParameterError,
    QuorumMissing,
    RemoteProtocolError,
)
from secagg.protocol import BeaconValue, Deadline, Effect, Fail, Party, SimulatedBeacon
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import (
    CohortRoot,
    CohortSignature,
    CommittedShares,
    SignedAnswer,
    SignedKeyBook,
    SignedKeys,
    SignedVector,
    SurvivorQuorum,
    SurvivorSignature,
)
from secagg.protocols._masking.authenticated.ring import RingServer
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.messages import encode_numbers
from secagg.protocols._masking.neighbourhood import Neighbourhood
from secagg.types import SERVER, Secret, client
from secagg.wire import Message

ME, BAD = 0, 2
SMALL = 5
"""Clients whose graph is complete, which is enough for what comes before the graph."""

SPARSE = 60
NO_SIGNATURE = "not a valid signature for"


def small() -> Table:
    return Table("secagg_plus-malicious", SMALL)


def sparse() -> Table:
    """A degree of 12 and a threshold of 10."""
    task: dict[str, Any] = {"corrupt": "0.02", "dropout": "0.02", "sigma": 20, "eta": 5}
    table = Table("secagg_plus-malicious", SPARSE, **task)
    assert not table.plan.complete
    return table


def round_of(number: int) -> bytes:
    return number.to_bytes(8, "little")


def server_of(table: Table) -> RingServer:
    assert isinstance(table.server, RingServer)
    return table.server


# The root over the cohort. The beacon is at round 1, and may be at 2; the server names round 4.


def path_of(number: int) -> Callable[[Table, CohortRoot], Message]:
    return lambda table, message: changed(message, path=table.server._tree.path(number))


ROOTS: dict[str, Case] = {
    "no bitmap": (
        lambda t, m: changed(m, cohort=bytes(2)),
        RemoteProtocolError,
        "a bitmap of 1 bytes, got 2",
    ),
    "without me": (
        lambda t, m: changed(m, cohort=bits(t, 1, 2, 3, 4)),
        RemoteProtocolError,
        "expected a cohort with me",
    ),
    "a path cut short": (
        lambda t, m: changed(m, path=m.path[:-1]),
        RemoteProtocolError,
        "96 bytes of an audit path for each of 1, got 95",
    ),
    "another root": (
        lambda t, m: changed(m, cohort_root=flipped(m.cohort_root)),
        InconsistentCohort,
        "my keys are not under the cohort root",
    ),
    "another path": (path_of(1), InconsistentCohort, "my keys are not under the cohort root"),
    "a cohort that is too small": (
        lambda t, m: changed(m, cohort=bits(t, 0, 1, 2)),
        CohortTooSmall,
        "at least 4 clients in phase advertise, got 3",
    ),
    "a round that may have come": (
        lambda t, m: changed(m, beacon_round=round_of(2)),
        BeaconPassed,
        "a round of the beacon after 2, which may have come, got 2",
    ),
    "the round that has come": (
        lambda t, m: changed(m, beacon_round=round_of(1)),
        BeaconPassed,
        "after 2, which may have come, got 1",
    ),
    "a round before that": (
        lambda t, m: changed(m, beacon_round=round_of(0)),
        BeaconPassed,
        "after 2, which may have come, got 0",
    ),
}


@pytest.mark.parametrize("name", ROOTS)
def test_roots(name: str) -> None:
    change, error, words = ROOTS[name]
    table = small().start().until(CohortRoot)
    refuse(table, change(table, table.take(CohortRoot, ME)), error, words)
    table.finish().check_sum(1, 2, 3, 4)


def test_the_next_round_will_do_if_it_is_still_to_come() -> None:
    table = small().start().until(CohortRoot)
    message = table.take(CohortRoot, ME)
    assert message.beacon_round == round_of(4)
    table.beacon_round = 2
    assert table.deliver(message, SERVER, client(ME))
    table.finish().check_sum(0, 1, 2, 3, 4)


def test_a_client_that_is_late_sees_that_the_round_has_come() -> None:
    table = small().start().until(CohortRoot)
    message = table.take(CohortRoot, ME)
    table.beacon_round = 3
    refuse(table, message, BeaconPassed, "after 4, which may have come, got 4")


# The key book.


def of_beacon(number: int, seed: int | None = None) -> Callable[[Table, SignedKeyBook], Message]:
    """What the beacon said in this round, or another beacon did."""

    def say(table: Table, book: SignedKeyBook) -> Message:
        assert table.scenario.identities is not None
        beacon = table.scenario.identities.beacon
        if seed is not None:
            beacon = SimulatedBeacon(SigningKey(Secret(seeded(seed).bytes(32))))
        assert beacon is not None
        return changed(book, beacon=beacon.value(number))

    return say


BOOKS: dict[str, Case] = {
    "another cohort": (
        lambda t, b: changed(b, cohort=bits(t, 0, 1, 2, 3)),
        InconsistentCohort,
        "the cohort that I signed",
    ),
    "another root": (
        lambda t, b: changed(b, cohort_root=flipped(b.cohort_root)),
        InconsistentCohort,
        "the cohort that I signed",
    ),
    "the value of the round before": (of_beacon(3), RemoteProtocolError, "round 4 of the beacon"),
    "the value of the round after": (of_beacon(5), RemoteProtocolError, "round 4 of the beacon"),
    "another beacon": (of_beacon(4, 5), RemoteProtocolError, "round 4 of the beacon"),
    "no value": (
        lambda t, b: changed(b, beacon=b""),
        RemoteProtocolError,
        "round 4 of the beacon",
    ),
}


@pytest.mark.parametrize("name", BOOKS)
def test_books(name: str) -> None:
    change, error, words = BOOKS[name]
    table = small().start().until(SignedKeyBook)
    refuse(table, change(table, table.take(SignedKeyBook, ME)), error, words)
    table.finish().check_sum(1, 2, 3, 4)


def test_the_value_is_the_one_that_the_driver_reads() -> None:
    table = small().start().until(SignedKeyBook)
    book = table.take(SignedKeyBook, ME)
    assert of_beacon(4)(table, book) == book


def rows_for(table: Table, near: list[int]) -> dict[str, bytes]:
    """All of a book's columns for these neighbours, as the server has them."""
    server = server_of(table)
    signed = [server._advertised[number] for number in near]
    closed = sorted((*near, ME))
    return {
        "neighbours": encode_numbers(near),
        "keys": b"".join(one.channel_key + one.mask_key for one in signed),
        "models": b"".join(one.model_digest for one in signed),
        "signatures": b"".join(one.signature for one in signed),
        "paths": b"".join(server._tree.path(server._cohort.index(n)) for n in closed),
    }


def test_books_of_a_sparse_graph() -> None:
    """Other neighbours than the graph's, each with all that belongs to it; other paths."""
    table = sparse().start().until(SignedKeyBook)
    book = table.take(SignedKeyBook, ME)
    near = server_of(table)._neighbours[ME]
    assert changed(book, **rows_for(table, near)) == book
    stranger = next(number for number in range(1, SPARSE) if number not in near)
    others = changed(book, **rows_for(table, sorted((*near[1:], stranger))))
    refuse(table, others, RemoteProtocolError, "the neighbours that the graph gives me")


@pytest.mark.parametrize("field", ["paths", "keys"])
def test_keys_that_are_not_under_the_root(field: str) -> None:
    """A path is another, or a corrupt neighbour signed other keys than those under the root."""
    table = sparse().start().until(SignedKeyBook)
    book = table.take(SignedKeyBook, ME)
    near = server_of(table)._neighbours[ME]
    if field == "paths":
        book = changed(book, paths=flipped(book.paths, -1))
    else:
        keys = PublicKeys(bytes(range(32)), bytes(range(1, 33)))
        session = table.scenario.session
        statement = statements.keys_statement(
            session.id, client(near[0]), session.model_digest, keys
        )
        signature = table.sign(near[0], statements.KEYS, statement)
        book = changed(
            book,
            keys=b"".join(keys) + book.keys[64:],
            signatures=signature + book.signatures[64:],
        )
    refuse(table, book, RemoteProtocolError, "the cohort root is not over the keys that came")


def test_a_quorum_is_of_the_neighbourhood() -> None:
    """Signatures of ten survivors, one of whom is not a neighbour."""
    table = sparse().start().until(SurvivorQuorum)
    quorum = table.take(SurvivorQuorum, ME)
    near = server_of(table)._neighbours[ME]
    stranger = next(number for number in range(1, SPARSE) if number not in near)
    numbers = sorted((*near[: table.plan.threshold - 2], stranger))
    signatures = b"".join(server_of(table)._signatures[number] for number in numbers)
    lie = changed(quorum, signers=encode_numbers(numbers), signatures=signatures)
    refuse(table, lie, QuorumMissing, "signatures of survivors in my neighbourhood")
    table.finish().check_sum(*range(SPARSE))


# The server.


def signed_root(
    context: str = statements.COHORT, by: int = BAD, **fields: Any
) -> Callable[[Table, CohortSignature], Message]:
    def sign(table: Table, message: CohortSignature) -> Message:
        server = server_of(table)
        parts = {
            "signer": client(BAD),
            "cohort": server._bitmap,
            "root": server._tree.root,
            "beacon_round": round_of(4),
            **fields,
        }
        statement = statements.cohort_statement(table.scenario.session.id, **parts)
        return CohortSignature(table.sign(by, context, statement))

    return sign


SIGNATURES: dict[str, Case] = {
    "no signature": (lambda t, m: CohortSignature(bytes(64)), BadSignature, NO_SIGNATURE),
    "another context": (signed_root(statements.SURVIVORS), BadSignature, NO_SIGNATURE),
    "another signer": (signed_root(by=1), BadSignature, NO_SIGNATURE),
    "as another": (signed_root(signer=client(1)), BadSignature, NO_SIGNATURE),
    "another cohort": (signed_root(cohort=b"\x0f"), BadSignature, NO_SIGNATURE),
    "another root": (signed_root(root=bytes(32)), BadSignature, NO_SIGNATURE),
    "another round": (signed_root(beacon_round=round_of(5)), BadSignature, NO_SIGNATURE),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_of_the_root(name: str) -> None:
    table = small().start().until(CohortSignature)
    good = table.take(CohortSignature, BAD)
    assert signed_root()(table, good) == good
    change, error, words = SIGNATURES[name]
    assert_refused(table, change(table, good), error, words)
    assert not table.deliver(good, client(BAD), SERVER)
    table.finish().check_sum(0, 1, 2, 3, 4)


def test_only_the_cohort_signs() -> None:
    signature = small().start().until(CohortSignature).take(CohortSignature, BAD)
    table = small().start().until(SignedKeys).drop(SignedKeys, BAD).until(CohortSignature)
    assert_refused(table, signature, RemoteProtocolError, "signatures of the cohort only")
    table.finish().check_sum(0, 1, 3, 4)


@pytest.mark.parametrize("kind", [CohortSignature, CommittedShares, SignedVector])
def test_one_that_is_lost_before_its_vector(kind: type[Message]) -> None:
    table = sparse().start().until(kind).drop(kind, BAD).finish()
    table.check_sum(*(number for number in range(SPARSE) if number != BAD))
    assert table.accused == []


@pytest.mark.parametrize("kind", [SurvivorSignature, SignedAnswer])
def test_one_that_is_lost_after_its_vector(kind: type[Message]) -> None:
    table = sparse().start().until(kind).drop(kind, BAD).finish()
    table.check_sum(*range(SPARSE))
    assert table.accused == []


def test_too_few_sign_the_cohort() -> None:
    table = small().start().until(CohortSignature).drop(CohortSignature, 1, 2).finish()
    reason = table.failures[SERVER].reason
    assert reason == "phase sign: 3 of 5 clients signed the cohort, 4 are needed"
    assert table.total is None


def reading(who: Callable[[Party], bool]) -> Callable[[Table, Party], list[Effect]]:
    """The beacon is read for these parties only."""
    read = Table._read_beacon

    def reads(table: Table, party: Party) -> list[Effect]:
        return read(table, party) if who(party) else []

    return reads


@pytest.mark.parametrize("phase", ["commit", "draw"])
def test_without_the_beacon_there_is_no_graph(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = small()
    reads = reading(lambda party: party.me != SERVER or party.phase != phase)
    monkeypatch.setattr(Table, "_read_beacon", reads)
    table.start()
    while table.waiting:
        table.hand_over()
    assert table.server.phase == phase
    (fail,) = table._act(SERVER, table.server.handle(Deadline(phase), SERVER))
    assert isinstance(fail, Fail)
    assert fail.reason == f"phase {phase}: the public beacon said nothing"


def test_the_server_believes_its_driver_no_more_than_the_beacon() -> None:
    """What is no value of the round is the driver's mistake, and may be read again."""
    table = small()
    table.beacon_round = 7
    beacon = table.scenario.identities.beacon if table.scenario.identities is not None else None
    assert beacon is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Table, "_read_beacon", reading(lambda party: party.phase != "draw"))
        table.start()
        while table.waiting:
            table.hand_over()
    number = table.server.beacon_round
    assert number == 10
    for event, words in (
        (BeaconValue(9, beacon.value(9)), "of round 10: it is that of round 9"),
        (BeaconValue(9, beacon.value(10)), "of round 10: it is that of round 9"),
        (BeaconValue(10, beacon.value(9)), "of round 10: not a valid signature"),
    ):
        with pytest.raises(LocalProtocolError, match=words):
            table.server.handle(event, SERVER)
    table._act(SERVER, table.server.handle(BeaconValue(10, beacon.value(10)), SERVER))
    table.finish().check_sum(0, 1, 2, 3, 4)


def test_who_needs_a_beacon_to_believe() -> None:
    scenario = small().scenario
    for who in (client(ME), SERVER):
        own = scenario.identity(who)
        assert own is not None
        with pytest.raises(ParameterError, match=f"{who} needs a public beacon to believe"):
            scenario.protocol.identified_party(
                scenario.session, who, scenario.rng, replace(own, beacon=None)
            )


def test_the_graph_is_that_of_all_that_was_fixed() -> None:
    """Whoever changes any of it, or the beacon's word, has another graph."""
    fixed = dict.fromkeys(("session_id", "root"), bytes(32)) | {
        "cohort": b"\xff",
        "beacon_round": round_of(4),
        "value": bytes(64),
    }
    seeds = {statements.graph_seed(**fixed)}
    for name, value in fixed.items():
        seeds.add(statements.graph_seed(**{**fixed, name: flipped(value)}))
    assert len(seeds) == 6
    table = sparse().start().until(SignedKeyBook)
    server = server_of(table)
    assert table.scenario.identities is not None
    assert table.scenario.identities.beacon is not None
    seed = statements.graph_seed(
        table.scenario.session.id,
        server._bitmap,
        server._tree.root,
        round_of(4),
        table.scenario.identities.beacon.value(4),
    )
    hood = Neighbourhood(table.plan, server._bitmap, seed)
    assert server._neighbours == {number: hood.neighbours(number) for number in range(SPARSE)}
