"""How a party is made: who gets one, and what it has to bring along."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conformance.scenario import Scenario

from secagg import protocols
from secagg.errors import LocalProtocolError, PolicyError
from secagg.protocol import ClientPolicy, Remember
from secagg.protocols.plain import Client, Plain
from secagg.types import ENCLAVE, SERVER, PartyId, Role, client


@pytest.mark.parametrize("name", protocols.NAMES)
def test_who_has_no_part_gets_no_party(name: str) -> None:
    scenario = Scenario(protocols.get(name), 4)
    strangers = [client(4), client(77), PartyId(Role.SERVER, 1), PartyId(Role.HELPER, 0)]
    strangers += [ENCLAVE] if name != "enclave" else [SERVER]
    for stranger in strangers:
        with pytest.raises(LocalProtocolError, match=f"{stranger} has no part in this session"):
            scenario.party(stranger)


def test_a_server_that_sees_every_input_is_accepted_by_name_only() -> None:
    scenario = Scenario(protocols.get("plain"), 4)
    guarantees = scenario.offering.guarantees
    demand = ClientPolicy(min_clients=2, corrupt=0)
    with pytest.raises(PolicyError, match=r"^trusted_server: ") as refused:
        demand.admit(scenario.plan, guarantees)
    assert refused.value.field == "trusted_server"
    with pytest.raises(PolicyError, match=r"^trusted_server: "):
        scenario.party(client(0), demand)
    ClientPolicy(min_clients=2, corrupt=0, trusted_server=True).admit(scenario.plan, guarantees)


def test_a_client_of_an_identified_protocol_brings_an_identity() -> None:
    scenario = Scenario(protocols.get("enclave"), 4)
    policy = ClientPolicy.accepting(scenario.plan, scenario.session.roster)
    with pytest.raises(LocalProtocolError, match="enclave needs an identity for client 0"):
        scenario.protocol.party(scenario.session, client(0), scenario.rng, policy)


class Forgetful(Client):
    restorable = False


class Losing(Plain):
    """Its clients keep their state in memory only."""

    levels = {
        level: replace(offering, roles={**offering.roles, Role.CLIENT: Forgetful})
        for level, offering in Plain.levels.items()
    }


def test_who_keeps_no_memory_is_not_restored() -> None:
    records = [
        effect.record
        for effect in Scenario(protocols.get("plain"), 3).party(client(0)).start()
        if isinstance(effect, Remember)
    ]
    assert records
    scenario = Scenario(Losing(), 3)
    with pytest.raises(LocalProtocolError, match="client 0 keeps its state in memory only"):
        scenario.restore(client(0), records)
    fresh = scenario.restore(client(0), [])
    assert fresh.phase == fresh.phases[0]
