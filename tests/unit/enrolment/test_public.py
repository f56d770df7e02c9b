from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.enrolment.people import public

from secagg.enrolment import KeyRole, PublicKey, fingerprint
from secagg.errors import DecodeError, ParameterError

LINE = public(1).line


def test_a_key_is_one_line_and_comes_back() -> None:
    for role in KeyRole:
        key = public(3, "Site_3.north@example-1", role)
        assert key.line.count("\n") == 1
        assert key.line.endswith(f" {key.fingerprint} Site_3.north@example-1\n")
        assert PublicKey.parse(key.line) == key
    assert len(fingerprint(public(1).key)) == 40
    assert fingerprint(public(1).key) != fingerprint(public(2).key)


@pytest.mark.parametrize("name", ["", " ", "-a", "a b", "a\n", "é", "a" * 65, "\x1b[2J"])
def test_names_that_would_deceive_are_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="a name has"):
        PublicKey(KeyRole.CLIENT, bytes(32), name)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_has_32_bytes(size: int) -> None:
    with pytest.raises(ParameterError, match=f"got {size}"):
        PublicKey(KeyRole.CLIENT, bytes(size), "a")


@given(st.integers(0, len(LINE) - 1), st.characters(codec="latin-1"))
def test_every_changed_character_is_refused_or_is_the_name(place: int, character: str) -> None:
    changed = LINE[:place] + character + LINE[place + 1 :]
    if changed == LINE:
        assert PublicKey.parse(changed) == public(1)
        return
    try:
        found = PublicKey.parse(changed)
    except DecodeError:
        return
    # Role and name are for people; the fingerprint covers the key.
    assert found.key == public(1).key
    assert (found.role, found.name) != (public(1).role, public(1).name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        LINE + "\n",
        LINE.rstrip("\n"),
        LINE + LINE,
        LINE.replace(" ", "  ", 1),
        LINE.replace("client", "owner"),
        LINE.replace("\n", "\r\n"),
    ],
)
def test_other_lines_are_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        PublicKey.parse(text)
