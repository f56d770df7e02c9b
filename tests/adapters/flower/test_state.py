"""What is kept between two messages: sealed, whole, and gone when it must be."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from adapters.flower.nodes import NODES, Trainer, messages, nodes
from flwr.app import ConfigRecord, Context, RecordDict

from secagg.adapters.flower import SecureGrid, node, words
from secagg.adapters.flower.state import (
    LEDGER_RECORD,
    RESULTS_RECORD,
    ClientState,
    FolderState,
    RecordState,
    Results,
)
from secagg.crypto.digest import encode_party
from secagg.endpoint.invitation import Tensor
from secagg.errors import LedgerError, LedgerMissing, LedgerUnavailable, ParameterError
from secagg.ledger import Owner
from secagg.types import Secret, client

DEVICE = Secret(bytes(range(32)))
OWNER = Owner(encode_party(client(3)), "job")
RESULTS = Results("job", 1, bytes(32), 7, (Tensor("a", (3,), "float32"),))
VECTOR = np.array([1.5, -2.5, 3.5], np.float32)


@pytest.fixture(params=["records", "folder"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> ClientState:
    if request.param == "records":
        return RecordState(RecordDict(), DEVICE)
    return FolderState(tmp_path / "ledgers", DEVICE)


def same_place(state: ClientState, device: Secret) -> ClientState:
    if isinstance(state, RecordState):
        return RecordState(state._records, device)
    assert isinstance(state, FolderState)
    return FolderState(state._folder, device)


def test_results_come_back_as_they_were(state: ClientState) -> None:
    state.begin(OWNER)
    assert state.get("job") is None
    state.put(RESULTS, VECTOR)
    found = state.get("job")
    assert found is not None
    assert found[0] == RESULTS
    assert found[1] is not None
    assert found[1].tobytes() == VECTOR.tobytes()
    assert state.get("another job") is None
    state.put(RESULTS, None)
    assert state.get("job") == (RESULTS, None)


def test_results_are_of_this_device_alone(state: ClientState) -> None:
    state.begin(OWNER)
    state.put(RESULTS, VECTOR)
    with pytest.raises(LedgerError, match="cannot be relied on"):
        same_place(state, Secret(bytes(32))).get("job")


def test_a_job_has_a_ledger_of_its_own(state: ClientState) -> None:
    with pytest.raises(LedgerMissing):
        state.ledger(OWNER, 1)
    state.begin(OWNER)
    with state.ledger(OWNER, 1) as ledger:
        ledger.open_session(bytes(32), 1)
    # Again: it is the same one.
    state.begin(OWNER)
    with state.ledger(OWNER, 1) as ledger:
        assert list(ledger.running) == [bytes(32)]
        ledger.give_up(bytes(32))
        assert list(ledger.running) == []
    other = Owner(OWNER.name, "another job")
    with pytest.raises(LedgerError):
        state.ledger(other, 1)
    state.begin(other)
    with state.ledger(other, 1) as ledger:
        assert not ledger.knows(bytes(32))


def test_a_ledger_in_records_is_checked_like_any_other() -> None:
    records = RecordDict()
    state = RecordState(records, DEVICE)
    state.begin(OWNER)
    with state.ledger(OWNER, 1) as ledger:
        ledger.open_session(bytes(32), 1)
    log = records.config_records[LEDGER_RECORD]["log"]
    assert isinstance(log, bytes)
    records.config_records[LEDGER_RECORD]["log"] = log[:-1] + bytes([log[-1] ^ 1])
    with pytest.raises(LedgerError, match="changed"):
        state.ledger(OWNER, 1)


def test_nothing_that_is_kept_can_be_read() -> None:
    """Results and keys lie in Flower's records sealed, at every moment of an exchange."""
    trainer = Trainer(4)
    grid = nodes(trainer)
    values = [array.astype(np.float32).tobytes() for array in trainer.arrays(1).values()]
    looked: list[str] = []

    def look(number: int, message: object, word: words.Word | None) -> str:
        kept = b""
        for record in grid.nodes[NODES + 1].context.state.config_records.values():
            kept += b"".join(value for value in record.values() if isinstance(value, bytes))
        assert not any(value in kept for value in values)
        looked.append(type(word).__name__)
        return "now"

    grid.fate = look
    SecureGrid(grid, clock=grid.time.clock).send_and_receive(messages(grid))
    assert looked.count("Step") >= 4
    kept = grid.nodes[NODES + 1].context.state.config_records
    # The session is over: no key of it is left, and no vector.
    assert [key for key in kept[LEDGER_RECORD] if key.endswith("/key")] == []
    sealed = kept[RESULTS_RECORD]["sealed"]
    assert isinstance(sealed, bytes)
    assert len(sealed) < 1000


def context(config: dict[str, str]) -> Context:
    return Context(1, 1, dict(config), RecordDict(), {})


def test_the_device_has_one_key_that_only_its_owner_reads(state_home: Path) -> None:
    first = node.device_key(context({}))
    path = state_home / "secagg" / "device.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert node.device_key(context({})).reveal() == first.reveal()
    named = {"secagg-device-key": str(state_home / "another.key")}
    assert node.device_key(context(named)).reveal() != first.reveal()


def test_a_device_without_a_place_for_its_key_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnavailable, match="secagg-device-key in the node's configuration"):
        node.device_key(context({"secagg-device-key": str(tmp_path / "file" / "key")}))
    with pytest.raises(ParameterError, match="expected a path"):
        node.device_key(Context(1, 1, {"secagg-device-key": 5}, RecordDict(), {}))


def test_records_of_others_are_no_results() -> None:
    records = RecordDict({RESULTS_RECORD: ConfigRecord({"sealed": b"short"})})
    with pytest.raises(LedgerError, match="not the results"):
        RecordState(records, DEVICE).get("job")


def test_a_ledger_is_made_once(tmp_path: Path) -> None:
    state = FolderState(tmp_path / "ledgers", DEVICE)
    state.begin(OWNER)
    for file in (tmp_path / "ledgers").glob("*.ledger"):
        file.unlink()
    state.begin(OWNER)
    with pytest.raises(LedgerMissing):
        state.ledger(OWNER, 1)


def test_an_interrupted_write_leaves_the_old_results(tmp_path: Path) -> None:
    state = FolderState(tmp_path / "ledgers", DEVICE)
    state.begin(OWNER)
    state.put(RESULTS, VECTOR)
    (leftover,) = (tmp_path / "ledgers").glob("*.results")
    leftover.with_suffix(".new").write_bytes(b"half")
    assert state.get("job") is not None
    state.put(RESULTS, None)
    assert state.get("job") == (RESULTS, None)
