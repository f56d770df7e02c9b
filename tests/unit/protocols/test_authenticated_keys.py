"""What parties of level `malicious` refuse of keys, check by check, and who may be a client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.protocols.table import (
    Case,
    Table,
    assert_refused,
    bits,
    changed,
    flipped,
    refuse,
    replaced,
)

from secagg.crypto.digest import DIGEST_BYTES
from secagg.crypto.merkle import merkle_root, padded
from secagg.crypto.signing import SIGNATURE_BYTES
from secagg.errors import (
    CohortTooSmall,
    InvalidKey,
    NeighbourModelMismatch,
    ParameterError,
    RemoteProtocolError,
    UnauthenticatedKey,
)
from secagg.protocol import Identity, Roster, model_digest
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.enrolled import enrolled_party
from secagg.protocols._masking.authenticated.messages import SignedKeyBook, SignedKeys
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.messages import KEY_BYTES, encode_numbers
from secagg.types import SERVER, client
from secagg.wire import Message

ME, OTHER = 0, 2
LOW_ORDER = (1).to_bytes(32, "little")
ALIAS = (2**255 - 19 + 9).to_bytes(32, "little")
FREE_KEYS = bytes(range(32)), bytes(range(1, 33))
NO_SIGNATURE = "not a valid signature for"
OTHER_MODEL = model_digest(b"another", b"")


# The key book: neighbours 1 to 4, in places 0 to 3.


def column(book: SignedKeyBook, place: int, channel: bytes | None, mask: bytes | None) -> bytes:
    row = book.keys[2 * KEY_BYTES * place :][: 2 * KEY_BYTES]
    changed_row = (channel or row[:KEY_BYTES]) + (mask or row[KEY_BYTES:])
    return replaced(book.keys, 2 * KEY_BYTES, place, changed_row)


def with_keys(place: int, channel: bytes | None, mask: bytes | None) -> Callable[..., Message]:
    return lambda table, book: changed(book, keys=column(book, place, channel, mask))


def with_own_key(field: str) -> Callable[..., Message]:
    def reflect(table: Table, book: SignedKeyBook) -> Message:
        own = table.client(ME)._keys.public._asdict()[field]
        return changed(book, keys=column(book, 1, None, own))

    return reflect


def signed_again(
    context: str = statements.KEYS,
    signer: int = OTHER,
    owner: int = OTHER,
    claimed: bytes = b"",
    **session: bytes,
) -> Callable[..., Message]:
    """Client 2's row, with a signature made anew: for a session with other fields, or by another.

    `claimed` is the model's digest in the row and in the statement, if not the session's.
    """

    def sign(table: Table, book: SignedKeyBook) -> Message:
        said = replace(table.scenario.session, **session)  # type: ignore[arg-type]
        row = book.keys[2 * KEY_BYTES * (OTHER - 1) :][: 2 * KEY_BYTES]
        keys = PublicKeys(row[:KEY_BYTES], row[KEY_BYTES:])
        model = claimed or said.model_digest
        statement = statements.keys_statement(said.id, client(owner), model, keys)
        signature = table.sign(signer, context, statement)
        return changed(
            book,
            models=replaced(book.models, DIGEST_BYTES, OTHER - 1, model),
            signatures=replaced(book.signatures, SIGNATURE_BYTES, OTHER - 1, signature),
        )

    return sign


BOOKS: dict[str, Case] = {
    "cohort too short": (
        lambda t, b: changed(b, cohort=b""),
        RemoteProtocolError,
        "a bitmap of 1 bytes, got 0",
    ),
    "cohort of nobody's bits": (
        lambda t, b: changed(b, cohort=b"\xff"),
        RemoteProtocolError,
        "no bits beyond the last client",
    ),
    "cohort too small": (
        lambda t, b: changed(b, cohort=bits(t, 0, 1, 2)),
        CohortTooSmall,
        "at least 4 clients in phase advertise, got 3",
    ),
    "cohort without me": (
        lambda t, b: changed(b, cohort=bits(t, 1, 2, 3, 4)),
        RemoteProtocolError,
        "a cohort with me and all my neighbours",
    ),
    "cohort without a neighbour": (
        lambda t, b: changed(b, cohort=bits(t, 0, 1, 2, 3)),
        RemoteProtocolError,
        "a cohort with me and all my neighbours",
    ),
    "neighbours that are not whole": (
        lambda t, b: changed(b, neighbours=b.neighbours[:-1]),
        RemoteProtocolError,
        "4 bytes each, got 15",
    ),
    "a neighbour twice": (
        lambda t, b: changed(b, neighbours=encode_numbers((1, 2, 2, 4))),
        RemoteProtocolError,
        "ascend strictly",
    ),
    "neighbours out of order": (
        lambda t, b: changed(b, neighbours=encode_numbers((1, 3, 2, 4))),
        RemoteProtocolError,
        "ascend strictly",
    ),
    "a neighbour fewer": (
        lambda t, b: changed(b, neighbours=encode_numbers((1, 2, 3))),
        RemoteProtocolError,
        "expected 4 neighbours, got 3",
    ),
    "me as my neighbour": (
        lambda t, b: changed(b, neighbours=encode_numbers((0, 1, 2, 3))),
        RemoteProtocolError,
        "a cohort with me and all my neighbours",
    ),
    "a value of the beacon": (
        lambda t, b: changed(b, beacon=bytes(64)),
        RemoteProtocolError,
        "expected no value of a beacon, got 64 bytes",
    ),
    "keys cut short": (
        lambda t, b: changed(b, keys=b.keys[:-1]),
        RemoteProtocolError,
        "64 bytes of keys for each of 4, got 255",
    ),
    "a channel key of low order": (with_keys(1, LOW_ORDER, None), InvalidKey, "low order"),
    "a mask key of low order": (with_keys(1, None, LOW_ORDER), InvalidKey, "low order"),
    "an alias": (with_keys(1, ALIAS, None), InvalidKey, "alias"),
    "one key twice": (
        lambda t, b: changed(b, keys=column(b, 1, b.keys[:KEY_BYTES], None)),
        InvalidKey,
        "distinct",
    ),
    "my own channel key": (with_own_key("channel"), InvalidKey, "distinct"),
    "my own mask key": (with_own_key("mask"), InvalidKey, "distinct"),
    "models cut short": (
        lambda t, b: changed(b, models=b.models[:-1]),
        RemoteProtocolError,
        "32 bytes of model digests for each of 4, got 127",
    ),
    "signatures cut short": (
        lambda t, b: changed(b, signatures=b.signatures[:-1]),
        RemoteProtocolError,
        "64 bytes of signatures for each of 4, got 255",
    ),
    "another channel key": (
        with_keys(1, bytes(range(32)), None),
        UnauthenticatedKey,
        "the keys of client 2: not a valid signature",
    ),
    "another mask key": (
        with_keys(1, None, bytes(range(32))),
        UnauthenticatedKey,
        "the keys of client 2: not a valid signature",
    ),
    "both keys the other way round": (
        lambda t, b: changed(b, keys=column(b, 1, b.keys[96:128], b.keys[64:96])),
        UnauthenticatedKey,
        "the keys of client 2",
    ),
    "another's signature": (
        lambda t, b: changed(b, signatures=replaced(b.signatures, 64, 1, b.signatures[:64])),
        UnauthenticatedKey,
        "the keys of client 2",
    ),
    "the last signature": (
        lambda t, b: changed(b, signatures=flipped(b.signatures, -1)),
        UnauthenticatedKey,
        "the keys of client 4",
    ),
    "signed in another context": (
        signed_again(context=statements.SHARES),
        UnauthenticatedKey,
        "the keys of client 2",
    ),
    "signed for another session": (
        signed_again(nonce=bytes(32)),
        UnauthenticatedKey,
        "the keys of client 2",
    ),
    "signed by another": (signed_again(signer=3), UnauthenticatedKey, "the keys of client 2"),
    "signed as another": (signed_again(owner=3), UnauthenticatedKey, "the keys of client 2"),
    "a model that was not signed": (
        lambda t, b: changed(b, models=flipped(b.models, 32)),
        UnauthenticatedKey,
        "the keys of client 2",
    ),
    "another root": (
        lambda t, b: changed(b, cohort_root=flipped(b.cohort_root)),
        RemoteProtocolError,
        "the cohort root is not over the keys",
    ),
    "a root without me": (
        lambda t, b: changed(
            b,
            cohort_root=merkle_root(padded([t.server._leaf(number) for number in (1, 2, 3, 4)])),
        ),
        RemoteProtocolError,
        "the cohort root is not over the keys",
    ),
    "paths": (
        lambda t, b: changed(b, paths=bytes(32)),
        RemoteProtocolError,
        "expected no audit paths for all keys, got 32 bytes",
    ),
}


@pytest.mark.parametrize("name", BOOKS)
def test_key_books(name: str) -> None:
    change, error, words = BOOKS[name]
    table = Table().start().until(SignedKeyBook)
    refuse(table, change(table, table.take(SignedKeyBook, ME)), error, words)
    table.finish().check_sum(1, 2, 3, 4)


def test_the_row_that_is_signed_again_is_as_it_was() -> None:
    """So that what the cases change is all that is wrong with them."""
    table = Table().start().until(SignedKeyBook)
    book = table.take(SignedKeyBook, ME)
    assert signed_again()(table, book) == book


def test_a_neighbour_with_another_model_is_named() -> None:
    table = Table().start().until(SignedKeyBook)
    book = signed_again(model_digest=OTHER_MODEL)(table, table.take(SignedKeyBook, ME))
    refuse(table, book, NeighbourModelMismatch, "a model of digest", client(OTHER))
    error = table.failures[client(ME)].error
    assert isinstance(error, NeighbourModelMismatch)
    assert error.own == table.scenario.session.model_digest
    assert error.offered == OTHER_MODEL


def test_a_model_signed_in_this_models_session_is_not_believed() -> None:
    """Nobody honest signs that: a session's id is of its model."""
    table = Table().start().until(SignedKeyBook)
    book = signed_again(claimed=OTHER_MODEL)(table, table.take(SignedKeyBook, ME))
    refuse(table, book, UnauthenticatedKey, "the keys of client 2")


# What the server is sent: client 2 is the bad one.


def signed_keys(
    channel: bytes | None = None,
    mask: bytes | None = None,
    *,
    context: str = statements.KEYS,
    signer: int = OTHER,
    owner: int = OTHER,
    **session: bytes,
) -> Callable[[Table, SignedKeys], Message]:
    """Client 2 (or another) signs keys of its choice."""

    def sign(table: Table, message: SignedKeys) -> Message:
        said = replace(table.scenario.session, **session)  # type: ignore[arg-type]
        keys = PublicKeys(channel or message.channel_key, mask or message.mask_key)
        statement = statements.keys_statement(said.id, client(owner), said.model_digest, keys)
        return SignedKeys(said.model_digest, *keys, table.sign(signer, context, statement))

    return sign


def key_of_another(field: str, other: str) -> Callable[[Table, SignedKeys], Message]:
    """With client 0's key, which the server has, in one of the places."""

    def sign(table: Table, message: SignedKeys) -> Message:
        taken = getattr(table.server._advertised[0], other)
        keys = {"channel": None, "mask": None, field: taken}
        return signed_keys(**keys)(table, message)

    return sign


ADVERTISED: dict[str, Case] = {
    "another model": (
        signed_keys(model_digest=model_digest(b"another", b"")),
        NeighbourModelMismatch,
        "its keys are for a model of digest",
    ),
    "no signature": (
        lambda t, m: changed(m, signature=bytes(64)),
        UnauthenticatedKey,
        NO_SIGNATURE,
    ),
    "another channel key": (
        lambda t, m: changed(m, channel_key=FREE_KEYS[0]),
        UnauthenticatedKey,
        NO_SIGNATURE,
    ),
    "another mask key": (
        lambda t, m: changed(m, mask_key=FREE_KEYS[0]),
        UnauthenticatedKey,
        NO_SIGNATURE,
    ),
    "another context": (signed_keys(context=statements.SHARES), UnauthenticatedKey, NO_SIGNATURE),
    "another session": (signed_keys(nonce=bytes(32)), UnauthenticatedKey, NO_SIGNATURE),
    "another signer": (signed_keys(signer=1), UnauthenticatedKey, NO_SIGNATURE),
    "another owner": (signed_keys(owner=1), UnauthenticatedKey, NO_SIGNATURE),
    "a channel key of low order": (signed_keys(LOW_ORDER), InvalidKey, "low order"),
    "a mask key of low order": (signed_keys(None, LOW_ORDER), InvalidKey, "low order"),
    "an alias": (signed_keys(ALIAS), InvalidKey, "alias"),
    "one key for both": (signed_keys(FREE_KEYS[0], FREE_KEYS[0]), InvalidKey, "one that is taken"),
    "a taken channel key": (
        key_of_another("channel", "channel_key"),
        InvalidKey,
        "one that is taken",
    ),
    "a taken mask key": (key_of_another("mask", "mask_key"), InvalidKey, "one that is taken"),
    "a mask key as channel key": (
        key_of_another("channel", "mask_key"),
        InvalidKey,
        "one that is taken",
    ),
}


def test_keys_signed_anew_are_taken() -> None:
    """So that what the cases change is all that is wrong with them."""
    table = Table().start().until(SignedKeys)
    message = signed_keys()(table, table.take(SignedKeys, OTHER))
    assert table.deliver(message, client(OTHER), SERVER) == []
    table.finish().check_sum(0, 1, 2, 3, 4)


@pytest.mark.parametrize("name", ADVERTISED)
def test_advertised_keys(name: str) -> None:
    table = Table().start().until(SignedKeys)
    good = table.take(SignedKeys, OTHER)
    table.hand_over(lambda one: one.sender == client(0))
    change, error, words = ADVERTISED[name]
    assert_refused(table, change(table, good), error, words)
    assert not table.deliver(good, client(OTHER), SERVER)
    table.finish().check_sum(0, 1, 2, 3, 4)


# Who may be a client at all.


def test_a_client_needs_the_key_that_the_roster_has() -> None:
    scenario = Table().scenario
    own = scenario.identity(client(0))
    other = scenario.identity(client(1))
    assert own is not None
    assert other is not None
    roles = scenario.offering.roles

    def enrol(identity: Identity, **session: Any) -> None:
        changed_session = replace(scenario.session, **session)
        enrolled_party(roles, changed_session, client(0), scenario.rng, identity)

    enrol(own)
    with pytest.raises(ParameterError, match="client 0 needs a signing key"):
        enrol(replace(own, key=None))
    with pytest.raises(ParameterError, match="the roster has another key of client 0"):
        enrol(other)
    with pytest.raises(ParameterError, match="needs a roster with the clients' keys"):
        enrol(own, roster=Roster(0, scenario.plan.task.clients))
