"""A22: public keys of low order, with which every agreement gives the same known secret.

Adversary: a server that puts them into a key book; a corrupt client that advertises one.
Seen: the frames of the victim.
Goal: of the server, the victim's input, bit for bit: the channel secrets are zeros, so it opens the
shares that the victim deals. Of the client, to end the round for everybody.
Protection: both sides refuse such keys (RFC 7748, section 6), `InvalidKey`. At level `malicious`
the server would need the signatures of all neighbours on them too.
Levels: curious, malicious.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from attacks.checks import without
from attacks.scenes import COMPLETE, MALICIOUS, network_of

from secagg.audit.adversary import (
    Accomplice,
    Seen,
    all_but,
    exact,
    impersonate,
    own_keys,
    recovered,
)
from secagg.audit.attacks.impersonation import CORRUPT, LOW_ORDER, VICTIM, low_order_channels
from secagg.errors import InvalidKey
from secagg.protocols._masking.authenticated.messages import SignedKeys
from secagg.protocols._masking.messages import AdvertiseKeys
from secagg.wire import Message


@pytest.mark.parametrize("scene", COMPLETE)
def test_without_the_check_the_server_opens_the_shares(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "low order at the client", "signed keys")
    network = network_of(scene, present=[VICTIM])
    masks = low_order_channels(all_but(network, VICTIM))
    assert recovered(network, VICTIM.number, impersonate(network, VICTIM, masks))


@pytest.mark.parametrize("scene", COMPLETE)
@pytest.mark.parametrize("low", LOW_ORDER)
def test_with_it_the_client_refuses_the_key_book(
    scene: str, low: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever signed them."""
    without(monkeypatch, "signed keys")
    network = network_of(scene, present=[VICTIM])
    masks = low_order_channels(all_but(network, VICTIM))
    with pytest.raises(InvalidKey, match=r"low order|alias"):
        impersonate(network, VICTIM, masks)
    # One among honest keys is enough to refuse.
    masks = {number: own_keys(number) for number in all_but(network, VICTIM)}
    masks[5] = replace(masks[5], channel_key=low)
    with pytest.raises(InvalidKey, match=r"low order|alias"):
        impersonate(network_of(scene, present=[VICTIM]), VICTIM, masks)


@pytest.mark.parametrize("scene", COMPLETE)
def test_a_low_order_mask_key_is_refused_before_the_vector_is_masked(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it the pair's mask is known to all; the vector must not leave under such masks."""
    without(monkeypatch, "signed keys")
    network = network_of(scene, present=[VICTIM])
    masks = {number: own_keys(number) for number in all_but(network, VICTIM)}
    masks[5] = replace(masks[5], mask_key=LOW_ORDER[1])
    with pytest.raises(InvalidKey, match=r"low order|alias"):
        impersonate(network, VICTIM, masks)


@pytest.mark.parametrize("scene", ["secagg 7 curious", MALICIOUS])
@pytest.mark.parametrize("field", ["channel", "mask"])
@pytest.mark.parametrize("checked", [False, True])
def test_a_corrupt_client_that_advertises_one(
    scene: str, field: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the server's check. Then every honest client meets the key, and ends."""

    def advertise(seen: Seen) -> Message:
        if seen.sender != CORRUPT or not isinstance(seen.message, AdvertiseKeys | SignedKeys):
            return seen.message
        return Accomplice(network, CORRUPT.number).advertise(**{field: LOW_ORDER[3]})

    if not checked:
        without(monkeypatch, "low order at the server")
    network = network_of(scene, advertise)
    network.finish()
    if not checked:
        assert network.total is None
        ended = {who for who, fail in network.failures.items() if type(fail.error) is InvalidKey}
        assert ended >= set(network.clients) - {CORRUPT}
        return
    (accusation,) = network.accused
    assert accusation.culprit == CORRUPT
    assert isinstance(accusation.error, InvalidKey)
    assert set(network.included) == set(network.clients) - {CORRUPT}
    assert exact(network)
