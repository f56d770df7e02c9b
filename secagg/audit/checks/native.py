"""Whether what runs here is the source that it claims to be, and whether that leaks by timing.

Both need a checkout (`--source`): an installation has neither the C sources nor their tests.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import secagg
from secagg.audit.registry import Check, Settings
from secagg.audit.subject import Subject
from secagg.audit.verdicts import Judgement, Severity, beside, failed, passed, undecided
from secagg.errors import CannotTell

NO_SOURCE: Final = "it needs a checkout of the source: --source DIR"
TOOLS: Final = ("cmake", "cc", "valgrind")
SECONDS: Final = 900


def _checkout(settings: Settings) -> Path:
    source = settings.source
    assert source is not None  # noqa: S101
    if not (source / "secagg" / "__init__.py").is_file():
        raise CannotTell(f"{source} is no checkout of this library: it has no secagg/__init__.py")
    return source


def _provenance(subject: Subject, settings: Settings) -> Judgement:
    if settings.source is None:
        return beside(NO_SOURCE)
    claimed, installed = _checkout(settings) / "secagg", Path(secagg.__file__).parent
    ours, theirs = _digests(installed), _digests(claimed)
    different = sorted(
        name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    )
    if different:
        return failed(f"{len(different)} modules are not those of the source: {different[0]}, ...")
    if installed.resolve() == claimed.resolve():
        return passed(f"{len(ours)} modules, run from the checkout itself")
    return passed(
        f"{len(ours)} modules, byte for byte; what the compiler made of the C source is not covered"
    )


def _digests(package: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(package)): hashlib.sha256(path.read_bytes()).digest()
        for path in package.rglob("*.py")
    }


def _constant_time(subject: Subject, settings: Settings) -> Judgement:
    if settings.source is None:
        return beside(NO_SOURCE)
    source = _checkout(settings)
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return undecided(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="secagg-audit-") as folder:
        _run(
            ("cmake", "-S", str(source), "-B", folder, "-DCMAKE_BUILD_TYPE=Release"),
            ("-DSECAGG_PYTHON=OFF", "-DSECAGG_TESTS=ON"),
        )
        _run(("cmake", "--build", folder, "--target", "secagg_ct"))
        program = Path(folder) / "secagg_ct"
        if not program.is_file():
            return undecided("the constant-time test was not built: valgrind's headers are needed")
        # Its twins that must be caught report to the log, which nobody needs.
        quiet = ("valgrind", "--quiet", "--tool=memcheck", f"--log-file={folder}/ct.log")
        done = _call((*quiet, str(program)))
    shown = done.stdout.strip().splitlines()
    if done.returncode:
        return failed(f"secagg_ct ended with {done.returncode}: {''.join(shown[-1:])}")
    return passed(f"no branch and no index on a secret, of {len(shown)} reports of secagg_ct")


def _run(*parts: Sequence[str]) -> None:
    command = [word for part in parts for word in part]
    done = _call(command)
    if done.returncode:
        last = done.stdout.strip().splitlines()[-1:]
        raise CannotTell(f"{command[0]} ended with {done.returncode}: {' '.join(last)}")


def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603
            command,
            text=True,
            check=False,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotTell(f"{command[0]}: {error}") from None


CHECKS: Final = (
    Check(
        id="native.provenance",
        claim="what runs here is the source that was given",
        method="every Python module of the installation compared byte for byte with the checkout",
        judge=_provenance,
        severity=Severity.HIGH,
        kinds=frozenset(("protocol",)),
        elsewhere="only this library's own code is compared",
    ),
    Check(
        id="native.constant-time",
        claim="no branch and no memory index of the C core depends on a secret",
        method="the core built as released, its secrets marked undefined, under valgrind",
        judge=_constant_time,
        severity=Severity.HIGH,
        kinds=frozenset(("protocol",)),
        elsewhere="only this library's own core is compiled",
    ),
)
