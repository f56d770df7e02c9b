"""A round in separate processes, for the memory scan: the host's side, and the clients' side.

    sealed_round.py host FD PROTOCOL        the server, or the host of an enclave process
    sealed_round.py clients FD PROTOCOL SECRETS MARKER

They talk over one socket. The clients write every secret of theirs to the file SECRETS; client 0's
vector follows from MARKER. The host keeps every frame it ever saw, prints "done" and waits.
"""

from __future__ import annotations

import socket
import sys
import time
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from secagg import protocols
from secagg.attestation import Policy, measure_installed
from secagg.crypto import chunked
from secagg.crypto.rng import SystemRng, seeded, uniform_below
from secagg.crypto.signing import SigningKey
from secagg.protocol import (
    ClientPolicy,
    Done,
    Effect,
    Fail,
    Identity,
    Input,
    Plan,
    Roster,
    Send,
    Session,
    Task,
)
from secagg.types import PartyId, RingVector, Secret, client
from secagg.wire import Frame

CLIENTS = tuple(client(number) for number in range(3))
LENGTH, BOUND = 4096, 1 << 20


class Line:
    """Length-prefixed values over the socket."""

    def __init__(self, descriptor: int) -> None:
        self._file = socket.socket(fileno=descriptor).makefile("rwb")

    def say(self, value: Any) -> None:
        data = msgspec.msgpack.encode(value)
        self._file.write(len(data).to_bytes(4, "big") + data)
        self._file.flush()

    def hear(self) -> Any:
        size = int.from_bytes(self._file.read(4), "big")
        return msgspec.msgpack.decode(self._file.read(size))


def plan_of(name: str) -> Plan:
    zero = Decimal(0)
    task = Task(
        clients=CLIENTS, length=LENGTH, bound=BOUND, min_clients=3, corrupt=zero, dropout=zero
    )
    return protocols.get(name).plan(task)


def vector_of(marker: int, plan: Plan) -> RingVector:
    """The vector that the scan looks for."""
    rng = seeded(marker)
    drawn = [uniform_below(rng, 2 * BOUND + 1) - BOUND for _ in range(LENGTH)]
    values = np.array(drawn, dtype=np.int64).astype(np.uint64) & np.uint64(plan.ring.mask)
    return values.astype(plan.ring.dtype)


def session_of(name: str, keys: list[bytes], nonce: bytes) -> Session:
    plan = plan_of(name)
    return Session(
        plan=plan,
        roster=Roster(0, CLIENTS, tuple(keys)),
        job="scan",
        training_round=0,
        model_digest=bytes(32),
        nonce=nonce,
    )


def host(line: Line, name: str) -> None:
    from secagg.runner.isolation import EnclaveHost

    protocol = protocols.get(name)
    seen: list[bytes] = []
    with ExitStack() as stack:
        keys = line.hear()
        session = session_of(name, keys, SystemRng().bytes(32))
        collector = session.plan.parties[-1]
        root = bytes(32)
        if protocol.isolated:
            process = stack.enter_context(EnclaveHost.launch())
            root = process.ready.root
            party = process.party(protocol, session, collector, SystemRng())
        else:
            policy = ClientPolicy.accepting(session.plan)
            party = protocol.party(session, collector, SystemRng(), policy)
        line.say([keys, session.nonce, root])

        def tell(effects: list[Effect]) -> bool:
            for effect in effects:
                if isinstance(effect, Send):
                    data = party.seal(effect).join()
                    seen.append(data)
                    line.say([effect.to.number, data])
            return any(isinstance(effect, Done) for effect in effects)

        finished = tell(party.start())
        while not finished:
            number, data = line.hear()
            seen.append(data)
            message = party.open(Frame.split(data), client(number))
            assert party.when(message, client(number)) == "now"
            finished = tell(party.handle(message, client(number)))
        print("done", len(seen), flush=True)
        sys.stdin.read()


def clients(line: Line, name: str, secrets: Path, marker: int) -> None:
    protocol = protocols.get(name)
    written: list[bytes] = []
    seal = chunked.seal

    def noted(
        key: Secret, plaintext: memoryview, bound_to: bytes, **rest: bytes | bytearray
    ) -> bytearray:
        written.append(key.reveal())
        return seal(key, plaintext, bound_to, **rest)

    chunked.seal = noted
    seeds = [SystemRng().bytes(32) for _ in CLIENTS]
    signers = [SigningKey(Secret(seed)) for seed in seeds]
    line.say([signer.public for signer in signers])
    keys, nonce, root = line.hear()
    session = session_of(name, keys, nonce)
    trust = Policy(roots=frozenset({root}), measurements=frozenset({measure_installed().value}))
    policy = ClientPolicy.accepting(session.plan)
    me = {
        who: protocol.party(
            session,
            who,
            SystemRng(),
            policy,
            Identity(key=signers[who.number], trust=trust, now=int(time.time())),
        )
        for who in CLIENTS
    }
    collector = session.plan.parties[-1]

    def tell(who: PartyId, effects: list[Effect]) -> None:
        for effect in effects:
            assert not isinstance(effect, Fail), effect
            if isinstance(effect, Send):
                line.say([who.number, me[who].seal(effect).join()])

    for who, party in me.items():
        party.start()
        tell(who, party.handle(Input(vector_of(marker + who.number, session.plan)), who))
    while not all(party.ended for party in me.values()):
        number, data = line.hear()
        who = client(number)
        message = me[who].open(Frame.split(data), collector)
        tell(who, me[who].handle(message, collector))
    secrets.write_bytes(b"".join(written + seeds))


if __name__ == "__main__":
    side, descriptor, protocol_name, *rest = sys.argv[1:]
    if side == "host":
        host(Line(int(descriptor)), protocol_name)
    else:
        clients(Line(int(descriptor)), protocol_name, Path(rest[0]), int(rest[1]))
