"""The decryptor at the other end of a stream: the sum comes back, and nobody waits for the dead."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from adapters.flower.nodes import Trainer, messages, nodes
from adapters.flower.test_exchange import check

from secagg.adapters.flower import RemoteDecryptor, SecureGrid, Settings, serve_decryptor
from secagg.errors import DecodeError, PolicyError, RoundFailed, SecaggError

CLIENTS = 4


class Served:
    """A decryptor in a thread of its own, and what ended it."""

    def __init__(self, min_clients: int = 3) -> None:
        self.ours, theirs = socket.socketpair()
        self.error: SecaggError | None = None

        def serve() -> None:
            with theirs:
                try:
                    serve_decryptor(theirs, min_clients=min_clients)
                except SecaggError as error:
                    self.error = error

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.ours.close()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


@pytest.mark.parametrize("protocol", ["bfv", "ckks"])
def test_sums_come_back(protocol: str, served: Served) -> None:
    trainer = Trainer(CLIENTS)
    grid = nodes(trainer, protocol)
    decryptor = RemoteDecryptor(served.ours)
    secure = SecureGrid(grid, protocol, clock=grid.time.clock, decryptor=decryptor)
    for _ in range(2):
        check(trainer, secure.send_and_receive(messages(secure)), list(range(CLIENTS)))
    served.ours.close()
    served.thread.join(10)
    assert served.error is None


def test_a_decryptor_has_a_floor_of_its_own() -> None:
    served = Served(min_clients=4)
    grid = nodes(Trainer(CLIENTS), "bfv")
    secure = SecureGrid(grid, "bfv", clock=grid.time.clock, decryptor=RemoteDecryptor(served.ours))
    with pytest.raises(RoundFailed, match="the decryptor is gone"):
        secure.send_and_receive(messages(secure))
    served.close()
    assert isinstance(served.error, PolicyError)


def test_a_dead_decryptor_is_a_failed_round() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        grid = nodes(Trainer(CLIENTS), "bfv")
        secure = SecureGrid(
            grid,
            "bfv",
            settings=Settings(failed_rounds="skip"),
            clock=grid.time.clock,
            decryptor=RemoteDecryptor(ours),
        )
        assert all(reply.has_error() for reply in secure.send_and_receive(messages(secure)))


@pytest.mark.parametrize("nonsense", [b"X" + bytes(8), b"I" + b"\xff" * 8, b"F" + b"\xff" * 8])
def test_nonsense_ends_a_decryptor(nonsense: bytes) -> None:
    served = Served()
    served.ours.sendall(nonsense)
    served.thread.join(10)
    assert isinstance(served.error, DecodeError)
    served.close()


def test_a_lying_decryptor_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"\xff" * 8)
        with pytest.raises(RoundFailed, match="announced"):
            RemoteDecryptor(ours, timeout=5).begin(b"")
