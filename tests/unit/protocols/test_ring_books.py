"""Level `malicious` on the ring: the graph is what the beacon makes of the root, or refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from unit.protocols.ring import COUNT, DEGREE, ME, RingCase, RingTable, books
from unit.protocols.table import changed, flipped, refuse, replaced

from secagg.crypto.digest import DIGEST_BYTES
from secagg.crypto.signing import SIGNATURE_BYTES
from secagg.errors import (
    InvalidKey,
    LocalProtocolError,
    NeighbourModelMismatch,
    RemoteProtocolError,
    UnauthenticatedKey,
)
from secagg.protocol import model_digest
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import CohortRoot, SignedKeyBook
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.messages import KEY_BYTES, encode_numbers
from secagg.protocols._masking.neighbourhood import Neighbourhood
from secagg.types import SERVER, client
from secagg.wire import Message


def book_with(table: RingTable, neighbours: Iterable[int], book: SignedKeyBook) -> SignedKeyBook:
    """Everything about these neighbours as they signed it, with their paths."""
    near = sorted(neighbours)
    signed = [table.server._advertised[number] for number in near]
    return changed(
        book,
        neighbours=encode_numbers(near),
        keys=b"".join(one.channel_key + one.mask_key for one in signed),
        models=b"".join(one.model_digest for one in signed),
        signatures=b"".join(one.signature for one in signed),
        paths=b"".join(table.server._tree.path(number) for number in sorted((*near, ME))),
    )


def of_another_seed(table: RingTable, book: SignedKeyBook) -> Message:
    """The neighbours of a graph that the server would have liked better."""
    right = set(table.server._neighbours[ME])
    cohort = table.server._bitmap
    for number in range(100):
        hood = Neighbourhood(table.plan, cohort, number.to_bytes(32, "big"))
        if set(hood.neighbours(ME)) != right:
            return book_with(table, hood.neighbours(ME), book)
    raise AssertionError("no other graph")


def exchanged_paths(table: RingTable, book: SignedKeyBook) -> Message:
    size = len(book.paths) // (DEGREE + 1)
    first, second = book.paths[:size], book.paths[size : 2 * size]
    return changed(book, paths=second + first + book.paths[2 * size :])


UNDER_ROOT = "the cohort root is not over the keys that came"
PATH = 4 * DIGEST_BYTES
BOOKS: dict[str, RingCase] = {
    "a neighbour fewer": (
        lambda t, b: book_with(t, t.server._neighbours[ME][1:], b),
        RemoteProtocolError,
        "expected 4 neighbours, got 3",
    ),
    "all as neighbours": (
        lambda t, b: book_with(t, range(1, COUNT), b),
        RemoteProtocolError,
        "expected 4 neighbours, got 11",
    ),
    "the neighbours of another seed": (
        of_another_seed,
        RemoteProtocolError,
        "the neighbours that the graph gives me",
    ),
    "a key twice": (
        lambda t, b: changed(b, keys=b.keys[:64] * 2 + b.keys[128:]),
        InvalidKey,
        "distinct",
    ),
    "another mask key": (
        lambda t, b: changed(b, keys=replaced(b.keys, KEY_BYTES, 1, bytes(range(32)))),
        UnauthenticatedKey,
        "not a valid signature",
    ),
    "no paths": (
        lambda t, b: changed(b, paths=b""),
        RemoteProtocolError,
        "128 bytes of audit paths for each of 5, got 0",
    ),
    "a path missing": (
        lambda t, b: changed(b, paths=b.paths[PATH:]),
        RemoteProtocolError,
        "of audit paths for each of 5",
    ),
    "another first path": (
        lambda t, b: changed(b, paths=flipped(b.paths)),
        RemoteProtocolError,
        UNDER_ROOT,
    ),
    "two paths exchanged": (exchanged_paths, RemoteProtocolError, UNDER_ROOT),
}


@pytest.mark.parametrize("name", BOOKS)
def test_key_books(name: str) -> None:
    change, error, words = BOOKS[name]
    table = books()
    refuse(table, change(table, table.take(SignedKeyBook, ME)), error, words)
    table.finish().check_sum(*range(1, COUNT))


def test_the_book_that_is_made_again_is_as_it_was() -> None:
    """So that what the cases change is all that is wrong with them."""
    table = books()
    book = table.take(SignedKeyBook, ME)
    assert book_with(table, table.server._neighbours[ME], book) == book


def test_a_neighbour_with_another_model_is_named() -> None:
    table = books()
    book, session = table.take(SignedKeyBook, ME), table.scenario.session
    other = table.server._neighbours[ME][0]
    keys = PublicKeys(book.keys[:KEY_BYTES], book.keys[KEY_BYTES : 2 * KEY_BYTES])
    model = model_digest(b"another", b"")
    said = replace(session, model_digest=model)
    statement = statements.keys_statement(said.id, client(other), model, keys)
    signature = table.sign(other, statements.KEYS, statement)
    shown = changed(
        book,
        models=replaced(book.models, DIGEST_BYTES, 0, model),
        signatures=replaced(book.signatures, SIGNATURE_BYTES, 0, signature),
    )
    refuse(table, shown, NeighbourModelMismatch, "a model of digest", client(other))


@pytest.mark.parametrize("phase", ["advertise", "commit"])
def test_a_book_before_a_root_was_signed_waits_for_ever(phase: str) -> None:
    book = books().take(SignedKeyBook, ME)
    table = RingTable()
    table.start()
    table.reading = False
    if phase == "commit":
        table.reading = True
        table.until(CohortRoot)
        table.reading = False
        table.deliver(table.take(CohortRoot, ME), SERVER, client(ME))
    party = table.ring_client(ME)
    assert party.phase == phase
    assert party.when(book, SERVER) == "early"
    with pytest.raises(LocalProtocolError, match="is early"):
        party.handle(book, SERVER)
