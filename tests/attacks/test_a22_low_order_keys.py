"""A22: public keys of low order, with which every agreement gives the same known secret.

Adversary: a server that puts them into a key book; a corrupt client that advertises one.
Seen: the frames of the victim.
Goal: of the server, the victim's input, bit for bit: the channel secrets are zeros, so it opens the
shares that the victim deals. Of the client, to end the round for everybody.
Protection: both sides refuse such keys (RFC 7748, section 6), `InvalidKey`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from attacks.adversary import Network, Seen, equal, scenario_of
from attacks.impersonator import Mask, cohort_of, impersonate, own_keys

from secagg.crypto.agreement import PrivateKey
from secagg.errors import InvalidKey, VerificationError
from secagg.protocols._masking import checks
from secagg.protocols._masking import server as server_module
from secagg.protocols._masking.messages import AdvertiseKeys
from secagg.types import Secret, client
from secagg.wire import Message

PRIME = 2**255 - 19
ORDER_EIGHT = 0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F
LOW_ORDER = [u.to_bytes(32, "little") for u in (0, 1, PRIME - 1, ORDER_EIGHT, PRIME, PRIME + 1)]
VICTIM = client(2)
CORRUPT = client(4)


def low_order_channels(numbers: list[int]) -> dict[int, Mask]:
    """Distinct channel keys that agree on zeros with anybody; the mask keys are ordinary."""
    return {
        number: replace(own_keys(number), channel_key=low, agree=lambda _: Secret(bytes(32)))
        for number, low in zip(numbers, LOW_ORDER, strict=True)
    }


def accept_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes both checks out: keys are not tested, and of low order the agreement gives zeros."""
    monkeypatch.setattr(checks, "check_public_key", lambda public: None)
    agree = PrivateKey.agree

    def unchecked(self: PrivateKey, public: bytes) -> Secret:
        try:
            return agree(self, public)
        except VerificationError:
            return Secret(bytes(32))

    monkeypatch.setattr(PrivateKey, "agree", unchecked)


@pytest.mark.parametrize("name", ["secagg", "secagg_plus"])
def test_without_the_check_the_server_opens_the_shares(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_zeros(monkeypatch)
    scenario = scenario_of(name, 7)
    masks = low_order_channels(cohort_of(scenario, VICTIM))
    assert equal(impersonate(scenario, VICTIM, masks), scenario.inputs[VICTIM])


@pytest.mark.parametrize("name", ["secagg", "secagg_plus"])
@pytest.mark.parametrize("low", LOW_ORDER)
def test_with_it_the_client_refuses_the_key_book(name: str, low: bytes) -> None:
    scenario = scenario_of(name, 7)
    masks = low_order_channels(cohort_of(scenario, VICTIM))
    with pytest.raises(InvalidKey, match=r"low order|alias"):
        impersonate(scenario, VICTIM, masks)
    # One among honest keys is enough to refuse.
    masks = {number: own_keys(number) for number in cohort_of(scenario, VICTIM)}
    masks[5] = replace(masks[5], channel_key=low)
    with pytest.raises(InvalidKey, match=r"low order|alias"):
        impersonate(scenario, VICTIM, masks)


def test_a_low_order_mask_key_is_refused_before_the_vector_is_masked() -> None:
    """With it the pair's mask is known to all; the vector must not leave under such masks."""
    scenario = scenario_of("secagg", 7)
    masks = {number: own_keys(number) for number in cohort_of(scenario, VICTIM)}
    masks[5] = replace(masks[5], mask_key=LOW_ORDER[1])
    with pytest.raises(InvalidKey, match=r"low order|alias"):
        impersonate(scenario, VICTIM, masks)


@pytest.mark.parametrize("field", ["channel", "mask"])
@pytest.mark.parametrize("checked", [False, True])
def test_a_corrupt_client_that_advertises_one(
    field: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the server's check. Then every honest client meets the key, and ends."""

    def advertise(seen: Seen) -> Message:
        if seen.sender != CORRUPT or not isinstance(seen.message, AdvertiseKeys):
            return seen.message
        corrupt = network.client(CORRUPT.number)._keys
        corrupt.public = corrupt.public._replace(**{field: LOW_ORDER[3]})
        return AdvertiseKeys(*corrupt.public)

    if not checked:
        monkeypatch.setattr(server_module, "check_public_key", lambda public: None)
    scenario = scenario_of("secagg", 7)
    network = Network(scenario, advertise)
    network.finish()
    if not checked:
        assert network.total is None
        ended = {who for who, fail in network.failures.items() if type(fail.error) is InvalidKey}
        assert ended >= set(scenario.inputs) - {CORRUPT}
        return
    (accusation,) = network.accused
    assert accusation.culprit == CORRUPT
    assert isinstance(accusation.error, InvalidKey)
    assert set(network.included) == set(scenario.inputs) - {CORRUPT}
    assert network.total is not None
    assert equal(network.total, scenario.expected(network.included))
