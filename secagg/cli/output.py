"""Results to a table, JSON, JSON lines, CSV or Markdown, on stdout or in a file.

A command makes one `Report`; every format shows it. Tables and Markdown round for people; JSON,
JSON lines and CSV carry the numbers as they are. Talk goes to stderr.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

import msgspec
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

FORMATS: Final = ("table", "json", "jsonl", "csv", "md")
UNLIMITED: Final = 10_000
"""The width of a table that goes into a file or a pipe: nothing is cut."""

NOTHING: Final = "-"


class Target(NamedTuple):
    """Which format, and where to: None is stdout."""

    format: str
    path: Path | None

    @classmethod
    def of(cls, format_: str | None, path: Path | None) -> Target:
        """Without a format the file's suffix tells, else it is a table."""
        suffix = path.suffix[1:] if path is not None else ""
        return cls(format_ or (suffix if suffix in FORMATS else "table"), path)


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        key: its name in CSV, and where a row keeps the value.
        heading: for people; may have two lines.
        show: a value for people; None is never passed.
        number: right-aligned, never wrapped.
        widest: where text wraps.
        hidden: whether it is left to CSV.
    """

    key: str
    heading: str
    show: Callable[[Any], str] = str
    number: bool = False
    widest: int | None = None
    hidden: bool = False

    def text(self, row: Mapping[str, Any]) -> str:
        """The cell."""
        value = row.get(self.key)
        return NOTHING if value is None else self.show(value)


@dataclass(frozen=True)
class Report:
    """What a command has to say.

    Attributes:
        document: all of it, for JSON.
        lines: the same in pieces, for JSON lines.
        columns: of the table.
        rows: raw values by column key.
        title: above the table.
        notes: below it.
    """

    document: msgspec.Struct
    lines: Sequence[msgspec.Struct]
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    title: str = ""
    notes: Sequence[str] = ()


def write(report: Report, target: Target) -> None:
    """Write the report where it belongs, whole."""
    text = _render(report, target)
    if target.path is not None:
        target.path.write_text(text, encoding="utf-8")
        say(f"written to {target.path}")
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone, as `head` does. Nothing more can be said there, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _render(report: Report, target: Target) -> str:
    if target.format == "table":
        return _table(report, sys.stdout if target.path is None else io.StringIO())
    return _WRITERS[target.format](report)


def _json(report: Report) -> str:
    return msgspec.json.format(msgspec.json.encode(report.document), indent=2).decode() + "\n"


def _json_lines(report: Report) -> str:
    return msgspec.json.Encoder().encode_lines(report.lines).decode()


def _csv(report: Report) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.key for column in report.columns])
    for row in report.rows:
        writer.writerow([row.get(column.key) for column in report.columns])
    return text.getvalue()


def markdown(report: Report) -> str:
    """The report as a Markdown table with its title and notes."""
    shown = [column for column in report.columns if not column.hidden]
    lines = [
        _markdown_line(column.heading.replace("\n", " ") for column in shown),
        _markdown_line("---:" if column.number else "---" for column in shown),
        *(_markdown_line(column.text(row) for column in shown) for row in report.rows),
    ]
    title = [report.title, ""] if report.title else []
    notes = [line for note in report.notes for line in ("", note)]
    return "\n".join([*title, *lines, *notes]) + "\n"


def _markdown_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_WRITERS: Final[Mapping[str, Callable[[Report], str]]] = {
    "json": _json,
    "jsonl": _json_lines,
    "csv": _csv,
    "md": markdown,
}


def _table(report: Report, file: TextIO) -> str:
    console = _console(file)
    unlimited = console.options.update(width=UNLIMITED)
    tables = [_upright(report), _on_its_side(report)]
    widths = [console.measure(table, options=unlimited).maximum for table in tables]
    table = tables[widths[0] > console.width and widths[1] < widths[0]]
    with console.capture() as captured:
        if report.title:
            console.print(Text(report.title, style="bold"))
        console.print(table)
        for note in report.notes:
            console.print(Text(note))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _upright(report: Report) -> Table:
    """A line for each row."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown = [column for column in report.columns if not column.hidden]
    for column in shown:
        table.add_column(
            Text(column.heading),
            justify="right" if column.number else "left",
            no_wrap=column.number,
            max_width=column.widest,
        )
    for row in report.rows:
        table.add_row(*(Text(column.text(row)) for column in shown))
    return table


def _on_its_side(report: Report) -> Table:
    """A column for each row, for narrow terminals; the first column of the report heads them."""
    shown = [column for column in report.columns if not column.hidden]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(Text(shown[0].heading.replace("\n", " ")))
    for row in report.rows:
        table.add_column(Text(shown[0].text(row)), overflow="fold")
    for column in shown[1:]:
        heading = Text(column.heading.replace("\n", " "))
        table.add_row(heading, *(Text(column.text(row)) for row in report.rows))
    return table


def _console(file: TextIO) -> Console:
    """Rich picks colours and width for a terminal; a file gets plain text of any width."""
    plain = bool(os.environ.get("NO_COLOR"))
    console = Console(file=file, highlight=False, color_system=None if plain else "auto")
    if not console.is_terminal:
        console.width = UNLIMITED
    return console


def say(text: str) -> None:
    """One line of talk."""
    _console(sys.stderr).print(Text(text), soft_wrap=True)


@contextmanager
def progress(steps: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A bar on stderr, if that is a terminal; call the result before every step."""
    with _bar(quiet) as bar:
        task = bar.add_task("starting", total=steps)
        before = 0

        def notify(text: str) -> None:
            nonlocal before
            bar.update(task, completed=before, description=text)
            before += 1

        yield notify


@contextmanager
def counting(total: int, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """A bar on stderr, if that is a terminal, that anew counts up to the total for every text."""
    with _bar(quiet) as bar:
        task = bar.add_task("starting", total=total)

        def notify(text: str, count: int) -> None:
            bar.update(task, completed=count, description=text)

        yield notify


def _bar(quiet: bool) -> Progress:
    console = _console(sys.stderr)
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )


def percent(fraction: float) -> str:
    """0.3 as 30%."""
    return f"{100 * fraction:g}%"


def seconds(value: float) -> str:
    """With the unit that suits."""
    if value < 1e-3:
        return f"{value * 1e6:.0f} µs"
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"


def size(value: float) -> str:
    """Bytes, in powers of 1000."""
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def yes(value: bool) -> str:
    """In words."""
    return "yes" if value else "NO"
