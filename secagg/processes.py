"""Processes that this one starts: how they begin, with a socket as their way to talk, and end.

What is said on the socket is each user's own: `secagg.he.channel`, `secagg.enclave.channel`,
`secagg.runner.parcels`.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from types import TracebackType
from typing import Self

from secagg.attestation.measurement import native_module


class Child:
    """A process with one end of a socket pair as its standard input. A `with` block ends it.

    Args:
        command: what to start.
        timeout: seconds that one read or write on this end may take.
        env, cwd, stderr, process_group: as `subprocess.Popen` has them.

    Attributes:
        pid: of the process.

    Raises:
        OSError: it could not be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        timeout: float,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stderr: int | None = None,
        process_group: int | None = None,
    ) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(timeout)
        with theirs:
            try:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    env=env,
                    cwd=cwd,
                    process_group=process_group,
                )
            except OSError:
                ours.close()
                raise
        self._socket = ours
        self.pid = self._process.pid

    def close(self) -> None:
        """Hang up, end the process whatever it does, and reap it."""
        self._socket.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def launching(
    entry: str, flags: Sequence[str], names: Iterable[str], package: Path | None = None
) -> list[str]:
    """The command for a process that sees this package and some distributions, and no others.

    Args:
        entry: the first file that it runs, in the package; its arguments are the package's
            directory, the compiled module or "", and where the distributions are.
        flags: of the interpreter, which is the one that runs this.
        names: of the distributions; one that is not installed is left out.
        package: the directory of a copy of the package; by default of this one.
    """
    source, native = package or Path(__file__).parent, native_module()
    found = (next(iter(distributions(name=name)), None) for name in names)
    places = {str(one.locate_file("")) for one in found if one is not None}
    return [
        *(sys.executable, *flags, str(source / entry)),
        *(str(source), "" if native is None else str(native), *sorted(places)),
    ]
