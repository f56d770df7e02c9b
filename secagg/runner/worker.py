"""A worker process: some clients of a simulation, driven as everywhere, until the parent hangs up.

    python -m secagg.runner.worker        with one end of a socket pair as standard input

It ends when its parent does: its next word finds the channel closed.
"""

from __future__ import annotations

import socket
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NoReturn

from secagg import kernels
from secagg.errors import DecodeError, SecaggError
from secagg.runner import parcels, resident
from secagg.runner.outcome import PartyReport
from secagg.runner.parcels import (
    Account,
    Accounts,
    Batch,
    Begin,
    Broken,
    Outbox,
    Port,
    Ready,
    Reply,
    Work,
)
from secagg.runner.recipe import Staging, SyntheticInputs
from secagg.runner.simulation import Driver
from secagg.types import PartyId
from secagg.wire import Frame

EXIT_CHANNEL: Final = 71
EXIT_BROKEN: Final = 70


class Clients:
    """The clients of one round that live here.

    Raises:
        DecodeError: the recipe leads to another session here: the two processes run different code.
        ParameterError: the protocol refuses the task.
        UnavailableError: the protocol or the kernel level is not usable here.
    """

    def __init__(self, begin: Begin) -> None:
        kernels.select_level(begin.kernels)
        self._threads = begin.threads
        staging = Staging(begin.recipe)
        if staging.session.id != begin.session:
            raise DecodeError("the recipe leads to another session here than at the other side")
        clients = staging.plan.task.clients[begin.first :: begin.stride]
        self.largest = staging.largest_message
        self._inputs: SyntheticInputs = staging.inputs(clients)
        self._outbox = Outbox()
        self._driver = Driver(
            staging.seats(clients),
            self._inputs,
            elsewhere=self._outbox.add,
            beacon=staging.beacon,
            late=True,
        )

    def work(self, work: Work, frames: Sequence[Frame]) -> tuple[Batch, list[memoryview]]:
        """Deliver, go on until a batch is full, and hand it over.

        Raises:
            LocalProtocolError: a frame for somebody who does not live here.
        """
        for parcel, frame in zip(work.parcels, frames, strict=True):
            self._driver.deliver(parcel.sender, parcel.recipient, frame)
        if work.expire:
            self._driver.expire(self._driver.waiting)
        with kernels.using_threads(self._threads):
            while self._outbox.size < parcels.BATCH_BYTES and self._driver.step():
                pass
        batch, tails = self._outbox.batch()
        busy = bool(self._outbox) or self._driver.busy
        waiting = not busy and bool(self._driver.waiting)
        return Batch(batch, busy, waiting), tails

    def accounts(self) -> Accounts:
        """What it came to for these clients."""
        outcome = self._driver.outcome()
        given = self._inputs.given
        return Accounts(
            accounts=tuple(
                _account(party, report, given.get(party, b""))
                for party, report in outcome.parties.items()
            ),
            accused=tuple((culprit, _text(error)) for culprit, error in outcome.accused),
            peak_bytes=resident.peak_bytes(),
        )


def serve(port: Port) -> NoReturn:
    """Say that it is there, and answer until the parent hangs up.

    Raises:
        EOFError: it did.
        OSError: likewise.
        DecodeError: it speaks nonsense, or asks for work before there is a round.
        SecaggError: the round cannot go on.
    """
    port.send(Ready())
    clients: Clients | None = None
    while True:
        request, frames = port.receive_request()
        reply: Reply
        tails: list[memoryview] = []
        if isinstance(request, Begin):
            clients = None  # before the next ones are made
            resident.reset_peak()
            clients = Clients(request)
            port.largest = clients.largest
            reply = Batch((), busy=True, waiting=False)
        elif clients is None:
            raise DecodeError(f"expected a round to begin, got {type(request).__name__}")
        elif isinstance(request, Work):
            reply, tails = clients.work(request, frames)
        else:
            reply = clients.accounts()
        port.send(reply, tails)


def main() -> int:
    """Serve on standard input."""
    with socket.socket(fileno=sys.stdin.fileno()) as connection:
        port = Port(connection)
        try:
            serve(port)
        except (EOFError, OSError):
            return EXIT_CHANNEL
        except SecaggError as error:
            return _broken(port, f"{type(error).__name__}: {error}")
        except Exception as error:
            traceback.print_exc()
            return _broken(port, f"{type(error).__name__}: {error}")


def _broken(port: Port, reason: str) -> int:
    with suppress(OSError):
        port.send(Broken(_text(reason)))
    return EXIT_BROKEN


def _text(said: object) -> str:
    return str(said)[: parcels.MAX_TEXT]


def _account(party: PartyId, report: PartyReport, given: bytes) -> Account:
    return Account(
        party=party,
        phase=report.phase,
        cpu_seconds=report.cpu_seconds,
        sent=report.sent,
        received=report.received,
        messages=report.messages,
        effects=report.effects,
        late=report.late,
        refused=tuple(map(_text, report.refused)),
        failure=None if report.failure is None else _text(report.failure),
        given=given,
    )


if __name__ == "__main__":
    sys.exit(main())
