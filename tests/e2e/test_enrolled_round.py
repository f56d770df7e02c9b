"""Level `malicious` from key files, a signed roster and ledgers on the disk to an exact sum."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from secagg import enrolment, protocols
from secagg.crypto.rng import SystemRng
from secagg.errors import (
    LedgerForeign,
    ParameterError,
    PolicyError,
    RosterRefused,
    SessionRefused,
)
from secagg.ledger import FileStorage, Ledger, Owner
from secagg.protocol import (
    ClientPolicy,
    Identities,
    Identity,
    Level,
    Roster,
    Session,
    Task,
    model_digest,
)
from secagg.runner import Faults, Outcome, run
from secagg.types import PartyId, Secret, client

NAMES = ("east", "north", "south", "up", "west")
DEVICE = Secret(bytes(range(32)))
MODEL = model_digest(b"the model's bytes", b"epochs = 1")


def secagg(folder: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "secagg.cli", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass
class Federation:
    """A folder with everybody's files, as each client has its own."""

    folder: Path
    policy: ClientPolicy = field(init=False)

    def __post_init__(self) -> None:
        for name in NAMES:
            secagg(self.folder, "keygen", "-o", f"{name}.key")
        secagg(self.folder, "keygen", "--role", "authority", "-o", "authority.key")
        secagg(self.folder, "roster", "new", "--federation", "winds", "-o", "winds.roster")
        secagg(self.folder, "roster", "add", "winds.roster", *(f"{n}.key.pub" for n in NAMES))
        self.sign()
        self.policy = self.demanding(1)

    @property
    def authority(self) -> bytes:
        return enrolment.load_public(self.folder / "authority.key.pub").key

    def sign(self, *words: str) -> None:
        secagg(self.folder, "roster", "sign", "winds.roster", "--key", "authority.key", *words)

    def demanding(self, epoch: int) -> ClientPolicy:
        return ClientPolicy(
            level=Level.MALICIOUS,
            min_clients=3,
            corrupt=1,
            mask_key_bits=256,
            authority=self.authority,
            least_epoch=epoch,
        )

    def roster(self, at: int | None = None, epoch: int = 1) -> Roster:
        """As a client reads it."""
        data = (self.folder / "winds.roster").read_bytes()
        now = int(time.time()) if at is None else at
        return enrolment.verify(
            data, self.authority, at=now, at_least_epoch=epoch, federation="winds"
        )

    def identities(self, roster: Roster) -> Identities:
        """Each client's own key, found by what the roster says of it."""
        known = {}
        for name in NAMES:
            pair = enrolment.load(self.folder / f"{name}.key")
            if pair.public.key in roster.keys:
                party = roster.clients[roster.keys.index(pair.public.key)]
                known[party] = Identity(key=pair.key, model_digest=MODEL)
        return Identities(roster, known)

    @contextmanager
    def ledgers(self, session: Session) -> Iterator[dict[PartyId, Ledger]]:
        """Those on the clients' disks, made when they are not there."""
        with ExitStack() as stack:
            opened = {}
            for party in session.plan.task.clients:
                root = self.folder / f"ledger {party.number}"
                owner = Owner.of(session, party)
                if not root.exists():
                    root.mkdir(mode=0o700)
                    Ledger.create(FileStorage(root), owner, DEVICE, SystemRng())
                ledger = Ledger.open(
                    FileStorage(root), owner, DEVICE, SystemRng(), sessions_per_round=1
                )
                opened[party] = stack.enter_context(closing(ledger))
            yield opened


@contextmanager
def closing(ledger: Ledger) -> Iterator[Ledger]:
    try:
        yield ledger
    finally:
        ledger.close()


def session_of(roster: Roster, training_round: int = 0, **changes: object) -> Session:
    settings: dict[str, object] = {"corrupt": "0.1", "dropout": "0.2", "min_clients": 3}
    settings |= {"length": 50, "bound": 1000, "level": Level.MALICIOUS, "clients": roster.clients}
    plan = protocols.get("secagg").plan(Task(**(settings | changes)))  # type: ignore[arg-type]
    return Session.fresh(
        plan,
        SystemRng(),
        job="weather",
        training_round=training_round,
        model_digest=MODEL,
        roster=roster,
    )


def play(federation: Federation, session: Session, faults: Faults | None = None) -> Outcome:
    ones = np.ones(session.plan.task.length, dtype=session.plan.ring.dtype)
    with federation.ledgers(session) as ledgers:
        return run(
            protocols.get("secagg"),
            session,
            {party: ones * (party.number + 1) for party in session.plan.task.clients},
            SystemRng(),
            faults,
            policy=federation.policy,
            identities=federation.identities(session.roster),
            ledgers=ledgers,
        )


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    folder = tmp_path_factory.mktemp("federation")
    folder.chmod(0o700)
    return Federation(folder)


def test_an_exact_sum_with_one_client_lost_and_one_killed(federation: Federation) -> None:
    session = session_of(federation.roster())
    outcome = play(federation, session, Faults(lost={client(1): 2}, kills={client(3): (4, 7)}))
    included = [party.number for party in outcome.included]
    assert included == [0, 2, 3, 4]
    assert outcome.sum().tolist() == [1 + 3 + 4 + 5] * 50
    assert not outcome.accused


def test_a_round_is_answered_once(federation: Federation) -> None:
    roster = federation.roster()
    assert play(federation, session_of(roster, training_round=1)).total is not None
    again = play(federation, session_of(roster, training_round=1))
    assert again.total is None
    refusals = [again.parties[party].refusal for party in roster.clients]
    assert all(isinstance(refusal, SessionRefused | PolicyError) for refusal in refusals)
    assert not any(again.parties[party].sent for party in roster.clients)
    assert play(federation, session_of(roster, training_round=2)).total is not None


def test_a_ledger_from_another_device_is_refused(federation: Federation) -> None:
    session = session_of(federation.roster(), training_round=3)
    with federation.ledgers(session):
        pass
    storage = FileStorage(federation.folder / "ledger 0")
    owner, other = Owner.of(session, client(0)), Secret(bytes(32))
    with pytest.raises(LedgerForeign) as refused:
        Ledger.open(storage, owner, other, SystemRng(), sessions_per_round=1)
    assert "ledger 0" in refused.value.place


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"level": Level.CURIOUS}, "level"), ({"corrupt": "0"}, "corrupt")],
)
def test_less_than_a_client_demands(
    federation: Federation, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(PolicyError, match=f"^{field}: "):
        play(federation, session_of(federation.roster(), 4, **changes))


def test_an_expired_roster(federation: Federation) -> None:
    with pytest.raises(RosterRefused, match="expired"):
        federation.roster(at=int(time.time()) + 10 * 365 * 86_400)


def test_a_revoked_client_and_the_roster_before(federation: Federation) -> None:
    """Runs last: the federation goes on to its second epoch."""
    before = federation.roster()
    (federation.folder / "winds.1").write_bytes((federation.folder / "winds.roster").read_bytes())
    secagg(federation.folder, "roster", "revoke", "winds.roster", "south")
    federation.sign("--previous", "winds.1")
    federation.policy = federation.demanding(2)
    roster = federation.roster(epoch=2)
    assert len(roster.clients) == 4
    with pytest.raises(PolicyError, match=r"least_epoch: epoch 2 is demanded, epoch 1"):
        play(federation, session_of(before, training_round=5))
    # Who is not in the roster cannot even be named in a session of it.
    everybody = before.clients
    with pytest.raises(ParameterError, match="not in the roster: client 2"):
        session_of(roster, 5, clients=everybody)
    identities = federation.identities(roster)
    south = enrolment.load(federation.folder / "south.key")
    session = session_of(roster, training_round=5, dropout="0")
    impostor = Identity(key=south.key, model_digest=MODEL)
    with pytest.raises(ParameterError, match="the roster has another key of client 0"):
        protocols.get("secagg").identified_party(session, client(0), SystemRng(), impostor)
    assert client(2) not in identities.of
    outcome = play(federation, session)
    assert outcome.included == roster.clients
    listed = json.loads(
        secagg(federation.folder, "roster", "show", "winds.roster", "--format", "json")
    )
    assert [row["revoked"] for row in listed["rows"]] == [False, False, True, False, False]
