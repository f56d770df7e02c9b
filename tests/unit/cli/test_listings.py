"""`secagg protocols` and `secagg doctor`."""

from __future__ import annotations

import csv
import io
from importlib import metadata

import msgspec
import pytest
from unit.cli.conftest import Invoke

from secagg import kernels, protocols
from secagg.cli import doctor, output
from secagg.cli import protocols as listing
from secagg.cli.exits import Exit
from secagg.errors import UnavailableError
from secagg.protocol import Level, Protocol

EXPECTED = [
    (name, str(level)) for name in protocols.names() for level in protocols.get(name).levels
]


def test_every_protocol_is_listed_at_every_level(invoke: Invoke) -> None:
    result = invoke("protocols", "--format", "json")
    assert result.exit_code == Exit.DONE
    document = msgspec.json.decode(result.stdout, type=listing.Document)
    assert msgspec.json.decode(result.stdout)["schema"] == "secagg.protocols/1"
    assert [(row.protocol, row.level) for row in document.rows] == EXPECTED
    for row in document.rows:
        protocol = protocols.get(row.protocol)
        assert row.title == protocol.title
        assert row.traffic == protocol.at(Level(row.level or "")).traffic_formula
        assert row.client_messages
        assert row.adversary is not None
        assert row.unavailable is None


@pytest.mark.parametrize("format_", output.FORMATS)
def test_every_format_names_every_protocol(invoke: Invoke, format_: str) -> None:
    result = invoke("protocols", "--format", format_)
    assert result.exit_code == Exit.DONE
    assert not result.stderr
    for name, _ in EXPECTED:
        assert name in result.stdout
    if format_ == "jsonl":
        rows = [msgspec.json.decode(line) for line in result.stdout.splitlines()]
        assert {row["schema"] for row in rows} == {"secagg.protocols.row/1"}
    if format_ == "csv":
        table = list(csv.DictReader(io.StringIO(result.stdout)))
        assert [(row["protocol"], row["level"]) for row in table] == EXPECTED


def hide(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    before = protocols.get

    def get(name: str) -> Protocol:
        if name == hidden:
            raise UnavailableError("it needs gold: pip install gold")
        return before(name)

    monkeypatch.setattr(protocols, "get", get)


def test_an_unavailable_protocol_is_listed_with_its_remedy(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "secagg")
    result = invoke("protocols")
    assert result.exit_code == Exit.DONE
    assert "pip install gold" in result.stdout
    assert invoke("protocols", "--protocol", "secagg").exit_code == Exit.UNDECIDED
    assert "pip install gold" in invoke("doctor").stdout


@pytest.mark.parametrize("format_", output.FORMATS)
def test_doctor_in_every_format(invoke: Invoke, format_: str) -> None:
    result = invoke("doctor", "--format", format_)
    assert result.exit_code == Exit.DONE
    for what in ("native core", "numpy", "torch", "secagg_plus", "digits"):
        assert what in result.stdout
    if format_ == "json":
        document = msgspec.json.decode(result.stdout, type=doctor.Document)
        assert document.machine.kernel_level == kernels.level()
        states = {check.name: check.state for check in document.checks}
        assert states["native core"] == states["opt"] == doctor.OK


def test_doctor_is_loud_about_the_reference(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "native_missing", lambda: "no such module")
    result = invoke("doctor")
    assert result.exit_code == Exit.UNDECIDED
    assert "PYTHON REFERENCE IS IN USE" in result.stdout
    assert "BROKEN: native core" in result.stdout


def test_doctor_names_a_level_that_cannot_run(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise UnavailableError("kernel level 'armv8' is not available")

    monkeypatch.setattr(kernels, "level", fail)
    result = invoke("doctor")
    assert result.exit_code == Exit.UNDECIDED
    assert "unset SECAGG_CPU" in result.stdout


def test_doctor_says_how_to_get_what_is_missing(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECAGG_FASHION_MNIST", "/nonexistent")
    lines = ["numpy>=2", 'absent-thing>=3; extra == "he"']
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    result = invoke("doctor")
    assert result.exit_code == Exit.DONE
    assert "pip install 'secagg[he]'" in result.stdout
    assert "dataset-fashion-mnist" in result.stdout
    monkeypatch.setattr(metadata, "requires", lambda _: ["absent-thing>=3"])
    assert invoke("doctor").exit_code == Exit.UNDECIDED
