"""`secagg speed`: how fast the kernels are here, next to what this machine can do at best."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click
import msgspec

from secagg import kernels
from secagg.cli import machine, options, output, stopwatch
from secagg.cli.exits import Exit
from secagg.cli.machine import Circumstances
from secagg.cli.workloads import Workload, workloads

SCHEMA: Final = "secagg.speed/1"
ROW_SCHEMA: Final = "secagg.speed.row/1"


class Row(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=ROW_SCHEMA):
    """One kernel. All times are medians.

    Attributes:
        kernel: what ran.
        load: on what.
        gigabytes_per_second: of `bytes_are`.
        bytes_are: what is counted.
        nanoseconds_per_element: and per mask or vector, where there are several.
        ceiling: what it is held against, measured in turns with it.
        ceiling_gigabytes_per_second: of the same bytes.
        of_ceiling: the rate over the ceiling's.
        rival: the same work by a well-known library, measured in turns with it, if there is one.
        over_rival: how many times faster than that.
        clock: "CPU" of this thread, or "wall".
        unsteady: the ceiling's slowest tenth over its median.
    """

    kernel: str
    load: str
    gigabytes_per_second: float
    bytes_are: str
    nanoseconds_per_element: float
    ceiling: str
    ceiling_gigabytes_per_second: float
    of_ceiling: float
    rival: str | None
    over_rival: float | None
    clock: str
    unsteady: float


class Document(Circumstances, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The whole answer.

    Attributes:
        doubts: why the figures are not to be trusted; empty if they are.
    """

    repeats: int
    doubts: list[str]
    rows: list[Row]


@click.command()
@click.option(
    "--repeats",
    type=click.IntRange(min=3),
    default=21,
    show_default=True,
    help="Turns of every kernel and its ceiling; the median counts.",
)
@click.option(
    "--only",
    metavar="TEXT",
    help="Kernels whose name contains this.",
)
@options.quiet
@options.output
@click.pass_obj
def command(
    argv: list[str], *, repeats: int, only: str | None, quiet: bool, target: output.Target
) -> Exit:
    """Time the kernels beside the ceilings of this machine, and beside other libraries.

    Kernels only: no protocol, no network. The level is the one in use (SECAGG_CPU forces one). Ends
    with 3 if no kernel was chosen. Says so when the machine is too loaded to trust the figures.
    """
    chosen = [work for work in workloads() if only is None or only in work.kernel]
    if not chosen:
        output.say(f"no kernel is called {only!r}")
        return Exit.UNDECIDED
    began = machine.begin()
    wall, cpu = time.perf_counter(), time.thread_time()
    singles = [work for work in chosen if work.threads == 1]
    rows = []
    with output.progress(len(chosen), quiet) as notify:
        for work in _with_notice(singles, notify):
            rows.append(_measured(work, repeats))
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        for work in _with_notice([work for work in chosen if work.threads > 1], notify):
            rows.append(_measured(work, repeats))
    unsteady = statistics.median(row.unsteady for row in rows)
    doubts = stopwatch.doubts(began.load[0], kernels.usable_cpus(), wall, cpu, unsteady)
    document = Document(
        **began.circumstances(argv),
        repeats=repeats,
        doubts=doubts if singles else [],
        rows=rows,
    )
    output.write(_report(document), target)
    return Exit.DONE


def _with_notice(chosen: Sequence[Workload], notify: Any) -> Iterator[Workload]:
    for work in chosen:
        notify(f"{work.kernel}, {work.load}")
        yield work


def _measured(work: Workload, repeats: int) -> Row:
    clock = time.thread_time if work.threads == 1 else time.perf_counter
    with kernels.using_threads(work.threads), work.prepared() as things:
        things_in_turn = [things.ceiling, things.kernel]
        if things.rival is not None:
            things_in_turn.append(things.rival)
        turns = stopwatch.take_turns(things_in_turn, repeats, clock)
    ceiling, kernel = turns.seconds[:2]
    # The ceiling may do a part of the work only.
    of_ceiling = turns.ratios[1] * work.moved / work.ceiling_moved
    return Row(
        kernel=work.kernel,
        load=work.load,
        gigabytes_per_second=work.moved / kernel / 1e9,
        bytes_are=work.bytes_are,
        nanoseconds_per_element=kernel / work.elements * 1e9,
        ceiling=work.ceiling,
        ceiling_gigabytes_per_second=work.ceiling_moved / ceiling / 1e9,
        of_ceiling=of_ceiling,
        rival=work.rival,
        over_rival=(turns.ratios[1] / turns.ratios[2] * work.rival_share if things.rival else None),
        clock="CPU" if work.threads == 1 else "wall",
        unsteady=turns.unsteady,
    )


def _report(document: Document) -> output.Report:
    level = f"level {document.machine.kernel_level}: {document.machine.kernel}"
    load = ", ".join(f"{value:.2f}" for value in document.load.before)
    trust = (
        [f"TOO LOADED TO TRUST: {'; '.join(document.doubts)}."]
        if document.doubts
        else ["The machine was quiet."]
    )
    return output.Report(
        document=document,
        lines=document.rows,
        columns=_columns(),
        rows=[msgspec.structs.asdict(row) for row in document.rows],
        title=f"Kernels at {level}, on {document.machine.cpu}",
        notes=[
            *trust,
            f"Medians of {document.repeats} turns; load before: {load}. A ceiling takes turns with"
            " its kernel. GB/s count what the kernel goes through, ns are per element of a vector"
            " and mask.",
        ],
    )


def _columns() -> list[output.Column]:
    column = output.Column
    return [
        column("kernel", "kernel"),
        column("load", "load"),
        column("gigabytes_per_second", "GB/s", _two, number=True),
        column("nanoseconds_per_element", "ns per\nelement", _three, number=True),
        column("ceiling", "ceiling"),
        column("ceiling_gigabytes_per_second", "its\nGB/s", _two, number=True),
        column("of_ceiling", "of it", _two, number=True),
        column("rival", "rival"),
        column("over_rival", "times\nfaster", _two, number=True),
        column("bytes_are", "bytes are", hidden=True),
        column("clock", "clock", hidden=True),
        column("unsteady", "unsteady", hidden=True),
    ]


def _two(value: float) -> str:
    return f"{value:.2f}"


def _three(value: float) -> str:
    return f"{value:.3f}"
