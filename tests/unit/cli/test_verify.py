"""`secagg verify` in this process: its formats, and 200 records that were edited."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from unit.record.sessions import Recorded, forged

from secagg.cli import main, verify
from secagg.cli.exits import Exit
from secagg.crypto.rng import seeded

PLACES = 200


@cache
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "session.record"
    path.write_bytes(recorded().record)
    return path


def run(*words: object) -> Result:
    result = CliRunner().invoke(main, ["verify", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_the_table_says_what_everything_is_worth(record: Path) -> None:
    result = run(record)
    assert result.exit_code == Exit.DONE, result.stderr
    rows = [line for line in result.stdout.splitlines() if "  holds  " in line]
    assert len(rows) > 8
    assert all("consistent with this log" in row for row in rows)
    assert "not checkable" in result.stdout


def test_a_job_with_a_strange_name(record: Path) -> None:
    record.write_bytes(forged(recorded().lines, lambda fields: fields[0].update(job="\x1b[2Jx")))
    result = run(record)
    assert result.exit_code == Exit.FINDING
    assert "\x1b" not in result.stdout
    assert "of job \\x1b[2Jx" in result.stdout


def test_it_is_read_by_machines(record: Path) -> None:
    result = run(record, "--format", "json")
    document = msgspec.json.decode(result.stdout, type=verify.Document)
    assert document.holds
    assert document.lines == len(recorded().lines)
    assert document.outcome == "released"
    lines = run(record, "--format", "jsonl").stdout.splitlines()
    assert [msgspec.json.decode(line, type=verify.Row) for line in lines] == document.rows


def test_edited_in_200_places(record: Path) -> None:
    """Each time the line is named, or the one after, which holds its digest."""
    data, rng, codes = recorded().record, seeded(2026), set()
    edited: set[int] = set()
    while len(edited) < PLACES:
        place, value = int.from_bytes(rng.bytes(4), "big") % len(data), rng.bytes(1)[0]
        if data[place] == value or place in edited:
            continue
        edited.add(place)
        record.write_bytes(data[:place] + bytes([value]) + data[place + 1 :])
        result = run(record, "--format", "jsonl")
        codes.add(result.exit_code)
        number = data.count(b"\n", 0, place) + 1
        said = result.stdout if result.exit_code == Exit.FINDING else result.stderr
        named = {int(line) for line in re.findall(r"line (\d+), byte \d+", said)}
        assert named & {number, number + 1}, (place, said)
    assert codes == {Exit.FINDING, Exit.UNDECIDED}
