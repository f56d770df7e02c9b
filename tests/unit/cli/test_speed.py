"""`secagg speed`: what it says, and that its stopwatch measures what it claims to."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from unit.cli.conftest import Invoke

from secagg import kernels
from secagg.cli import speed, stopwatch, workloads
from secagg.cli.exits import Exit


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads that take no time."""
    for name, value in (("MASKS", 4), ("LENGTH", 20_000), ("FLOATS", 20_000), ("VECTORS", 5)):
        monkeypatch.setattr(workloads, name, value)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("level", kernels.levels())
def test_every_kernel_is_timed_at_every_level(invoke: Invoke, level: str) -> None:
    with kernels.using_level(level):
        result = invoke("speed", "-q", "--repeats", "3", "--format", "json")
    assert result.exit_code == Exit.DONE, result.stderr
    document = msgspec.json.decode(result.stdout, type=speed.Document)
    assert msgspec.json.decode(result.stdout)["schema"] == "secagg.speed/1"
    assert document.machine.kernel_level == level
    assert len(document.rows) == len({(row.kernel, row.load) for row in document.rows})
    assert len(document.rows) == len(workloads.workloads())
    for row in document.rows:
        assert row.gigabytes_per_second > 0
        assert row.of_ceiling > 0
        assert (row.rival is None) == (row.over_rival is None)
        assert row.clock == ("wall" if "threads" in row.kernel else "CPU")


@pytest.mark.usefixtures("small")
def test_the_table_names_level_load_and_trust(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopwatch, "doubts", lambda *_: ["somebody was here"])
    text = invoke("speed", "-q", "--repeats", "3", "--only", "Shamir").stdout
    assert f"level {kernels.level()}" in text
    assert "TOO LOADED TO TRUST: somebody was here." in text
    assert text.count("Shamir") == 2
    monkeypatch.setattr(stopwatch, "doubts", lambda *_: [])
    text = invoke("speed", "-q", "--repeats", "3", "--only", "Shamir").stdout
    assert "The machine was quiet." in text


def test_a_kernel_that_is_not_there(invoke: Invoke) -> None:
    result = invoke("speed", "--only", "nothing")
    assert result.exit_code == Exit.UNDECIDED
    assert "no kernel is called 'nothing'" in result.stderr


class Clock:
    """Each thing moves it by what it takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def thing(self, *seconds: float) -> stopwatch.Work:
        taken = itertools.cycle(seconds)

        def run() -> None:
            self.now += next(taken)

        return run


def test_a_thing_twice_as_fast_has_ratio_two() -> None:
    clock = Clock()
    turns = stopwatch.take_turns([clock.thing(0.010), clock.thing(0.005)], 5, clock)
    assert turns.seconds == pytest.approx((0.010, 0.005))
    assert turns.ratios == pytest.approx((1.0, 2.0))
    assert turns.unsteady == pytest.approx(1.0)


def test_short_things_run_often_enough_for_the_clock() -> None:
    clock, runs = Clock(), itertools.count()

    def short() -> None:
        next(runs)
        clock.now += 1e-4

    turns = stopwatch.take_turns([short], 3, clock)
    assert next(runs) == 2 + 3 * 20
    assert turns.seconds == pytest.approx((1e-4,))


def test_a_drift_that_meets_both_does_not_change_the_ratio() -> None:
    clock = Clock()
    slower = (0.01, 0.01, 0.01, 0.01, 0.02, 0.02, 0.02)
    things = [clock.thing(*slower), clock.thing(*(second / 4 for second in slower))]
    turns = stopwatch.take_turns(things, 5, clock)
    assert turns.ratios == pytest.approx((1.0, 4.0))
    assert turns.unsteady > 1.5 or turns.seconds[0] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ((0.2, 2, 1.0, 1.0, 1.02), None),
        ((1.2, 2, 1.0, 1.0, 1.02), "the load was 1.2 on 2 CPUs"),
        ((0.2, 2, 1.5, 1.0, 1.02), "only 67% of the time"),
        ((0.2, 2, 1.0, 1.0, 1.30), "took 1.30 times their median"),
    ],
)
def test_doubts(facts: tuple[float, int, float, float, float], said: str | None) -> None:
    found = stopwatch.doubts(*facts)
    assert (said is None and found == []) or (said is not None and said in found[0])
