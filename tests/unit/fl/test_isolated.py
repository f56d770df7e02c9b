"""The process of an isolated role over the rounds of a comparison: its death, and its absence."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

import pytest

from fl import contender
from fl.compare import compare
from fl.results import ABORTED, DONE, UNAVAILABLE, Comparison, Row, Settings
from secagg.errors import UnavailableError
from secagg.protocol import Protocol, Session
from secagg.runner import EnclaveHost, Faults, Outcome, run
from secagg.types import ENCLAVE, PartyId, RingVector, Rng
from secagg.wire import Frame

Inputs = Mapping[PartyId, RingVector]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[EnclaveHost]:
    """Every process that is started."""
    hosts: list[EnclaveHost] = []
    launch = EnclaveHost.launch

    def counted() -> EnclaveHost:
        hosts.append(launch())
        return hosts[-1]

    monkeypatch.setattr(EnclaveHost, "launch", counted)
    return hosts


def row_of(result: Comparison) -> Row:
    (row,) = result.rows
    return row


def rounds(count: int, **settings: Any) -> Comparison:
    return compare(Settings(protocols=("enclave",), length=40, rounds=count, **settings))


def test_one_process_serves_all_rounds_of_all_splits_and_ends_with_them(
    launched: list[EnclaveHost],
) -> None:
    row = row_of(rounds(5, splits=4))
    assert row.status == DONE
    assert row.exact
    assert row.rounds_done == 20
    (host,) = launched
    assert not host.alive
    with pytest.raises(ProcessLookupError):
        os.kill(host.pid, 0)
    assert row.isolation is not None
    assert row.isolation.launches == 1
    # What the process spent in the rounds is in the rounds, and nothing of its start.
    charged = sum(record.role_cpu_seconds["enclave"] for record in row.rounds)
    assert charged >= host.cpu_seconds - host.ready.cpu_seconds


def test_a_process_that_dies_loses_its_round_and_the_next_has_another(
    launched: list[EnclaveHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    def deadly(
        protocol: Protocol, session: Session, inputs: Inputs, rng: Rng, faults: Faults, **host: Any
    ) -> Outcome:
        def kill(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
            if session.training_round == 1 and recipient == ENCLAVE:
                os.kill(launched[-1].pid, signal.SIGKILL)
            return frame

        deadly_faults = Faults(lost=faults.lost, tamper=kill)
        return run(protocol, session, inputs, rng, deadly_faults, **host)

    monkeypatch.setattr(contender, "run", deadly)
    row = row_of(rounds(3))
    assert row.status == ABORTED
    assert "1 of 3 rounds: enclave 0 is lost" in (row.reason or "")
    assert "another launch" in (row.reason or "")
    assert [record.failure is None for record in row.rounds] == [True, False, True]
    assert row.rounds[2].exact
    assert row.isolation is not None
    assert row.isolation.launches == len(launched) == 2
    assert len({host.pid for host in launched}) == 2
    assert not any(host.alive for host in launched)


def test_without_a_process_there_is_no_row_of_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not quietly run in the comparing process instead."""

    def launch() -> EnclaveHost:
        raise UnavailableError("the enclave's process did not start: no such thing here")

    monkeypatch.setattr(EnclaveHost, "launch", launch)
    row = row_of(rounds(2, splits=2))
    assert (row.status, row.rounds) == (UNAVAILABLE, [])
    assert "no such thing here" in (row.reason or "")
    assert row.isolation is None


def test_when_no_other_process_starts_the_rounds_fail(
    launched: list[EnclaveHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = EnclaveHost.launch

    def once() -> EnclaveHost:
        if launched:
            raise UnavailableError("the enclave's process did not start: not again")
        return launch()

    def deadly(*arguments: Any, host: EnclaveHost) -> Outcome:
        outcome = run(*arguments, host=host)
        os.kill(host.pid, signal.SIGKILL)
        os.waitid(os.P_PID, host.pid, os.WEXITED | os.WNOWAIT)
        return outcome

    monkeypatch.setattr(EnclaveHost, "launch", once)
    monkeypatch.setattr(contender, "run", deadly)
    row = row_of(rounds(3))
    assert [record.failure is None for record in row.rounds] == [True, False, False]
    assert row.rounds[1].failure == "the enclave's process did not start: not again"
    assert row.status == ABORTED
