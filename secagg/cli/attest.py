"""`secagg attest`: what an enclave of this installation must measure. SIMULATED."""

from __future__ import annotations

from typing import Any, Final

import click
import msgspec

from secagg.attestation import describe_measurement
from secagg.cli import machine, options, output
from secagg.cli.exits import Exit
from secagg.cli.machine import Build

SCHEMA: Final = "secagg.attest.measure/1"
ROW_SCHEMA: Final = "secagg.attest.measure.row/1"


class Row(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=ROW_SCHEMA):
    """A part of the measurement; the first row is the value over all parts.

    Attributes:
        part: its name.
        sha256: in hexadecimal.
    """

    part: str
    sha256: str


class Document(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The whole answer; `evidence` says that no hardware stands behind it."""

    secagg: Build
    started: str
    argv: list[str]
    evidence: str
    measurement: str
    rows: list[Row]


@click.group()
def command() -> None:
    """Evidence about enclaves. SIMULATED: no hardware stands behind it."""


@command.command()
@options.output
@click.pass_obj
def measure(argv: list[str], *, target: output.Target) -> Exit:
    """Print the measurement that clients of this installation expect of an enclave.

    One byte of any module that the enclave can load changes it.
    """
    rows = [Row(part=name, sha256=value) for name, value in describe_measurement()]
    document = Document(
        secagg=machine.build(),
        started=machine.now(),
        argv=["secagg", *argv],
        evidence="SIMULATED",
        measurement=rows[0].sha256,
        rows=rows,
    )
    flat: list[dict[str, Any]] = [{"part": row.part, "sha256": row.sha256} for row in rows]
    report = output.Report(
        document=document,
        lines=rows,
        columns=[output.Column("part", "part"), output.Column("sha256", "SHA-256")],
        rows=flat,
        notes=["SIMULATED: no hardware stands behind it."],
    )
    output.write(report, target)
    return Exit.DONE
