"""What a client of level `malicious` refuses, check by check: a named error, and nothing more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unit.protocols.table import Case, Table, bits, changed, flipped, refuse, replaced

from secagg.errors import (
    CohortTooSmall,
    DuplicateMessage,
    InconsistentSurvivors,
    QuorumMissing,
    RemoteProtocolError,
    ShareBindingError,
)
from secagg.protocol import Accuse, Send
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import (
    COMMITMENT_PAIR_BYTES,
    SEALED_OPENINGS_BYTES,
    CommittedBundle,
    CommittedShares,
    SignedAnswer,
    SignedKeyBook,
    SignedKeys,
    SignedVector,
    SurvivorList,
    SurvivorQuorum,
    SurvivorSignature,
)
from secagg.protocols._masking.messages import encode_numbers
from secagg.types import SERVER, client
from secagg.wire import Message

ME, OTHER = 0, 2


# What the neighbours dealt: dealers 1 to 4, in places 0 to 3.


BUNDLES: dict[str, Case] = {
    "dealers that are not whole": (
        lambda t, b: changed(b, dealers=b.dealers[1:]),
        RemoteProtocolError,
        "4 bytes each, got 15",
    ),
    "a stranger as dealer": (
        lambda t, b: changed(b, dealers=encode_numbers((1, 2, 3, 5))),
        RemoteProtocolError,
        "dealers among my neighbours",
    ),
    "me as dealer": (
        lambda t, b: changed(b, dealers=encode_numbers((0, 1, 2, 3))),
        RemoteProtocolError,
        "dealers among my neighbours",
    ),
    "too few dealers": (
        lambda t, b: changed(b, dealers=encode_numbers((1, 2))),
        CohortTooSmall,
        "at least 4 clients in my neighbourhood, got 3",
    ),
    "ciphertexts cut short": (
        lambda t, b: changed(b, sealed=b.sealed[:-1]),
        RemoteProtocolError,
        "of sealed shares for each of 4",
    ),
    "commitments cut short": (
        lambda t, b: changed(b, commitments=b.commitments[:-1]),
        RemoteProtocolError,
        "of commitments for each of 4",
    ),
    "seed commitments cut short": (
        lambda t, b: changed(b, seed_commitments=b.seed_commitments[:-1]),
        RemoteProtocolError,
        "of seed commitments for each of 4",
    ),
    "signatures cut short": (
        lambda t, b: changed(b, signatures=b.signatures[:-1]),
        RemoteProtocolError,
        "of signatures for each of 4",
    ),
    "paths cut short": (
        lambda t, b: changed(b, paths=b.paths[:-1]),
        RemoteProtocolError,
        "96 bytes of audit paths for each of 4",
    ),
    "another ciphertext": (
        lambda t, b: changed(b, sealed=flipped(b.sealed, SEALED_OPENINGS_BYTES)),
        ShareBindingError,
        "the shares of client 2 are not what it dealt",
    ),
    "another commitment to the mask share": (
        lambda t, b: changed(b, commitments=flipped(b.commitments, COMMITMENT_PAIR_BYTES)),
        ShareBindingError,
        "the shares of client 2 are not what it dealt",
    ),
    "another commitment to the self share": (
        lambda t, b: changed(b, commitments=flipped(b.commitments, COMMITMENT_PAIR_BYTES + 32)),
        ShareBindingError,
        "the shares of client 2 are not what it dealt",
    ),
    "two ciphertexts exchanged": (
        lambda t, b: changed(
            b,
            sealed=b.sealed[SEALED_OPENINGS_BYTES : 2 * SEALED_OPENINGS_BYTES]
            + b.sealed[:SEALED_OPENINGS_BYTES]
            + b.sealed[2 * SEALED_OPENINGS_BYTES :],
        ),
        ShareBindingError,
        "the shares of client 1 are not what it dealt",
    ),
}


@pytest.mark.parametrize("name", BUNDLES)
def test_bundles(name: str) -> None:
    change, error, words = BUNDLES[name]
    table = Table().start().until(CommittedBundle)
    refuse(table, change(table, table.take(CommittedBundle, ME)), error, words)
    table.finish().check_sum(1, 2, 3, 4)


def test_exactly_the_threshold_of_dealers_will_do() -> None:
    table = Table().start().until(CommittedShares).drop(CommittedShares, 4)
    table.finish().check_sum(0, 1, 2, 3)


def test_what_a_dealer_sealed_for_another_session_is_the_servers_lie() -> None:
    """All of it is the dealer's own, signature and root included, but for another transcript."""
    old = Table(seed=2).start().until(CommittedBundle).take(CommittedBundle, ME)
    table = Table(seed=1).start().until(CommittedBundle)
    words = "the shares of client 1 are not what it dealt"
    refuse(table, old, ShareBindingError, words)


# The survivors.


LISTS: dict[str, Case] = {
    "dealers that are no bitmap": (
        lambda t, m: changed(m, dealt=b""),
        RemoteProtocolError,
        "a bitmap of 1 bytes, got 0",
    ),
    "survivors that are no bitmap": (
        lambda t, m: changed(m, included=b"\0\0"),
        RemoteProtocolError,
        "a bitmap of 1 bytes, got 2",
    ),
    "without me": (
        lambda t, m: SurvivorList(m.dealt, bits(t, 1, 2, 3, 4)),
        RemoteProtocolError,
        "survivors of the cohort, me among them",
    ),
    "too few": (
        lambda t, m: SurvivorList(m.dealt, bits(t, 0, 1, 2)),
        CohortTooSmall,
        "a sum over at least 4 clients, got 3",
    ),
    "a survivor who is not said to have dealt": (
        lambda t, m: SurvivorList(bits(t, 0, 1, 2, 3), m.included),
        InconsistentSurvivors,
        "survivors who dealt shares, of the cohort",
    ),
    "me as one who has not dealt": (
        lambda t, m: SurvivorList(bits(t, 1, 2, 3, 4), m.included),
        InconsistentSurvivors,
        "survivors who dealt shares, of the cohort",
    ),
    "a dealer of mine left out": (
        lambda t, m: SurvivorList(bits(t, 0, 1, 2, 3), bits(t, 0, 1, 2, 3)),
        InconsistentSurvivors,
        "others are said to have dealt",
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_survivor_lists(name: str) -> None:
    change, error, words = LISTS[name]
    table = Table().start().until(SurvivorList)
    refuse(table, change(table, table.take(SurvivorList, ME)), error, words)
    # The others sign, answer, and have a sum with its vector.
    table.finish().check_sum(0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("dealt", "included", "error", "words"),
    [
        ((0, 1, 2, 3, 5), (0, 1, 2, 3), InconsistentSurvivors, "of the cohort"),
        ((0, 1, 2, 3), (0, 1, 2, 3, 5), RemoteProtocolError, "survivors of the cohort"),
        ((0, 1, 2, 3, 4), (0, 1, 2, 3), InconsistentSurvivors, "others are said to have dealt"),
        ((0, 1, 2, 3, 4), (0, 1, 2, 3, 4), RemoteProtocolError, "that dealt me no shares"),
    ],
)
def test_lists_with_somebody_who_never_dealt(
    dealt: tuple[int, ...],
    included: tuple[int, ...],
    error: type[RemoteProtocolError],
    words: str,
) -> None:
    """Client 5 never came; client 4 advertised keys, and then dealt nothing."""
    table = Table(count=6, corrupt="0", dropout="0.3").start(but=[5])
    table.until(CommittedShares).drop(CommittedShares, 4)
    table.until(SurvivorList).take(SurvivorList, ME)
    refuse(table, SurvivorList(bits(table, *dealt), bits(table, *included)), error, words)


def test_one_list_is_signed() -> None:
    """Of two that are both acceptable the first counts, and the server is named."""
    table = Table().start().until(SurvivorList)
    first = table.take(SurvivorList, ME)
    second = changed(first, included=bits(table, 0, 1, 2, 3))
    (signed,) = table.deliver(first, SERVER, client(ME))
    assert isinstance(signed, Send)
    (accusation,) = table.deliver(second, SERVER, client(ME))
    assert isinstance(accusation, Accuse)
    assert isinstance(accusation.error, DuplicateMessage)
    assert not table.deliver(first, SERVER, client(ME))
    table.finish().check_sum(0, 1, 2, 3, 4)
    fresh = Table().start().until(SurvivorList)
    fresh.take(SurvivorList, ME)
    (other,) = fresh.deliver(second, SERVER, client(ME))
    assert isinstance(other, Send)
    assert other.message != signed.message


# The quorum: threshold 4, so three neighbours that signed.


def quorum_of(*numbers: int, context: str = statements.SURVIVORS) -> Callable[..., Message]:
    def sign(table: Table, quorum: SurvivorQuorum) -> Message:
        digest = table.client(ME)._survivors
        signed = (table.sign(number, context, digest) for number in numbers)
        return SurvivorQuorum(encode_numbers(numbers), b"".join(signed))

    return sign


def signed_otherwise(which: str) -> Callable[..., Message]:
    """Client 2 signed another list, or the same one in another session."""

    def sign(table: Table, quorum: SurvivorQuorum) -> Message:
        party = table.client(ME)
        everyone, fewer = bits(table, 0, 1, 2, 3, 4), bits(table, 0, 1, 2, 3)
        transcript = party._transcript if which != "session" else bytes(32)
        included = fewer if which == "list" else everyone
        dealt = fewer if which == "dealers" else everyone
        digest = statements.survivor_digest(transcript, dealt, included)
        signature = table.sign(OTHER, statements.SURVIVORS, digest)
        return changed(quorum, signatures=replaced(quorum.signatures, 64, 1, signature))

    return sign


QUORUMS: dict[str, Case] = {
    "signers that are not whole": (
        lambda t, q: changed(q, signers=q.signers[1:]),
        RemoteProtocolError,
        "4 bytes each, got 11",
    ),
    "one signer three times": (
        lambda t, q: changed(q, signers=encode_numbers((1, 1, 1))),
        RemoteProtocolError,
        "ascend strictly",
    ),
    "signatures cut short": (
        lambda t, q: changed(q, signatures=q.signatures[:-1]),
        RemoteProtocolError,
        "64 bytes of signatures for each of 3, got 191",
    ),
    "me among the others": (
        quorum_of(0, 1, 2),
        QuorumMissing,
        "signatures of survivors in my neighbourhood",
    ),
    "a stranger": (
        lambda t, q: changed(q, signers=encode_numbers((1, 2, 9))),
        QuorumMissing,
        "signatures of survivors in my neighbourhood",
    ),
    "one too few": (
        quorum_of(1, 2),
        QuorumMissing,
        "expected 4 signatures in my neighbourhood, mine included, got 3",
    ),
    "nobody": (quorum_of(), QuorumMissing, "expected 4 signatures"),
    "a signature with a flipped bit": (
        lambda t, q: changed(q, signatures=flipped(q.signatures, 64)),
        InconsistentSurvivors,
        "client 2 did not sign the survivors that I signed",
    ),
    "the last signature": (
        lambda t, q: changed(q, signatures=flipped(q.signatures, -1)),
        InconsistentSurvivors,
        "client 3 did not sign",
    ),
    "one signature for all": (
        lambda t, q: changed(q, signatures=q.signatures[:64] * 3),
        InconsistentSurvivors,
        "client 2 did not sign",
    ),
    "another context": (
        quorum_of(1, 2, 3, context=statements.ANSWER),
        InconsistentSurvivors,
        "client 1 did not sign",
    ),
    "another list": (signed_otherwise("list"), InconsistentSurvivors, "client 2 did not sign"),
    "other dealers": (signed_otherwise("dealers"), InconsistentSurvivors, "client 2 did not"),
    "another session": (signed_otherwise("session"), InconsistentSurvivors, "client 2 did not"),
}


@pytest.mark.parametrize("name", QUORUMS)
def test_quorums(name: str) -> None:
    change, error, words = QUORUMS[name]
    table = Table().start().until(SurvivorQuorum)
    refuse(table, change(table, table.take(SurvivorQuorum, ME)), error, words)
    # Four answer still, which is the threshold.
    table.finish().check_sum(0, 1, 2, 3, 4)


def test_a_dealer_that_is_no_survivor_cannot_be_a_signer() -> None:
    table = Table().start().until(SignedVector).drop(SignedVector, 4).until(SurvivorQuorum)
    quorum = quorum_of(1, 2, 4)(table, table.take(SurvivorQuorum, ME))
    words = "signatures of survivors in my neighbourhood"
    refuse(table, quorum, QuorumMissing, words)


@pytest.mark.parametrize("numbers", [(1, 2, 3), (2, 3, 4), (1, 2, 3, 4)])
def test_any_quorum_will_do(numbers: tuple[int, ...]) -> None:
    table = Table().start().until(SurvivorQuorum)
    quorum = quorum_of(*numbers)(table, table.take(SurvivorQuorum, ME))
    sent = table.deliver(quorum, SERVER, client(ME))
    assert [type(one.message) for one in sent if isinstance(one, Send)] == [SignedAnswer]
    table.finish().check_sum(0, 1, 2, 3, 4)


# Who may be a client at all.


@pytest.mark.parametrize("kind", [SurvivorList, SurvivorQuorum, SignedKeyBook, CommittedBundle])
def test_only_the_server_is_listened_to(kind: type[Message]) -> None:
    table = Table().start().until(kind)
    message = table.take(kind, ME)
    for sender in (client(1), client(ME)):
        (accusation,) = table.deliver(message, sender, client(ME))
        assert isinstance(accusation, Accuse)
        assert accusation.culprit == sender
    assert table.deliver(message, SERVER, client(ME)) or kind is CommittedBundle


@pytest.mark.parametrize("kind", [SignedKeys, CommittedShares, SignedVector, SurvivorSignature])
def test_every_message_is_sent_once_and_signed(kind: type[Message]) -> None:
    table = Table().start().until(kind)
    senders = [one.sender for one in table.waiting]
    assert senders == list(table.plan.task.clients)
    signatures = {one.message.signature for one in table.waiting}
    assert len(signatures) == 5
