"""Where a result was measured: the machine, its load, the versions, the commit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from secagg import kernels
from secagg.errors import UnavailableError

PACKAGE: Final = "secagg"
INTERESTING_FLAGS: Final = ("aes", "vaes", "pclmulqdq", "avx2", "avx512f", "asimd", "sha2")
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9._-]+)([^;]*)(?:;.*extra == ['\"]([^'\"]+)['\"])?")


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """Which secagg.

    Attributes:
        version: of the package.
        commit: of the checkout it runs from, if it does, with "+changes" if files differ.
    """

    version: str
    commit: str | None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it ran.

    Attributes:
        platform: the operating system with its kernel.
        cpu: the model.
        cpu_flags: those that matter here.
        cores: usable by this process.
        memory_bytes: of the machine, if known.
        python: the version.
        kernel_level: of the native core, or None if none can run.
        kernel: the same in words.
        kernel_forced: whether SECAGG_CPU chose it.
    """

    platform: str
    cpu: str
    cpu_flags: list[str]
    cores: int
    memory_bytes: int | None
    python: str
    kernel_level: str | None
    kernel: str | None
    kernel_forced: bool


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """A package that secagg can use.

    Attributes:
        name: of the package.
        wanted: which versions.
        extra: of secagg that asks for it; None if it is always needed.
        installed: the version, or None.
    """

    name: str
    wanted: str
    extra: str | None
    installed: str | None


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The load averages over 1, 5 and 15 minutes, before and after a measurement."""

    before: tuple[float, float, float]
    after: tuple[float, float, float]


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer with measurements says before anything else: what ran, where and when.

    Attributes:
        started: the time in UTC.
        argv: the command.
    """

    secagg: Build
    machine: Machine
    load: Load
    versions: dict[str, str]
    started: str
    argv: list[str]


class Beginning(NamedTuple):
    """Of a measurement: the time in UTC and the load then."""

    started: str
    load: tuple[float, float, float]

    def circumstances(self, argv: Sequence[str]) -> dict[str, Any]:
        """The fields of `Circumstances`, now that it is over."""
        return msgspec.structs.asdict(
            Circumstances(
                secagg=build(),
                machine=machine(),
                load=Load(before=self.load, after=load()),
                versions=versions(),
                started=self.started,
                argv=["secagg", *argv],
            )
        )


def begin() -> Beginning:
    """Before a measurement."""
    return Beginning(now(), load())


def build() -> Build:
    """Which secagg this is."""
    return Build(version=metadata.version(PACKAGE), commit=_commit(Path(__file__).parents[2]))


def machine() -> Machine:
    """Where this is."""
    level: str | None = None
    words: str | None = None
    with suppress(UnavailableError):
        level, words = kernels.level(), kernels.mask_level()
    return Machine(
        platform=platform.platform(),
        cpu=_cpu_model(),
        cpu_flags=cpu_flags(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=_memory(),
        python=platform.python_version(),
        kernel_level=level,
        kernel=words,
        kernel_forced=bool(os.environ.get("SECAGG_CPU")),
    )


def requirements() -> list[Requirement]:
    """Everything that the package's metadata names."""
    found = []
    for line in metadata.requires(PACKAGE) or []:
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        name, wanted, extra = match.groups()
        found.append(
            Requirement(name=name, wanted=wanted.strip(), extra=extra, installed=_installed(name))
        )
    return found


def versions(needed: Sequence[Requirement] | None = None) -> dict[str, str]:
    """The installed packages among the requirements."""
    chosen = requirements() if needed is None else needed
    return {r.name: r.installed for r in chosen if r.installed is not None}


def load() -> tuple[float, float, float]:
    """The load averages now."""
    return os.getloadavg()


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def cpu_flags() -> list[str]:
    """The CPU's features that matter for masks."""
    for line in _lines("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            present = set(value.split())
            return [flag for flag in INTERESTING_FLAGS if flag in present]
    return []


def _cpu_model() -> str:
    for line in _lines("/proc/cpuinfo"):
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit(root: Path) -> str | None:
    """The commit of a checkout whose top is `root`."""
    if not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return None
    return commit + ("+changes" if _git(root, "status", "--porcelain") else "")


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), *words],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
