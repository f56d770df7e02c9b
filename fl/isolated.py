"""The process in which a protocol's isolated role lives during a comparison."""

from __future__ import annotations

from contextlib import ExitStack

from fl.results import Isolation
from secagg.runner import EnclaveHost


class IsolatedRole:
    """One process for all rounds. If it dies the round in it is lost, and the next starts another.

    Args:
        stack: its end is the end of the process.

    Raises:
        UnavailableError: the process does not start.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._launch_cpu_seconds: list[float] = []
        self._host = self._launch()

    @property
    def host(self) -> EnclaveHost:
        """A process that can serve a session.

        Raises:
            UnavailableError: it is gone, and another does not start.
        """
        if not self._host.alive:
            self._host = self._launch()
        return self._host

    @property
    def description(self) -> Isolation:
        """What it says of itself."""
        kind, *_ = self._host.status
        safeguards = self._host.ready.safeguards
        return Isolation(
            kind=kind,
            launches=len(self._launch_cpu_seconds),
            launch_cpu_seconds=sum(self._launch_cpu_seconds) / len(self._launch_cpu_seconds),
            held=[guard.name for guard in safeguards if guard.held],
            missing=[str(guard) for guard in safeguards if not guard.held],
        )

    def _launch(self) -> EnclaveHost:
        host = self._stack.enter_context(EnclaveHost.launch())
        self._launch_cpu_seconds.append(host.cpu_seconds)
        return host
