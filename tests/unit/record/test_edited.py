"""A record that was edited, cut, reordered or mixed: what is wrong is named, each time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.record.sessions import Fields, Recorded, failing, forged, judged

from secagg.crypto.rng import seeded
from secagg.errors import RecordRefused
from secagg.record.reader import Place

PLACES = 200
SERVERS_WORD = {
    *(
        (line, name)
        for line in ("CommittedShares", "CommittedBundle")
        for name in ("size", "sha256")
    ),
    *((line, name) for line in ("SignedVector", "SignedAnswer") for name in ("size", "sha256")),
    ("end", "result"),
    ("end", "reason"),
}
"""Fields that nothing else in a record depends on; receipts have the digests."""


@cache
def recorded(protocol: str = "secagg") -> Recorded:
    return Recorded(protocol)


def named(data: bytes) -> list[str]:
    """The places and digests that are named as wrong; fails if nothing is."""
    try:
        found = failing(judged(data))
    except RecordRefused as refusal:
        return [str(refusal)]
    assert found, "an edited record passed"
    return [text for texts in found.values() for text in texts]


def check_named(data: bytes, *numbers: int) -> None:
    """One of these lines is named, with the byte at which it begins."""
    texts = named(data)
    wanted = [f"line {number}, byte " for number in numbers]
    known = [text for text in texts if any(place in text for place in wanted)]
    assert known, (numbers, texts)


def line_of(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


@pytest.mark.parametrize("alphabet", [bytes(range(256)), b"0123456789abcdef"])
@pytest.mark.parametrize("protocol", ["secagg", "secagg_plus"])
def test_edited_in_200_places(protocol: str, alphabet: bytes) -> None:
    """By any byte, and by one that might have been there: in most places that is still a line."""
    data = recorded(protocol).record
    assert not failing(judged(data))
    rng = seeded(200)
    edited: set[int] = set()
    while len(edited) < PLACES:
        place, value = (
            int.from_bytes(rng.bytes(4), "big") % len(data),
            alphabet[rng.bytes(1)[0] % len(alphabet)],
        )
        if data[place] == value or place in edited:
            continue
        edited.add(place)
        changed = data[:place] + bytes([value]) + data[place + 1 :]
        number = line_of(data, place)
        check_named(changed, number, number + 1)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_cut_out_or_put_in(data: st.DataObject) -> None:
    record = recorded().record
    start = data.draw(st.integers(0, len(record) - 1))
    end = data.draw(st.integers(start, min(start + 400, len(record))))
    new = data.draw(st.binary(max_size=40))
    changed = record[:start] + new + record[end:]
    if changed != record:
        number = line_of(record, start)
        check_named(changed, number - 1, number, number + 1)


def test_truncated_at_each_line_and_within() -> None:
    lines = recorded().lines
    for count in range(len(lines)):
        whole = b"".join(lines[:count])
        with pytest.raises(RecordRefused, match=r"truncated|got nothing") as refused:
            judged(whole)
        assert refused.value.place == Place(
            max(count, 1), sum(map(len, lines[: count - 1])) if count else 0
        )
        for part in (1, len(lines[count]) - 1):
            with pytest.raises(RecordRefused, match=rf"^line {count + 1}, byte {len(whole)}: "):
                judged(whole + lines[count][:part])


def test_lines_in_another_order() -> None:
    lines = recorded().lines
    for at in range(len(lines) - 1):
        swapped = [*lines]
        swapped[at : at + 2] = reversed(swapped[at : at + 2])
        check_named(b"".join(swapped), at + 1, at + 2)


def test_a_line_left_out_or_repeated() -> None:
    lines = recorded().lines
    for at in range(len(lines)):
        left_out = b"".join(lines[:at] + lines[at + 1 :])
        check_named(left_out, at + 1, at)
        check_named(b"".join(lines[: at + 1] + lines[at:]), at + 2)


def test_two_rounds_mixed() -> None:
    one, other = recorded().lines, Recorded().lines
    for at in range(1, len(one) - 1):
        check_named(b"".join(one[:at] + other[at:]), at + 1)


def test_two_records_in_one_file() -> None:
    record = recorded().record
    count = len(recorded().lines)
    assert named(record + record)[0].startswith(f"line {count + 1}, byte {len(record)}: ")


# What somebody does who knows the format, and makes chain and tree anew.


def changed_value(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return [*value, 4] if 4 not in value else value[:-1]
    assert isinstance(value, str)
    if re.fullmatch("[0-9a-f]+", value):
        return ("1" if value[0] == "0" else "0") + value[1:]
    return value + "1" if value.startswith("0.") else value + "x"


@pytest.mark.parametrize("protocol", ["secagg", "secagg_plus"])
def test_each_field_of_each_line_forged(protocol: str) -> None:
    lines = recorded(protocol).lines
    assert not failing(judged(forged(lines, lambda fields: None)))
    tried = 0
    for at, fields in enumerate(fields_of(lines)):
        for name, value in fields.items():
            if name in ("line", "previous") or (fields["line"], name) in SERVERS_WORD:
                continue
            if fields["line"] == "head" and name != "session":
                continue

            def change(all_fields: list[Fields], at: int = at, name: str = name) -> None:
                all_fields[at][name] = changed_value(all_fields[at][name])

            texts = named(forged(lines, change))
            assert texts, (fields["line"], name, value)
            tried += 1
    assert tried > 150


def test_what_is_the_servers_word_alone() -> None:
    """It passes, for nothing contradicts it, until a client brings its receipt."""
    lines, receipts = recorded().lines, recorded().receipts(0)
    tried = 0
    for at, fields in enumerate(fields_of(lines)):
        for name in fields:
            if (fields["line"], name) not in SERVERS_WORD:
                continue

            def change(all_fields: list[Fields], at: int = at, name: str = name) -> None:
                all_fields[at][name] = changed_value(all_fields[at][name])

            record = forged(lines, change)
            assert not failing(judged(record)), (fields["line"], name)
            if name == "sha256" and fields["client"] == 0:
                (wrong,) = failing(judged(record, receipts))["receipts"]
                assert f"line {at + 1}, byte" in wrong
                tried += 1
    assert tried == 4


def fields_of(lines: list[bytes]) -> list[Fields]:
    found: list[Fields] = []
    forged(lines, found.extend)
    return found


def test_forged_signatures_are_named_by_line() -> None:
    lines = recorded().lines
    for at, fields in enumerate(fields_of(lines)):
        if "signature" not in fields or not fields["signature"]:
            continue

        def change(all_fields: list[Fields], at: int = at) -> None:
            all_fields[at]["signature"] = changed_value(all_fields[at]["signature"])

        check_named(forged(lines, change), at + 1)


def test_forged_and_mixed_with_another_round() -> None:
    lines, other = recorded().lines, fields_of(Recorded().lines)
    for at, fields in enumerate(fields_of(lines)):
        if "signature" not in fields or fields["line"] == "head":
            continue

        def change(all_fields: list[Fields], at: int = at) -> None:
            all_fields[at] = other[at]

        check_named(forged(lines, change), at + 1)


def test_a_client_left_out_of_the_record() -> None:
    """All its lines are gone, and chain and tree fit: the others signed that it was there."""
    lines = recorded().lines

    def change(fields: list[Fields]) -> None:
        fields[:] = [line for line in fields if line.get("client") != 2]

    wrong = failing(judged(forged(lines, change)))
    assert {"cohort", "survivors", "agreement"} <= wrong.keys()


def test_signatures_left_out_so_that_too_few_agree() -> None:
    lines = recorded().lines

    def change(fields: list[Fields]) -> None:
        fields[:] = [
            line
            for line in fields
            if not (line["line"] == "SurvivorSignature" and line["client"] == 2)
        ]

    wrong = failing(judged(forged(lines, change)))
    assert "3 clients signed the survivors, 4 are needed" in "".join(wrong["agreement"])


@pytest.mark.parametrize(("name", "value"), [("root", "ab" * 32), ("size", 3)])
def test_a_head_of_another_log(name: str, value: object) -> None:
    lines = recorded().lines
    head = fields_of(lines)[-1] | {name: value}
    data = json.dumps(head, separators=(",", ":")).encode() + b"\n"
    (wrong,) = failing(judged([*lines[:-1], data]))["log"]
    assert wrong.startswith(f"line {len(lines)}, byte ")
    assert f"the head says {head['size']} and {head['root']}" in wrong


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda fields: fields.pop(-2), "no line says what the session came to"),
        (lambda fields: fields[-1].update(session="ab" * 32), "the head is of session abab"),
        (lambda fields: fields[-2].update(result=""), "and nothing is committed to"),
    ],
)
def test_an_end_that_says_too_little(change: Callable[[list[Fields]], None], words: str) -> None:
    (wrong,) = failing(judged(forged(recorded().lines, change)))["order"]
    assert words in wrong
