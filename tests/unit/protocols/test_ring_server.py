"""Level `malicious` on the ring, the server: who signs the root, who does not, what it reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unit.protocols.ring import COUNT, NAMED, RingCase, RingTable, round_bytes, signatures
from unit.protocols.table import assert_refused, changed

from secagg.errors import BadSignature, LocalProtocolError, RemoteProtocolError
from secagg.protocol import BeaconHead, BeaconValue, Fail
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import CohortSignature, CommittedShares
from secagg.types import SERVER, client
from secagg.wire import Message

OTHER = 2


def signed_root(
    context: str = statements.COHORT, signer: int = OTHER, owner: int = OTHER, **changes: bytes
) -> Callable[[RingTable, CohortSignature], Message]:
    def sign(table: RingTable, message: CohortSignature) -> Message:
        server = table.ring_server
        said = {
            "session_id": table.scenario.session.id,
            "cohort": server._bitmap,
            "root": server._tree.root,
            "beacon_round": round_bytes(NAMED),
        }
        statement = statements.cohort_statement(signer=client(owner), **(said | changes))
        return CohortSignature(table.sign(signer, context, statement))

    return sign


NO_SIGNATURE = "not a valid signature for 'masking cohort'"
SIGNED: dict[str, RingCase] = {
    "no signature": (lambda t, m: changed(m, signature=bytes(64)), BadSignature, NO_SIGNATURE),
    "another context": (signed_root(statements.KEYS), BadSignature, NO_SIGNATURE),
    "another signer": (signed_root(signer=3), BadSignature, NO_SIGNATURE),
    "another owner": (signed_root(owner=3), BadSignature, NO_SIGNATURE),
    "another session": (signed_root(session_id=bytes(32)), BadSignature, NO_SIGNATURE),
    "another cohort": (signed_root(cohort=b"\xff\x01"), BadSignature, NO_SIGNATURE),
    "another root": (signed_root(root=bytes(32)), BadSignature, NO_SIGNATURE),
    "another round": (signed_root(beacon_round=round_bytes(NAMED + 1)), BadSignature, NO_SIGNATURE),
}


@pytest.mark.parametrize("name", SIGNED)
def test_signatures_of_the_root(name: str) -> None:
    change, error, words = SIGNED[name]
    table = signatures()
    good = table.take(CohortSignature, OTHER)
    assert_refused(table, change(table, good), error, words)
    assert table.deliver(good, client(OTHER), SERVER) == []
    table.finish().check_sum(*range(COUNT))


def test_a_root_signed_anew_is_taken() -> None:
    """So that what the cases change is all that is wrong with them."""
    table = signatures()
    good = table.take(CohortSignature, OTHER)
    assert signed_root()(table, good) == good


def test_who_never_advertised_signs_nothing() -> None:
    table = RingTable()
    table.start(but=[OTHER]).until(CohortSignature)
    message = signed_root()(table, CohortSignature(bytes(64)))
    words = "expected signatures of the cohort only"
    assert_refused(table, message, RemoteProtocolError, words)


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


def test_too_few_sign() -> None:
    table = signatures()
    table.drop(CohortSignature, 1, 2, 3, 4)
    table.hand_over()
    (fail,) = table.expire()
    assert isinstance(fail, Fail)
    assert fail.reason == "phase sign: 8 of 12 clients signed the cohort, 9 are needed"


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


def test_the_server_reads_the_value_of_the_round_that_it_named() -> None:
    table = signatures()
    table.reading = False
    table.hand_over()
    server, beacon = table.ring_server, table.beacon
    assert server.beacon_round == NAMED
    for event, words in (
        (BeaconValue(NAMED - 1, beacon.value(NAMED - 1)), f"it is that of round {NAMED - 1}"),
        (BeaconValue(NAMED + 1, beacon.value(NAMED + 1)), f"it is that of round {NAMED + 1}"),
        (BeaconValue(NAMED, beacon.value(NAMED + 1)), "not a valid signature"),
        (BeaconValue(NAMED, b""), "not a valid signature"),
    ):
        with pytest.raises(LocalProtocolError, match=f"value of round {NAMED}: .*{words}"):
            server.handle(event, SERVER)
    # Another relay may still be asked.
    table.reading = True
    table._read_beacon(server)
    table.finish().check_sum(*range(COUNT))


def test_the_server_reads_once() -> None:
    table = RingTable()
    table.start()
    server = table.ring_server
    assert not server.wants(BeaconHead)
    assert server.when(BeaconHead(1), SERVER) == "late"
    table.until(CohortSignature)
    assert server.when(BeaconHead(9), SERVER) == "late"
    assert server.when(BeaconValue(NAMED, b""), SERVER) == "late"
