"""What travels beside messages: invitations, rosters, key files, quotes."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from fuzz.target import Target
from unit.enrolment import people

from secagg.attestation import (
    Evidence,
    HardwareVerifier,
    Policy,
    SimulatedPlatform,
    SimulatedVerifier,
)
from secagg.codec import Codec, Layout
from secagg.crypto.rng import seeded
from secagg.endpoint import Invitation
from secagg.enrolment import Document, KeyRole, inspect, keyfile, verify
from secagg.errors import AttestationError, RosterRefused
from secagg.types import Secret, client

PASSPHRASE = Secret(b"correct horse")


def _invitation(data: bytes) -> bytes:
    """A client decodes it, derives the session from it, and shapes an update by it."""
    invitation = Invitation.decode(data)
    # PolicyError and others: it is understood and refused, which is as good.
    protocol, session = invitation.agree(None)
    assert protocol.name == invitation.protocol
    assert len(session.id) == 32
    if invitation.codec.length <= 1 << 12:
        # A mean of zeros fits into tensors of any type.
        invitation.shaped(np.zeros(invitation.codec.length))
    return invitation.encoded


def _invitations() -> Iterator[bytes]:
    rng = seeded(1)
    clients = [client(number) for number in range(5)]
    codec = Codec(length=5, clip=2.0, max_weight=100)
    for name in ("plain", "secagg", "secagg_plus", "bfv", "ckks"):
        yield Invitation.fresh(name, codec, clients, rng, model=b"the model").encoded
    state = {"layer.weight": np.zeros((2, 2), np.float32), "steps": np.zeros(1, np.int64)}
    yield Invitation.fresh(
        *("secagg", codec, clients, rng), model=b"m", layout=Layout.of(state), min_clients=4
    ).encoded


def _roster(data: bytes) -> bytes:
    """The document in a signed file, and whether the file is refused for a reason of its own."""
    document, authority = inspect(data)
    repr(document)
    with suppress(RosterRefused):
        roster = verify(data, people.AUTHORITY.public, at=people.NOW)
        assert authority == roster.authority
    outer = msgspec.msgpack.decode(data)
    return msgspec.msgpack.encode([outer[0], document.encoded, authority, outer[3]])


def _rosters() -> Iterator[bytes]:
    yield people.signed()
    yield people.signed(people.document(2).revoking(["site-1"]))
    yield people.signed(key=people.OTHER_AUTHORITY)


def _document(data: bytes) -> bytes:
    document = Document.decode(data)
    for entry in document.members[:1]:
        assert document.party_of(entry.key).number == entry.number
    return document.encoded


def _public_key(data: bytes) -> bytes:
    path = folder() / "line"
    path.write_bytes(data)
    return keyfile.load_public(path).line.encode()


def _key_file(data: bytes) -> None:
    """First byte: with which passphrase, or as a file that holds one."""
    path = folder() / "key"
    path.write_bytes(data[1:])
    path.chmod(0o600)
    mode = data[0] if data else 0
    if mode == 2:
        assert len(keyfile.read_passphrase(path))
        return
    keyfile.is_protected(path)
    keyfile.load(path, PASSPHRASE if mode == 1 else None)


@cache
def folder() -> Path:
    """A folder of this process, in memory where there is such a file system, with a key in it."""
    memory = Path("/dev/shm")  # noqa: S108
    made = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, made)
    keyfile.create(made / "key", KeyRole.CLIENT, "site-1", seeded(1))
    return made


def _key_files() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as made:
        plain, locked = Path(made, "plain"), Path(made, "locked")
        keyfile.create(plain, KeyRole.CLIENT, "site-1", seeded(1))
        keyfile.create(locked, KeyRole.CLIENT, "site-1", seeded(1), PASSPHRASE)
        yield b"\0" + plain.read_bytes()
        yield b"\1" + locked.read_bytes()
    yield b"\2a passphrase\n"


def _platform() -> SimulatedPlatform:
    return SimulatedPlatform(Secret(b"p" * 32), b"m" * 32, people.NOW)


def _quote() -> bytes:
    return _platform().quote(configuration=b"c" * 32, report_data=b"r" * 32).encode()


def _evidence(data: bytes) -> bytes:
    """Decoded, and held against two verifiers."""
    evidence = Evidence.decode(data)
    evidence.describe()
    policy = Policy(roots=frozenset({_platform().root}), measurements=frozenset({b"m" * 32}))
    for verifier in (SimulatedVerifier(), HardwareVerifier()):
        with suppress(AttestationError):
            verifier.verify(
                data,
                report_data=b"r" * 32,
                configuration=b"c" * 32,
                policy=policy,
                expires_at=people.NOW + 60,
                at=people.NOW,
            )
            assert data == _quote()
    return evidence.encode()


TARGETS = (
    Target(
        "invitation",
        _invitation,
        ("secagg.endpoint.invitation:Invitation.decode",),
        _invitations,
        form="packed",
    ),
    Target(
        "roster",
        _roster,
        ("secagg.enrolment.roster:_outer", "secagg.enrolment.roster:_inner"),
        _rosters,
        form="packed",
    ),
    Target(
        "roster-document",
        _document,
        ("secagg.enrolment.document:Document.decode",),
        lambda: (people.document(count).encoded for count in (0, 1, 3)),
        form="packed",
    ),
    Target(
        "public-key",
        _public_key,
        ("secagg.enrolment.keyfile:load_public", "secagg.enrolment.public:PublicKey.parse"),
        lambda: (people.public(1, role=role).line.encode() for role in KeyRole),
    ),
    Target(
        "key-file",
        _key_file,
        ("secagg.enrolment.keyfile:_decode", "secagg.enrolment.keyfile:read_passphrase"),
        _key_files,
        drawn=True,
    ),
    Target(
        "evidence",
        _evidence,
        ("secagg.attestation.evidence:Evidence.decode", "secagg.attestation.policy:_decoded"),
        lambda: (_quote(),),
    ),
)
