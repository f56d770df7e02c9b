"""`secagg doctor`: what this machine can run, and how to get what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click
import msgspec

from secagg import kernels, protocols
from secagg.cli import machine, options, output
from secagg.cli.exits import Exit
from secagg.cli.machine import Build, Machine, Requirement
from secagg.errors import SecaggError, UnavailableError

SCHEMA: Final = "secagg.doctor/1"
CHECK_SCHEMA: Final = "secagg.doctor.check/1"

OK: Final = "ok"
MISSING: Final = "missing"
"""Optional, and not there."""
BROKEN: Final = "broken"
"""The native core or something else that is needed: results are slow or impossible."""


class Check(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=CHECK_SCHEMA):
    """One finding.

    Attributes:
        area: what it is about.
        name: of the thing.
        state: ok, missing (optional) or broken.
        detail: what was found.
        remedy: what to do, if anything.
    """

    area: str
    name: str
    state: str
    detail: str
    remedy: str | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """The whole answer."""

    secagg: Build
    machine: Machine
    load: tuple[float, float, float]
    versions: dict[str, str]
    started: str
    argv: list[str]
    checks: list[Check]


@click.command()
@options.output
@click.pass_obj
def command(argv: list[str], *, target: output.Target) -> Exit:
    """Say what runs here: the native core and its levels, packages, protocols, data sets.

    Ends with 3 if the native core cannot be used or a needed package is missing; what is optional
    never changes the exit code.
    """
    here, build = machine.machine(), machine.build()
    needed = machine.requirements()
    checks = [
        *_system(here),
        *_native_core(here),
        *_packages(needed),
        *_protocols(),
        *_enclave(),
        *_data_sets(),
    ]
    report = output.Report(
        document=Document(
            secagg=build,
            machine=here,
            load=machine.load(),
            versions=machine.versions(needed),
            started=machine.now(),
            argv=["secagg", *argv],
            checks=checks,
        ),
        lines=checks,
        columns=_columns(),
        rows=[_flat(check) for check in checks],
        title=f"secagg {build.version}" + (f", commit {build.commit[:12]}" if build.commit else ""),
        notes=_notes(checks),
    )
    output.write(report, target)
    return Exit.UNDECIDED if any(check.state == BROKEN for check in checks) else Exit.DONE


def _system(here: Machine) -> Iterator[Check]:
    yield Check(area="system", name="python", state=OK, detail=here.python)
    yield Check(area="system", name="platform", state=OK, detail=here.platform)
    memory = "" if here.memory_bytes is None else f", {output.size(here.memory_bytes)} of memory"
    yield Check(
        area="system",
        name="cpu",
        state=OK,
        detail=f"{here.cpu}: {', '.join(here.cpu_flags) or 'no known flags'};"
        f" {here.cores} cores{memory}",
    )


def _native_core(here: Machine) -> Iterator[Check]:
    missing = kernels.native_missing()
    yield Check(
        area="kernels",
        name="native core",
        state=OK if missing is None else BROKEN,
        detail="imported" if missing is None else f"THE PYTHON REFERENCE IS IN USE: {missing}",
        remedy=None if missing is None else "pip install . in a checkout builds it",
    )
    usable = ", ".join(kernels.levels())
    forced = os.environ.get("SECAGG_CPU")
    try:
        chosen = f"{kernels.level()} ({kernels.mask_level()})"
    except UnavailableError as error:
        yield Check(
            area="kernels", name="level", state=BROKEN, detail=str(error), remedy="unset SECAGG_CPU"
        )
        return
    how = f"forced by SECAGG_CPU={forced}" if forced else "the fastest usable"
    yield Check(
        area="kernels",
        name="level",
        state=OK,
        detail=f"{chosen}, {how}; usable: {usable}",
    )


def _packages(needed: Sequence[Requirement]) -> Iterator[Check]:
    for package in needed:
        optional = package.extra is not None
        if package.installed is not None:
            state, detail, remedy = OK, package.installed, None
        else:
            state = MISSING if optional else BROKEN
            detail = f"not installed, {package.wanted or 'any version'} is wanted"
            remedy = f"pip install 'secagg[{package.extra}]'" if optional else "pip install secagg"
        area = f"extra {package.extra}" if optional else "packages"
        yield Check(area=area, name=package.name, state=state, detail=detail, remedy=remedy)


def _protocols() -> Iterator[Check]:
    for name in protocols.names():
        try:
            protocol = protocols.get(name)
        except UnavailableError as error:
            yield Check(
                area="protocols", name=name, state=MISSING, detail="not usable", remedy=str(error)
            )
        else:
            yield Check(area="protocols", name=name, state=OK, detail=protocol.title)


def _enclave() -> Iterator[Check]:
    from secagg.runner.isolation import EnclaveHost

    area = "enclave (SIMULATED)"
    try:
        with EnclaveHost.launch() as host:
            safeguards = host.ready.safeguards
    except UnavailableError as error:
        yield Check(area=area, name="process", state=MISSING, detail=str(error))
        return
    for safeguard in safeguards:
        state = OK if safeguard.held else MISSING
        yield Check(area=area, name=safeguard.name, state=state, detail=safeguard.details)


def _data_sets() -> Iterator[Check]:
    from fl import data

    for name in data.NAMES:
        try:
            federation = data.load(name)
        except UnavailableError as error:
            yield Check(area="data", name=name, state=MISSING, detail="not here", remedy=str(error))
        except SecaggError as error:
            yield Check(area="data", name=name, state=MISSING, detail=f"damaged: {error}")
        else:
            rows = sum(len(part) for part in federation.clients) + len(federation.test)
            detail = f"{rows} rows, sha256 {federation.checksum[:12]}"
            yield Check(area="data", name=name, state=OK, detail=detail)


def _flat(check: Check) -> dict[str, Any]:
    return msgspec.structs.asdict(check)


def _columns() -> list[output.Column]:
    column = output.Column
    return [
        column("area", "area"),
        column("name", "what"),
        column("state", "state"),
        column("detail", "found", widest=76),
        column("remedy", "to do", widest=60),
    ]


def _notes(checks: Sequence[Check]) -> list[str]:
    broken = [check.name for check in checks if check.state == BROKEN]
    if broken:
        return [f"BROKEN: {', '.join(broken)}"]
    missing = [check.name for check in checks if check.state == MISSING]
    return [f"Optional and not there: {', '.join(missing)}"] if missing else ["Nothing is missing."]
