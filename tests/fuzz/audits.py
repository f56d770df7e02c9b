"""What an audit is given by others: policies, transcripts, and the answers of adapters."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from conformance.scenario import Offered, Scenario
from fuzz.documents import folder
from fuzz.target import Target

from secagg.audit import engine
from secagg.audit.checks import CHECKS
from secagg.audit.foreign import channel
from secagg.audit.foreign.host import _guarantees
from secagg.audit.policy import Policy
from secagg.audit.recorded import TranscriptSubject
from secagg.audit.registry import Settings
from secagg.audit.subject import Facts, Request
from secagg.protocol import Level
from secagg.runner import Faults
from secagg.transcript import Transcript
from secagg.types import client

OF_TRANSCRIPTS = engine.chosen(CHECKS, ("transcript",), "transcript")
LARGEST = 3000
REQUEST = Request(np.zeros((3, 4), np.int64), 32, b"s" * 32)


def _file(name: str, data: bytes) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


def _policy(data: bytes) -> bytes:
    policy = Policy.read(_file("policy", data))
    assert policy.guarantees.source
    policy.check(CHECKS)
    return policy.encode().encode()


def _policies() -> Iterator[bytes]:
    for level in Level:
        yield Policy.of_level(level).encode().encode()
    yield (
        Policy(
            about="ours",
            exactness="exact",
            require=("exactness.sum", "masks"),
            waive={"floor.client": "known"},
        )
        .encode()
        .encode()
    )


def _transcript(data: bytes) -> bytes:
    """No check ends with an error of its own: what is no entry was refused before."""
    subject = TranscriptSubject(_file("transcript", data))
    for result in engine.hold(subject, OF_TRANSCRIPTS, Settings()):
        assert "the check itself" not in result.evidence, result.evidence
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in subject.entries())


def _transcripts() -> Iterator[bytes]:
    transcript = Transcript()
    world = Scenario(Offered.named("secagg-curious"), 3, {"length": 4})
    world.run(Faults(lost={client(1): 2}), transcript=transcript)
    # Seconds are of a clock: a seed has none.
    entries = [msgspec.structs.replace(one, seconds=0.5) for one in transcript.entries]
    lines = [msgspec.json.encode(entry) + b"\n" for entry in entries]
    yield b"".join(lines[:4])
    yield b"".join(line for line in lines if b"client 0" in line)[:LARGEST].rpartition(b"\n")[0]


def _answer(data: bytes) -> bytes:
    """What an adapter's process answers, as what was asked would take it."""
    reply = channel.read_reply(_reader(channel.LENGTH.pack(len(data)) + data))
    match reply:
        case channel.Ready():
            _guarantees(reply)
        case channel.Rows(values=values):
            channel.array(channel.numbers(values))
        case channel.Held():
            facts = channel.facts_of(reply, REQUEST)
            again = channel.facts_of(channel.held(facts), REQUEST)
            assert (again.total is None) == (facts.total is None)
    return channel.frame(reply)[channel.LENGTH.size :]


def _reader(data: bytes) -> Callable[[int], bytes]:
    stream = io.BytesIO(data)

    def exactly(count: int) -> bytes:
        found = stream.read(count)
        assert len(found) == count
        return found

    return exactly


def _answers() -> Iterator[bytes]:
    facts = Facts(
        bits=32,
        masked=np.arange(12, dtype=np.uint32).reshape(3, 4),
        total=np.arange(4, dtype=np.int64),
        included=(0, 1, 2),
        sizes={"vector": (16, 16, 16)},
        tokens={"key": (b"a", b"b", b"c")},
        clear={"weight": (1.0, 2.0, 3.0)},
        key_holders=("server",),
    )
    words = {"adversary": "curious server", "collusion": "nobody"}
    for reply in (
        channel.held(facts),
        channel.held(Facts(failure="too few", masked=np.zeros((2, 4)), aligned=False)),
        channel.Ready("theirs", "a title", None),
        channel.Ready("theirs", "a title", words),
        channel.Number(3),
        channel.Rows(channel.array(np.arange(6, dtype=np.uint64).reshape(2, 3))),
        channel.Given((None, ((0, "self"), (1, "mask")))),
        channel.Bits({"seed": 256}),
        channel.Refused("it cannot tell"),
        channel.Broken("ValueError: no"),
    ):
        yield channel.frame(reply)[channel.LENGTH.size :]


TARGETS = (
    Target(
        "audit-policy",
        _policy,
        ("secagg.audit.policy:Policy.read", "secagg.audit.policy:Policy.encode"),
        _policies,
        canonical=False,
    ),
    Target(
        "audit-transcript",
        _transcript,
        ("secagg.audit.recorded:_read",),
        _transcripts,
        canonical=False,
    ),
    Target(
        "audit-answers",
        _answer,
        ("secagg.audit.foreign.channel:read_reply", "secagg.audit.foreign.channel:numbers"),
        _answers,
        canonical=False,
        form="packed",
    ),
)
