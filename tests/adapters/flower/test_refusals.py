"""Bad input: errors that name the client and the remedy, and never an unprotected upload."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np
import pytest
from adapters.flower.nodes import NODES, Nodes, Trainer, messages, nodes, register
from adapters.flower.test_exchange import check
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from secagg.adapters.flower import SecureGrid, Settings, SimulatedDecryptor, secagg_mod, words
from secagg.endpoint import Invitation
from secagg.errors import (
    DecodeError,
    InputError,
    LocalProtocolError,
    ParameterError,
    RoundFailed,
)
from secagg.protocol import ClientPolicy, Level

CLIENTS = 5
LAST = CLIENTS - 1


def replies_of(grid: Nodes, node: int) -> list[RecordDict]:
    return [r.content for to, _, r in grid.sent if to == node and r is not None and r.has_content()]


def one_that_differs(
    change: Callable[[RecordDict], RecordDict], **settings: Any
) -> tuple[str, Trainer, Nodes, list[Message]]:
    """The last client replies with something else: why it was left out."""
    trainer = Trainer(CLIENTS)

    def train(number: int, content: RecordDict) -> RecordDict:
        reply = trainer.train(number, content)
        return change(reply) if number == LAST else reply

    grid = nodes(trainer, train=train)
    secure = SecureGrid(grid, settings=Settings(**settings), clock=grid.time.clock)
    replies = secure.send_and_receive(messages(secure))
    assert secure.last is not None
    return secure.last.left_out.get(NODES + LAST, ""), trainer, grid, replies


def with_array(name: str, value: Any) -> Callable[[RecordDict], RecordDict]:
    def change(reply: RecordDict) -> RecordDict:
        arrays = dict(reply.array_records["arrays"]) | {name: Array(np.asarray(value))}
        return RecordDict(dict(reply) | {"arrays": ArrayRecord(arrays)})

    return change


def with_metric(name: str, value: Any) -> Callable[[RecordDict], RecordDict]:
    def change(reply: RecordDict) -> RecordDict:
        metrics = dict(reply.metric_records["metrics"]) | {name: value}
        return RecordDict(dict(reply) | {"metrics": MetricRecord(metrics)})

    return change


def without(record: str) -> Callable[[RecordDict], RecordDict]:
    return lambda reply: RecordDict({k: v for k, v in reply.items() if k != record})


WEIGHT = np.zeros((4, 3), np.float32)
NAN = np.where(np.eye(4, 3), np.nan, 0).astype(np.float32)

DIFFERENT: dict[str, tuple[Callable[[RecordDict], RecordDict], str]] = {
    "NaN": (with_array("layer.weight", NAN), "layer.weight: expected finite.*learning rate"),
    "infinity": (with_array("layer.weight", WEIGHT + np.inf), "expected finite"),
    "beyond the clip": (with_array("layer.weight", WEIGHT + 9), "elements beyond.*larger clip"),
    "another shape": (with_array("layer.weight", WEIGHT.T), r"shape \(3, 4\)"),
    "another type": (with_array("layer.weight", WEIGHT.astype(np.float64)), "float64"),
    "one array more": (with_array("head", WEIGHT), r"unexpected \['head'\]"),
    "an array of complex numbers": (with_array("layer.weight", WEIGHT + 1j), "do not travel"),
    "no arrays": (without("arrays"), "record of arrays"),
    "no metrics": (without("metrics"), "one MetricRecord with 'num-examples', got 0"),
    "nothing": (lambda _: RecordDict(), "one MetricRecord"),
    "no examples": (with_metric("num-examples", 0), "num-examples is 0.*do not select it"),
    "fewer than none": (with_metric("num-examples", -3), r"expected 1\.\.10000"),
    "too many": (with_metric("num-examples", 10_001), "pass a larger max_weight"),
    "half an example": (with_metric("num-examples", 2.5), "whole number"),
    "a list of examples": (with_metric("num-examples", [2]), "expected a number 'num-examples'"),
    "a metric too large": (with_metric("train_loss", 1e9), "larger metric_bound"),
    "a metric that is NaN": (with_metric("train_loss", float("nan")), "finite"),
    "one metric more": (with_metric("f1", 0.5), r"unexpected \['f1'\]"),
    "a longer list": (with_metric("quartiles", [0.1] * 3), "of 3 values"),
    "text": (
        lambda reply: RecordDict(dict(reply) | {"notes": ConfigRecord({"name": "Ada"})}),
        "'notes' is a ConfigRecord.*arrays and metrics only",
    ),
    "two records of arrays": (
        lambda reply: RecordDict(dict(reply) | {"more": reply.array_records["arrays"]}),
        "at most one ArrayRecord",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_one_client_with_bad_results_is_left_out_by_name(name: str) -> None:
    change, reason = DIFFERENT[name]
    found, trainer, grid, replies = one_that_differs(change)
    import re

    assert re.search(reason, found), found
    check(trainer, replies, list(range(LAST)))
    # What it refused to protect it did not send either.
    for content in replies_of(grid, NODES + LAST):
        assert set(content) <= {words.RECORD, words.FRAMES}


def test_saturation_has_to_be_asked_for() -> None:
    _, _, _, replies = one_that_differs(with_array("layer.weight", WEIGHT + 9), saturate=True)
    assert all(reply.has_content() for reply in replies)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "bool"])
def test_types_of_arrays(dtype: str) -> None:
    trainer = Trainer(CLIENTS)

    def train(number: int, content: RecordDict) -> RecordDict:
        value = np.full((3,), number % 2, dtype=dtype)
        arrays = ArrayRecord({"values": Array(value)})
        return RecordDict({"arrays": arrays, "m": MetricRecord({"num-examples": 7})})

    grid = nodes(trainer, train=train)
    secure = SecureGrid(grid, clock=grid.time.clock)
    replies = secure.send_and_receive(messages(secure))
    value = replies[0].content.array_records["arrays"]["values"].numpy()
    assert value.dtype == dtype
    # Two of five: integers and booleans are rounded to the nearest.
    expected = 0.4 if dtype.startswith("float") else 0
    assert np.allclose(value.astype(float), expected, atol=1e-3 if dtype == "float16" else 1e-6)


def test_integers_beyond_the_clip_are_refused() -> None:
    found, *_ = one_that_differs(with_array("layer.weight", np.full((4, 3), 1000)))
    assert "integers beyond" in found
    assert "keep this array at the client" in found


def test_shapes_may_change_between_rounds() -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    secure = SecureGrid(grid, clock=grid.time.clock)
    check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))
    trainer.shape = (2, 5)
    model = {"layer.weight": np.zeros((2, 5), np.float32)}
    check(trainer, secure.send_and_receive(messages(secure, model)), list(range(CLIENTS)))


def test_a_client_without_the_mod_is_sent_no_model() -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    bare = ClientApp()
    seen: list[RecordDict] = []

    def train(number: int, content: RecordDict) -> RecordDict:
        seen.append(content)
        return trainer.train(number, content)

    register(bare, LAST, train, trainer.evaluate)
    grid.nodes[NODES + LAST].app = bare
    secure = SecureGrid(grid, clock=grid.time.clock)
    check(trainer, secure.send_and_receive(messages(secure)), list(range(LAST)))
    assert secure.last is not None
    assert "ClientApp(mods=[secagg_mod(...)])" in secure.last.left_out[NODES + LAST]
    # All that it saw was the greeting.
    assert [list(content) for content in seen] == [[words.RECORD]]
    assert not trainer.models or LAST not in {number for number, _ in trainer.models}


def test_a_server_without_the_grid_gets_nothing() -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    for kind in ("train", "evaluate"):
        for reply in grid.send_and_receive(messages(grid, kind=kind)):
            assert reply.has_error()
            assert "PolicyError" in str(reply.error.reason)
            assert "SecureGrid(grid, ...)" in str(reply.error.reason)
    assert trainer.models == []


def test_a_client_of_another_release_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    before = grid.nodes[NODES + LAST].app
    app = ClientApp(mods=[secagg_mod()])
    register(app, LAST, trainer.train, trainer.evaluate)

    def other(message: Message, context: Any) -> Message:
        with monkeypatch.context() as patch:
            patch.setattr("secagg.adapters.flower.mod.__version__", "9.9")
            return app(message, context)

    grid.nodes[NODES + LAST].app = other  # type: ignore[assignment]
    secure = SecureGrid(grid, clock=grid.time.clock)
    check(trainer, secure.send_and_receive(messages(secure)), list(range(LAST)))
    assert secure.last is not None
    assert "same release on the server and on every client" in secure.last.left_out[NODES + LAST]
    grid.nodes[NODES + LAST].app = before
    check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))


def test_words_of_another_version_are_not_guessed_at() -> None:
    records = words.pack(words.Stepped())
    records.config_records[words.RECORD]["version"] = words.VERSION + 1
    with pytest.raises(ParameterError, match="same release"):
        words.unpack(records)
    with pytest.raises(DecodeError, match="got none"):
        words.unpack(RecordDict())
    records = words.pack(words.Stepped())
    records.config_records[words.RECORD]["body"] = b"\xff\xff"
    with pytest.raises(DecodeError, match="not a word"):
        words.unpack(records)
    records.config_records[words.RECORD]["more"] = 1
    with pytest.raises(DecodeError, match="expected version and body"):
        words.unpack(records)


def asked(grid: Nodes, content: RecordDict, kind: str = "train") -> Message:
    (reply,) = grid.send_and_receive([Message(content, dst_node_id=NODES, message_type=kind)])
    return reply


@pytest.mark.parametrize(
    ("word", "kind", "why"),
    [
        (words.Welcome("1", 0), "train", "expected a server's word, got Welcome"),
        (words.Stepped(), "train", "expected a server's word, got Stepped"),
        (words.Hello("1", "j", "secagg", "curious", 0), "query", "in a 'query' message"),  # type: ignore[arg-type]
    ],
)
def test_a_word_out_of_place_raises(word: words.Word, kind: str, why: str) -> None:
    reply = asked(nodes(Trainer(1)), words.pack(word), kind)
    assert "DecodeError" in str(reply.error.reason)
    assert why in str(reply.error.reason)


def test_work_comes_without_messages_of_a_protocol() -> None:
    trainer = Trainer(1)
    grid = nodes(trainer)
    content = words.pack(words.Work("j", 1, *Settings().limits), [b"a message"])
    reply = asked(grid, RecordDict(dict(messages(grid)[0].content) | dict(content)))
    assert "beside the work" in str(reply.error.reason)
    assert trainer.models == []


def test_a_server_of_another_release_is_refused() -> None:
    hello = words.Hello("9.9", "j", "secagg", Level.CURIOUS, 0)
    reply = asked(nodes(Trainer(1)), words.pack(hello))
    assert "as here, got 9.9: install the same release" in str(reply.error.reason)


def test_a_greeting_without_a_number_is_refused() -> None:
    hello = words.Hello(secagg_version(), "j", "secagg", Level.CURIOUS, None)
    reply = asked(nodes(Trainer(1)), words.pack(hello))
    assert "expected this client's number, got none" in str(reply.error.reason)


@pytest.mark.parametrize(
    ("welcome", "why"),
    [
        (words.Welcome("9.9", LAST), "got 9.9: install the same release"),
        (words.Welcome(version("secagg"), 0), f"expected client {LAST}, got client 0"),
        (words.Stepped(), "expected a Welcome, got Stepped"),
    ],
)
def test_a_client_that_greets_wrongly_is_sent_no_model(welcome: words.Word, why: str) -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)

    def greet(message: Message, context: Any) -> Message:
        return Message(words.pack(welcome), reply_to=message)

    grid.nodes[NODES + LAST].app = greet  # type: ignore[assignment]
    secure = SecureGrid(grid, clock=grid.time.clock)
    check(trainer, secure.send_and_receive(messages(secure)), list(range(LAST)))
    assert secure.last is not None
    assert why in secure.last.left_out[NODES + LAST]
    assert grid.words_to(NODES + LAST) == ["Hello"]


def test_messages_that_differ_are_no_exchange() -> None:
    grid = nodes(Trainer(CLIENTS))
    chosen = messages(grid)
    chosen[2].content = RecordDict(dict(chosen[2].content) | {"config": ConfigRecord({"lr": 2.0})})
    with pytest.raises(InputError, match="same model and configuration"):
        SecureGrid(grid).send_and_receive(chosen)
    with pytest.raises(InputError, match="one message to a node"):
        SecureGrid(grid).send_and_receive(messages(grid)[:1] * 2)
    assert grid.sent == []


def test_a_client_that_was_sent_another_model_takes_no_part() -> None:
    """What is on the wire is changed for one client: it is in no session with the others."""
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)

    def other(number: int, message: Message, word: words.Word | None) -> str:
        if number == 1 and isinstance(word, words.Work):
            model = {"layer.weight": Array(np.ones((4, 3), np.float32))}
            message.content["arrays"] = ArrayRecord(model)
        return "now"

    grid.fate = other
    secure = SecureGrid(grid, clock=grid.time.clock)
    check(trainer, secure.send_and_receive(messages(secure)), [0, 2, 3, 4])
    assert secure.last is not None
    assert "ModelMismatch" in secure.last.left_out[NODES + 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [("clip", 0.0), ("metric_bound", float("nan")), ("grid", -1.0)],
)
def test_limits_that_encode_nothing_are_refused_by_clients(field: str, value: float) -> None:
    grid = nodes(Trainer(1))
    asked(grid, words.pack(words.Hello(secagg_version(), "j", "secagg", "curious", 0)))  # type: ignore[arg-type]
    word = words.Work("j", 1, *Settings().limits)
    content = words.pack(msgspec.structs.replace(word, **{field: value}))
    reply = asked(grid, RecordDict(dict(messages(grid)[0].content) | dict(content)))
    assert f"ParameterError: {field}: expected a positive number" in str(reply.error.reason)


def second_session(grid: Nodes, word: words.Step) -> str:
    """What the first node says to another session over the results that it was asked for."""
    old = Invitation.decode(word.invitation)
    again = msgspec.structs.replace(old, nonce=bytes(32)).encoded
    other = Nodes(grid.nodes, time=grid.time)
    reply = asked(other, words.pack(msgspec.structs.replace(word, invitation=again)))
    return str(reply.error.reason)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_results_are_given_to_one_session_only(after: int) -> None:
    """A server that asks for a second sum over the same results gets none, early or late."""
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    refused: list[str] = []

    def what(number: int, message: Message, word: words.Word | None) -> str:
        told = grid.words_to(NODES).count("Step")
        if number == 0 and isinstance(word, words.Step) and told == after:
            refused.append(second_session(grid, word))
        return "now"

    grid.fate = what
    secure = SecureGrid(grid, clock=grid.time.clock)
    check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))
    assert len(refused) == 1
    assert "one session for these results" in refused[0]


@pytest.mark.parametrize("protocol", ["secagg", "secagg_plus", "plain", "bfv", "ckks"])
def test_results_that_were_added_up_are_not_given_again(protocol: str) -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer, protocol)
    decryptor = SimulatedDecryptor() if protocol in ("bfv", "ckks") else None
    secure = SecureGrid(grid, protocol, clock=grid.time.clock, decryptor=decryptor)
    check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))
    told = [m.content for to, m, _ in grid.sent if to == NODES]
    last, _ = words.unpack(told[-1])
    assert isinstance(last, words.Step)
    assert "one session for these results" in second_session(grid, last)
    if decryptor is not None:
        # And not twice to the same one either: SEAL would encrypt them to other bytes.
        reply = asked(Nodes(grid.nodes, time=grid.time), told[-1])
        assert "cannot be given again" in str(reply.error.reason)


def test_a_push_of_what_is_to_be_protected_is_refused() -> None:
    grid = nodes(Trainer(CLIENTS))
    secure = SecureGrid(grid)
    with pytest.raises(LocalProtocolError, match="send_and_receive only"):
        secure.push_messages(messages(secure))
    assert grid.sent == []


def test_protocols_that_need_more_are_refused_at_once() -> None:
    grid = nodes(Trainer(CLIENTS))
    with pytest.raises(ParameterError, match="needs a decryptor"):
        SecureGrid(grid, "bfv")
    with pytest.raises(ParameterError, match="has no decryptor"):
        SecureGrid(grid, "secagg", decryptor=SimulatedDecryptor())
    with pytest.raises(ParameterError, match="process of its own"):
        SecureGrid(grid, "enclave")
    with pytest.raises(ParameterError, match="process of its own"):
        secagg_mod("enclave")
    with pytest.raises(ParameterError, match="offers level curious"):
        secagg_mod("bfv", "malicious")
    with pytest.raises(ParameterError, match="nothing"):
        secagg_mod("nothing")


def test_a_protocol_that_the_client_did_not_choose_is_refused() -> None:
    grid = nodes(Trainer(CLIENTS), "secagg")
    with pytest.raises(RoundFailed, match="secagg at level curious is demanded, plain"):
        SecureGrid(grid, "plain", clock=grid.time.clock).send_and_receive(messages(grid))


def test_a_floor_of_the_client_is_kept() -> None:
    grid = nodes(Trainer(CLIENTS), policy=ClientPolicy(min_clients=4))
    with pytest.raises(RoundFailed, match="min_clients: 4 is demanded, 3 is offered"):
        SecureGrid(grid, clock=grid.time.clock).send_and_receive(messages(grid))


def test_too_few_for_any_safe_plan() -> None:
    grid = nodes(Trainer(CLIENTS))
    settings = Settings(min_clients=2, dropout="0.9")  # type: ignore[arg-type]
    with pytest.raises(ParameterError):
        SecureGrid(grid, settings=settings, clock=grid.time.clock).send_and_receive(messages(grid))


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip": 0.0},
        {"clip": float("inf")},
        {"metric_bound": -1.0},
        {"max_weight": 0},
        {"phase_seconds": 0.0},
        {"fraction_bits": 53},
        {"failed_rounds": "never"},
    ],
)
def test_settings_are_checked_when_they_are_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Settings(**wrong)


def secagg_version() -> str:
    return version("secagg")
