"""Tasks, plans, sessions and policies: what is refused before anything is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from secagg import protocols
from secagg.crypto.rng import seeded
from secagg.errors import ParameterError
from secagg.protocol import Level, Roster, Session, Task
from secagg.types import SERVER, PartyId, Role, client


def task(**changes: Any) -> Task:
    settings: dict[str, Any] = {"clients": clients(10), "length": 5, "bound": 10}
    return Task(**(settings | changes))


def clients(count: int) -> tuple[PartyId, ...]:
    return tuple(client(number) for number in range(count))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"clients": ()}, "at least two clients, got none"),
        ({"clients": clients(1)}, "min_clients = 3, got 1"),
        ({"clients": clients(2)}, "min_clients = 3, got 2"),
        ({"clients": clients(1), "min_clients": 1}, "at least 2"),
        ({"clients": (client(1), client(0), client(2))}, "ascend"),
        ({"clients": (client(1), client(1), client(2))}, "ascend"),
        ({"clients": (client(-1), client(1), client(2))}, "ascend"),
        ({"clients": (client(0), client(1), client(1 << 20))}, "ascend"),
        ({"clients": (client(0), client(1), SERVER)}, "clients only, got server 0"),
        ({"length": 0}, "1 to"),
        ({"length": (1 << 34) + 1}, "1 to"),
        ({"bound": 0}, "at least 1, got 0"),
        ({"min_clients": 11}, "min_clients = 11, got 10"),
        ({"corrupt": 0.1}, "exact decimal"),
        ({"corrupt": "1"}, r"\[0, 1\)"),
        ({"dropout": "-0.1"}, r"\[0, 1\)"),
        ({"dropout": "NaN"}, r"\[0, 1\)"),
        ({"dropout": "some"}, "decimal such as"),
        ({"sigma": 0}, "sigma"),
        ({"eta": 129}, "eta"),
    ],
)
def test_tasks_that_no_plan_could_honour(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        task(**changes)


def test_corrupt_and_dropout_counts_are_rounded_up() -> None:
    assert task(corrupt="0.11", dropout="0.11").corrupt_count == 2
    assert task(corrupt="0.01", dropout="0").corrupt_count == 1
    assert task(corrupt="0").corrupt_count == 0
    assert task(dropout="0.11").dropout_count == 2
    assert task(dropout="0").dropout_count == 0
    assert task(corrupt="0.1").corrupt_count == 1


def test_equal_tasks_have_one_encoding() -> None:
    first, second = task(corrupt="0.10"), task(corrupt=Decimal("1E-1"))
    assert first == second
    assert msgspec.msgpack.encode(first) == msgspec.msgpack.encode(second)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(first), type=Task) == first


@pytest.mark.parametrize("name", ["secagg", "secagg_plus"])
@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"dropout": "0.5"}, "lower gamma or delta"),
        ({"corrupt": "0.6"}, "hides no honest input"),
        ({"corrupt": "0.9"}, "lower gamma or delta"),
        ({"min_clients": 10}, "min_clients = 10 of 10 clients, but only 9"),
        ({"clients": clients(3), "dropout": "0", "min_clients": 2}, "hides no honest input"),
        ({"clients": clients(2), "min_clients": 2, "dropout": "0"}, "hides no honest input"),
        ({"level": Level.MALICIOUS, "dropout": "0.45"}, "lower gamma or delta"),
        ({"bound": 1 << 62}, "ring of"),
    ],
)
def test_plans_that_masking_refuses(name: str, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        protocols.get(name).plan(task(**changes))


@pytest.mark.parametrize("name", ["bfv", "ckks", "enclave"])
def test_a_level_that_is_not_offered_has_no_plan(name: str) -> None:
    with pytest.raises(ParameterError, match="offers level curious; got malicious"):
        protocols.get(name).plan(task(level=Level.MALICIOUS))


@pytest.mark.parametrize("name", protocols.NAMES)
def test_plans_are_a_function_of_the_task(name: str) -> None:
    protocol = protocols.get(name)
    assert protocol.plan(task()) == protocol.plan(task())
    assert protocol.plan(task()).digest == protocol.plan(task()).digest
    assert protocol.plan(task(length=6)).digest != protocol.plan(task()).digest
    described = dict(protocol.plan(task()).describe())
    assert "colluding" in described["withstands"]


def test_small_cohorts_get_the_complete_graph_and_withstand_someone() -> None:
    for name in ("secagg", "secagg_plus"):
        plan: Any = protocols.get(name).plan(task())
        assert plan.complete
        assert (plan.degree, plan.threshold, plan.corrupt) == (9, 6, 1)
        assert plan.honest_lower_bound >= 2


def test_a_large_cohort_gets_a_sparse_graph() -> None:
    plan: Any = protocols.get("secagg_plus").plan(task(clients=clients(1000)))
    assert not plan.complete
    assert 20 < plan.degree < 100
    assert plan.minimum == plan.smallest_cohort == 900
    assert plan.threshold > plan.degree // 2 - 10
    full: Any = protocols.get("secagg").plan(task(clients=clients(1000)))
    assert (full.complete, full.threshold) == (True, 501)


def test_session_ids_bind_everything() -> None:
    plan = protocols.get("plain").plan(task())
    roster = Roster(0, plan.task.clients)
    base: dict[str, Any] = {
        "plan": plan,
        "roster": roster,
        "job": "job",
        "training_round": 1,
        "model_digest": bytes(32),
        "nonce": bytes(32),
    }
    ids = [
        Session(**(base | changes)).id
        for changes in (
            {},
            {"plan": protocols.get("secagg").plan(task())},
            {"roster": Roster(1, plan.task.clients)},
            {"roster": Roster(0, clients(11))},
            {"job": "another"},
            {"training_round": 2},
            {"model_digest": b"\1" * 32},
            {"nonce": b"\1" * 32},
        )
    ]
    assert len(set(ids)) == len(ids)
    assert Session(**base).id == ids[0]
    assert len(ids[0]) == 32


def test_sessions_are_fresh() -> None:
    plan = protocols.get("plain").plan(task())
    rng = seeded(1)
    assert Session.fresh(plan, rng).id != Session.fresh(plan, rng).id


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"model_digest": bytes(31)}, "model_digest has 32 bytes, got 31"),
        ({"nonce": b""}, "nonce has 32 bytes, got 0"),
        ({"training_round": -1}, "not negative"),
        ({"roster": Roster(0, clients(9))}, "not in the roster: client 9"),
    ],
)
def test_sessions_that_are_refused(changes: dict[str, Any], match: str) -> None:
    plan = protocols.get("plain").plan(task())
    base: dict[str, Any] = {
        "plan": plan,
        "roster": Roster(0, plan.task.clients),
        "job": "job",
        "training_round": 1,
        "model_digest": bytes(32),
        "nonce": bytes(32),
    }
    with pytest.raises(ParameterError, match=match):
        Session(**(base | changes))


@pytest.mark.parametrize(
    "members",
    [
        (),
        (SERVER,),
        (client(1), client(0)),
        (client(0), client(0)),
        (client(-1),),
        (client(1 << 33),),
    ],
)
def test_rosters_of_others_than_clients_in_order(members: tuple[PartyId, ...]) -> None:
    with pytest.raises(ParameterError, match=r"expected|roster indices ascend"):
        Roster(0, members)


def test_unknown_protocols_are_named() -> None:
    with pytest.raises(ParameterError, match=r"plain, secagg, secagg_plus, .*got 'telepathy'"):
        protocols.get("telepathy")


def test_claims_are_ordered_by_strength() -> None:
    from secagg.protocol import Adversary

    assert Adversary.LYING_SERVER.at_least(Adversary.CURIOUS_SERVER)
    assert not Adversary.TRUSTED_SERVER.at_least(Adversary.CURIOUS_SERVER)
    assert PartyId(Role.CLIENT, 1) in clients(2)
