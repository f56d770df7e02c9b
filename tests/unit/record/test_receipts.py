"""What receipts show, beside a record and beside each other."""

from __future__ import annotations

import io
from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.endpoint.federation import Federation
from unit.record.sessions import Fields, Recorded, failing, forged, judged

from secagg.audit.verification import Anchor, Standing, Verdict, verify
from secagg.crypto.merkle import root_of_path
from secagg.crypto.signing import SigningKey
from secagg.endpoint import Outgoing
from secagg.errors import LocalProtocolError, ParameterError, RecordRefused
from secagg.protocol import Level
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.authenticated.messages import TABLE, SurvivorList
from secagg.protocols._masking.authenticated.statements import survivor_digest
from secagg.record import MAX_RECEIPT_BYTES, Receipt, ReceiptBook
from secagg.record.frontier import Frontier
from secagg.record.receipt import CONTEXT, Seen
from secagg.types import SERVER, PartyId, client
from secagg.wire import Envelope, Frame


@cache
def recorded() -> Recorded:
    return Recorded()


def key_of(number: int) -> SigningKey:
    identity = recorded().federation.identities[client(number)]
    assert identity is not None
    assert identity.key is not None
    return identity.key


def resigned(receipt: Receipt, signer: int | None = None, **changes: object) -> Receipt:
    """A receipt of a client that lies."""
    changed = msgspec.structs.replace(receipt, **changes, signature="")
    key = key_of(changed.client if signer is None else signer)
    return msgspec.structs.replace(changed, signature=key.sign(CONTEXT, changed.statement).hex())


def of(found: list[Verdict], check: str) -> list[Verdict]:
    return [verdict for verdict in found if verdict.check == check]


def wrongs(*receipts: Receipt) -> dict[str, list[str]]:
    return failing(judged(recorded().record, receipts))


def test_all_is_there_and_proved() -> None:
    receipts = recorded().receipts()
    found = judged(recorded().record, receipts, recorded().anchor())
    assert found.holds
    for check in ("receipts", "one log"):
        (verdict,) = of(found.verdicts, check)
        assert verdict.holds
        assert verdict.standing is Standing.PROVED
    assert len(found.proofs) == sum(len(one.sent) + len(one.received) for one in receipts)


def test_each_message_has_an_audit_path() -> None:
    found = judged(recorded().record, recorded().receipts())
    for proof in found.proofs:
        line = recorded().lines[proof.line - 1].rstrip(b"\n")
        path = bytes.fromhex("".join(proof.path))
        assert root_of_path(line, proof.index, proof.size, path).hex() == found.root


def test_two_receipts_of_one_client_are_no_comparison() -> None:
    for receipts in (recorded().receipts(0), recorded().receipts(0, 0)):
        (verdict,) = of(judged(recorded().record, receipts).verdicts, "one log")
        assert verdict.standing is Standing.UNCHECKABLE
        assert "there are those of 1" in verdict.details
    (receipt,) = recorded().receipts(0)
    other = resigned(receipt, cohort_root="", transcript="33" * 32)
    found = judged(recorded().record, [receipt, other])
    assert not found.holds


def test_paths_are_followed_and_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    close = Frontier.close

    def broken(tree: Frontier) -> tuple[bytes, dict[int, bytes]]:
        root, paths = close(tree)
        return root, {place: bytes(len(path)) for place, path in paths.items()}

    monkeypatch.setattr(Frontier, "close", broken)
    wrong = wrongs(*recorded().receipts(0))["inclusion"]
    assert len(wrong) == 9
    assert "no path from leaf" in wrong[0]


def test_a_receipt_travels_and_is_bounded() -> None:
    (receipt,) = recorded().receipts(0)
    assert Receipt.decode(receipt.encoded) == receipt
    with pytest.raises(RecordRefused, match=f"at most {MAX_RECEIPT_BYTES} bytes"):
        Receipt.decode(b" " * (MAX_RECEIPT_BYTES + 1))
    for data in (b"", b"{}", receipt.encoded[:-1], receipt.encoded + b"\n", b"[" * 100_000):
        with pytest.raises(RecordRefused):
            Receipt.decode(data)
    other = receipt.encoded.replace(b"secagg receipt 1", b"secagg receipt 2")
    with pytest.raises(RecordRefused, match="secagg receipt"):
        Receipt.decode(other)
    unsigned = msgspec.structs.replace(receipt, signature="")
    with pytest.raises(RecordRefused, match="nobody has signed"):
        Receipt.decode(unsigned.encoded)
    fewer = msgspec.structs.replace(receipt, signers=receipt.signers[1:])
    with pytest.raises(RecordRefused, match="one signature for each signer"):
        Receipt.decode(fewer.encoded)


@given(st.data())
def test_an_edited_receipt_is_refused_or_named(data: st.DataObject) -> None:
    (receipt,) = recorded().receipts(2)
    encoded = bytearray(receipt.encoded)
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255).filter(lambda value: value != encoded[place]))
    try:
        edited = Receipt.decode(bytes(encoded))
    except RecordRefused:
        return
    (wrong, *_) = wrongs(edited)["receipts"]
    assert "receipt of client" in wrong


def test_a_receipt_of_another_session() -> None:
    (receipt,) = Recorded().receipts(0)
    (wrong,) = wrongs(receipt)["receipts"]
    assert f"it is of session {receipt.session}" in wrong


def test_a_receipt_in_anothers_name_or_of_nobody() -> None:
    (receipt,) = recorded().receipts(0)
    for claimed in (2, 77):
        (wrong,) = wrongs(resigned(receipt, 0, client=claimed))["receipts"]
        assert f"receipt of client {claimed}: not a valid signature" in wrong


def test_a_client_whose_messages_are_not_those_of_the_record() -> None:
    (receipt,) = recorded().receipts(0)
    sent = [*receipt.sent]
    sent[2] = Seen(message="SignedVector", sha256="00" * 32)
    (wrong,) = wrongs(resigned(receipt, sent=tuple(sent)))["receipts"]
    assert "SignedVector: it has 0000" in wrong
    (wrong,) = wrongs(resigned(receipt, sent=receipt.sent[:-1]))["receipts"]
    assert "it knows of no SignedAnswer, line" in wrong
    more = (*receipt.received, Seen(message="CohortRoot", sha256="11" * 32))
    (wrong,) = wrongs(resigned(receipt, received=more))["receipts"]
    assert f"the server sent it CohortRoot {'11' * 32}, which is left out" in wrong


def test_what_came_too_late_is_not_decided() -> None:
    """The record knows nothing of it, and an honest server's would not either."""
    lines = recorded().lines

    def change(fields: list[Fields]) -> None:
        fields[:] = [
            line for line in fields if not (line["line"] == "SignedAnswer" and line["client"] == 0)
        ]

    found = judged(forged(lines, change), recorded().receipts(0))
    (left_out,) = of(found.verdicts, "messages left out")
    assert left_out.standing is Standing.UNCHECKABLE
    assert "SignedAnswer" in left_out.details


def test_lists_that_do_not_give_what_was_signed() -> None:
    (receipt,) = recorded().receipts(0)
    (wrong,) = wrongs(resigned(receipt, included="1f"))["receipts"]
    assert "survivors: its lists give" in wrong
    (wrong,) = wrongs(resigned(receipt, transcript="22" * 32))["receipts"]
    assert "transcript: its root gives" in wrong


def test_signatures_that_nobody_made() -> None:
    (receipt,) = recorded().receipts(0)
    other = ("00" * 64, *receipt.signatures[1:])
    (wrong,) = wrongs(resigned(receipt, signatures=other))["receipts"]
    assert f"it holds no signature of client {receipt.signers[0]} on {receipt.survivors}" in wrong
    wrong = wrongs(resigned(receipt, signers=(77, *receipt.signers[1:])))["receipts"][0]
    assert "it holds no signature of client 77" in wrong


def test_a_split_log_is_seen_by_two_receipts() -> None:
    """A server that shows client 3 another list of survivors; nobody is lost in this session."""
    federation = Federation("secagg", Level.MALICIOUS)

    def lie(who: PartyId, said: Outgoing) -> list[Outgoing]:
        if who != SERVER or said.to != client(3):
            return [said]
        envelope = TABLE.decode(Frame.split(said.data))
        if not isinstance(envelope.message, SurvivorList):
            return [said]
        fewer = encode_bitmap(federation.clients, [0, 2, 3, 4])
        message = SurvivorList(envelope.message.dealt, fewer)
        other = Envelope(envelope.session, SERVER, said.to, message)
        return [Outgoing(said.to, TABLE.encode(other).join())]

    split = Recorded(lost={}, tamper=lie)
    assert len(split.server.result().included) == 5
    told, lied_to = split.receipts(0, 3)
    assert (told.outcome, lied_to.outcome) == ("done", "failed")
    # One receipt alone, of a client that was told the truth, shows nothing.
    assert judged(split.record, [told]).holds
    assert not failing(judged(split.record))
    wrong = failing(judged(split.record, [told, lied_to]))
    (seen,) = wrong["one log"]
    assert seen.startswith("receipts of client 0 and client 3: survivors: ")
    assert told.survivors in seen
    assert lied_to.survivors in seen
    assert any("line" in text and "SurvivorList" in text for text in wrong["receipts"])


def test_who_signs_two_lists_is_named() -> None:
    (receipt,) = recorded().receipts(0)
    other = encode_bitmap(recorded().federation.clients, [0, 2, 3]).hex()
    digest = survivor_digest(
        bytes.fromhex(receipt.transcript), bytes.fromhex(receipt.dealt), bytes.fromhex(other)
    )
    liar = resigned(receipt, included=other, survivors=digest.hex(), signers=(), signatures=())
    assert f"survivors: it has {digest.hex()}, the record" in wrongs(liar)["receipts"][0]
    (wrong,) = wrongs(liar)["one signature each"]
    assert wrong.startswith("client 0: client 0 signed two lists of survivors: ")
    assert digest.hex() in wrong


def test_clients_that_know_nothing_have_no_receipt() -> None:
    running = Recorded(lost={client(1): 2}).clients[client(1)]
    with pytest.raises(LocalProtocolError, match="is not done"):
        running.receipt()
    curious = Federation("secagg")
    _, session = curious.invitation.agree(None)
    with pytest.raises(ParameterError, match="nothing to keep a receipt of"):
        ReceiptBook(session, client(0))
    given_up = curious.client(client(0))
    given_up.give_up()
    with pytest.raises(LocalProtocolError, match="kept nothing"):
        given_up.receipt()


def test_a_receipt_is_made_with_the_clients_own_key() -> None:
    _, session = recorded().federation.invitation.agree(recorded().federation.roster)
    with pytest.raises(LocalProtocolError, match="the roster has another key of client 0"):
        ReceiptBook(session, client(0)).receipt(key_of(2))


def test_a_client_that_gave_up_early() -> None:
    """It says that it sent nothing, and agreed to nothing."""
    federation = recorded().federation
    end = federation.client(client(1))
    end.give_up()
    receipt = end.receipt()
    assert (receipt.outcome, receipt.sent, receipt.cohort_root) == ("failed", (), "")
    # The record has messages of client 1, which it does not acknowledge.
    assert len(wrongs(receipt)["receipts"]) == 2


def test_receipts_of_a_sparse_graph() -> None:
    sparse = Recorded("secagg_plus")
    found = verify(io.BytesIO(sparse.record), Anchor(), sparse.receipts())
    assert found.holds
    assert all(receipt.graph_seed for receipt in sparse.receipts())
