"""Any field of any message changed: the sum is exact, or there is none; nothing else can happen.

Clients change what they say and sign it again, so that it gets as far as it can. Left alone are
the vector and the mask key: with these a client only says that its input is another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.protocols.table import Table, Waiting, changed

from secagg.errors import RemoteProtocolError, ShareDisputed
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import (
    SEALED_OPENINGS_BYTES,
    CommittedShares,
    SignedAnswer,
    SignedKeys,
    SignedVector,
    SurvivorSignature,
)
from secagg.protocols._masking.keyring import PublicKeys
from secagg.types import SERVER, PartyId, Role, client
from secagg.wire import Message

COUNT: Final = 5
ROW_SIZES: Final = (1, 4, 32, 40, 56, 64, 140)

Change = Callable[[bytes, bytes], bytes]
"""The field, and the same field of somebody else, or of another session."""


@dataclass(frozen=True)
class Mutation:
    """What is done to the messages of one kind that one client says or is told.

    Attributes:
        which: of the kinds of its direction.
        number: of the client.
        field: which of the message's fields.
        change: what becomes of it.
        to: where the message goes instead, if anywhere.
        repeated: whether the message as it was follows, or goes before.
        old: whether `change` is given the field of another session.
        signed: whether a client signs it again.
    """

    which: int
    number: int
    field: int
    change: Change
    to: PartyId | None
    repeated: str
    old: bool
    signed: bool


def flip(place: int) -> Change:
    def change(value: bytes, other: bytes) -> bytes:
        bits = bytearray(value)
        if bits:
            bits[place % len(bits)] ^= 1 << (place % 8)
        return bytes(bits)

    return change


def exchange(size: int, place: int) -> Change:
    """Two rows change places."""

    def change(value: bytes, other: bytes) -> bytes:
        rows = [value[start : start + size] for start in range(0, len(value), size)]
        if len(rows) > 1:
            first = place % (len(rows) - 1)
            rows[first], rows[first + 1] = rows[first + 1], rows[first]
        return b"".join(rows)

    return change


def repeat_row(size: int, place: int) -> Change:
    """One row in the place of the next."""

    def change(value: bytes, other: bytes) -> bytes:
        rows = [value[start : start + size] for start in range(0, len(value), size)]
        if len(rows) > 1:
            first = place % (len(rows) - 1)
            rows[first + 1] = rows[first]
        return b"".join(rows)

    return change


PLACES = st.integers(0, 1000)
SIZES = st.sampled_from(ROW_SIZES)
CHANGES: st.SearchStrategy[Change] = st.one_of(
    PLACES.map(flip),
    st.builds(exchange, SIZES, PLACES),
    st.builds(repeat_row, SIZES, PLACES),
    SIZES.map(lambda size: lambda value, other: value[:-size]),
    SIZES.map(lambda size: lambda value, other: value[size:]),
    SIZES.map(lambda size: lambda value, other: value + value[-size:]),
    st.binary(min_size=1, max_size=8).map(lambda more: lambda value, other: value + more),
    st.sampled_from(
        [
            lambda value, other: b"",
            lambda value, other: value * 2,
            lambda value, other: bytes(len(value)),
            lambda value, other: b"\xff" * len(value),
            lambda value, other: other,
            lambda value, other: value,
        ]
    ),
)
PEOPLE = st.sampled_from([*(client(number) for number in range(COUNT)), SERVER])
MUTATIONS = st.builds(
    Mutation,
    which=st.integers(0, 10),
    number=st.integers(0, COUNT - 1),
    field=st.integers(0, 10),
    change=CHANGES,
    to=st.one_of(st.none(), st.none(), PEOPLE),
    repeated=st.sampled_from(["", "", "before", "after", "twice"]),
    old=st.booleans(),
    signed=st.booleans(),
)


@cache
def of_another_session(name: str) -> dict[tuple[type[Message], PartyId, PartyId], Any]:
    """Everything that is said in one."""
    said: dict[tuple[type[Message], PartyId, PartyId], Any] = {}
    table = Table(name, COUNT, seed=99)

    def note(one: Waiting) -> Iterator[Waiting]:
        said[type(one.message), one.sender, one.recipient] = one.message
        yield one

    table.relay = note
    table.start().finish().check_sum(*range(COUNT))
    return said


def sign_again(table: Table, number: int, message: Any) -> Any:
    """With the signature that belongs to it, where a client can make one."""
    server, who = table.server, client(number)
    match message:
        case SignedKeys():
            keys = PublicKeys(message.channel_key, message.mask_key)
            session = table.scenario.session.id
            context = statements.KEYS
            said = statements.keys_statement(session, who, message.model_digest, keys)
        case CommittedShares():
            size = SEALED_OPENINGS_BYTES
            sealed = [message.sealed[at : at + size] for at in range(0, len(message.sealed), size)]
            sealed += [b""] * (COUNT - 1 - len(sealed))
            tree = statements.share_tree(who, range(COUNT), sealed, message.commitments)
            context = statements.SHARES
            said = statements.shares_statement(
                server._transcript, who, message.commitment, tree.root
            )
        case SignedVector():
            context = statements.VECTOR
            said = statements.vector_statement(
                server._transcript, who, message.complaints, message.tail
            )
        case SignedAnswer():
            context = statements.ANSWER
            said = statements.answer_statement(server._survivors, who, message.openings)
        case _:
            return message
    return changed(message, signature=table.sign(number, context, said))


class Garbling:
    """A network that does what the mutations say to one direction."""

    def __init__(self, table: Table, role: Role, mutations: list[Mutation]) -> None:
        self.table = table
        self.role = role
        self.mutations = mutations
        self.kinds = [m for m in table.server.table.messages if m.SENDER is role]
        self.last: dict[type[Message], Any] = {}
        table.relay = self.relay

    def relay(self, one: Waiting) -> Iterator[Waiting]:
        kind = type(one.message)
        number = (one.sender if self.role is Role.CLIENT else one.recipient).number
        if one.sender.role is self.role:
            for mutation in self.mutations:
                meant = self.kinds[mutation.which % len(self.kinds)]
                if (meant, mutation.number) == (kind, number):
                    yield from self.mutated(one, mutation)
                    return
            self.last[kind] = one.message
        yield one

    def mutated(self, one: Waiting, mutation: Mutation) -> Iterator[Waiting]:
        if mutation.repeated == "before":
            yield one
        message = self.changed(one, mutation)
        recipient = mutation.to or one.recipient
        yield Waiting(message, one.sender, recipient)
        if mutation.repeated == "twice":
            yield Waiting(message, one.sender, recipient)
        if mutation.repeated == "after":
            yield one

    def changed(self, one: Waiting, mutation: Mutation) -> Any:
        kind, message = type(one.message), one.message
        names = [name for name in message.__struct_fields__ if name not in ("tail", "mask_key")]
        name = names[mutation.field % len(names)]
        old = of_another_session(str(self.table.scenario.offered))
        there = old[kind, one.sender, one.recipient]
        other = there if mutation.old else self.last.get(kind, there)
        value = mutation.change(getattr(message, name), getattr(other, name))
        message = changed(message, **{name: value})
        if mutation.signed and self.role is Role.CLIENT:
            message = sign_again(self.table, one.sender.number, message)
        return message


def check(table: Table) -> None:
    """The sum is that of those included; who has no sum says why; all errors are typed."""
    if table.total is None:
        assert table.failures[SERVER].reason
    else:
        table.check_sum(*(who.number for who in table.included))
        assert len(table.included) >= table.plan.minimum
    for culprit, error in table.accused:
        assert isinstance(error, RemoteProtocolError)
        assert error.culprit == culprit
    for who, failure in table.failures.items():
        if who != SERVER and failure.error is not None:
            assert isinstance(failure.error, RemoteProtocolError)


@pytest.mark.parametrize("name", ["secagg-malicious", "secagg_plus-malicious"])
@given(mutations=st.lists(MUTATIONS, min_size=1, max_size=3))
@settings(max_examples=150)
def test_what_clients_change(name: str, mutations: list[Mutation]) -> None:
    """And nobody is named but those who changed something, and those of whom they complain."""
    table = Table(name, COUNT)
    Garbling(table, Role.CLIENT, mutations)
    check(table.start().finish())
    bad = {client(mutation.number) for mutation in mutations}
    for culprit, error in table.accused:
        holder = error.holder if isinstance(error, ShareDisputed) else None
        assert culprit in bad or holder in bad, error
    for who, failure in table.failures.items():
        assert who == SERVER or who in bad or "nothing more came" in failure.reason, failure
    if not bad:
        table.check_sum(*range(COUNT))


@pytest.mark.parametrize("name", ["secagg-malicious", "secagg_plus-malicious"])
@given(mutations=st.lists(MUTATIONS, min_size=1, max_size=3))
@settings(max_examples=150)
def test_what_is_changed_on_the_way_from_the_server(name: str, mutations: list[Mutation]) -> None:
    """No client is named: each refuses what it was told, in the server's name, or says nothing."""
    table = Table(name, COUNT)
    Garbling(table, Role.SERVER, mutations)
    check(table.start().finish())
    victims = {client(mutation.number) for mutation in mutations}
    victims |= {mutation.to for mutation in mutations if mutation.to is not None}
    for who in table.failures:
        assert who == SERVER or who in victims


def test_what_is_signed_again_is_as_it_was() -> None:
    """So that a change gets past the signature."""
    table = Table(count=COUNT)
    seen = set()

    def sign(one: Waiting) -> Iterator[Waiting]:
        if one.sender != SERVER:
            assert sign_again(table, one.sender.number, one.message) == one.message
            seen.add(type(one.message))
        yield one

    table.relay = sign
    table.start().finish().check_sum(*range(COUNT))
    assert seen == {SignedKeys, CommittedShares, SignedVector, SurvivorSignature, SignedAnswer}
