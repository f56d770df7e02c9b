"""Level malicious: keys and authority of the node's own, a ledger in a file, or nothing at all."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import pytest
from adapters.flower.enrolled import Enrolled
from adapters.flower.nodes import NODES, Nodes, Trainer, messages, nodes
from adapters.flower.test_exchange import check, lost_at
from flwr.app import Message

from secagg.adapters.flower import SecureGrid, words
from secagg.errors import ParameterError, PolicyError, RosterRefused, RoundFailed
from secagg.protocol import ClientPolicy

CLIENTS = 5


@pytest.fixture
def enrolled(tmp_path: Path) -> Enrolled:
    return Enrolled(tmp_path, CLIENTS)


def grid_of(enrolled: Enrolled, trainer: Trainer, **more: Any) -> Nodes:
    return nodes(
        trainer,
        "secagg",
        "malicious",
        configs=enrolled.configs,
        run_config=enrolled.run_config,
        **more,
    )


def secured(enrolled: Enrolled, grid: Nodes, **more: Any) -> SecureGrid:
    settings = {"roster": enrolled.roster, "authority": enrolled.authority} | more
    return SecureGrid(grid, "secagg", "malicious", clock=grid.time.clock, **settings)


def test_everybody_is_in_the_mean(enrolled: Enrolled) -> None:
    trainer = Trainer(CLIENTS)
    grid = grid_of(enrolled, trainer)
    secure = secured(enrolled, grid)
    for _ in range(2):
        check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))


def test_who_is_who_is_said_by_the_roster(enrolled: Enrolled) -> None:
    """Nodes in another order than the roster's, and one of them not sampled."""
    trainer = Trainer(CLIENTS)
    grid = grid_of(enrolled, trainer)
    turned = dict(zip(grid.nodes, reversed(list(enrolled.configs.values())), strict=True))
    for node, config in turned.items():
        grid.nodes[node].context.node_config = config
    secure = secured(enrolled, grid)
    replies = secure.send_and_receive(messages(secure)[1:])
    check(trainer, replies, [1, 2, 3, 4])


@pytest.mark.parametrize(
    "moment", ["Hello", "Work", "Step 1", "Step 2", "Step 3", "Step 4", "Step 5"]
)
def test_a_client_lost_at_every_moment(moment: str, enrolled: Enrolled) -> None:
    trainer = Trainer(CLIENTS)
    grid = grid_of(enrolled, trainer)
    grid.fate = lost_at(2, moment, "broken")
    secure = secured(enrolled, grid)
    included = [n for n in range(CLIENTS) if n != 2 or moment in ("Step 4", "Step 5")]
    check(trainer, secure.send_and_receive(messages(secure)), included)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_a_restarted_client_goes_on(step: int, enrolled: Enrolled) -> None:
    """Its ledger and its results are files: whatever Flower has lost, it is in the sum."""
    trainer = Trainer(CLIENTS)
    grid = grid_of(enrolled, trainer)

    def what(number: int, message: Message, word: words.Word | None) -> str:
        if number == 3 and grid.words_to(NODES + 3).count("Step") == step - 1:
            grid.nodes[NODES + 3].context.state.clear()
        return "now"

    grid.fate = what
    secure = secured(enrolled, grid)
    check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))


def test_a_lost_ledger_is_not_replaced(enrolled: Enrolled) -> None:
    trainer = Trainer(CLIENTS)
    grid = grid_of(enrolled, trainer)
    secure = secured(enrolled, grid)
    check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))
    for ledger in Path(enrolled.configs[1]["secagg-folder"]).glob("*.ledger*"):
        shutil.rmtree(ledger) if ledger.is_dir() else ledger.unlink()
    check(trainer, secure.send_and_receive(messages(secure)), [0, 2, 3, 4])
    assert secure.last is not None
    assert "LedgerMissing" in secure.last.left_out[NODES + 1]


@pytest.mark.parametrize("name", ["secagg-folder", "secagg-key", "secagg-authority"])
def test_a_node_that_lacks_something_refuses(name: str, enrolled: Enrolled) -> None:
    trainer = Trainer(CLIENTS)
    del enrolled.configs[4][name]
    grid = grid_of(enrolled, trainer)
    secure = secured(enrolled, grid)
    check(trainer, secure.send_and_receive(messages(secure)), [0, 1, 2, 3])
    assert secure.last is not None
    assert "PolicyError" in secure.last.left_out[NODES + 4]
    assert f"{name!r} in the node's configuration" in secure.last.left_out[NODES + 4]
    # Nobody trained for nothing: it refused before it was sent a model.
    assert 4 not in {number for number, _ in trainer.models}


def test_an_app_without_a_roster_is_refused_by_all(enrolled: Enrolled) -> None:
    grid = nodes(Trainer(CLIENTS), "secagg", "malicious", configs=enrolled.configs)
    with pytest.raises(RoundFailed, match="secagg-roster"):
        secured(enrolled, grid).send_and_receive(messages(grid))


def test_a_roster_of_another_authority_is_refused(enrolled: Enrolled, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    theirs = Enrolled(other, CLIENTS)
    grid = nodes(
        Trainer(CLIENTS),
        "secagg",
        "malicious",
        configs=enrolled.configs,
        run_config=theirs.run_config,
    )
    with pytest.raises(RoundFailed, match="RosterRefused"):
        secured(theirs, grid).send_and_receive(messages(grid))
    with pytest.raises(RosterRefused):
        secured(enrolled, grid, roster=theirs.roster)


def test_a_revoked_client_takes_no_part(enrolled: Enrolled) -> None:
    trainer = Trainer(CLIENTS)
    enrolled.roster = enrolled.signed(enrolled.document.following().revoking(["client-0"]))
    grid = grid_of(enrolled, trainer)
    secure = secured(enrolled, grid)
    check(trainer, secure.send_and_receive(messages(secure)), [1, 2, 3, 4])


def test_an_old_roster_is_refused_by_a_policy(enrolled: Enrolled) -> None:
    policy = ClientPolicy(least_epoch=7)
    grid = grid_of(enrolled, Trainer(CLIENTS), policy=policy)
    with pytest.raises(RoundFailed, match="RosterRefused"):
        secured(enrolled, grid).send_and_receive(messages(grid))


def test_a_curious_server_is_refused_by_clients_that_want_more(enrolled: Enrolled) -> None:
    grid = grid_of(enrolled, Trainer(CLIENTS))
    secure = SecureGrid(grid, "secagg", clock=grid.time.clock)
    with pytest.raises(RoundFailed, match=r"level malicious is demanded.*level curious is offered"):
        secure.send_and_receive(messages(secure))


def test_a_server_without_a_roster_is_refused(enrolled: Enrolled) -> None:
    grid = grid_of(enrolled, Trainer(CLIENTS))
    with pytest.raises(PolicyError, match="secagg-roster"):
        SecureGrid(grid, level="malicious", authority=enrolled.authority)
    with pytest.raises(ParameterError, match="public key of the roster's authority"):
        SecureGrid(grid, level="malicious", roster=enrolled.roster)
    with pytest.raises(ParameterError, match="level malicious only"):
        SecureGrid(grid, roster=enrolled.roster, authority=enrolled.authority)


def test_a_beacon_is_not_to_be_had_here(enrolled: Enrolled) -> None:
    grid = grid_of(enrolled, Trainer(CLIENTS))
    with pytest.raises(ParameterError, match="public beacon"):
        SecureGrid(
            grid, "secagg_plus", "malicious", roster=enrolled.roster, authority=enrolled.authority
        )


def test_two_nodes_with_one_key(enrolled: Enrolled) -> None:
    trainer = Trainer(CLIENTS)
    enrolled.configs[4] = enrolled.configs[3] | {
        "secagg-folder": enrolled.configs[4]["secagg-folder"]
    }
    grid = grid_of(enrolled, trainer)
    secure = secured(enrolled, grid)
    check(trainer, secure.send_and_receive(messages(secure)), [0, 1, 2, 3])
    assert secure.last is not None
    assert "is node" in secure.last.left_out[NODES + 4]


def test_a_client_is_no_other_than_the_roster_says(enrolled: Enrolled) -> None:
    """A server that mixes up numbers gets nothing from whom it took for another."""
    trainer = Trainer(CLIENTS)
    grid = grid_of(enrolled, trainer)
    refused: list[str] = []

    def what(number: int, message: Message, word: words.Word | None) -> str:
        if number == 2 and isinstance(word, words.Step) and not refused:
            content = words.pack(msgspec.structs.replace(word, number=3))
            sent = Message(content, dst_node_id=NODES + 2, message_type="train")
            (reply,) = Nodes(grid.nodes, time=grid.time).send_and_receive([sent])
            refused.append(str(reply.error.reason))
        return "now"

    grid.fate = what
    secure = secured(enrolled, grid)
    check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))
    assert "PolicyError: number: client 2, by the roster is demanded, client 3" in refused[0]


def test_a_number_that_is_not_in_the_roster(enrolled: Enrolled) -> None:
    trainer = Trainer(CLIENTS)
    grid = grid_of(enrolled, trainer)

    def greet(message: Message, context: Any) -> Message:
        return Message(words.pack(words.Welcome(version("secagg"), 77)), reply_to=message)

    grid.nodes[NODES + 4].app = greet  # type: ignore[assignment]
    secure = secured(enrolled, grid)
    check(trainer, secure.send_and_receive(messages(secure)), [0, 1, 2, 3])
    assert secure.last is not None
    assert "client 77 is not in the roster" in secure.last.left_out[NODES + 4]
    assert grid.words_to(NODES + 4) == ["Hello"]
