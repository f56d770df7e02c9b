"""Level `malicious` on the ring, the server: who signs the root, who does not, what it reads."""

from __future__ import annotations

from unit.protocols.ring import COUNT, NAMED, RingTable, signatures
from unit.protocols.table import assert_refused

from secagg.errors import RemoteProtocolError
from secagg.protocol import BeaconHead, BeaconValue
from secagg.protocols._masking.authenticated.messages import CohortSignature, CommittedShares
from secagg.types import SERVER, client

OTHER = 2


def test_who_does_not_sign_is_lost_and_the_others_are_not_kept_waiting() -> None:
    table = signatures()
    table.drop(CohortSignature, OTHER)
    table.hand_over()
    assert table.server.phase == "sign"
    table.expire()
    assert table.server.phase == "share"
    assert client(OTHER) not in {one.recipient for one in table.waiting}
    # They stay in the graph: it was drawn over the whole cohort.
    assert table.server._neighbours.keys() == set(range(COUNT))
    table.hand_over()
    table.hand_over()
    assert table.server.phase == "mask"
    table.finish().check_sum(*(n for n in range(COUNT) if n != OTHER))
    assert not table.accused


def test_too_few_advertise() -> None:
    """Then there is no root, and the beacon is not read."""
    table = RingTable()
    table.start(but=range(4)).finish()
    reason = table.failures[SERVER].reason
    assert reason == "phase advertise: 8 of 12 clients advertised keys, 9 are needed"
    assert table.ring_server.beacon_round == 0


def test_a_signature_that_comes_late_is_not_taken() -> None:
    table = signatures()
    late = table.take(CohortSignature, OTHER)
    table.hand_over()
    table.expire()
    assert table.server.when(late, client(OTHER)) == "late"


def test_who_did_not_sign_deals_nothing() -> None:
    """It got no book; one that colludes with somebody who did is not waited for."""
    table = signatures()
    table.drop(CohortSignature, OTHER)
    table.until(CommittedShares)
    message = next(one.message for one in table.waiting if type(one.message) is CommittedShares)
    words = "expected shares of those with a key book only"
    assert_refused(table, message, RemoteProtocolError, words)


def test_the_server_reads_once() -> None:
    table = RingTable()
    table.start()
    server = table.ring_server
    assert not server.wants(BeaconHead)
    assert server.when(BeaconHead(1), SERVER) == "late"
    table.until(CohortSignature)
    assert server.when(BeaconHead(9), SERVER) == "late"
    assert server.when(BeaconValue(NAMED, b""), SERVER) == "late"
