"""What code an enclave runs, as one digest that anybody with the same installation can compute.

Measured are the bytes of every module of this package that the enclave can reach by imports, of
the compiled module, of every code file of the third-party distributions below, the version of the
interpreter, and the launch settings. Not measured: the interpreter's own files, the standard
library, the C library and the kernel. A processor would measure these too.
"""

from __future__ import annotations

import ast
import hashlib
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from secagg.crypto.digest import digest
from secagg.crypto.merkle import merkle_root
from secagg.errors import UnavailableError

ENTRY: Final = "enclave/launch.py"
ROOTS: Final = (ENTRY, "enclave/child.py", "protocols/enclave.py")
DISTRIBUTIONS: Final = ("cffi", "cryptography", "msgspec", "numpy", "typing_extensions")
LAUNCH_FLAGS: Final = ("-I", "-S", "-B", "-X", "pycache_prefix=/nonexistent")


@dataclass(frozen=True)
class Measurement:
    """The parts of a measurement, by name, each with its SHA-256.

    Attributes:
        parts: modules by their path in the package, then "native", distributions and settings.
    """

    parts: tuple[tuple[str, bytes], ...]

    @property
    def value(self) -> bytes:
        """32 bytes over all parts: the root of a Merkle tree, so a part can be shown alone."""
        return merkle_root([digest("measured", name.encode(), part) for name, part in self.parts])


def measure(
    package: Path | None = None,
    native: Path | None = None,
    search: Sequence[str] | None = None,
) -> Measurement:
    """Measure an installation; by default the one that this code is part of.

    Args:
        package: the directory of the package.
        native: the compiled module.
        search: where the third-party distributions are; by default on `sys.path`.

    Raises:
        UnavailableError: a part is not there.
    """
    package = package or Path(__file__).parents[1]
    parts = [(path, _sha256(package / path)) for path in reachable_modules(package)]
    compiled = native or native_module()
    if compiled is not None:
        parts.append(("native", _sha256(compiled)))
    places = tuple(sys.path if search is None else search)
    parts += [
        (f"distribution {name}", _distribution_digest(name, places)) for name in DISTRIBUTIONS
    ]
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    settings = " ".join((interpreter, platform.machine(), *LAUNCH_FLAGS))
    parts.append(("settings", hashlib.sha256(settings.encode()).digest()))
    return Measurement(tuple(parts))


@lru_cache(maxsize=1)
def measure_installed() -> Measurement:
    """What `measure` says of this installation, computed once per process."""
    return measure()


def describe_measurement(measurement: Measurement | None = None) -> tuple[tuple[str, str], ...]:
    """The expected value, labelled, then its parts: what `secagg attest measure` prints."""
    found = measurement or measure()
    return (
        ("SIMULATED measurement", found.value.hex()),
        *((name, part.hex()) for name, part in found.parts),
    )


def reachable_modules(package: Path) -> tuple[str, ...]:
    """The modules that the enclave can import, as paths in the package, ascending.

    The package's own __init__ is not among them: the enclave does not run it.

    Raises:
        UnavailableError: a module is missing or cannot be parsed.
    """
    found: set[str] = set()
    pending = list(ROOTS)
    while pending:
        path = pending.pop()
        if path in found or path == "__init__.py":
            continue
        found.add(path)
        pending += _imported(package, path)
    return tuple(sorted(found))


def native_module() -> Path | None:
    """The compiled module of this installation, if it has one."""
    spec = find_spec("secagg._native")
    return None if spec is None or spec.origin is None else Path(spec.origin)


def distribution_files(name: str, places: Sequence[str]) -> Iterator[Path]:
    """The code files of a distribution, in a fixed order; none if it is not installed there."""
    found = next(iter(distributions(name=name, path=list(places))), None)
    for file in sorted(found.files or ()) if found is not None else ():
        if file.suffix in (".py", ".so") or ".so." in file.name:
            yield Path(str(file.locate()))


def _imported(package: Path, path: str) -> Iterator[str]:
    try:
        tree = ast.parse((package / path).read_bytes())
    except (OSError, SyntaxError) as error:
        raise UnavailableError(f"cannot measure {path}: {error}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield from _files_of(package, name)


def _files_of(package: Path, name: str) -> Iterator[str]:
    top, *inner = name.split(".")
    if top != package.name:
        return
    for depth in range(1, len(inner) + 1):
        place = "/".join(inner[:depth])
        for candidate in (f"{place}/__init__.py", f"{place}.py"):
            if (package / candidate).is_file():
                yield candidate


@lru_cache
def _distribution_digest(name: str, places: tuple[str, ...]) -> bytes:
    files = ((file.name, _sha256(file)) for file in distribution_files(name, places))
    return digest("distribution", *(name.encode() + content for name, content in files))


def _sha256(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise UnavailableError(f"cannot measure {path.name}: {error}") from None
