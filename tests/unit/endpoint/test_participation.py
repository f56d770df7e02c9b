"""Clients that keep a record of the sums they helped with, and refuse nearly the same again."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from unit.endpoint.federation import Channel, Federation

from secagg.endpoint import Endpoint, ServerEndpoint
from secagg.endpoint.survivors import named_in
from secagg.errors import NearIdenticalCohort, RoundFailed
from secagg.ledger import Participation
from secagg.protocol import Level
from secagg.protocols._masking.messages import UnmaskRequest
from secagg.types import SERVER, PartyId, client

LEVELS = [("secagg", Level.CURIOUS), ("secagg_plus", Level.CURIOUS), ("secagg", Level.MALICIOUS)]
VICTIM = client(2)
BEFORE_ITS_VECTOR = 2

Records = Mapping[PartyId, Participation]


def session(
    federation: Federation, records: Records, *, lost: bool = False, **changes: object
) -> Channel:
    """One more session of the federation; its clients keep these records."""
    federation.invitation = federation.invite(**changes)
    ends: dict[PartyId, Endpoint] = {SERVER: federation.server()}
    for who in federation.clients:
        ends[who] = federation.client(who, participation=records[who], **received(changes))
    return Channel(ends, {VICTIM: BEFORE_ITS_VECTOR} if lost else {}).run()


def received(changes: Mapping[str, object]) -> dict[str, object]:
    return {"model": changes["model"]} if "model" in changes else {}


def server_of(channel: Channel) -> ServerEndpoint:
    server = channel.ends[SERVER]
    assert isinstance(server, ServerEndpoint)
    return server


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_a_second_sum_without_one_client_is_not_released(name: str, level: Level) -> None:
    federation = Federation(name, level)
    records = {who: Participation() for who in federation.clients}
    first = session(federation, records)
    assert federation.check(server_of(first)) == federation.clients
    second = session(federation, records, lost=True)
    with pytest.raises(RoundFailed):
        server_of(second).result()
    for who in set(federation.clients) - {VICTIM}:
        failure = second.ends[who].failure
        assert isinstance(failure, NearIdenticalCohort)
        assert failure.clients == (VICTIM.number,)
        assert len(records[who].sums) == 1


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_without_records_it_is(name: str, level: Level) -> None:
    federation = Federation(name, level)
    records = {who: Participation() for who in federation.clients}
    session(federation, records)
    fresh = {who: Participation() for who in federation.clients}
    second = session(federation, fresh, lost=True)
    assert VICTIM not in federation.check(server_of(second))


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_the_same_cohort_again_and_another_model_are_let_pass(name: str, level: Level) -> None:
    federation = Federation(name, level)
    records = {who: Participation() for who in federation.clients}
    session(federation, records)
    again = session(federation, records)
    assert federation.check(server_of(again)) == federation.clients
    other = session(federation, records, lost=True, model=b"the next model")
    assert VICTIM not in federation.check(server_of(other))
    assert {len(records[who].sums) for who in set(federation.clients) - {VICTIM}} == {3}
    # Of the sum that it is not in, the victim was never told.
    assert len(records[VICTIM].sums) == 2


def test_a_record_is_stored_between_sessions() -> None:
    federation = Federation("secagg")
    records = {who: Participation() for who in federation.clients}
    session(federation, records)
    stored = {who: Participation.decode(record.encode()) for who, record in records.items()}
    second = session(federation, stored, lost=True)
    assert isinstance(second.ends[client(0)].failure, NearIdenticalCohort)


def test_a_list_that_says_nothing_is_left_to_the_party() -> None:
    federation = Federation("secagg")
    _, agreed = federation.invitation.agree(federation.roster)
    assert named_in(UnmaskRequest(b"\x00"), agreed) is None
    assert named_in(UnmaskRequest(b"\xff\xff"), agreed) is None
    taken = named_in(UnmaskRequest(b"\x05"), agreed)
    assert taken is not None
    assert taken.included == (0, 2)
