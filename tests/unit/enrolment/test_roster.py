"""Rosters: what an authority signs is believed, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.enrolment.people import (
    AUTHORITY,
    END,
    NOW,
    OTHER_AUTHORITY,
    START,
    document,
    public,
    signed,
    signing_key,
)

from secagg import enrolment
from secagg.crypto.signing import SigningKey
from secagg.enrolment import Document, Entry, KeyRole, Reason, roster
from secagg.errors import DecodeError, ParameterError, RosterRefused
from secagg.protocol import Roster
from secagg.types import client

DATA = signed()


def verify(data: bytes = DATA, **demands: Any) -> Roster:
    return enrolment.verify(data, AUTHORITY.public, **({"at": NOW} | demands))


def refused(reason: Reason, data: bytes = DATA, match: str | None = None, **demands: Any) -> None:
    with pytest.raises(RosterRefused, match=match) as error:
        verify(data, **demands)
    assert error.value.reason is reason
    assert str(error.value).startswith(f"{reason}: ")


def resigned(contents: Any, key: SigningKey = AUTHORITY) -> bytes:
    """Whatever it is, under a good signature."""
    encoded = msgspec.msgpack.encode(contents)
    parts = [roster.FORMAT, encoded, key.public, key.sign(roster.CONTEXT, encoded)]
    return msgspec.msgpack.encode(parts)


def fields(contents: Document) -> list[Any]:
    found: list[Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(contents))
    found[3:5] = [START, END]
    return found


def test_a_roster_that_was_signed_is_the_protocols() -> None:
    found = verify()
    assert found.epoch == 1
    assert found.clients == tuple(client(number) for number in range(4))
    assert found.keys == tuple(signing_key(number).public for number in range(4))
    assert found.authority == AUTHORITY.public
    assert found.digest != msgspec.structs.replace(found, authority=b"").digest
    assert verify(signed()).digest == found.digest


def test_numbers_of_revoked_clients_stay_theirs() -> None:
    second = document().following().revoking(["site-1"]).adding([public(9)])
    found = verify(signed(second))
    assert found.epoch == 2
    assert found.clients == tuple(client(number) for number in (0, 2, 3, 4))
    assert found.key_of(client(4)) == signing_key(9).public
    assert second.party_of(signing_key(9).public) == client(4)
    with pytest.raises(RosterRefused, match="site-1, client 1, is revoked in epoch 2") as error:
        second.party_of(signing_key(1).public)
    assert error.value.reason is Reason.REVOKED
    with pytest.raises(RosterRefused, match="no entry of epoch 2") as error:
        second.party_of(signing_key(77).public)
    assert error.value.reason is Reason.UNKNOWN


def test_every_changed_byte_is_refused() -> None:
    for place in range(len(DATA)):
        for flip in (0x01, 0x80, 0xFF):
            changed = DATA[:place] + bytes([DATA[place] ^ flip]) + DATA[place + 1 :]
            with pytest.raises(RosterRefused):
                verify(changed)


def test_every_truncation_and_every_leftover_is_refused() -> None:
    for size in range(len(DATA)):
        refused(Reason.MALFORMED, DATA[:size])
    refused(Reason.MALFORMED, DATA + b"\0")
    refused(Reason.MALFORMED, DATA + DATA)


@given(st.binary(max_size=400))
def test_noise_is_refused(data: bytes) -> None:
    refused(Reason.MALFORMED, data)


@given(st.data())
@settings(max_examples=200)
def test_pieces_of_two_good_files_make_no_third(data: st.DataObject) -> None:
    others = [DATA, signed(document(5)), signed(key=OTHER_AUTHORITY)]
    rows = [msgspec.msgpack.decode(one) for one in others]
    choice = [data.draw(st.integers(0, 2)) for _ in range(4)]
    mixed = msgspec.msgpack.encode([rows[which][place] for place, which in enumerate(choice)])
    if mixed in (others[0], others[1]):
        verify(mixed)
        return
    with pytest.raises(RosterRefused):
        verify(mixed)


def test_other_encodings_of_the_same_roster_are_refused() -> None:
    parts: list[Any] = msgspec.msgpack.decode(DATA)
    longer = b"\xdc\x00\x04" + DATA[1:]  # array 16 instead of fixarray
    assert msgspec.msgpack.decode(longer) == parts
    refused(Reason.MALFORMED, longer, "not the canonical encoding")
    inner = b"\xdc\x00\x06" + parts[1][1:]
    data = msgspec.msgpack.encode(
        [parts[0], inner, parts[2], AUTHORITY.sign(roster.CONTEXT, inner)]
    )
    refused(Reason.MALFORMED, data, "not the canonical encoding")


def test_who_signed_and_what_for() -> None:
    refused(Reason.WRONG_AUTHORITY, signed(key=OTHER_AUTHORITY))
    refused(Reason.UNSIGNED, roster.draft(document()))
    parts: list[Any] = msgspec.msgpack.decode(DATA)
    parts[3] = AUTHORITY.sign("another purpose", parts[1])
    refused(Reason.BAD_SIGNATURE, msgspec.msgpack.encode(parts))
    # Another key's signature under the pinned authority's name.
    parts[3] = OTHER_AUTHORITY.sign(roster.CONTEXT, parts[1])
    refused(Reason.BAD_SIGNATURE, msgspec.msgpack.encode(parts))
    refused(Reason.AUTHORITY_IS_SERVER, server=AUTHORITY.public)
    verify(server=OTHER_AUTHORITY.public)


def test_the_window_is_exact() -> None:
    verify(at=START)
    verify(at=END)
    refused(Reason.NOT_YET_VALID, at=START - 1, match=f"from second {START}")
    refused(Reason.EXPIRED, at=END + 1, match=f"to second {END}")


def test_epochs_do_not_go_back() -> None:
    second = signed(document().following())
    verify(second, at_least_epoch=2)
    refused(Reason.ROLLBACK, at_least_epoch=2, match="at least epoch 2, got 1")
    refused(Reason.ROLLBACK, previous=document().following())


def test_the_federation_can_be_demanded() -> None:
    verify(federation="hospitals")
    refused(Reason.WRONG_FEDERATION, federation="banks", match="'banks', got 'hospitals'")
    refused(Reason.WRONG_FEDERATION, previous=Document.empty("banks"))


def changed(contents: Document, number: int, **changes: Any) -> Document:
    entries = list(contents.entries)
    entries[number] = msgspec.structs.replace(entries[number], **changes)
    return msgspec.structs.replace(contents, entries=tuple(entries))


def test_history_is_only_added_to() -> None:
    before = document().revoking(["site-2"])
    after = before.following()
    verify(signed(before), previous=before)
    verify(signed(after), previous=before)
    verify(signed(after.adding([public(9)]).revoking(["site-0"])), previous=before)
    lies = [
        (before.adding([public(9)]), "epoch 1 was seen with other entries"),
        (msgspec.structs.replace(after, entries=after.entries[:3]), "entry 3 of epoch 1 is gone"),
        (changed(after, 1, key=signing_key(9).public), "entry 1 was site-1 with key"),
        (changed(after, 1, name="site-9"), "entry 1 was site-1 with key"),
        (changed(after, 2, revoked=False), "entry 2, site-2, was revoked"),
    ]
    for lie, match in lies:
        refused(Reason.CHANGED_HISTORY, signed(lie), match, previous=before)


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        (0, "secagg roster document 2", "expected 'secagg roster document 1'"),
        (1, "", "names no federation"),
        (1, "\x1b[2J", "names no federation"),
        (2, 0, "epoch lies in"),
        (2, 1 << 63, "epoch lies in"),
        (2, -1, "epoch lies in"),
        (2, "1", "Expected `int`"),
        (3, END + 1, "no time"),
        (3, -1, "no time"),
        (4, 1 << 40, "no time"),
        (5, [], "nobody is in it"),
        (5, [[0, bytes(32), "a", True]], "nobody is in it"),
        (5, [[1, bytes(32), "a", False]], "entry 0 says that it is number 1"),
        (5, [[0, bytes(31), "a", False]], "entry 0: a key has 32 bytes, got 31"),
        (5, [[0, bytes(32), "a b", False]], "entry 0: 'a b' is no name"),
        (5, [[0, bytes(32), "a", 0]], "Expected `bool`"),
        (5, [[0, bytes(32), "a", False, 1]], "Expected `array` of at most length 4"),
        (5, [[0, bytes(32), "a", False], [1, b"1" * 32, "a", False]], "entry 1: a is another"),
        (5, [[0, bytes(32), "a", False], [0, b"1" * 32, "b", False]], "entry 1 says"),
    ],
)
def test_a_good_signature_does_not_help_nonsense(place: int, value: Any, match: str) -> None:
    said = fields(document())
    said[place] = value
    refused(Reason.MALFORMED, resigned(said), match)


def test_keys_are_there_once() -> None:
    twice = [[0, bytes(32), "a", False], [1, bytes(32), "b", False]]
    for entries in (twice, [twice[0], [*twice[1][:3], True]]):
        said = fields(document())
        said[5] = entries
        refused(Reason.DUPLICATE_KEY, resigned(said), "entries 0 and 1 have one key")
    said = fields(document())
    said[5] = [[0, AUTHORITY.public, "a", False]]
    refused(Reason.DUPLICATE_KEY, resigned(said), "authority's key is also a client's")


def test_the_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "MAX_ROSTER_BYTES", len(DATA))
    verify()
    monkeypatch.setattr(roster, "MAX_ROSTER_BYTES", len(DATA) - 1)
    refused(Reason.MALFORMED, match="at most")


def test_a_file_of_another_kind_is_refused() -> None:
    parts: list[Any] = msgspec.msgpack.decode(DATA)
    for place, value, match in (
        (0, "secagg roster 2", "expected 'secagg roster 1'"),
        (2, bytes(31), "the authority's has 31"),
        (2, b"", "a signature without an authority"),
    ):
        mixed = [value if at == place else part for at, part in enumerate(parts)]
        refused(Reason.MALFORMED, msgspec.msgpack.encode(mixed), match)


def test_a_draft_can_be_read_back() -> None:
    contents, authority = enrolment.inspect(roster.draft(document()))
    assert (contents, authority) == (document(), b"")
    contents, authority = enrolment.inspect(DATA)
    assert authority == AUTHORITY.public
    assert contents.entries == document().entries
    with pytest.raises(DecodeError, match="roster"):
        Document.decode(b"\xc1")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"not_before": 0}, "valid for some time"),
        ({"not_after": START}, "valid for some time"),
        ({"not_after": 1 << 40}, "valid for some time"),
        ({"document": Document.empty("hospitals")}, "at least one client"),
        ({"document": document(1).revoking(["site-0"])}, "at least one client"),
        ({"server": AUTHORITY.public}, "authority's key is the server's"),
        ({"key": signing_key(2)}, "authority's key is that of site-2"),
    ],
)
def test_what_an_authority_does_not_sign(changes: dict[str, Any], match: str) -> None:
    settings_: dict[str, Any] = {
        "document": document(),
        "key": AUTHORITY,
        "not_before": START,
        "not_after": END,
    }
    enrolment.sign(**settings_)
    with pytest.raises(ParameterError, match=match):
        enrolment.sign(**(settings_ | changes))


@pytest.mark.parametrize(
    ("key", "match"),
    [
        (public(9, role=KeyRole.AUTHORITY), "expected a client's key, got authority"),
        (public(9, role=KeyRole.SERVER), "expected a client's key, got server"),
        (public(1, "again"), "client 1 has this key$"),
        (public(2, "again"), "client 2 has this key and was revoked: draw a new one"),
        (public(9, "site-3"), "another client has this name"),
    ],
)
def test_who_is_not_added(key: enrolment.PublicKey, match: str) -> None:
    contents = document().revoking(["site-2"])
    with pytest.raises(ParameterError, match=match):
        contents.adding([key])
    # The name of somebody revoked may be used again, its number may not.
    again = contents.adding([public(9, "site-2")])
    assert again.party_of(public(9).key) == client(4)


def test_who_is_revoked_is_named() -> None:
    contents = document().revoking(["site-0", public(3).fingerprint])
    assert [entry.number for entry in contents.members] == [1, 2]
    for nobody in ("site-0", public(3).fingerprint, "site-9", ""):
        with pytest.raises(ParameterError, match="revoked already"):
            contents.revoking([nobody])


def test_federations_have_names_and_epochs_end() -> None:
    with pytest.raises(ParameterError, match="federation's name"):
        Document.empty("two words")
    last = msgspec.structs.replace(document(), epoch=(1 << 63) - 1)
    verify(signed(last))
    with pytest.raises(ParameterError, match="used up"):
        last.following()


@given(st.lists(st.sampled_from(["add", "revoke", "next"]), max_size=12))
@settings(max_examples=50)
def test_any_history_follows_from_its_beginning(steps: list[str]) -> None:
    contents, drawn = document(2), 10
    seen = [contents]
    for step in steps:
        contents = contents.following()
        if step == "add":
            contents = contents.adding([public(drawn)])
            drawn += 1
        elif step == "revoke" and len(contents.members) > 1:
            contents = contents.revoking([contents.members[0].name])
        seen.append(contents)
    found = verify(signed(contents), previous=seen[0])
    for earlier in seen:
        enrolment.check_successor(earlier, contents)
        for party in set(earlier.roster(b"").clients) & set(found.clients):
            assert earlier.roster(b"").key_of(party) == found.key_of(party)
    for entry in contents.entries:
        assert isinstance(entry, Entry)
        if entry.revoked:
            assert entry.key not in found.keys
