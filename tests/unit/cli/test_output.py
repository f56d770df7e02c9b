from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from secagg.cli import output
from secagg.cli.output import Column, Report, Target


class Document(msgspec.Struct):
    value: float


REPORT = Report(
    document=Document(0.5),
    lines=[Document(0.5), Document(1.5)],
    columns=[
        Column("name", "who"),
        Column("value", "how\nmuch", "{:.1f}".format, number=True),
        Column("secret", "unseen", hidden=True),
    ],
    rows=[
        {"name": "a|b", "value": 1 / 3, "secret": 1},
        {"name": "[red]c", "value": None, "secret": 2},
    ],
    title="Title",
    notes=["First [note].", "Second."],
)


@pytest.fixture(autouse=True)
def _no_preferences(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)


def shown(format_: str, capsys: pytest.CaptureFixture[str]) -> str:
    output.write(REPORT, Target(format_, None))
    captured = capsys.readouterr()
    assert not captured.err
    return captured.out


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown("table", capsys).splitlines()
    assert lines[0] == "Title"
    assert lines[-2:] == ["First [note].", "Second."]
    assert [line.split() for line in lines[4:6]] == [["a|b", "0.3"], ["[red]c", "-"]]


def test_json_and_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert msgspec.json.decode(shown("json", capsys)) == {"value": 0.5}
    assert shown("jsonl", capsys).splitlines() == ['{"value":0.5}', '{"value":1.5}']


def test_csv_has_every_column_unrounded(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.reader(io.StringIO(shown("csv", capsys))))
    assert rows == [["name", "value", "secret"], ["a|b", repr(1 / 3), "1"], ["[red]c", "", "2"]]


def test_markdown_escapes_bars(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown("md", capsys).splitlines()
    assert lines[:5] == ["Title", "", "| who | how much |", "| --- | ---: |", "| a\\|b | 0.3 |"]


def test_a_narrow_terminal_turns_the_table_if_that_helps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_words(report: Report, width: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        output.write(report, Target("table", None))
        return [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()]

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    wide = Report(
        document=Document(0.5),
        lines=[],
        columns=[Column(key, f"heading {key}") for key in "abcdef"],
        rows=[dict.fromkeys("abcdef", 1)],
    )
    assert first_words(wide, 80)[2:] == ["1"]
    assert first_words(wide, 40)[2:] == ["heading"] * 5
    # Turned, this one would be wider still.
    assert first_words(REPORT, 12)[1] == "how"


def test_colour_only_where_it_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in shown("table", capsys)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1m" in shown("table", capsys)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown("table", capsys)


@pytest.mark.parametrize("format_", output.FORMATS)
def test_a_file_gets_what_stdout_would(
    format_: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = shown(format_, capsys)
    path = tmp_path / "out"
    output.write(REPORT, Target(format_, path))
    assert path.read_text(encoding="utf-8") == expected
    captured = capsys.readouterr()
    assert not captured.out
    assert str(path) in captured.err


def test_a_reader_that_leaves_is_no_error() -> None:
    script = (
        "import os, sys\n"
        "from secagg.cli import main\n"
        "reader, writer = os.pipe(); os.close(reader); os.dup2(writer, 1); os.close(writer)\n"
        "main(['protocols'])\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_progress_counts_the_steps_before_this_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with output.progress(2, quiet=False) as notify:
        notify("one")
        notify("two")
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with output.progress(2, quiet=False) as notify:
        notify("one")
        notify("two")
    captured = capsys.readouterr()
    assert not captured.out
    assert "1/2" in captured.err
    assert "two" in captured.err


def test_counting_begins_anew_with_every_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with output.counting(7, quiet=False) as notify:
        notify("keys", 7)
        notify("shares", 3)
    captured = capsys.readouterr()
    assert not captured.out
    assert "3/7" in captured.err
    assert "shares" in captured.err
    with output.counting(7, quiet=True) as notify:
        notify("keys", 1)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (16_900, "16.9 kB"), (2.5e6, "2.5 MB"), (3.1e12, "3100.0 GB")],
)
def test_sizes(value: float, text: str) -> None:
    assert output.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.2e-4, "120 µs"), (0.0123, "12.3 ms"), (2.0, "2.00 s")]
)
def test_seconds(value: float, text: str) -> None:
    assert output.seconds(value) == text
