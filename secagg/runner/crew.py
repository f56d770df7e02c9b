"""Worker processes as their parent sees them: it starts them, asks them, and buries them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from secagg.errors import DecodeError, WorkerLost
from secagg.processes import Child
from secagg.runner.parcels import Broken, Port, Ready, Reply, Request
from secagg.wire import Frame

TIMEOUT_SECONDS: Final = 600.0
"""Without a word of a worker that was asked; a batch is at most one vector more than full."""

COMMAND: Final = ("-P", "-m", "secagg.runner.worker")
"""To the interpreter. -P: a module in the current folder is never taken for one of ours."""

_GRACE_SECONDS: Final = 5.0


class Worker(Child):
    """One worker process. Use it in a `with` block, which ends it.

    Attributes:
        timeout: seconds after which a silent worker is given up.
        asked: whether it owes a reply; the first comes unasked.

    Raises:
        WorkerLost: it could not be started.
    """

    def __init__(self, command: Sequence[str], timeout: float = TIMEOUT_SECONDS) -> None:
        try:
            # A group of its own: an interrupt from the terminal is the parent's to handle.
            super().__init__(command, timeout, process_group=0)
        except OSError as error:
            raise WorkerLost(f"no worker process could be started: {error}") from None
        self._port = Port(self._socket)
        self.timeout = timeout
        self.asked = True

    @classmethod
    def launch(cls) -> Worker:
        """Start a process of this installation."""
        return cls((sys.executable, *COMMAND))

    def fileno(self) -> int:
        """For selectors: readable when there is a reply, or when there will be none."""
        return self._port.fileno()

    def take_tails_of(self, largest: int) -> None:
        """From now on, take frames with tails of at most this many bytes."""
        self._port.largest = largest

    def ask(self, request: Request, tails: Sequence[memoryview] = ()) -> None:
        """A request; the reply must be heard before the next one.

        Raises:
            WorkerLost: the process takes no more requests.
        """
        try:
            self._port.send(request, tails)
        except OSError as error:
            raise self.lost(str(error)) from None
        self.asked = True

    def hear(self) -> tuple[Reply, list[Frame]]:
        """The reply, and the frames of its parcels.

        Raises:
            WorkerLost: it died, hung, spoke nonsense, or says that it cannot go on.
        """
        self.asked = False
        try:
            reply, frames = self._port.receive_reply()
        except (OSError, EOFError, DecodeError) as error:
            raise self.lost(str(error)) from None
        if isinstance(reply, Broken):
            raise self.lost(reply.reason)
        return reply, frames

    def lost(self, why: str) -> WorkerLost:
        """End the process; the error to raise, which says why and how it ended."""
        # It ends when it finds the channel closed, and how it ends says more than that it was
        # killed.
        self._port.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        self.close()
        status = self._process.returncode
        return WorkerLost(f"worker process {self.pid}: {why} (exit status {status})")


@contextmanager
def launched(count: int) -> Iterator[tuple[Worker, ...]]:
    """So many workers, all of them there; they end with the `with` block.

    Raises:
        WorkerLost: one did not come up.
    """
    with ExitStack() as stack:
        crew = tuple(stack.enter_context(Worker.launch()) for _ in range(count))
        for worker in crew:
            reply, _ = worker.hear()
            if not isinstance(reply, Ready):
                raise worker.lost(f"expected that it is there, got {type(reply).__name__}")
        yield crew
