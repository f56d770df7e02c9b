from __future__ import annotations

from typing import Any

import pytest

from secagg import protocols
from secagg.crypto.digest import digest, encode_party
from secagg.crypto.rng import seeded
from secagg.errors import DecodeError, LocalProtocolError, ParameterError
from secagg.protocol import Identities, Roster, Session, Task
from secagg.protocol.cohort import bitmap_size, decode_bitmap, encode_bitmap
from secagg.runner import run
from secagg.types import client

CLIENTS = tuple(client(number) for number in (0, 3, 9, 12, 13, 14, 15, 16, 40))
PROTOCOL = protocols.get("enclave")
PLAN = PROTOCOL.plan(Task(clients=CLIENTS, length=4, bound=5))


def test_a_roster_without_keys_keeps_its_digest() -> None:
    members = b"".join(encode_party(party) for party in CLIENTS)
    assert Roster(2, CLIENTS).digest == digest("roster", (2).to_bytes(8, "big"), members)
    assert Roster(2, CLIENTS).digest != Identities.drawn(PLAN, seeded(1), bytes(32)).roster.digest


def test_identities_fit_the_roster_and_print_no_key() -> None:
    drawn = Identities.drawn(PLAN, seeded(1), b"m" * 32, now=7)
    for party in CLIENTS:
        identity = drawn.of[party]
        assert identity.key is not None
        assert identity.key.public == drawn.roster.key_of(party)
        assert identity.now == 7
        assert identity.key.public.hex() not in repr(identity)
    with pytest.raises(ParameterError, match="no key"):
        drawn.roster.key_of(client(1))
    with pytest.raises(ParameterError, match="no key"):
        Roster(0, CLIENTS).key_of(client(0))
    other = drawn.trusting(b"r" * 32)
    trust = other.of[client(0)].trust
    assert trust is not None
    assert trust.roots == {b"r" * 32}


def test_run_does_not_replace_keys_that_are_there() -> None:
    rng = seeded(1)
    roster = Identities.drawn(PLAN, rng, bytes(32)).roster
    with pytest.raises(LocalProtocolError, match="identities must be given"):
        run(PROTOCOL, Session.fresh(PLAN, rng, roster=roster), {}, rng)


def test_bitmaps_are_canonical() -> None:
    members = {0, 9, 40}
    bitmap = encode_bitmap(CLIENTS, members)
    assert len(bitmap) == bitmap_size(CLIENTS) == 2
    assert decode_bitmap(CLIENTS, bitmap) == members
    bad: Any
    for bad in (b"", b"\0", b"\0\2", bytes(3)):
        with pytest.raises(DecodeError):
            decode_bitmap(CLIENTS, bad)
