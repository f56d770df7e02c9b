"""What `run` refuses, and what it does when somebody says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from conformance.scenario import Scenario

from secagg import protocols
from secagg.errors import InputError, LocalProtocolError, PolicyError, RoundFailed
from secagg.protocol import ClientPolicy
from secagg.runner import Faults, run
from secagg.types import SERVER, PartyId, client
from secagg.wire import Frame


@pytest.fixture
def scenario() -> Scenario:
    return Scenario(protocols.get("secagg"), 4, {"dropout": "0.25"})


def test_inputs_and_faults_of_strangers_are_refused(scenario: Scenario) -> None:
    vector = scenario.inputs[client(0)]
    for stranger in (client(9), SERVER):
        with pytest.raises(LocalProtocolError, match="session's parties"):
            run(
                scenario.protocol,
                scenario.session,
                {**scenario.inputs, stranger: vector},
                scenario.rng,
            )
    for faults in (Faults(lost={client(9): 0}), Faults(kills={client(9): (1,)})):
        with pytest.raises(LocalProtocolError, match=r"number=9"):
            scenario.run(faults)


def test_a_client_without_an_input_is_a_dropout(scenario: Scenario) -> None:
    silent = scenario.inputs.pop(client(2))
    outcome = scenario.run()
    scenario.check(outcome)
    assert outcome.included == (client(0), client(1), client(3))
    assert outcome.parties[client(2)].failure == "nothing more came in phase mask"
    assert silent.any()


def test_a_wrong_input_stops_before_it_is_sent(scenario: Scenario) -> None:
    sent = []

    def watch(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        sent.append(sender)
        return frame

    scenario.inputs[client(1)] = np.zeros(3, dtype=scenario.plan.ring.dtype)
    with pytest.raises(InputError, match=r"shape \(17,\), got \(3,\)"):
        scenario.run(Faults(tamper=watch))
    assert sent.count(client(1)) <= 1  # its keys at most


def test_clients_may_refuse_the_plan(scenario: Scenario) -> None:
    with pytest.raises(PolicyError, match="corrupt"):
        run(
            scenario.protocol,
            scenario.session,
            scenario.inputs,
            scenario.rng,
            policy=ClientPolicy(min_clients=2, corrupt=3),
        )


def test_a_failed_round_says_why(scenario: Scenario) -> None:
    outcome = scenario.run(Faults(lost={client(number): 0 for number in range(3)}))
    with pytest.raises(RoundFailed, match="1 of 4 clients advertised keys, 3 are needed") as failed:
        outcome.sum()
    assert failed.value.reason == outcome.failure
