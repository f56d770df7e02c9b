"""What is agreed on: one encoding, nothing believed, everything bounded."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.endpoint.federation import CONFIGURATION, LENGTH, MODEL, Federation

from secagg.codec import Codec, Layout
from secagg.endpoint import MAX_INVITATION_BYTES, Invitation
from secagg.errors import DecodeError, InputError, ParameterError, PolicyError
from secagg.protocol import Level, Roster
from secagg.types import client

FEDERATION = Federation("secagg")
INVITATION = FEDERATION.invitation
ENCODED = INVITATION.encoded
MALICIOUS = Federation("secagg", Level.MALICIOUS)


def changed(**changes: Any) -> bytes:
    """An invitation that only its encoding has: nothing was checked when it was made."""
    fields = {name: getattr(INVITATION, name) for name in INVITATION.__struct_fields__}
    return msgspec.msgpack.encode(list((fields | changes).values()))


def test_both_sides_have_the_same_session() -> None:
    for federation in (FEDERATION, MALICIOUS):
        received = Invitation.decode(federation.invitation.encoded)
        assert received == federation.invitation
        ours, theirs = (
            received.agree(federation.roster),
            federation.invitation.agree(federation.roster),
        )
        assert ours[1].id == theirs[1].id
        assert ours[1].plan.task.clients == federation.clients
    assert changed() == ENCODED


def test_every_session_is_another_one() -> None:
    ids = {FEDERATION.invite().agree(None)[1].id for _ in range(3)}
    assert len(ids) == 3


def test_integers_where_floats_are_meant() -> None:
    codec = Codec(length=LENGTH, clip=2, max_weight=100, norm=3)
    invitation = FEDERATION.invite(codec=codec)
    assert Invitation.decode(invitation.encoded).codec == codec


@pytest.mark.parametrize("size", range(len(ENCODED)))
def test_cut_short(size: int) -> None:
    with pytest.raises(DecodeError):
        Invitation.decode(ENCODED[:size])


@pytest.mark.parametrize("data", [ENCODED + b"\0", b"", b"\xff" * 40, bytes(1000)])
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Invitation.decode(data)


def test_one_that_is_too_long() -> None:
    with pytest.raises(DecodeError, match=f"at most {MAX_INVITATION_BYTES} bytes"):
        Invitation.decode(bytes(MAX_INVITATION_BYTES + 1))


@given(st.integers(0, len(ENCODED) - 1), st.integers(1, 255))
def test_any_changed_byte(place: int, change: int) -> None:
    """It is refused, or it is another session's canonical invitation."""
    data = bytearray(ENCODED)
    data[place] ^= change
    try:
        invitation = Invitation.decode(bytes(data))
    except DecodeError:
        return
    assert invitation.encoded == data
    assert invitation != INVITATION


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(DecodeError):
        Invitation.decode(data)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "secagg invitation 2"}, "format|Invalid enum value"),
        ({"protocol": ""}, "length >= 1"),
        ({"protocol": "x" * 65}, "length <= 64"),
        ({"job": "x" * 257}, "length <= 256"),
        ({"nonce": bytes(31)}, "length >= 32"),
        ({"model_digest": bytes(33)}, "length <= 32"),
        ({"epoch": -1}, ">= 0"),
        ({"training_round": 1 << 63}, "<= 9223372036854775807"),
        ({"codec": Codec(length=LENGTH + 1, clip=2.0, max_weight=100)}, "expected vectors of 7"),
        ({"codec": Codec(length=LENGTH, clip=4.0, max_weight=100)}, "as the codec makes them"),
        ({"tensors": [["a", [2], "float32"]]}, "expected tensors of 5 elements, got 2"),
        ({"tensors": [["a", [1 << 33, 1 << 33], "float32"]]}, "expected tensors of 5"),
        ({"tensors": [["a", [-5], "float32"]]}, ">= 0"),
        ({"tensors": [["a", [5], "object"]]}, "enum value"),
        ({"tensors": [["a", [2], "float32"], ["a", [3], "float32"]]}, "name twice"),
        ({"members": [[1, 0, 0]]}, "length"),
        ({"members": [[9, 0]]}, "enum value"),
    ],
)
def test_parts_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        Invitation.decode(changed(**changes))


@pytest.mark.parametrize("fraction", ["1E-999999", "0.1000000000000000001", "NaN", "1", "-0.1"])
def test_fractions_that_would_hang_a_client(fraction: str) -> None:
    task = [getattr(INVITATION.task, name) for name in INVITATION.task.__struct_fields__]
    task[INVITATION.task.__struct_fields__.index("corrupt")] = fraction
    with pytest.raises(DecodeError, match=r"fraction|decimal"):
        Invitation.decode(changed(task=task))


def test_a_fraction_that_is_written_in_another_way() -> None:
    task = [getattr(INVITATION.task, name) for name in INVITATION.task.__struct_fields__]
    task[INVITATION.task.__struct_fields__.index("corrupt")] = "0.10"
    with pytest.raises(DecodeError, match="canonical"):
        Invitation.decode(changed(task=task))


def test_another_release() -> None:
    with pytest.raises(ParameterError, match=r"version 1 of secagg, got version 2: .* release"):
        Invitation.decode(changed(version=2)).agree(None)


def test_a_protocol_that_nobody_knows() -> None:
    with pytest.raises(ParameterError, match="'secret_sauce'"):
        Invitation.decode(changed(protocol="secret_sauce")).agree(None)


def test_a_task_that_the_protocol_refuses() -> None:
    with pytest.raises(ParameterError):
        FEDERATION.invite(corrupt="0.6", dropout="0.6")
    with pytest.raises(ParameterError, match="min_clients"):
        FEDERATION.invite(min_clients=6)


def test_members_are_those_of_the_digest() -> None:
    more = (*FEDERATION.clients, client(7))
    with pytest.raises(PolicyError, match=r"^roster: ") as refused:
        Invitation.decode(changed(members=more)).agree(None)
    assert "epoch 0 with digest" in refused.value.demanded
    larger = FEDERATION.invite(roster=Roster(0, more))
    assert larger.agree(None)[1].roster.clients == more


def test_at_malicious_clients_bring_the_roster() -> None:
    assert MALICIOUS.roster is not None
    assert MALICIOUS.invitation.members == ()
    with pytest.raises(ParameterError, match="a roster that was verified here"):
        MALICIOUS.invitation.agree(None)
    older = msgspec.structs.replace(MALICIOUS.roster, epoch=2)
    with pytest.raises(PolicyError, match=r"^roster: epoch 2 .* epoch 3 "):
        MALICIOUS.invitation.agree(older)


def test_the_digest_covers_model_configuration_codec_and_layout() -> None:
    layout = Layout.of({"w": np.zeros((2, 2), np.float32), "b": np.zeros(1, np.float32)})
    other = Layout.of({"b": np.zeros(1, np.float32), "w": np.zeros((2, 2), np.float32)})
    variants = [
        FEDERATION.invite(),
        FEDERATION.invite(model=b"another"),
        FEDERATION.invite(configuration=b"another"),
        FEDERATION.invite(model=MODEL + CONFIGURATION, configuration=b""),
        FEDERATION.invite(codec=msgspec.structs.replace(FEDERATION.codec, fraction_bits=20)),
        FEDERATION.invite(codec=msgspec.structs.replace(FEDERATION.codec, rounding="stochastic")),
        FEDERATION.invite(layout=layout),
        FEDERATION.invite(layout=other),
    ]
    assert len({invitation.model_digest for invitation in variants}) == len(variants)
    assert variants[0].model_digest == variants[0].digest_of(MODEL, CONFIGURATION)


def test_layouts_travel() -> None:
    tensors = {"w": np.zeros((2, 1), np.float16), "n": np.int64(3), "b": np.zeros(2, np.float64)}
    received = Invitation.decode(FEDERATION.invite(layout=Layout.of(tensors)).encoded)
    flat = received.flattened(tensors)
    assert flat.tolist() == [0, 0, 3, 0, 0]
    shaped = received.shaped(np.array([1.0, 2.0, 2.6, 3.0, 4.0]))
    assert {name: value.dtype for name, value in shaped.items()} == {
        "w": np.float16,
        "n": np.int64,
        "b": np.float64,
    }
    assert shaped["n"] == 3
    assert shaped["w"].tolist() == [[1.0], [2.0]]


class Brain:
    """bfloat16, as another package gives it to numpy."""

    name, kind, itemsize = "bfloat16", "V", 2


def test_a_type_that_does_not_travel() -> None:
    layout = Layout.of({"w": np.zeros(LENGTH, np.float32)})
    spec = layout.specs[0]._replace(dtype=Brain())  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"'w' .bfloat16.* expected a type of bool, int8"):
        FEDERATION.invite(layout=Layout((spec,)))
