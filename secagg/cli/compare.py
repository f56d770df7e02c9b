"""`secagg compare`: one training under every protocol, and what each costs and promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import click
from msgspec.structs import asdict

from fl.results import (
    ABORTED,
    DEFAULT_DATA,
    DONE,
    NOT_OFFERED,
    REFUSED,
    UNAVAILABLE,
    WRONG,
    Average,
    Comparison,
    Isolation,
    Learned,
    Row,
    Settings,
)
from fl.workload import Source
from secagg import kernels, protocols
from secagg.cli import machine, options, output
from secagg.cli.exits import Exit
from secagg.cli.machine import Circumstances
from secagg.errors import ParameterError, UnavailableError
from secagg.protocol import Level

SCHEMA: Final = "secagg.compare/1"
ROW_SCHEMA: Final = "secagg.compare.row/1"


class Header(Circumstances, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """Everything but the rows: what was run, where, on what."""

    settings: Settings
    data: Source
    training: Learned


class Document(Header, frozen=True, kw_only=True):
    """The whole answer."""

    rows: list[Row]


class Line(Row, kw_only=True, tag_field="schema", tag=ROW_SCHEMA):
    """One row on its own."""


@click.command()
@options.dataset
@options.length
@options.chosen_protocols
@options.clients
@options.rounds
@options.dropout
@options.lose
@options.corrupt
@options.level
@options.seed
@options.splits
@options.workers
@options.quiet
@options.output
@click.pass_obj
def command(
    argv: list[str],
    *,
    data: str | None,
    length: int | None,
    names: tuple[str, ...],
    clients: int | None,
    rounds: int,
    dropout: Decimal,
    lose: Decimal | None,
    corrupt: Decimal,
    level: str,
    seed: int,
    splits: int | None,
    workers: int,
    quiet: bool,
    target: output.Target,
) -> Exit:
    """Train once and send the same updates through every protocol.

    Shows, for each: the metric after the last round and its difference from plain sums, the largest
    error of a mean against double precision, whether every mean has the exact bits, CPU time and
    bytes per round, the dropouts survived, and whom its users must trust.

    At --level malicious every protocol that offers it is shown at level curious as well, with what
    the difference costs; the others are shown as not offered, and so is one that is experimental at
    that level unless it is named.

    A round that a protocol aborts, or a plan that it refuses, is shown with the reason; the command
    then ends with 4.
    """
    from fl.compare import SPLITS, compare, steps

    if data is not None and length is not None:
        raise click.UsageError("--length is for random vectors: it goes without --data")
    settings = Settings(
        protocols=names or protocols.names(),
        experimental=bool(names),
        data=data or DEFAULT_DATA,
        length=length,
        clients=clients,
        rounds=rounds,
        seed=seed,
        splits=splits or (SPLITS.get(data or DEFAULT_DATA, 1)),
        level=Level(level),
        corrupt=corrupt,
        dropout=dropout,
        lose=dropout if lose is None else lose,
        workers=workers,
    )
    kernel = kernels.level()
    if not quiet:
        _announce(settings, kernel)
    began = machine.begin()
    with output.progress(steps(settings), quiet) as notify:
        result = compare(settings, notify)
    code = verdict(result.rows, asked=bool(names))
    header = Header(
        **began.circumstances(argv),
        settings=settings,
        data=result.data,
        training=result.training,
    )
    output.write(_report(header, result), target)
    return code


def markdown(document: Document) -> str:
    """The table of an earlier answer, as Markdown."""
    result = Comparison(data=document.data, training=document.training, rows=document.rows)
    return output.markdown(_report(document, result))


def verdict(rows: Sequence[Row], asked: bool) -> Exit:
    """How the command ends.

    Args:
        rows: of all protocols.
        asked: whether they were named; a protocol that nobody named may be unavailable.

    A protocol that does not offer the level has not failed: nothing was run that could.

    Raises:
        ParameterError: every protocol that could run refuses the plan, or does not offer the level.
        UnavailableError: none can run.
    """
    status = [row.status for row in rows]
    reasons = "\n".join(f"{row.protocol}: {row.reason}" for row in rows if row.reason)
    if all(state == UNAVAILABLE for state in status):
        raise UnavailableError(reasons)
    if all(state in (REFUSED, NOT_OFFERED, UNAVAILABLE) for state in status):
        raise ParameterError(f"no protocol takes this task\n{reasons}")
    if WRONG in status:
        return Exit.FINDING
    if asked and UNAVAILABLE in status:
        return Exit.UNDECIDED
    return Exit.ABORTED if {ABORTED, REFUSED} & set(status) else Exit.DONE


def _announce(settings: Settings, kernel: str) -> None:
    what = settings.data if settings.length is None else f"{settings.length} random numbers"
    level = "" if settings.level is Level.CURIOUS else f"level {settings.level}, "
    output.say(
        f"comparing {', '.join(settings.protocols)} on {what}: {level}"
        f"{_count(settings.rounds, 'round')}, {_count(settings.splits, 'split')}, kernels {kernel}"
    )
    if kernel == "reference":
        output.say(
            "warning: the Python reference runs instead of the native core; the sums are the same,"
            " the times say nothing (see secagg doctor)"
        )


def _report(header: Header, result: Comparison) -> output.Report:
    return output.Report(
        document=Document(**asdict(header) | {"rows": result.rows}),
        lines=[
            header,
            *(Line(**asdict(row)) for row in result.rows),
        ],
        columns=_columns(result),
        rows=[_flat(row) for row in result.rows],
        title=_title(header),
        notes=[*_notes(header, result.rows)],
    )


def _flat(row: Row) -> dict[str, Any]:
    return asdict(row) | {
        "client_cpu_seconds": _mean(row.client_cpu_seconds),
        "server_cpu_seconds": _mean(row.server_cpu_seconds),
        **{role: average.mean for role, average in row.role_cpu_seconds.items()},
        "trusts": row.trusts or None,
        "dropouts": row.survived_dropouts,
    }


def _columns(result: Comparison) -> list[output.Column]:
    metric = result.training.metric
    roles = sorted({role for row in result.rows for role in row.role_cpu_seconds})
    approximate = any(row.claims_exact is False for row in result.rows)
    eventful = any(row.status != DONE for row in result.rows)
    plainest = all(row.level is Level.CURIOUS for row in result.rows)
    column = output.Column
    return [
        column("protocol", "protocol"),
        column("level", "level", hidden=plainest),
        column("metric", metric or "metric", "{:.4f}".format, number=True, hidden=not metric),
        column("difference", "vs plain", _signed, number=True, hidden=not metric),
        column("max_error", "max\nerror", "{:.1e}".format, number=True),
        column(
            "error_bound", "stated\nbound", "{:.1e}".format, number=True, hidden=not approximate
        ),
        column("exact", "exact", output.yes),
        column("client_cpu_seconds", "client\nCPU", output.seconds, number=True),
        column("server_cpu_seconds", "server\nCPU", output.seconds, number=True),
        *(column(role, f"{role}\nCPU", output.seconds, number=True) for role in roles),
        column("bytes_up", "up per\nclient", output.size, number=True),
        column("bytes_down", "down per\nclient", output.size, number=True),
        column("expansion", "up over\nfloat32", "{:.2f}x".format, number=True),
        column("survived_dropouts", "dropouts\nsurvived", number=True),
        column("planned_dropouts", "dropouts\nplanned", number=True),
        column("trusts", "trusts", widest=34),
        column("status", "ended", hidden=not eventful),
        column("reason", "because", widest=44, hidden=not eventful),
    ]


def _title(header: Header) -> str:
    training, settings = header.training, header.settings
    splits = f", {settings.splits} splits" if settings.splits > 1 else ""
    level = "" if settings.level is Level.CURIOUS else f" level {settings.level},"
    return (
        f"{header.data.name}:{level} {_count(training.clients, 'client')},"
        f" {_count(settings.rounds, 'round')}{splits}, {training.length} parameters,"
        f" {_count(training.lost, 'client')} lost in every round"
    )


def _notes(header: Header, rows: Sequence[Row]) -> list[str]:
    notes = [*_costs(rows)]
    training = header.training
    if training.federated is not None:
        text = f"Averaging in double precision reaches {training.metric} {training.federated:.4f}"
        if training.pooled is not None:
            gap = training.federated - training.pooled
            text += f"; the pooled fit has {training.pooled:.4f}, a difference of {gap:+.4f}"
        seeds = header.settings.seeds
        if len(seeds) > 1:
            text += f" (means over {len(seeds)} splits, seeds {seeds[0]} to {seeds[-1]})"
        notes.append(text + ".")
    others = dict.fromkeys(
        row.protocol for row in rows if row.difference != row.difference_from_staying
    )
    if others:
        notes.append(
            f"{', '.join(others)}: a client that vanishes after its vector"
            " has arrived still counts, so the metric is that of other clients' updates than in a"
            ' sum over those that stay; "vs plain" compares with plain sums over the same clients.'
        )
    cut = {row.saturated for row in rows if row.saturated}
    if cut:
        notes.append(f"Warning: {max(cut)} coordinates lay beyond the codec's clip and were cut.")
    if header.settings.workers > 1:
        notes.append(
            f"What up to {header.settings.workers} worker processes did counts for the party that"
            " they did it for, their start for nobody."
        )
    notes.append(
        "CPU and bytes are means per round over the clients that finished. A client's CPU includes"
        " encoding its update, that of whoever releases the sum decoding the mean; making plans and"
        " the network are not in it."
    )
    return notes + [_isolation(row.protocol, row.isolation) for row in rows if row.isolation]


def _costs(rows: Sequence[Row]) -> Iterator[str]:
    """What each protocol's stronger level costs over `curious`."""
    weaker = {row.protocol: row for row in rows if row.level is Level.CURIOUS}
    for row in rows:
        other = weaker.get(row.protocol, row)
        if other is row or not (row.rounds_done and other.rounds_done):
            continue
        pairs = {
            "CPU of a client": (_mean(row.client_cpu_seconds), _mean(other.client_cpu_seconds)),
            "CPU of the server": (_mean(row.server_cpu_seconds), _mean(other.server_cpu_seconds)),
            "bytes up": (row.bytes_up, other.bytes_up),
            "bytes down": (row.bytes_down, other.bytes_down),
        }
        costs = [f"{what} {a / b:.2f}x" for what, (a, b) in pairs.items() if a and b]
        yield (
            f"{row.protocol}, level {row.level} over level {other.level}: {', '.join(costs)}."
            f" The row at {other.level} is there for this difference only."
        )


def _mean(average: Average | None) -> float | None:
    return None if average is None else average.mean


def _isolation(protocol: str, isolation: Isolation) -> str:
    """Where a protocol's isolated role ran, and what did not protect it there."""
    count = isolation.launches
    started = "once" if count == 1 else f"{count} times, each time but the first for a lost round"
    text = (
        f"{protocol}: {isolation.kind}, in a process of its own for all rounds, started {started}"
        f" ({output.seconds(isolation.launch_cpu_seconds)} of CPU, in no round's figures)."
        f" Safeguards of the process: {', '.join(isolation.held) or 'none'}."
    )
    if isolation.missing:
        text += f" It could not have: {'; '.join(isolation.missing)}."
    return text


def _signed(value: float) -> str:
    return "0" if value == 0 else f"{value:+.4f}" if abs(value) >= 5e-5 else f"{value:+.0e}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
