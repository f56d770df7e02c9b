"""What the server of level `malicious` refuses: the client is named, and the round goes on.

Its words are ignored and nothing else has changed: when it says what it should after all, it is
taken as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from unit.protocols.table import Case, Table, assert_refused, bits, changed, flipped

from secagg.errors import (
    BadSignature,
    DuplicateMessage,
    RemoteProtocolError,
    UnauthenticatedKey,
)
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import (
    CommittedShares,
    SignedAnswer,
    SignedKeys,
    SignedVector,
    SurvivorSignature,
)
from secagg.protocols._masking.messages import encode_numbers
from secagg.types import SERVER, client
from secagg.wire import Message

BAD = 2
NO_SIGNATURE = "not a valid signature for"


# Round 1.


def shares_signed_again(
    context: str = statements.SHARES, signer: int = BAD, transcript: bytes = b""
) -> Callable[[Table, CommittedShares], Message]:
    def sign(table: Table, message: CommittedShares) -> Message:
        holders = range(5)
        sealed = [message.sealed[140 * place :][:140] for place in range(4)]
        root = statements.share_tree(client(BAD), holders, sealed, message.commitments).root
        statement = statements.shares_statement(
            transcript or table.server._transcript, client(BAD), message.commitment, root
        )
        return changed(message, signature=table.sign(signer, context, statement))

    return sign


SHARES: dict[str, Case] = {
    "ciphertexts cut short": (
        lambda t, m: changed(m, sealed=m.sealed[:-1]),
        RemoteProtocolError,
        "140 bytes of sealed shares for each of 4, got 559",
    ),
    "commitments cut short": (
        lambda t, m: changed(m, commitments=m.commitments[:-1]),
        RemoteProtocolError,
        "64 bytes of commitments for each of 5, got 319",
    ),
    "another ciphertext": (
        lambda t, m: changed(m, sealed=flipped(m.sealed, -1)),
        BadSignature,
        NO_SIGNATURE,
    ),
    "another commitment": (
        lambda t, m: changed(m, commitments=flipped(m.commitments, -1)),
        BadSignature,
        NO_SIGNATURE,
    ),
    "another seed commitment": (
        lambda t, m: changed(m, commitment=flipped(m.commitment)),
        BadSignature,
        NO_SIGNATURE,
    ),
    "no signature": (lambda t, m: changed(m, signature=bytes(64)), BadSignature, NO_SIGNATURE),
    "another context": (shares_signed_again(statements.KEYS), BadSignature, NO_SIGNATURE),
    "another signer": (shares_signed_again(signer=1), BadSignature, NO_SIGNATURE),
    "another session": (shares_signed_again(transcript=bytes(32)), BadSignature, NO_SIGNATURE),
}


# Round 2.


def vector_signed_again(
    complaints: bytes = b"", context: str = statements.VECTOR, transcript: bytes = b""
) -> Callable[[Table, SignedVector], Message]:
    def sign(table: Table, message: SignedVector) -> Message:
        statement = statements.vector_statement(
            transcript or table.server._transcript, client(BAD), complaints, message.tail
        )
        signature = table.sign(BAD, context, statement)
        return SignedVector(complaints, signature, message.tail)

    return sign


def with_tail(change: Callable[[bytes], bytes]) -> Callable[[Table, SignedVector], Message]:
    """Another vector, signed."""

    def sign(table: Table, message: SignedVector) -> Message:
        tail = memoryview(change(bytes(message.tail)))
        return vector_signed_again()(table, SignedVector(b"", message.signature, tail))

    return sign


VECTORS: dict[str, Case] = {
    "complaints that are not whole": (
        vector_signed_again(bytes(3)),
        RemoteProtocolError,
        "4 bytes each, got 3",
    ),
    "complaints out of order": (
        vector_signed_again(encode_numbers((3, 1))),
        RemoteProtocolError,
        "ascend strictly",
    ),
    "a complaint of itself": (
        vector_signed_again(encode_numbers((BAD,))),
        RemoteProtocolError,
        "complaints of dealers only",
    ),
    "a complaint of a stranger": (
        vector_signed_again(encode_numbers((7,))),
        RemoteProtocolError,
        "complaints of dealers only",
    ),
    "a vector cut short": (
        with_tail(lambda tail: tail[:-1]),
        RemoteProtocolError,
        "a vector of 30 bytes, got 29",
    ),
    "a vector with bits beyond its end": (
        with_tail(lambda tail: tail[:-1] + bytes((tail[-1] | 0x80,))),
        RemoteProtocolError,
        "bits",
    ),
    "another vector": (
        lambda t, m: SignedVector(b"", m.signature, memoryview(flipped(bytes(m.tail)))),
        BadSignature,
        NO_SIGNATURE,
    ),
    "a complaint that was not signed": (
        lambda t, m: SignedVector(encode_numbers((1,)), m.signature, m.tail),
        BadSignature,
        NO_SIGNATURE,
    ),
    "another context": (
        vector_signed_again(context=statements.SHARES),
        BadSignature,
        NO_SIGNATURE,
    ),
    "another session": (
        vector_signed_again(transcript=bytes(32)),
        BadSignature,
        NO_SIGNATURE,
    ),
}


# Rounds 3 and 4.


def survivors_signed_again(
    context: str = statements.SURVIVORS, signer: int = BAD, included: tuple[int, ...] = ()
) -> Callable[[Table, SurvivorSignature], Message]:
    def sign(table: Table, message: SurvivorSignature) -> Message:
        digest = table.server._survivors
        if included:
            everyone = bits(table, *range(5))
            digest = statements.survivor_digest(
                table.server._transcript, everyone, bits(table, *included)
            )
        return SurvivorSignature(table.sign(signer, context, digest))

    return sign


SURVIVORS: dict[str, Case] = {
    "no signature": (lambda t, m: SurvivorSignature(bytes(64)), BadSignature, NO_SIGNATURE),
    "another signer": (survivors_signed_again(signer=1), BadSignature, NO_SIGNATURE),
    "another context": (
        survivors_signed_again(context=statements.ANSWER),
        BadSignature,
        NO_SIGNATURE,
    ),
    "another list": (survivors_signed_again(included=(0, 1, 2, 3)), BadSignature, NO_SIGNATURE),
}


def answer_signed_again(
    change: Callable[[bytes], bytes] = bytes,
    context: str = statements.ANSWER,
    survivors: bytes = b"",
    sender: int = BAD,
) -> Callable[[Table, SignedAnswer], Message]:
    def sign(table: Table, message: SignedAnswer) -> Message:
        openings = change(message.openings)
        digest = survivors or table.server._survivors
        statement = statements.answer_statement(digest, client(sender), openings)
        return SignedAnswer(openings, table.sign(BAD, context, statement))

    return sign


ANSWERS: dict[str, Case] = {
    "a share fewer": (
        answer_signed_again(lambda openings: openings[:-56]),
        RemoteProtocolError,
        "56 bytes of shares for each of 5, got 224",
    ),
    "both shares of each": (
        answer_signed_again(lambda openings: openings * 2),
        RemoteProtocolError,
        "56 bytes of shares for each of 5, got 560",
    ),
    "another share": (
        lambda t, m: changed(m, openings=flipped(m.openings)),
        BadSignature,
        NO_SIGNATURE,
    ),
    "another context": (
        answer_signed_again(context=statements.SURVIVORS),
        BadSignature,
        NO_SIGNATURE,
    ),
    "another list": (answer_signed_again(survivors=bytes(32)), BadSignature, NO_SIGNATURE),
    "as another": (answer_signed_again(sender=1), BadSignature, NO_SIGNATURE),
}

LATER: dict[type[Message], dict[str, Case]] = {
    CommittedShares: SHARES,
    SignedVector: VECTORS,
    SurvivorSignature: SURVIVORS,
    SignedAnswer: ANSWERS,
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, cases in LATER.items() for name in cases]
)
def test_later_messages(kind: type[Message], name: str) -> None:
    table = Table().start().until(kind)
    good = table.take(kind, BAD)
    change, error, words = LATER[kind][name]
    assert_refused(table, change(table, good), error, words)
    assert not table.deliver(good, client(BAD), SERVER)
    table.finish().check_sum(0, 1, 2, 3, 4)


AGAIN: dict[type[Message], Callable[[Table, Any], Message]] = {
    CommittedShares: shares_signed_again(),
    SignedVector: vector_signed_again(),
    SurvivorSignature: survivors_signed_again(),
    SignedAnswer: answer_signed_again(),
}


@pytest.mark.parametrize("kind", AGAIN)
def test_what_is_signed_again_is_as_it_was(kind: type[Message]) -> None:
    table = Table().start().until(kind)
    good = table.take(kind, BAD)
    assert AGAIN[kind](table, good) == good


@pytest.mark.parametrize("kind", LATER)
def test_who_says_nothing_valid_is_left_out(kind: type[Message]) -> None:
    """And after the deadline what it should have said comes too late."""
    table = Table().start().until(kind)
    good = table.take(kind, BAD)
    change, error, words = LATER[kind]["another context"]
    assert_refused(table, change(table, good), error, words)
    table.finish()
    table.check_sum(*([0, 1, 2, 3, 4] if good.KIND > SignedVector.KIND else [0, 1, 3, 4]))
    assert not table.deliver(good, client(BAD), SERVER)


# Who may not speak in a round.


@pytest.mark.parametrize(
    ("earlier", "kind", "words"),
    [
        (SignedKeys, CommittedShares, "expected shares of those with a key book only"),
        (CommittedShares, SignedVector, "expected vectors of those who dealt shares only"),
        (SignedVector, SurvivorSignature, "expected signatures of the survivors only"),
        (SurvivorSignature, SignedAnswer, "expected answers of those asked only"),
    ],
)
def test_who_was_silent_in_a_round_is_not_heard_in_the_next(
    earlier: type[Message], kind: type[Message], words: str
) -> None:
    said = Table().start().until(kind).take(kind, BAD)
    table = Table().start().until(earlier).drop(earlier, BAD).until(kind)
    assert_refused(table, said, RemoteProtocolError, words)
    table.finish()
    table.check_sum(*([0, 1, 2, 3, 4] if earlier is SurvivorSignature else [0, 1, 3, 4]))


def test_a_complaint_of_somebody_who_did_not_deal_is_refused() -> None:
    table = Table().start().until(CommittedShares).drop(CommittedShares, 4).until(SignedVector)
    message = table.take(SignedVector, BAD)
    complaint = vector_signed_again(encode_numbers((4,)))(table, message)
    assert_refused(table, complaint, RemoteProtocolError, "complaints of dealers only")


@pytest.mark.parametrize("kind", [SignedKeys, *LATER])
def test_only_the_first_of_two_messages_counts(kind: type[Message]) -> None:
    table = Table().start().until(kind)
    good = table.take(kind, BAD)
    assert not table.deliver(good, client(BAD), SERVER)
    second = changed(good, signature=bytes(64))
    assert_refused(table, second, DuplicateMessage, "a second, different one")
    table.finish().check_sum(0, 1, 2, 3, 4)


@pytest.mark.parametrize("kind", [SignedKeys, *LATER])
def test_anothers_message_is_not_its_own(kind: type[Message]) -> None:
    """Each statement names who says it, so nothing can be passed on as one's own."""
    table = Table().start().until(kind)
    table.take(kind, BAD)
    others = [one.message for one in table.waiting if one.sender == client(1)]
    expected = UnauthenticatedKey if kind is SignedKeys else BadSignature
    assert_refused(table, others[0], expected, NO_SIGNATURE)


def test_a_refused_vector_is_not_in_the_sum() -> None:
    table = Table().start().until(SignedVector)
    before = table.server._total._sum.copy()
    waiting = list(table.server._total._waiting)
    for name, (change, error, words) in VECTORS.items():
        good = next(one.message for one in table.waiting if one.sender == client(BAD))
        assert_refused(table, change(table, good), error, words)
        assert table.server._total._waiting == waiting, name
    np.testing.assert_array_equal(table.server._total._sum, before)
    table.finish().check_sum(0, 1, 2, 3, 4)
