"""A10: the same inputs in two training rounds, the second time without the victim.

Adversary: a server that follows the protocol, in rounds on one model, and loses a vector.
Seen: two released sums.
Goal: the victim's input, as their difference.
Protection: none in a round. A record of who was in which sum, `secagg.ledger.Participation`,
refuses a second sum on one model over nearly the same cohort, or one that singles a client out with
all earlier ones: `NearIdenticalCohort`. A client that is left out of a sum is not told of it, so it
relies on the others' records, the server's, or an auditor's.
Levels: not covered at any; reported by whoever keeps the record.
"""

from __future__ import annotations

import pytest
from attacks.scenes import ANY, mounted, network_of

from secagg.audit.adversary import exact, recovered_from_two
from secagg.audit.attacks.differencing import VICTIM, difference, dropping_the_victim, taken
from secagg.errors import NearIdenticalCohort, VerificationError
from secagg.ledger import Participation
from secagg.types import client


@pytest.mark.parametrize("scene", [*ANY, "enclave curious", "ckks curious"])
def test_two_right_sums_give_the_victim_away(scene: str) -> None:
    outcome = mounted("A10", scene)
    assert outcome.succeeded
    assert "a record of participation refuses the second" in outcome.evidence


@pytest.mark.parametrize("scene", ["secagg 7 curious", "secagg_plus 60 curious"])
def test_the_record_refuses_the_second_and_lets_an_equal_one_pass(scene: str) -> None:
    first, second, third = (
        network_of(scene),
        network_of(scene, dropping_the_victim, nonce=bytes(32)),
        network_of(scene, nonce=bytes(range(32))),
    )
    for network in (first, second, third):
        network.finish()
        assert exact(network)
    record = Participation()
    record.add(taken(first))
    record.check(taken(third))
    with pytest.raises(NearIdenticalCohort) as refused:
        record.check(taken(second))
    assert refused.value.clients == (VICTIM,)
    assert recovered_from_two(first, VICTIM, difference(first, second))


def test_with_other_inputs_the_difference_is_nobodys() -> None:
    """On another model clients compute something else: this is what the record only reports."""
    first = network_of("secagg 7 curious")
    second = network_of("secagg 7 curious", dropping_the_victim, seed=2)
    for network in (first, second):
        network.finish()
    assert not recovered_from_two(first, VICTIM, difference(first, second))


def test_without_a_second_cohort_there_is_nothing_to_subtract() -> None:
    first, second = network_of("secagg 7 curious"), network_of("secagg 7 curious", nonce=bytes(32))
    for network in (first, second):
        network.finish()
    assert client(VICTIM) in second.included
    with pytest.raises(VerificationError, match="one without the victim"):
        difference(first, second)
