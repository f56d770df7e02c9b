"""One exchange: what the strategy gets, whoever falls out and whenever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from adapters.flower.nodes import NODES, Fate, Nodes, Trainer, messages, nodes
from flwr.app import Message

from secagg.adapters.flower import SecureGrid, Settings, SimulatedDecryptor, words
from secagg.errors import DecodeError, RoundFailed

PROTOCOLS = ("plain", "secagg", "secagg_plus", "bfv", "ckks")
CLIENTS = 6


def secured(grid: Nodes, protocol: str = "secagg", **more: Any) -> SecureGrid:
    if protocol in ("bfv", "ckks"):
        more["decryptor"] = SimulatedDecryptor()
    return SecureGrid(grid, protocol, clock=grid.time.clock, **more)


def check(trainer: Trainer, replies: list[Message], included: list[int]) -> None:
    """Replies of exactly these nodes, each with their mean, and the examples in all."""
    good = [reply for reply in replies if reply.has_content()]
    assert [reply.metadata.src_node_id - NODES for reply in good] == included
    for reply in good:
        arrays = reply.content.array_records["arrays"]
        assert list(arrays) == ["layer.weight", "layer.bias"]
        for name, array in arrays.items():
            value = array.numpy()
            assert value.dtype == trainer.arrays(0)[name].dtype
            assert np.allclose(value, trainer.mean(included, name), rtol=0, atol=3e-6)
        metrics = reply.content.metric_records["metrics"]
        assert metrics["train_loss"] == pytest.approx(trainer.mean_loss(included), abs=1e-5)
        assert len(metrics["quartiles"]) == 2  # type: ignore[arg-type]
    weights = [reply.content.metric_records["metrics"]["num-examples"] for reply in good]
    assert sum(weights) == sum(map(trainer.examples, included))  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_everybody_is_in_the_mean(protocol: str) -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer, protocol)
    secure = secured(grid, protocol)
    for number in (1, 2):
        replies = secure.send_and_receive(messages(secure), timeout=100)
        check(trainer, replies, list(range(CLIENTS)))
        assert secure.last is not None
        assert (secure.last.number, secure.last.left_out) == (number, {})


def test_no_result_of_a_client_is_sent_in_the_clear() -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    secured(grid).send_and_receive(messages(grid))
    for node, _, reply in grid.sent:
        assert reply is not None
        number = node - NODES
        # Not as a record, and not hidden in one.
        assert not reply.content.metric_records
        assert set(reply.content) <= {words.RECORD, words.FRAMES}
        data = repr(reply.content).encode() + b"".join(
            array.data
            for record in reply.content.array_records.values()
            for array in record.values()
        )
        for value in trainer.arrays(number).values():
            assert value.tobytes() not in data
            assert value.astype(np.float32).tobytes()[:8] not in data


def lost_at(chosen: int, moment: str, fate: str) -> Fate:
    """One node falls out when it is told this word for the n-th time, and says nothing later."""
    name, _, nth = moment.partition(" ")
    seen: list[str] = []

    def what(number: int, message: Message, word: words.Word | None) -> str:
        if number == chosen:
            seen.append(type(word).__name__)
            if seen.count(name) >= int(nth or 1) or (fate == "lost" and "gone" in seen):
                seen.append("gone")
                return fate
        return "now"

    return what


MOMENTS = ("Hello", "Work", "Step 1", "Step 2", "Step 3", "Step 4")
"""Set-up, training, keys, shares, masked vector, unmasking."""

COUNTED = ("Step 4",)
"""Lost after its vector is in the sum."""


@pytest.mark.parametrize("fate", ["lost", "late", "deaf", "broken"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_client_lost_at_every_moment(moment: str, fate: str) -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    grid.fate = lost_at(2, moment, fate)
    secure = secured(grid)
    replies = secure.send_and_receive(messages(secure), timeout=100)
    included = [n for n in range(CLIENTS) if n != 2 or moment in COUNTED]
    check(trainer, replies, included)
    if 2 not in included:
        (failed,) = [reply for reply in replies if reply.has_error()]
        assert failed.metadata.src_node_id == NODES + 2
        assert secure.last is not None
        assert secure.last.left_out[NODES + 2] == failed.error.reason


@pytest.mark.parametrize("protocol", ["plain", "secagg_plus", "bfv"])
@pytest.mark.parametrize("moment", ["Hello", "Work", "Step 1"])
def test_a_client_lost_under_other_protocols(protocol: str, moment: str) -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer, protocol)
    grid.fate = lost_at(2, moment, "lost")
    replies = secured(grid, protocol).send_and_receive(messages(grid), timeout=100)
    check(trainer, replies, [0, 1, 3, 4, 5])


def test_a_client_that_comes_back_is_in_the_next_exchange() -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    grid.fate = lost_at(2, "Step 2", "broken")
    secure = secured(grid)
    check(trainer, secure.send_and_receive(messages(secure)), [0, 1, 3, 4, 5])
    grid.fate = lambda *_: "now"
    check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))


def test_a_restarted_client_is_lost_to_its_session_only() -> None:
    """At level curious a restarted node has lost what was kept for it."""
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    restarted: list[str] = []

    def what(number: int, message: Message, word: words.Word | None) -> str:
        if number == 3 and isinstance(word, words.Step) and not restarted:
            restarted.append("once")
            grid.nodes[NODES + 3].context.state.clear()
        return "now"

    grid.fate = what
    secure = secured(grid)
    check(trainer, secure.send_and_receive(messages(secure)), [0, 1, 2, 4, 5])
    assert secure.last is not None
    assert "restarted" in secure.last.left_out[NODES + 3]
    check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))


def test_too_few_is_an_error_that_says_why() -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    grid.fate = lambda n, _, word: "broken" if n < 4 and isinstance(word, words.Work) else "now"
    with pytest.raises(RoundFailed, match=f"at least 3 clients, got 2.*node {NODES}: it crashed"):
        secured(grid).send_and_receive(messages(grid))


def test_a_failed_session_is_an_error_that_says_why() -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    grid.fate = lambda n, m, word: (
        "broken" if n < 5 and grid.words_to(NODES + n).count("Step") >= 3 else "now"
    )
    with pytest.raises(RoundFailed, match="it crashed"):
        secured(grid).send_and_receive(messages(grid))


def test_a_failed_round_can_be_skipped() -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    grid.fate = lambda n, _, word: "lost" if n < 4 and isinstance(word, words.Step) else "now"
    secure = secured(grid, settings=Settings(failed_rounds="skip"))
    replies = secure.send_and_receive(messages(secure))
    assert len(replies) == CLIENTS
    assert all(reply.has_error() for reply in replies)
    assert secure.last is not None
    assert secure.last.included == ()
    grid.fate = lambda *_: "now"
    check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))


def test_a_sum_that_means_nothing_is_a_failed_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that cheat can end a round by errors of other names; it can be skipped as well."""
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)

    def meaningless(*_: object) -> None:
        raise DecodeError("the weights add up to -1, expected a positive number")

    with monkeypatch.context() as patch:
        patch.setattr("secagg.codec.Codec.decode", meaningless)
        with pytest.raises(RoundFailed, match="DecodeError: the weights add up to -1"):
            secured(grid).send_and_receive(messages(grid))
        secure = secured(nodes(trainer), settings=Settings(failed_rounds="skip"))
        assert all(reply.has_error() for reply in secure.send_and_receive(messages(secure)))


def test_evaluation_is_protected_as_well() -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer)
    replies = secured(grid).send_and_receive(messages(grid, kind="evaluate"))
    weights = [trainer.examples(n) for n in range(CLIENTS)]
    expected = np.average([n / CLIENTS for n in range(CLIENTS)], weights=weights)
    for reply in replies:
        metrics = reply.content.metric_records["metrics"]
        assert metrics["accuracy"] == pytest.approx(expected, abs=1e-6)
        assert not reply.content.array_records
    clear = [reply.content for _, _, reply in grid.sent if reply is not None]
    assert not any(content.metric_records for content in clear)


def test_a_number_of_examples_alone_can_be_added_up() -> None:
    from flwr.app import MetricRecord, RecordDict

    trainer = Trainer(4)

    def count(number: int, content: RecordDict) -> RecordDict:
        return RecordDict({"m": MetricRecord({"num-examples": number + 1})})

    grid = nodes(trainer, evaluate=count)
    replies = secured(grid).send_and_receive(messages(grid, kind="evaluate"))
    found = [dict(reply.content.metric_records["m"]) for reply in replies]
    assert sum(each["num-examples"] for each in found) == 10  # type: ignore[misc]
    assert all(set(each) == {"num-examples"} for each in found)


def test_other_messages_pass_as_they_are() -> None:
    from flwr.app import ConfigRecord, RecordDict

    trainer = Trainer(4)
    grid = nodes(trainer)
    content = RecordDict({"question": ConfigRecord({"of": "life"})})
    asked = [Message(content, dst_node_id=node, message_type="query") for node in grid.nodes]
    replies = secured(grid).send_and_receive(asked)
    assert [reply.content["heard"]["of"] for reply in replies] == ["life"] * 4
    assert all(message.content == content for _, message, _ in grid.sent)
    pushed = SecureGrid(grid).push_messages(asked)
    assert len(list(SecureGrid(grid).pull_messages(pushed))) == 4
