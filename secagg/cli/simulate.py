"""`secagg simulate`: whole rounds at scale, with clients that vanish, and a check of every sum."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import click
from msgspec.structs import asdict

from secagg import kernels
from secagg.cli import machine, options, output
from secagg.cli.exits import Exit
from secagg.cli.machine import Circumstances
from secagg.protocol import Level
from secagg.runner.results import ABORTED, DONE, SPREAD, WRONG, Row, Settings, Simulation

SCHEMA: Final = "secagg.simulate/1"
ROW_SCHEMA: Final = "secagg.simulate.row/1"

BITS: Final = 16

STEPS: Final = {
    "AdvertiseKeys": "keys advertised",
    "ShareKeys": "shares dealt",
    "MaskedVector": "vectors added",
    "UnmaskShares": "answers",
    "SignedKeys": "keys advertised",
    "CohortSignature": "cohort signed",
    "CommittedShares": "shares dealt",
    "SignedVector": "vectors added",
    "SurvivorSignature": "survivors signed",
    "SignedAnswer": "answers",
    "Upload": "vectors added",
    "SealedVector": "vectors added",
}
"""What has happened when a message has come, for the bar; other messages go by their names."""


class Header(Circumstances, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """Everything but the rows: what was run, where, under which plan."""

    settings: Settings
    plan: dict[str, str]
    planned_dropouts: int
    start_bytes: int


class Document(Header, frozen=True, kw_only=True):
    """The whole answer."""

    rows: list[Row]


class Line(Row, frozen=True, kw_only=True, tag_field="schema", tag=ROW_SCHEMA):
    """One row on its own."""


@click.command()
@options.protocol
@options.cohort
@options.vector_length
@options.dropout
@options.lose
@options.lost_at
@options.corrupt
@options.level
@options.bits
@options.bound
@options.workers_of_clients
@options.threads
@options.seed
@options.sessions
@options.quiet
@options.output
@click.pass_obj
def command(
    argv: list[str],
    *,
    name: str,
    clients: int,
    length: int,
    dropout: Decimal,
    lose: Decimal | None,
    lost_at: str,
    corrupt: Decimal,
    level: str,
    bits: int | None,
    bound: int | None,
    workers: int | None,
    threads: int,
    seed: int,
    sessions: int,
    quiet: bool,
    target: output.Target,
) -> Exit:
    """Run whole rounds of synthetic integers, with clients that vanish, and check every sum.

    Whoever adds the vectors runs in this process, the clients in worker processes. Shows time,
    bytes, and the peak memory of this process, which holds the server and nothing of the clients.

    Ends with 0 if every sum is that of the inputs in it, with 1 if one is not, or a round is lost
    that the plan must survive, with 4 if a round was aborted because more vanished than planned,
    and with 3 if a worker process is lost.
    """
    if bits is not None and bound is not None:
        raise click.UsageError("--bits and --bound say the same: give one of them")
    settings = Settings(
        protocol=name,
        clients=clients,
        length=length,
        bound=bound or (1 << ((bits or BITS) - 1)) - 1,
        level=Level(level),
        corrupt=corrupt,
        dropout=dropout,
        lose=dropout if lose is None else lose,
        lost_at=lost_at,
        workers=max(1, kernels.usable_cpus() - 1) if workers is None else workers,
        threads=threads,
        seed=seed,
        sessions=sessions,
    )
    from secagg.runner.rounds import simulate

    began = machine.begin()
    with output.counting(clients, quiet) as show:

        def notify(session: int, message: str, count: int) -> None:
            where = f"session {session + 1} of {sessions}: " if sessions > 1 else ""
            show(where + STEPS.get(message, message), count)

        result = simulate(settings, notify)
    header = Header(
        **began.circumstances(argv),
        settings=settings,
        plan=result.plan,
        planned_dropouts=result.planned_dropouts,
        start_bytes=result.start_bytes,
    )
    output.write(_report(header, result), target)
    return verdict(result.rows)


def verdict(rows: Sequence[Row]) -> Exit:
    """How the command ends."""
    status = {row.status for row in rows}
    if WRONG in status:
        return Exit.FINDING
    return Exit.ABORTED if ABORTED in status else Exit.DONE


def _report(header: Header, result: Simulation) -> output.Report:
    return output.Report(
        document=Document(**asdict(header) | {"rows": result.rows}),
        lines=[header, *(Line(**asdict(row)) for row in result.rows)],
        columns=_columns(result.rows),
        rows=[_flat(row) for row in result.rows],
        title=_title(header.settings),
        notes=_notes(header),
    )


def _flat(row: Row) -> dict[str, Any]:
    peaks = row.worker_peak_bytes
    return (
        asdict(row)
        | {"workers_peak_bytes": max(peaks) if peaks else None}
        | dict(row.role_cpu_seconds.items())
    )


def _columns(rows: Sequence[Row]) -> list[output.Column]:
    roles = sorted({role for row in rows for role in row.role_cpu_seconds})
    approximate = not all(row.claims_exact for row in rows)
    column = output.Column
    return [
        column("session", "session", number=True, hidden=len(rows) == 1),
        column("status", "ended"),
        column("exact", "exact", output.yes),
        column("max_error", "max\nerror", number=True, hidden=not approximate),
        column("error_bound", "stated\nbound", number=True, hidden=not approximate),
        column("included", "in the\nsum", number=True),
        column("lost", "lost", number=True),
        column("lost_but_included", "lost but\nin the sum", number=True),
        column("wall_seconds", "wall", output.seconds, number=True),
        column("server_cpu_seconds", "server\nCPU", output.seconds, number=True),
        *(column(role, f"{role}\nCPU", output.seconds, number=True) for role in roles),
        column("client_cpu_seconds_median", "client CPU,\nmedian", output.seconds, number=True),
        column("client_cpu_seconds_max", "client CPU,\nmost", output.seconds, number=True),
        column("bytes_up", "up per\nclient", output.size, number=True),
        column("bytes_down", "down per\nclient", output.size, number=True),
        column("server_peak_bytes", "server's\npeak memory", output.size, number=True),
        column("server_growth_bytes", "of it since\nthe start", output.size, number=True),
        column("workers_peak_bytes", "largest\nworker", output.size, number=True),
        column("reason", "because", widest=44, hidden=all(row.status == DONE for row in rows)),
    ]


def _title(settings: Settings) -> str:
    where = "in all phases" if settings.lost_at == SPREAD else f"in phase {settings.lost_at}"
    level = "" if settings.level is Level.CURIOUS else f" level {settings.level},"
    return (
        f"{settings.protocol}:{level} {settings.clients} clients, {settings.length} integers up to"
        f" {settings.bound}, {settings.lost} of the clients lost {where}"
    )


def _notes(header: Header) -> list[str]:
    settings, here = header.settings, header.machine
    plan = ", ".join(f"{key} {value}" for key, value in header.plan.items())
    load = header.load
    clients = (
        f"the clients in {settings.workers} worker processes"
        if settings.workers > 1
        else "the clients in a worker process"
        if settings.workers
        else "the clients in the server's process, whose memory is therefore theirs too"
    )
    return [
        f"Plan: {plan}.",
        f"Kernels {here.kernel_level} ({here.kernel}), {settings.threads} thread"
        f"{'s' if settings.threads > 1 else ''} in each process; {clients}. Load"
        f" {load.before[0]:.2f} before and {load.after[0]:.2f} after, {here.cores} usable CPUs.",
        "Every sum is checked against the inputs, which are drawn once more and added up in the"
        " clear. CPU and bytes of a client are those of clients that finished; the start of"
        " workers, the check and the network are in no figure.",
    ]
