"""What a server writes down, what it does not, and what it writes after it died."""

from __future__ import annotations

import base64
import io
import json
from functools import cache

import numpy as np
import pytest
from unit.endpoint.federation import Channel, Federation
from unit.record.sessions import SERVER_KEY, Recorded, failing, judged

from secagg import protocols
from secagg.audit.verification import Anchor, Standing, decode_head, verify
from secagg.crypto.rng import seeded
from secagg.crypto.signing import SigningKey
from secagg.endpoint import MemoryRecords, Outgoing, ServerEndpoint
from secagg.errors import LocalProtocolError, ParameterError, RecordRefused, RoundFailed
from secagg.ledger import MemoryStorage
from secagg.protocol import Identities, Level, Session, Task
from secagg.protocols._masking.authenticated.messages import (
    RING_TABLE,
    CommittedBundle,
    CommittedShares,
    SignedAnswer,
    SignedVector,
)
from secagg.record import HeadLine, Opening, ReceiptBook, Recorder
from secagg.record.lines import HEAD_CONTEXT
from secagg.record.recorder import head_statement
from secagg.runner import Faults, run
from secagg.types import SERVER, PartyId, client
from secagg.wire import Frame


@cache
def recorded(protocol: str = "secagg") -> Recorded:
    return Recorded(protocol)


def session_of(session: Recorded) -> Session:
    return session.federation.invitation.agree(session.federation.roster)[1]


@pytest.mark.parametrize("protocol", ["secagg", "secagg_plus"])
def test_nothing_of_shares_and_vectors_is_in_it(protocol: str) -> None:
    """Neither as bytes nor in hexadecimal nor in base64, open or sealed; eight bytes would do."""
    session = recorded(protocol)
    record = session.record + b"".join(receipt.encoded for receipt in session.receipts())
    looked_for = 0
    for _, (_, data) in session.channel.sent:
        message = RING_TABLE.decode(Frame.split(data)).message
        secret: list[bytes] = []
        match message:
            case CommittedShares() | CommittedBundle():
                secret = [message.sealed, message.commitments]
            case SignedVector():
                secret = [bytes(message.tail)]
            case SignedAnswer():
                secret = [message.openings]
        for column in secret:
            for start in range(0, len(column) - 8, 8):
                piece = column[start : start + 8]
                looked_for += 1
                assert piece not in record
                assert piece.hex().encode() not in record
            assert base64.b64encode(column)[:10] not in record
    assert looked_for > 500


def test_who_is_told_the_sum_can_hold_the_server_to_it() -> None:
    session = recorded()
    opening = session.server.opening
    assert opening is not None
    assert len(opening.salt) == 32
    assert opening.salt.hex().encode() not in session.record
    result = json.loads(session.lines[-2])["result"]
    assert opening.commitment(session.server.session).hex() == result
    # The mean that was released is of this sum.
    plan = session_of(session).plan
    mean, weight = session.federation.codec.decode(opening.total, plan.ring)
    assert weight == session.server.result().weight
    assert np.array_equal(mean, session.server.result().values)
    other = opening._replace(total=opening.total + np.ones(1, plan.ring.dtype))
    assert other.commitment(session.server.session).hex() != result
    assert str(opening.total[0]) not in repr(opening)
    again = Recorded().server.opening
    assert again is not None
    assert again.salt != opening.salt


def test_messages_that_were_refused_are_not_in_it() -> None:
    def spoil(who: PartyId, said: Outgoing) -> list[Outgoing]:
        if who == client(4) and said.data[5] == SignedVector.KIND:
            return [Outgoing(said.to, said.data[:-1] + bytes([said.data[-1] ^ 1]))]
        return [said]

    session = Recorded(lost={}, tamper=spoil)
    assert session.server.refused
    assert [party.number for party in session.server.result().included] == [0, 1, 2, 3]
    assert not failing(judged(session.record))
    vectors = [json.loads(line) for line in session.lines if b'"SignedVector"' in line]
    assert [line["client"] for line in vectors] == [0, 1, 2, 3]
    # The client knows what it sent: late, refused or left out cannot be told apart from outside.
    found = judged(session.record, session.receipts(4))
    assert any(verdict.check == "messages left out" for verdict in found.verdicts)


def test_a_session_that_failed() -> None:
    session = Recorded(lost={client(1): 2, client(2): 2})
    assert session.server.failure is not None
    end = json.loads(session.lines[-2])
    assert (end["outcome"], end["result"]) == ("failed", "")
    assert end["reason"] == str(session.server.failure)
    found = judged(session.record, session.receipts(0, 3))
    assert found.holds
    assert found.outcome == "failed"
    assert {verdict.check for verdict in found.verdicts if verdict.holds is None} >= {
        "agreement",
        "answers",
        "result",
    }


def test_a_server_that_signs() -> None:
    session = Recorded(signing=True)
    plain = judged(session.record)
    assert plain.holds
    believed = judged(session.record, anchor=Anchor(server=SERVER_KEY.public))
    standings = {verdict.check: verdict.standing for verdict in believed.verdicts}
    assert believed.holds
    assert standings["signature of the server"] is Standing.PROVED
    assert standings["result"] is Standing.PROVED
    other = judged(session.record, anchor=Anchor(server=session.authority.public))
    assert "expected the key" in failing(other)["signature of the server"][0]
    unsigned = judged(recorded().record, anchor=Anchor(server=SERVER_KEY.public))
    assert "got none" in failing(unsigned)["signature of the server"][0]
    kept = decode_head(session.lines[-1])
    others = Recorded(signing=True)
    for data in (b"", session.lines[-2], session.lines[-1][:-1], b"x" * (1 << 21)):
        with pytest.raises(RecordRefused, match="not the last line of a record"):
            decode_head(data)
    assert heads_of(session.record, kept) == [(True, Standing.PROVED)]
    assert heads_of(session.record, decode_head(others.lines[-1])) == [(False, Standing.PROVED)]
    # Another log of the same session, by the same server: it proves that there are two.
    shorter = signed_head(session, kept.size - 1, "ab" * 32, SERVER_KEY)
    assert heads_of(session.record, shorter) == [(False, Standing.PROVED)]
    assert heads_of(session.record, shorter, believed=None) == [(False, Standing.CONSISTENT)]
    forger = signed_head(session, kept.size, kept.root, session.authority)
    assert heads_of(session.record, forger) == [(False, Standing.PROVED)]
    head = json.loads(session.lines[-1])
    head["signature"] = "00" * 64
    forged = json.dumps(head, separators=(",", ":")).encode() + b"\n"
    wrong = failing(judged([*session.lines[:-1], forged]))
    assert "not a valid signature" in wrong["signature of the server"][0]


def signed_head(session: Recorded, size: int, root: str, key: SigningKey) -> HeadLine:
    statement = head_statement(session.server.session, size, bytes.fromhex(root))
    return HeadLine(
        previous="00" * 32,
        session=session.server.session.hex(),
        size=size,
        root=root,
        server=key.public.hex(),
        signature=key.sign(HEAD_CONTEXT, statement).hex(),
    )


def heads_of(
    record: bytes, *kept: HeadLine, believed: bytes | None = SERVER_KEY.public
) -> list[tuple[bool | None, Standing]]:
    found = verify(io.BytesIO(record), Anchor(server=believed), (), kept)
    return [(one.holds, one.standing) for one in found.verdicts if one.check == "one head"]


@pytest.mark.parametrize("protocol", ["secagg", "secagg_plus"])
def test_a_server_that_died_writes_the_same(protocol: str) -> None:
    """At every message that it takes; but for what it came to, whose salt is fresh."""
    whole = recorded(protocol)
    steps = sum(to == SERVER for _, (to, _) in whole.channel.sent)
    for fuse in range(1, steps, 4):
        records = MemoryRecords()
        session = Recorded(protocol, records=records, lost={client(1): 2, SERVER: 0})
        first: list[bytes] = []
        channel = Channel({SERVER: session.serving(first)})
        for who in session.federation.clients:
            channel.ends[who] = session.federation.client(who)
        for who in list(channel.ends):
            channel.start(who)
        taken = 0
        while taken < fuse:
            taken += bool(channel.queue) and channel.queue[0][1].to == SERVER
            channel.step()
        again: list[bytes] = []
        server = session.serving(again)
        assert again == first[: len(again)]
        channel.ends[SERVER] = server
        channel.start(SERVER)
        for who in session.federation.clients:
            channel.post(who, channel.ends[who].resend())
        while channel.step():
            pass
        assert len(server.result().included) == 5
        assert judged(again).holds


def test_a_sink_that_fails_ends_the_session() -> None:
    session, taken = recorded(), 0

    def full(line: bytes) -> None:
        nonlocal taken
        taken += 1
        if taken > 15:
            raise OSError(28, "no space left")

    server = session.serving([], sink=full)
    ends = {SERVER: server, **{who: session.federation.client(who) for who in session.clients}}
    with pytest.raises(OSError, match="no space left"):
        Channel(ends).run()
    assert server.done
    with pytest.raises(RoundFailed):
        server.result()


def test_no_record_of_a_session_that_is_over() -> None:
    session = Recorded(records=MemoryRecords())
    assert session.server.result()
    with pytest.raises(LocalProtocolError, match="this session is over"):
        session.serving([])


@pytest.mark.parametrize("killed", [1, 2, 3, 4, 5])
def test_a_client_that_died_gives_the_same_receipt(killed: int) -> None:
    federation = Federation("secagg", Level.MALICIOUS)
    storage = MemoryStorage()
    victim = client(2)
    lines: list[bytes] = []
    ends = federation.everybody()
    ends[SERVER] = ServerEndpoint(
        federation.invitation, deadlines=10.0, public_record=lines.append, roster=federation.roster
    )
    ledger = federation.ledger(victim, storage)
    ends[victim] = federation.client(victim, ledger)
    channel = Channel(ends)
    for who in list(ends):
        channel.start(who)
    taken = 0
    while taken < killed - 1:
        taken += bool(channel.queue) and channel.queue[0][1].to == victim
        channel.step()
    over = ends[victim].done
    ledger.close()
    again = federation.client(victim, federation.ledger(victim, storage, new=False))
    ends[victim] = again
    channel.start(victim)
    while channel.step():
        pass
    again.check()
    if over:
        with pytest.raises(LocalProtocolError, match="kept nothing"):
            again.receipt()
        return
    receipt = again.receipt()
    assert len(receipt.sent) == 5
    assert judged(lines, [receipt]).holds


def drawn(level: Level = Level.MALICIOUS) -> tuple[Session, Identities]:
    clients = tuple(client(number) for number in range(5))
    task = Task(clients=clients, length=6, bound=9, level=level, dropout="0.2")  # type: ignore[arg-type]
    plan = protocols.get("secagg").plan(task)
    identities = Identities.drawn(plan, seeded(1), b"\x00" * 32)
    return Session.fresh(plan, seeded(2), roster=identities.roster), identities


@pytest.mark.parametrize("kills", [(), (0, 3, 7, 12)])
def test_in_a_run(kills: tuple[int, ...]) -> None:
    session, identities = drawn()
    lines: list[bytes] = []
    recorder = Recorder(session, lines.append, salt=b"\x01" * 32)
    books = {who: ReceiptBook(session, who) for who in session.plan.task.clients}
    ones = np.ones(6, dtype=session.plan.ring.dtype)
    outcome = run(
        protocols.get("secagg"),
        session,
        {who: ones * who.number for who in session.plan.task.clients},
        seeded(3),
        Faults(lost={client(1): 2}, kills={SERVER: kills}),
        identities=identities,
        witnesses={SERVER: recorder, **books},
    )
    assert recorder.closed
    receipts = []
    for who, book in books.items():
        key = identities.of[who].key
        assert key is not None
        receipts.append(book.receipt(key))
    found = judged(lines, receipts)
    assert failing(found) == {}
    end = json.loads(lines[-2])
    assert end["result"] == Opening(recorder.salt, outcome.sum()).commitment(session.id).hex()
    with pytest.raises(LocalProtocolError, match="faults concern the session's parties"):
        run(
            protocols.get("secagg"),
            session,
            {},
            seeded(3),
            identities=identities,
            witnesses={client(9): recorder},
        )


def test_what_cannot_be_recorded() -> None:
    session, _ = drawn()
    with pytest.raises(ParameterError, match="a salt has 32 bytes, got 3"):
        Recorder(session, print, salt=b"abc")
    curious, _ = drawn(Level.CURIOUS)
    with pytest.raises(ParameterError, match="leaves nothing that could be verified"):
        Recorder(curious, print, salt=b"\x01" * 32)
    long = Session.fresh(session.plan, seeded(2), roster=session.roster, job="j" * 257)
    with pytest.raises(ParameterError, match="does not fit into a record"):
        Recorder(long, print, salt=b"\x01" * 32)
    keyless = Session.fresh(session.plan, seeded(2))
    with pytest.raises(ParameterError, match="expected a roster with keys"):
        Recorder(keyless, print, salt=b"\x01" * 32)
