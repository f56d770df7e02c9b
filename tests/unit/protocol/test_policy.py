"""A client's floor: every field that a server could lower, and the model that it could change."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest
from conformance.scenario import Scenario

from secagg import protocols
from secagg.crypto.rng import seeded
from secagg.errors import LocalProtocolError, ModelMismatch, ParameterError, PolicyError
from secagg.protocol import (
    Admission,
    Adversary,
    ClientPolicy,
    Identities,
    Identity,
    Level,
    Roster,
    Session,
    Task,
    model_digest,
)
from secagg.protocols.plain import Plain
from secagg.types import SERVER, client

CLIENTS = tuple(client(number) for number in range(6))
MASKED = protocols.get("secagg")
PLAN = MASKED.plan(Task(clients=CLIENTS, length=5, bound=10))
KEYS = tuple(bytes([number]) * 32 for number in range(6))
AUTHORITY, OTHER = b"a" * 32, b"b" * 32
ROSTER = Roster(7, CLIENTS, KEYS, AUTHORITY)


def session(roster: Roster = ROSTER, digest: bytes = bytes(32)) -> Session:
    return Session.fresh(PLAN, seeded(1), job="job", roster=roster, model_digest=digest)


class Claiming(Plain):
    """Says that it withstands a lying server. It does nothing of the kind."""

    levels = {
        level: replace(
            offering, guarantees=replace(offering.guarantees, adversary=Adversary.LYING_SERVER)
        )
        for level, offering in Plain.levels.items()
    }


@pytest.mark.parametrize(
    ("demand", "text"),
    [
        (
            {"level": Level.MALICIOUS, "authority": AUTHORITY},
            "level: malicious is demanded, curious is offered",
        ),
        ({"min_clients": 7}, "min_clients: 7 is demanded, 4 is offered"),
        ({"corrupt": 2}, "corrupt: withstanding 2 is demanded, 1 is offered"),
        ({"sigma": 41}, "sigma: 41 bits is demanded, 40 bits is offered"),
        (
            {"protocols": frozenset({"secagg_plus"})},
            "protocols: one of ['secagg_plus'] is demanded, 'secagg' is offered",
        ),
        (
            {"suites": frozenset({"X25519/HKDF-SHA256/AES-256-GCM/AES-256-CTR"})},
            "suites: one of ['X25519/HKDF-SHA256/AES-256-GCM/AES-256-CTR'] is demanded,"
            " 'X25519/HKDF-SHA256/AES-256-GCM/AES-128-CTR' is offered",
        ),
        ({"mask_key_bits": 256}, "mask_key_bits: 256 bits is demanded, 128 bits is offered"),
    ],
)
def test_every_field_names_what_is_demanded_and_offered(demand: dict[str, Any], text: str) -> None:
    guarantees = MASKED.guarantees(PLAN.task.level)
    ClientPolicy().admit(PLAN, guarantees)
    with pytest.raises(PolicyError) as refused:
        ClientPolicy(**demand).admit(PLAN, guarantees)
    assert str(refused.value) == text
    assert refused.value.field == next(iter(demand))
    assert refused.value.demanded in text
    assert refused.value.offered in text


def test_what_is_accepted_by_name_is_accepted() -> None:
    guarantees = MASKED.guarantees(PLAN.task.level)
    exact = ClientPolicy(
        min_clients=PLAN.minimum,
        corrupt=PLAN.corrupt,
        sigma=PLAN.task.sigma,
        protocols=frozenset({"secagg"}),
        suites=frozenset({PLAN.suite}),
        mask_key_bits=128,
        authority=AUTHORITY,
        least_epoch=7,
    )
    exact.admit(PLAN, guarantees)
    exact.admit_roster(ROSTER)
    strong = msgspec.structs.replace(PLAN, mask_key_bits=256)
    ClientPolicy(mask_key_bits=256, suites=frozenset({strong.suite})).admit(strong, guarantees)


@pytest.mark.parametrize("count", [6, 60])
def test_a_sketch_against_a_lying_server_is_accepted_by_name_only(count: int) -> None:
    """Also where a small cohort gets the complete graph."""
    clients = tuple(client(number) for number in range(count))
    task = Task(clients=clients, length=5, bound=10, level=Level.MALICIOUS, corrupt=Decimal("0.05"))
    ring = protocols.get("secagg_plus")
    plan, guarantees = ring.plan(task), ring.guarantees(Level.MALICIOUS)
    with pytest.raises(PolicyError, match="acceptance by name, is demanded") as refused:
        ClientPolicy().admit(plan, guarantees)
    assert refused.value.field == "protocols"
    assert "'secagg_plus' with a proof sketch: experimental is offered" in str(refused.value)
    with pytest.raises(PolicyError, match="one of"):
        ClientPolicy(protocols=frozenset({"secagg"})).admit(plan, guarantees)
    ClientPolicy(protocols=frozenset({"secagg_plus"})).admit(plan, guarantees)
    ClientPolicy.accepting(plan).admit(plan, guarantees)
    # What is proved needs no name.
    ClientPolicy().admit(MASKED.plan(task), MASKED.guarantees(Level.MALICIOUS))


@pytest.mark.parametrize("name", protocols.NAMES)
def test_suites_tell_protocols_apart(name: str) -> None:
    scenario = Scenario(protocols.get(name), 4)
    assert scenario.plan.suite == {
        "plain": "none",
        "bfv": "BFV-128",
        "ckks": "CKKS-128",
        "enclave": "HPKE-X25519/HKDF-SHA256/AES-256-GCM/Ed25519",
    }.get(name, "X25519/HKDF-SHA256/AES-256-GCM/AES-128-CTR")
    assert scenario.plan.mask_strength == (128 if name.startswith("secagg") else None)
    # Where nothing is masked, a floor for masks refuses nobody.
    policy = ClientPolicy(min_clients=2, corrupt=0, trusted_server=True, mask_key_bits=256)
    if scenario.plan.mask_strength is None:
        scenario.party(client(0), policy)
    else:
        with pytest.raises(PolicyError, match="mask_key_bits: 256 bits"):
            scenario.party(client(0), policy)


@pytest.mark.parametrize(
    ("roster", "text"),
    [
        (Roster(7, CLIENTS, KEYS, OTHER), "a roster by 6161616161616161... is demanded, one by 62"),
        (Roster(7, CLIENTS, KEYS), "is demanded, an unsigned one is offered"),
        (Roster(7, CLIENTS), "is demanded, an unsigned one is offered"),
        (Roster(6, CLIENTS, KEYS, AUTHORITY), "least_epoch: epoch 7 is demanded, epoch 6 is"),
    ],
)
def test_rosters_of_others_and_old_ones(roster: Roster, text: str) -> None:
    policy = ClientPolicy(authority=AUTHORITY, least_epoch=7)
    policy.admit_roster(ROSTER)
    policy.admit_session(session(), 0)
    for refuse in (
        lambda: policy.admit_roster(roster),
        lambda: policy.admit_session(session(roster), 0),
        lambda: MASKED.party(session(roster), client(0), seeded(1), policy),
    ):
        with pytest.raises(PolicyError, match=text):
            refuse()
    assert MASKED.party(session(), client(0), seeded(1), policy).me == client(0)


@pytest.mark.parametrize("cap", [1, 3])
def test_sessions_of_a_round_are_counted(cap: int) -> None:
    policy = ClientPolicy(sessions_per_round=cap)
    for opened in range(cap):
        policy.admit_session(session(), opened)
    for opened in (cap, cap + 5):
        with pytest.raises(
            PolicyError,
            match=rf"at most {cap} is demanded, number {opened + 1} of"
            " round 0 of job 'job' is offered",
        ) as refused:
            policy.admit_session(session(), opened)
        assert refused.value.field == "sessions_per_round"


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"authority": bytes(31)}, "authority: expected a key of 32 bytes, got 31"),
        ({"level": Level.MALICIOUS}, "authority: level malicious needs"),
        ({"sessions_per_round": 0}, "at least 1, got 0"),
        ({"mask_key_bits": 192}, "128 or 256, got 192"),
    ],
)
def test_policies_that_cannot_be(fields: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        ClientPolicy(**fields)
    if "authority" not in fields:
        # A policy that is read from a file is checked as well.
        with pytest.raises(msgspec.ValidationError, match=match):
            msgspec.json.decode(msgspec.json.encode(fields), type=ClientPolicy)


def test_an_accepting_policy_pins_what_it_was_given() -> None:
    assert ClientPolicy.accepting(PLAN, ROSTER).authority == AUTHORITY
    assert ClientPolicy.accepting(PLAN).authority is None
    plan = protocols.get("plain").plan(
        Task(clients=CLIENTS, length=5, bound=10, level=Level.MALICIOUS)
    )
    assert ClientPolicy.accepting(plan, ROSTER).level is Level.MALICIOUS
    assert ClientPolicy.accepting(plan).level is Level.CURIOUS


@pytest.mark.parametrize("who", [client(0), SERVER])
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"minimum": 2}, "minimum: what secagg derives from the task, 4, is demanded, 2"),
        ({"threshold": 2}, "threshold: what secagg derives from the task, 4, is demanded, 2"),
        ({"mask_key_bits": 64}, "mask_key_bits: what secagg derives from the task, 128, is"),
    ],
)
def test_a_plan_is_derived_again(who: Any, changes: dict[str, Any], text: str) -> None:
    forged = msgspec.structs.replace(PLAN, **changes)
    offered = Session.fresh(forged, seeded(1))
    with pytest.raises(PolicyError, match=text) as refused:
        MASKED.party(offered, who, seeded(1), ClientPolicy(min_clients=2))
    assert refused.value.field == next(iter(changes))


def test_a_plan_of_another_kind_is_refused() -> None:
    task = Task(clients=CLIENTS, length=5, bound=10)
    other = Session.fresh(protocols.get("plain").plan(task), seeded(1))
    with pytest.raises(PolicyError, match="a MaskingPlan, which secagg derives, is demanded"):
        MASKED.party(other, client(0), seeded(1), ClientPolicy(trusted_server=True))


def test_the_models_digest_covers_every_byte_and_the_border() -> None:
    digests = {
        model_digest(b"model", b"configuration"),
        model_digest(b"model", b"configuratioN"),
        model_digest(b"Model", b"configuration"),
        model_digest(b"modelc", b"onfiguration"),
        model_digest(b"", b"modelconfiguration"),
        model_digest(b"configuration", b"model"),
    }
    assert len(digests) == 6
    assert all(len(digest) == 32 for digest in digests)


@pytest.mark.parametrize("name", protocols.NAMES)
def test_another_model_is_refused_before_anything_is_sent(name: str) -> None:
    scenario = Scenario(protocols.get(name), 4)
    own, offered = model_digest(b"mine", b"rate = 1"), scenario.session.model_digest
    policy = ClientPolicy.accepting(scenario.plan, scenario.session.roster)
    given = scenario.identity(client(0)) or Identity()

    def party(digest: bytes | None) -> None:
        identity = Identity(given.key, given.trust, now=given.now, model_digest=digest)
        scenario.protocol.party(scenario.session, client(0), scenario.rng, policy, identity)

    with pytest.raises(ModelMismatch) as refused:
        party(own)
    assert (refused.value.own, refused.value.offered) == (own, offered)
    assert own[:8].hex() in str(refused.value)
    assert offered[:8].hex() in str(refused.value)
    assert own[8:].hex() not in str(refused.value)
    party(offered)
    party(None)


def test_against_a_lying_server_a_client_says_which_model_it_received() -> None:
    protocol = Claiming()
    plan = protocol.plan(Task(clients=CLIENTS, length=5, bound=10, level=Level.MALICIOUS))
    drawn = Identities.drawn(plan, seeded(1), bytes(32), model_digest=bytes(32))
    offered = Session.fresh(plan, seeded(1), roster=drawn.roster, model_digest=bytes(32))
    policy = ClientPolicy.accepting(plan, drawn.roster)
    assert policy.level is Level.MALICIOUS
    admission = Admission.to(offered)
    for identity in (None, Identity(drawn.of[client(0)].key, admission=admission)):
        with pytest.raises(LocalProtocolError, match="digest of the model that it received"):
            protocol.party(offered, client(0), seeded(1), policy, identity)
    complete = replace(drawn.of[client(0)], admission=admission)
    assert protocol.party(offered, client(0), seeded(1), policy, complete)
    assert protocol.party(offered, SERVER, seeded(1), policy)


def test_against_a_lying_server_a_client_has_a_session_that_its_ledger_opened() -> None:
    protocol = Claiming()
    plan = protocol.plan(Task(clients=CLIENTS, length=5, bound=10, level=Level.MALICIOUS))
    offered = Session.fresh(plan, seeded(1), job="job", training_round=4, roster=ROSTER)
    policy = ClientPolicy.accepting(plan, ROSTER)
    without = Identity(model_digest=offered.model_digest)
    for make in (protocol.party, partial(protocol.restore, records=())):
        with pytest.raises(
            LocalProtocolError, match=r"open session \w{16} in training round 4 of"
        ) as no:
            make(offered, client(0), seeded(1), policy, identity=without)
        assert "secagg.ledger.Keeper" in str(no.value)
        assert offered.id.hex()[:16] in str(no.value)
        assert make(
            offered,
            client(0),
            seeded(1),
            policy,
            identity=replace(without, admission=Admission.to(offered)),
        )
    assert protocol.party(offered, SERVER, seeded(1), policy)


@pytest.mark.parametrize("level", [Level.CURIOUS, Level.MALICIOUS])
@pytest.mark.parametrize(
    ("field", "value"), [("session", bytes(32)), ("job", "another"), ("training_round", 5)]
)
def test_an_admission_to_another_session_is_refused(level: Level, field: str, value: Any) -> None:
    """Where none is needed as well: a driver that has one and mixes it up is no better."""
    protocol = Claiming() if level is Level.MALICIOUS else protocols.get("plain")
    plan = protocol.plan(Task(clients=CLIENTS, length=5, bound=10, level=level))
    offered = Session.fresh(plan, seeded(1), job="job", training_round=4, roster=ROSTER)
    policy = ClientPolicy.accepting(plan, ROSTER)

    def party(admission: Admission) -> None:
        identity = Identity(model_digest=offered.model_digest, admission=admission)
        protocol.party(offered, client(0), seeded(1), policy, identity)

    fitting = Admission.to(offered)
    assert fitting == Admission(offered.id, "job", 4)
    party(fitting)
    with pytest.raises(LocalProtocolError, match="expected an admission to session") as refused:
        party(replace(fitting, **{field: value}))
    assert str(refused.value).endswith(f"got one to {replace(fitting, **{field: value})}")


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ((-1, CLIENTS), "epoch lies in"),
        ((1 << 63, CLIENTS), "epoch lies in"),
        ((1, CLIENTS, (), AUTHORITY), "this roster has none"),
        ((1, CLIENTS, KEYS, b"a"), "authority's key has 32 bytes"),
        ((1, CLIENTS, KEYS, KEYS[2]), "authority's key is also a client's"),
    ],
)
def test_rosters_that_cannot_be(fields: tuple[Any, ...], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        Roster(*fields)


def test_sessions_name_epoch_and_authority() -> None:
    rosters = [
        ROSTER,
        Roster(8, CLIENTS, KEYS, AUTHORITY),
        Roster(7, CLIENTS, KEYS, OTHER),
        Roster(7, CLIENTS, KEYS),
        Roster(7, CLIENTS),
    ]
    assert len({session(roster).id for roster in rosters}) == len(rosters)
