"""Simulated rounds: the same sum wherever clients live, and every way to be wrong is noticed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest

from secagg import protocols
from secagg.errors import ParameterError, SecaggError
from secagg.protocol import Exactness, Level, Task
from secagg.runner import crowd, resident, rounds
from secagg.runner.crew import Worker, launched
from secagg.runner.crowd import Played, play
from secagg.runner.recipe import Recipe
from secagg.runner.results import ABORTED, DONE, SPREAD, WRONG, Row, Settings
from secagg.runner.rounds import choose, judged, largest_error, lost_after, simulate
from secagg.types import Ring, Role, client

MASKING_PHASES = ("advertise", "share", "mask", "unmask")
# After the root is signed nothing is said until the graph is there.
RING_PHASES = (("advertise",), ("commit",), ("draw", "share"), ("mask",), ("agree",), ("unmask",))


@pytest.fixture(scope="module")
def crew() -> Iterator[tuple[Worker, ...]]:
    with launched(2) as workers:
        yield workers


@pytest.fixture(params=protocols.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def settings(**changes: Any) -> Settings:
    given: dict[str, Any] = {"protocol": "secagg", "clients": 12, "length": 300, "bound": 1000}
    given |= {"dropout": Decimal("0.25"), "lose": Decimal("0.25")}
    return Settings(**(given | changes))


def recipe(**changes: Any) -> Recipe:
    task = settings(**changes).task
    return Recipe(changes.get("protocol", "secagg"), task, bytes(32), 0, (), b"")


def nothing(*_: Any) -> None:
    pass


@pytest.fixture
def with_crew(crew: tuple[Worker, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """`simulate` uses workers that are there already."""

    class Lent:
        def __init__(self, count: int) -> None:
            self.crew = crew[:count]

        def __enter__(self) -> tuple[Worker, ...]:
            return self.crew

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(rounds, "launched", Lent)


@pytest.mark.usefixtures("with_crew")
def test_the_sum_is_the_same_wherever_the_clients_live(name: str) -> None:
    rows = []
    for workers in (0, 1, 2):
        result = simulate(settings(protocol=name, workers=workers, sessions=2))
        for row in result.rows:
            assert (row.status, row.reason) == (DONE, None)
            assert row.max_error is not None
            assert row.max_error <= row.error_bound
            exact = protocols.get(name).guarantees(Level.CURIOUS).exactness is Exactness.EXACT
            assert row.claims_exact == exact
            assert row.exact or not exact
            assert row.lost == 3
            assert row.included == 9 + row.lost_but_included
            assert len(row.worker_peak_bytes) == workers
        rows.append(result.rows)
    facts = [
        [(r.sum_sha256 if r.exact else None, r.included, r.bytes_up, r.bytes_down) for r in some]
        for some in rows
    ]
    assert facts[0] == facts[1] == facts[2]
    # Another session: other inputs.
    assert rows[0][0].sum_sha256 != rows[0][1].sum_sha256


@pytest.mark.usefixtures("with_crew")
def test_costs_are_those_of_the_roles(name: str) -> None:
    (row,) = simulate(settings(protocol=name, workers=2, lose=Decimal(0))).rows
    protocol = protocols.get(name)
    plan = protocol.plan(settings(protocol=name).task)
    assert (row.bytes_up, row.bytes_down) == protocol.traffic(plan)
    others = {party.role.name.lower() for party in plan.parties if party.role is not Role.CLIENT}
    assert set(row.role_cpu_seconds) == (others - {"server"} if len(others) > 1 else set())
    assert row.server_cpu_seconds > 0
    assert row.client_cpu_seconds_median is not None
    assert row.client_cpu_seconds_max is not None
    assert 0 < row.client_cpu_seconds_median <= row.client_cpu_seconds_max
    assert row.server_peak_bytes > row.server_growth_bytes
    assert all(peak > 20_000_000 for peak in row.worker_peak_bytes)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.usefixtures("with_crew")
def test_losses_in_each_phase(place: int) -> None:
    for workers in (0, 2):
        chosen = settings(workers=workers, lost_at=MASKING_PHASES[place])
        (row,) = simulate(chosen).rows
        assert (row.status, row.lost) == (DONE, 3)
        assert row.included == (12 if place == 3 else 9)
        assert row.lost_but_included == (3 if place == 3 else 0)


@pytest.mark.usefixtures("with_crew")
def test_more_lost_than_planned_is_an_abort() -> None:
    for workers in (0, 2):
        chosen = settings(workers=workers, lose=Decimal("0.6"), lost_at="share")
        (row,) = simulate(chosen).rows
        assert (row.status, row.lost, row.included) == (ABORTED, 7, 0)
        assert "dealt shares" in (row.reason or "")
        assert (row.exact, row.max_error, row.sum_sha256, row.bytes_up) == (None,) * 4


def note(told: list[tuple[str, int]], message: str, count: int) -> None:
    told.append((message, count))


def test_progress_is_told_by_message(crew: tuple[Worker, ...]) -> None:
    for workers in ((), crew):
        told: list[tuple[str, int]] = []
        lost = ((client(0), 0), (client(1), 1), (client(2), 2))
        given = msgspec.structs.replace(recipe(), lost=lost)
        play(given, workers, 1, partial(note, told))
        assert told == [
            *(("AdvertiseKeys", count) for count in range(1, 12)),
            *(("ShareKeys", count) for count in range(1, 11)),
            *(("MaskedVector", count) for count in range(1, 10)),
            *(("UnmaskShares", count) for count in range(1, 10)),
        ]


def test_vectors_and_frames_beyond_one_batch(crew: tuple[Worker, ...]) -> None:
    for count, length in ((4, 200_000), (90, 3)):
        task = Task(
            clients=tuple(client(number) for number in range(count)), length=length, bound=9
        )
        given = Recipe("secagg", task, bytes(32), 0, (), b"")
        row = judged(play(given, crew, 2, nothing), 0)
        assert (row.status, row.exact, row.included) == (DONE, True, count)


def test_more_workers_than_clients() -> None:
    (row,) = simulate(settings(protocol="plain", clients=3, lose=Decimal(0), workers=5)).rows
    assert row.exact
    assert len(row.worker_peak_bytes) == 3


def test_rosters_with_gaps(crew: tuple[Worker, ...]) -> None:
    task = Task(clients=tuple(client(number) for number in (2, 3, 5, 700)), length=4, bound=9)
    for workers in ((), crew):
        row = judged(play(Recipe("secagg", task, bytes(32), 0, (), b""), workers, 1, nothing), 0)
        assert (row.status, row.exact, row.included) == (DONE, True, 4)


@pytest.fixture
def played() -> Played:
    return play(recipe(clients=5), (), 1, nothing)


def changed(played: Played, **outcome: Any) -> Row:
    return judged(
        dataclasses.replace(played, outcome=dataclasses.replace(played.outcome, **outcome)), 0
    )


def test_a_sum_that_is_off_is_wrong(played: Played) -> None:
    assert judged(played, 0).status == DONE
    total = played.outcome.sum().copy()
    total[7] -= 3
    row = changed(played, total=total)
    assert (row.status, row.exact, row.max_error) == (WRONG, False, 3)
    assert row.reason == "off by 3, at most 0 is promised"


def test_an_error_within_the_stated_bound_is_not_wrong() -> None:
    played = play(recipe(protocol="ckks", clients=40, bound=32767), (), 1, nothing)
    bound = played.staging.plan.error_bound
    assert bound > 0
    exact = played.staging.inputs(()).expected(played.outcome.included, played.given)
    ring = played.staging.plan.ring
    for off, status in ((bound, DONE), (-bound, DONE), (bound + 1, WRONG), (-bound - 1, WRONG)):
        moved = exact.astype(np.int64) + off
        total = (moved.astype(np.uint64) & np.uint64(ring.mask)).astype(ring.dtype)
        row = changed(played, total=total)
        assert (row.status, row.exact, row.max_error) == (status, False, abs(off))
        assert row.claims_exact is False


def test_other_clients_than_those_that_sent_are_wrong(played: Played) -> None:
    assert played.outcome.included == tuple(client(number) for number in range(5))
    row = changed(played, included=played.outcome.included[1:])
    assert (row.status, row.exact) == (WRONG, None)
    assert row.reason == "not the clients that sent vectors: client 0"


def test_an_accusation_is_wrong(played: Played) -> None:
    row = changed(played, accused=[(client(3), SecaggError("it cheats"))])
    assert row.status == WRONG
    assert row.reason == "an honest party was accused: client 3: it cheats"


def test_a_round_lost_without_reason_is_wrong(played: Played) -> None:
    row = changed(played, total=None, included=(), failure="it rained")
    assert (row.status, row.reason) == (WRONG, "it rained")
    row = changed(played, total=None, included=())
    assert (row.status, row.reason) == (WRONG, "no party released a sum")


def test_a_client_that_did_not_finish_is_wrong(played: Played) -> None:
    played.outcome.parties[client(4)].phase = "unmask"
    played.outcome.parties[client(4)].failure = "it sleeps"
    row = judged(played, 0)
    assert row.status == WRONG
    assert row.reason == "client 4 stayed and did not finish: it sleeps"


def test_another_input_is_wrong(played: Played) -> None:
    played.given[client(1)] = bytes(32)
    row = judged(played, 0)
    assert row.status == WRONG
    assert "client 1 was not given the input" in (row.reason or "")


def test_growth_is_over_the_start(played: Played) -> None:
    assert judged(played, 1000).server_growth_bytes == played.peak_bytes - 1000


def test_losses_by_phase_or_spread() -> None:
    secagg, level = protocols.get("secagg"), Level.CURIOUS
    assert lost_after(secagg, level, SPREAD) == [0, 1, 2, 3]
    assert [lost_after(secagg, level, phase) for phase in MASKING_PHASES] == [
        [0],
        [1],
        [2],
        [3],
    ]
    ring, malicious = protocols.get("secagg_plus"), Level.MALICIOUS
    assert lost_after(ring, malicious, SPREAD) == [0, 1, 2, 3, 4, 5]
    for sent, phases in enumerate(RING_PHASES):
        assert all(lost_after(ring, malicious, phase) == [sent] for phase in phases)
    for name, phase in (("bfv", "setup"), ("bfv", "upload"), ("enclave", "verify")):
        # One message only: to vanish in any phase is not to send it.
        assert lost_after(protocols.get(name), level, phase) == [0]
    with pytest.raises(ParameterError, match=r"goes through upload, or vanishes .* got 'mask'"):
        lost_after(protocols.get("plain"), level, "mask")


def test_those_that_vanish_are_drawn_anew_for_every_seed_and_session() -> None:
    given = recipe(clients=60)
    chosen = choose(given, 18)
    assert len(set(chosen)) == 18
    assert set(chosen) <= set(given.task.clients)
    assert chosen == choose(given, 18)
    assert chosen[:5] == choose(given, 5)
    assert chosen != choose(msgspec.structs.replace(given, number=1), 18)
    assert chosen != choose(msgspec.structs.replace(given, seed=b"\x01" * 32), 18)
    assert sorted(choose(given, 60)) == list(given.task.clients)
    assert choose(given, 0) == []


@pytest.mark.parametrize("bits", [1, 15, 16, 32, 33, 64])
def test_the_largest_error_is_that_of_signed_numbers(bits: int) -> None:
    ring = Ring(bits)
    zero = np.zeros(3, dtype=ring.dtype)
    assert largest_error(zero, zero, ring) == 0
    low = np.array([0, ring.mask, 0], dtype=ring.dtype)  # 0, -1, 0
    assert largest_error(low, zero, ring) == largest_error(zero, low, ring) == 1
    half = np.array([0, 0, 1 << (bits - 1)], dtype=ring.dtype)
    assert largest_error(half, zero, ring) == 1 << (bits - 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clients": 0},
        {"workers": -1},
        {"threads": 0},
        {"sessions": 0},
        {"seed": -1},
        {"seed": 1 << 256},
        {"lose": Decimal(1)},
    ],
)
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        settings(**wrong)


def test_what_a_protocol_refuses_starts_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(count: int) -> None:
        raise AssertionError("nobody is needed")

    monkeypatch.setattr(rounds, "launched", launch)
    with pytest.raises(ParameterError):
        simulate(settings(corrupt=Decimal("0.9")))
    with pytest.raises(ParameterError, match="got 'nowhere'"):
        simulate(settings(lost_at="nowhere"))


def test_the_memory_of_the_check_is_not_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read when the sum is there, before reports and the check."""
    order: list[str] = []
    real_close, real_peak = crowd._Crowd.close, resident.peak_bytes

    def close(self: Any) -> Played:
        order.append("close")
        return real_close(self)

    def peak() -> int:
        order.append("peak")
        return real_peak()

    monkeypatch.setattr(crowd._Crowd, "close", close)
    monkeypatch.setattr(resident, "peak_bytes", peak)
    play(recipe(), (), 1, nothing)
    assert order == ["peak", "close"]
