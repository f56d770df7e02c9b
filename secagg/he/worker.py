"""A worker process: batches in, results out, until its parent hangs up or is gone.

It holds one key at a time, from Begin to End. Of that key it wipes what it read; SEAL clears its
own form when the object goes (`Decryptor` and `SecretKey` live in pools that are cleared).
"""

from __future__ import annotations

import os
import signal
import time
from typing import Final, NoReturn

from secagg import kernels
from secagg.errors import DecodeError, ParameterError
from secagg.he import channel, jobs, seal

CHANNEL: Final = 0
EXIT_GONE: Final = 0
EXIT_NONSENSE: Final = 71


class Desk:
    """The key of the moment, and what is done under it."""

    def __init__(self) -> None:
        self._job: jobs.Job | None = None

    def answer(self, request: channel.Request, tail: bytearray) -> bytes:
        """The result for a batch, nothing for the others. The tail is wiped.

        Raises:
            DecodeError: not a key, or not rows, of these parameters.
            ParameterError: the table, or SEAL, refuses the parameters.
        """
        try:
            if isinstance(request, channel.Batch):
                if self._job is None:
                    raise DecodeError("expected a key before the first batch")
                return self._job(tail)
            self._job = None
            if isinstance(request, channel.Begin):
                self._job = jobs.begin(request, tail)
            return b""
        finally:
            channel.wipe(tail)


def serve() -> NoReturn:
    """Answer until the parent is gone. What is no request ends the process."""
    # Ctrl-C is for the parent, which ends its workers; until then their results are expected.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    seal.require()
    with kernels.using_threads(1):  # its siblings have the other CPUs
        _serve(Desk())


def _serve(desk: Desk) -> NoReturn:
    spent = time.process_time()
    _say(channel.head_of(channel.Ready()))
    while True:
        try:
            request, tail = channel.read_request(lambda into: os.readv(CHANNEL, [into]))
        except (EOFError, OSError):
            os._exit(EXIT_GONE)
        except DecodeError:
            os._exit(EXIT_NONSENSE)
        result: bytes | DecodeError | ParameterError
        try:
            result = desk.answer(request, tail)
        except (DecodeError, ParameterError) as error:
            result = error
        before, spent = spent, time.process_time()
        if isinstance(result, bytes):
            _say(channel.head_of(channel.Answer(spent - before), len(result)), result)
        else:
            _say(channel.head_of(channel.Refused.of(result, spent - before)))


def _say(*parts: bytes) -> None:
    try:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(CHANNEL, rest) :]
    except OSError:
        os._exit(EXIT_GONE)
