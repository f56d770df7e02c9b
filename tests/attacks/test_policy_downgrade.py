"""C5, M7: the server writes a weaker plan, or the roster.

Adversary: a server that chooses task, plan and roster, with every client but the victim its own.
Seen: what its own clients send, and the released sum.
Goal: the victim takes part in what its user never accepted. With a cohort of the server's own the
victim's input follows by subtraction, bit for bit.
Protection: the client's own `ClientPolicy`, checked where its party is made. Each test takes out
one field, which is what its laxest value does, or the check of the plan itself. Sessions of a round
are counted by the client's ledger, and are counted by nobody without one.
Levels: curious, malicious.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from attacks.checks import without
from attacks.scenes import network_of, scenario_of
from unit.enrolment.people import END, NOW, START, public, signing_key

from secagg import enrolment, kernels, protocols
from secagg.audit.adversary import Network, all_but, impersonate, recovered
from secagg.crypto.rng import seeded
from secagg.enrolment import Document, Reason
from secagg.errors import PolicyError, RosterRefused, SessionRefused
from secagg.ledger import Ledger
from secagg.protocol import ClientPolicy, Level, Roster, Session, Task
from secagg.runner import run
from secagg.runner.seat import ledger_in_memory
from secagg.types import PartyId, RingVector, client

VICTIM = client(2)
AUTHORITY, SERVER_KEY = signing_key(1_000), signing_key(1_001)


@dataclass(frozen=True)
class Downgrade:
    """One field of the policy.

    Attributes:
        name: of the field.
        demanded: what the victim's user wrote.
        lax: the value with which the check is out.
        offered: what the server writes into the task.
        protocol: that the server chooses.
        roster: that the server brings.
    """

    name: str
    demanded: Any
    lax: Any
    offered: dict[str, Any] = field(default_factory=dict)
    protocol: str = "secagg"
    roster: Callable[[], Roster] | None = None

    def __str__(self) -> str:
        return self.name


def contents() -> Document:
    return Document.empty("hospitals").adding([public(number) for number in range(6)])


def by_the_server() -> Roster:
    """Signed by the server itself: the others in it are its own clients."""
    data = enrolment.sign(contents(), SERVER_KEY, not_before=START, not_after=END)
    return enrolment.verify(data, SERVER_KEY.public, at=NOW)


def before_revocation() -> Roster:
    """Of the right authority, from the time when the server's friends were not yet revoked."""
    data = enrolment.sign(contents(), AUTHORITY, not_before=START, not_after=END)
    return enrolment.verify(data, AUTHORITY.public, at=NOW)


DOWNGRADES = (
    Downgrade("min_clients", 5, 2, {"min_clients": 3, "dropout": "0.2", "corrupt": "0"}),
    Downgrade("corrupt", 1, 0, {"corrupt": "0"}),
    Downgrade("sigma", 40, 1, {"sigma": 1}, "secagg_plus"),
    Downgrade("protocols", frozenset({"secagg"}), None, {}, "secagg_plus"),
    Downgrade("trusted_server", False, True, {}, "plain"),
    Downgrade(
        "suites", frozenset({"X25519/HKDF-SHA256/AES-256-GCM/AES-256-CTR"}), None, {}, "secagg"
    ),
    Downgrade("mask_key_bits", 256, 128),
    Downgrade("authority", AUTHORITY.public, None, roster=by_the_server),
    Downgrade("least_epoch", 2, 0, roster=before_revocation),
)


def read_the_victim(downgrade: Downgrade, policy: ClientPolicy) -> tuple[RingVector, RingVector]:
    """What the server makes of the round, and what the victim put in."""
    clients = tuple(client(number) for number in range(6))
    protocol = protocols.get(downgrade.protocol)
    plan = protocol.plan(Task(clients=clients, length=9, bound=255, **downgrade.offered))
    rng = seeded(3)
    roster = downgrade.roster() if downgrade.roster is not None else None
    session = Session.fresh(plan, rng, roster=roster)
    inputs = {
        who: np.frombuffer(rng.bytes(9), dtype=np.uint8).astype(plan.ring.dtype) for who in clients
    }
    outcome = run(protocol, session, inputs, rng, policy=policy)
    assert outcome.included == clients
    others = sum(vector.astype(np.int64) for who, vector in inputs.items() if who != VICTIM)
    found = kernels.decode_signed(outcome.sum(), plan.ring) - others
    return found.astype(plan.ring.dtype), inputs[VICTIM]


def policy_of(downgrade: Downgrade, value: Any) -> ClientPolicy:
    """A victim that only minds one field."""
    lax = {"min_clients": 2, "corrupt": 0, "sigma": 1, "trusted_server": True}
    return ClientPolicy(**{**lax, downgrade.name: value})


@pytest.mark.parametrize("downgrade", DOWNGRADES, ids=str)
def test_without_the_field_the_victim_takes_part_and_is_read(downgrade: Downgrade) -> None:
    found, put_in = read_the_victim(downgrade, policy_of(downgrade, downgrade.lax))
    np.testing.assert_array_equal(found, put_in)


@pytest.mark.parametrize("downgrade", DOWNGRADES, ids=str)
def test_with_it_the_victim_says_nothing(downgrade: Downgrade) -> None:
    with pytest.raises(PolicyError) as refused:
        read_the_victim(downgrade, policy_of(downgrade, downgrade.demanded))
    assert refused.value.field == downgrade.name


def test_without_the_level_a_lying_server_opens_the_victim() -> None:
    """A5, in the level that does not withstand it: every neighbour's keys are the server's."""
    network = network_of("secagg 7 curious", present=[VICTIM])
    assert ClientPolicy.accepting(network.plan).level is Level.CURIOUS
    found = impersonate(network, VICTIM, all_but(network, VICTIM))
    assert recovered(network, VICTIM.number, found)


def test_with_it_no_key_is_sent() -> None:
    scenario = scenario_of("secagg 7 curious")
    policy = ClientPolicy(level=Level.MALICIOUS, authority=AUTHORITY.public)
    with pytest.raises(PolicyError) as refused:
        scenario.party(VICTIM, policy)
    assert refused.value.field == "level"


def forged(scene: str) -> Network:
    """An honest task that passes every policy, and a plan that keeps none of its thresholds."""

    def with_plan(session: Session) -> Session:
        plan = msgspec.structs.replace(session.plan, smallest_cohort=2, threshold=1)
        return replace(session, plan=plan)

    return network_of(scene, present=[VICTIM], session=with_plan)


SCENES = ["secagg 7 curious", "secagg 7 malicious"]


@pytest.mark.parametrize("scene", SCENES)
def test_without_deriving_the_plan_again_two_keys_open_the_victim(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The victim's key book names one corrupt client and nobody else.

    Taken out at level `malicious`: also the signature of that client, which is corrupt anyway.
    """
    without(monkeypatch, "plan derived", "signed keys")
    network = forged(scene)
    assert recovered(network, VICTIM.number, impersonate(network, VICTIM, [5]))


@pytest.mark.parametrize("scene", SCENES)
def test_with_it_the_plan_is_refused(scene: str) -> None:
    with pytest.raises(PolicyError) as refused:
        forged(scene)
    assert refused.value.field in ("threshold", "smallest_cohort")


def read_by_difference(
    policy: ClientPolicy, *, kept: bool = False
) -> tuple[RingVector, RingVector]:
    """A10 inside one round: the server opens it again with one honest client fewer.

    Without ledgers nobody counts the sessions; with them every client does, in both runs.
    """
    clients = tuple(client(number) for number in range(6))
    protocol, rng = protocols.get("secagg"), seeded(3)
    totals = []
    vectors = {who: np.frombuffer(rng.bytes(9), dtype=np.uint8) for who in clients}
    others = tuple(who for who in clients if who != VICTIM)
    ledgers: dict[PartyId, Ledger] = {}
    for members in (clients, others):
        plan = protocol.plan(Task(clients=members, length=9, bound=255))
        session = Session.fresh(plan, rng, job="job", training_round=4)
        if kept and not ledgers:
            ledgers = {who: ledger_in_memory(session, who, policy, rng) for who in clients}
        inputs = {who: vectors[who].astype(plan.ring.dtype) for who in members}
        own = {who: ledger for who, ledger in ledgers.items() if who in members}
        outcome = run(protocol, session, inputs, rng, policy=policy, ledgers=own)
        for report in outcome.parties.values():
            if report.refusal is not None:
                raise report.refusal
        totals.append(kernels.decode_signed(outcome.sum(), plan.ring))
    return (totals[0] - totals[1]).astype(np.uint8), vectors[VICTIM]


def test_without_ledgers_the_difference_of_two_sums_is_the_victim() -> None:
    found, put_in = read_by_difference(ClientPolicy())
    np.testing.assert_array_equal(found, put_in)


def test_with_them_the_second_session_of_the_round_is_refused() -> None:
    with pytest.raises(PolicyError) as refused:
        read_by_difference(ClientPolicy(), kept=True)
    assert refused.value.field == "sessions_per_round"


def test_with_them_no_policy_allows_a_second_answer() -> None:
    """A policy may allow a round to be begun again, but not to be answered again."""
    with pytest.raises(SessionRefused, match="a session of training round 4 was answered"):
        read_by_difference(ClientPolicy(sessions_per_round=2), kept=True)


def test_a_roster_of_the_servers_own_authority_is_refused_by_the_driver_as_well() -> None:
    data = enrolment.sign(contents(), SERVER_KEY, not_before=START, not_after=END)
    with pytest.raises(RosterRefused) as refused:
        enrolment.verify(data, AUTHORITY.public, at=NOW)
    assert refused.value.reason is Reason.WRONG_AUTHORITY
    with pytest.raises(RosterRefused) as refused:
        enrolment.verify(data, SERVER_KEY.public, at=NOW, server=SERVER_KEY.public)
    assert refused.value.reason is Reason.AUTHORITY_IS_SERVER
