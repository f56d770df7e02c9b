"""A25: a neighbourhood of the server's choosing: one key in several places of a key book.

Adversary: a server whose one corrupt client stands in for all neighbours of the victim; a corrupt
client that advertises the key of another.
Seen: the frames of the victim; the corrupt client's secret keys.
Goal: of the server, the victim's input, bit for bit: one corrupt client is dealt as many shares as
the threshold. Of the client, to end the round for everybody.
Protection: all keys that a client is shown, its own among them, must differ, and all that the
server is sent: `InvalidKey`. At level `malicious` each key is signed by its own client as well, and
a cohort of the victim and the corrupt alone is too small: `CohortTooSmall`.
Levels: curious, malicious; a cohort of the server's choosing is covered at malicious.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from attacks.checks import without
from attacks.scenes import COMPLETE, MALICIOUS, network_of

from secagg.audit.adversary import (
    Accomplice,
    Mask,
    Network,
    Seen,
    all_but,
    impersonate,
    own_keys,
    recovered,
)
from secagg.errors import CohortTooSmall, InvalidKey, UnauthenticatedKey
from secagg.protocols._masking.authenticated.messages import (
    CommittedShares,
    SignedKeyBook,
    SignedKeys,
)
from secagg.protocols._masking.messages import AdvertiseKeys, KeyBook, ShareKeys
from secagg.types import client
from secagg.wire import Message

VICTIM, CORRUPT = client(2), client(5)
DEALT = ShareKeys | CommittedShares
ADVERTISED = AdvertiseKeys | SignedKeys


@pytest.mark.parametrize("scene", COMPLETE)
@pytest.mark.parametrize("checked", [False, True])
def test_one_corrupt_client_in_the_place_of_all_neighbours(
    scene: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "signed keys")
    network = network_of(scene, present=[VICTIM])
    masks = dict.fromkeys(all_but(network, VICTIM), own_keys(CORRUPT.number))
    if checked:
        with pytest.raises(InvalidKey, match="distinct"):
            impersonate(network, VICTIM, masks)
        return
    without(monkeypatch, "distinct keys")
    assert recovered(network, VICTIM.number, impersonate(network, VICTIM, masks))


def enlisted(network: Network, number: int) -> Mask:
    """A corrupt client as it is, with its own signature."""
    accomplice = Accomplice(network, number)
    (said,) = (m for m in network.said(client(number)) if isinstance(m, SignedKeys))
    return Mask(said.channel_key, said.mask_key, accomplice.agree_channel, said.signature)


@pytest.mark.parametrize("keys", ["in all places", "in its own place"])
def test_a_corrupt_client_with_its_own_signature_does_not_suffice(
    keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys are signed, but for itself; and alone with it a client does not begin."""

    def bias(seen: Seen) -> Message | None:
        return None if isinstance(seen.message, KeyBook | SignedKeyBook) else seen.message

    around = network_of(MALICIOUS, bias)
    around.run()
    mask = enlisted(around, CORRUPT.number)
    network = network_of(MALICIOUS, present=[VICTIM])
    if keys == "in all places":
        without(monkeypatch, "distinct keys")
        with pytest.raises(UnauthenticatedKey):
            impersonate(network, VICTIM, dict.fromkeys(all_but(network, VICTIM), mask))
    else:
        with pytest.raises(CohortTooSmall):
            impersonate(network, VICTIM, {CORRUPT.number: mask})


def test_a_cohort_of_the_servers_choosing_without_the_floor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The victim and the one corrupt client, whose keys are signed by itself."""
    without(monkeypatch, "cohort floor", "dealer floor", "enough holders")
    around = network_of(MALICIOUS)
    around.begin()
    mask = enlisted(around, CORRUPT.number)
    network = network_of(MALICIOUS, present=[VICTIM])
    assert recovered(network, VICTIM.number, impersonate(network, VICTIM, {CORRUPT.number: mask}))


@pytest.mark.parametrize("checked", [False, True])
def test_one_key_written_in_two_ways(checked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """X25519 ignores the top bit, so two encodings of one key pass for two keys.

    Taken out: the demand that a key be written in its one canonical way.
    """
    network = network_of("secagg 3 curious", present=[client(0)], corrupt="0", dropout="0")
    one = own_keys(1)
    alias = replace(one, channel_key=top_bit(one.channel_key), mask_key=top_bit(one.mask_key))
    if checked:
        with pytest.raises(InvalidKey, match="alias"):
            impersonate(network, client(0), {1: one, 2: alias})
        return
    without(monkeypatch, "canonical keys")
    assert recovered(network, 0, impersonate(network, client(0), {1: one, 2: alias}))


def top_bit(key: bytes) -> bytes:
    return bytes((*key[:31], key[31] ^ 0x80))


@pytest.mark.parametrize("scene", ["secagg 7 curious", MALICIOUS])
def test_the_server_refuses_an_alias(scene: str) -> None:
    def alias(seen: Seen) -> Message:
        if seen.sender != CORRUPT or not isinstance(seen.message, ADVERTISED):
            return seen.message
        return Accomplice(network, CORRUPT.number).advertise(top_bit(seen.message.channel_key))

    network = network_of(scene, alias)
    network.finish()
    (accusation,) = network.accused
    assert accusation.culprit == CORRUPT
    assert isinstance(accusation.error, InvalidKey)


@pytest.mark.parametrize("scene", COMPLETE)
@pytest.mark.parametrize("field", ["channel", "mask"])
@pytest.mark.parametrize("checked", [False, True])
def test_the_victims_own_key_reflected(
    scene: str, field: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A corrupt neighbour signs a key of the victim's as its own. Unchecked, it is dealt to."""
    reflected: list[SignedKeys | AdvertiseKeys] = []

    def reflect(seen: Seen) -> Message:
        message = seen.message
        if seen.sender == VICTIM and isinstance(message, ADVERTISED):
            reflected.append(message)
        if seen.sender != CORRUPT or not isinstance(message, ADVERTISED):
            return message
        accomplice = Accomplice(network, CORRUPT.number)
        if field == "channel":
            return accomplice.advertise(channel=reflected[0].channel_key)
        return accomplice.advertise(mask=reflected[0].mask_key)

    without(monkeypatch, "taken keys at the server")
    if not checked:
        without(monkeypatch, "distinct keys")
    network = network_of(scene, reflect)
    network.finish()
    dealt = {seen.sender for seen in network.seen if isinstance(seen.message, DEALT)}
    if checked:
        assert isinstance(network.failures[VICTIM].error, InvalidKey)
        assert VICTIM not in dealt
    else:
        assert VICTIM in dealt


@pytest.mark.parametrize("scene", COMPLETE)
@pytest.mark.parametrize("checked", [False, True])
def test_a_corrupt_client_that_advertises_anothers_key(
    scene: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the server's check. Then every honest client meets the key twice, and ends."""
    copied: list[bytes] = []

    def copy(seen: Seen) -> Message:
        if not isinstance(seen.message, ADVERTISED):
            return seen.message
        if seen.sender == VICTIM:
            copied.append(seen.message.channel_key)
        if seen.sender != CORRUPT:
            return seen.message
        return Accomplice(network, CORRUPT.number).advertise(channel=copied[0])

    if not checked:
        without(monkeypatch, "taken keys at the server")
    network = network_of(scene, copy)
    network.finish()
    if not checked:
        assert network.total is None
        honest = set(network.clients) - {CORRUPT}
        assert all(isinstance(network.failures[who].error, InvalidKey) for who in honest)
        return
    (accusation,) = network.accused
    assert accusation.culprit == CORRUPT
    assert isinstance(accusation.error, InvalidKey)
    assert set(network.included) == set(network.clients) - {CORRUPT}
