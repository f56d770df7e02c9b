"""A25: one key in several places of a key book.

Adversary: a server whose one corrupt client stands in for all neighbours of the victim; a corrupt
client that advertises the key of another.
Seen: the frames of the victim; the corrupt client's secret keys.
Goal: of the server, the victim's input, bit for bit: one corrupt client is dealt as many shares as
the threshold. Of the client, to end the round for everybody.
Protection: all keys that a client is shown, its own among them, must differ, and all that the
server is sent: `InvalidKey`.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from attacks.adversary import Network, Seen, equal, scenario_of
from attacks.impersonator import cohort_of, impersonate, own_keys
from conformance.scenario import Scenario

from secagg import protocols
from secagg.crypto import agreement
from secagg.errors import InvalidKey
from secagg.protocols._masking import checks
from secagg.protocols._masking.messages import AdvertiseKeys
from secagg.protocols._masking.server import MaskingServer
from secagg.types import client
from secagg.wire import Message

VICTIM, CORRUPT = client(2), client(5)
NAMES = ["secagg", "secagg_plus"]


def without_raise(function: Callable[..., Any], words: str) -> Callable[..., Any]:
    """The function with the one `raise` that says these words turned into nothing."""
    source = textwrap.dedent(inspect.getsource(function))
    statement = f'raise InvalidKey(sender, "{words}")'
    assert source.count(statement) == 1
    namespace: dict[str, Any] = {}
    code = "from __future__ import annotations\n" + source.replace(statement, "pass")
    exec(code, function.__globals__, namespace)  # noqa: S102
    found: Callable[..., Any] = namespace[function.__name__]
    return found


def accept_repeated_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the client's check out of its source."""
    words = "expected distinct public keys, got one twice"
    unchecked = without_raise(checks.check_keys, words)
    monkeypatch.setattr(checks, "check_keys", unchecked)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("checked", [False, True])
def test_one_corrupt_client_in_the_place_of_all_neighbours(
    name: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = scenario_of(name, 7)
    masks = dict.fromkeys(cohort_of(scenario, VICTIM), own_keys(CORRUPT.number))
    if checked:
        with pytest.raises(InvalidKey, match="distinct"):
            impersonate(scenario, VICTIM, masks)
        return
    accept_repeated_keys(monkeypatch)
    assert equal(impersonate(scenario, VICTIM, masks), scenario.inputs[VICTIM])


@pytest.mark.parametrize("checked", [False, True])
def test_one_key_written_in_two_ways(checked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """X25519 ignores the top bit, so two encodings of one key pass for two keys.

    Taken out: the demand that a key be written in its one canonical way.
    """
    scenario = Scenario(protocols.get("secagg"), 3)
    one = own_keys(1)
    alias = replace(one, channel_key=top_bit(one.channel_key), mask_key=top_bit(one.mask_key))
    if checked:
        with pytest.raises(InvalidKey, match="alias"):
            impersonate(scenario, client(0), {1: one, 2: alias})
        return
    monkeypatch.setattr(agreement, "_check_encoding", lambda public: None)
    opened = impersonate(scenario, client(0), {1: one, 2: alias})
    assert equal(opened, scenario.inputs[client(0)])


def top_bit(key: bytes) -> bytes:
    return bytes((*key[:31], key[31] ^ 0x80))


def test_the_server_refuses_an_alias() -> None:
    def alias(seen: Seen) -> Message:
        if seen.sender != CORRUPT or not isinstance(seen.message, AdvertiseKeys):
            return seen.message
        return AdvertiseKeys(top_bit(seen.message.channel_key), seen.message.mask_key)

    network = Network(scenario_of("secagg", 7), alias)
    network.finish()
    (accusation,) = network.accused
    assert accusation.culprit == CORRUPT
    assert isinstance(accusation.error, InvalidKey)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", ["channel", "mask"])
@pytest.mark.parametrize("checked", [False, True])
def test_the_victims_own_key_reflected(
    name: str, field: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A neighbour is shown with a key of the victim's own. Unchecked, the victim deals to it."""
    scenario = scenario_of(name, 7)
    reflected: list[bytes] = []

    def reflect(seen: Seen) -> Message:
        if seen.sender == VICTIM and isinstance(seen.message, AdvertiseKeys):
            reflected.append(getattr(seen.message, f"{field}_key"))
        if seen.sender == CORRUPT and isinstance(seen.message, AdvertiseKeys):
            own = network.client(CORRUPT.number)._keys
            own.public = own.public._replace(**{field: reflected[0]})
            return AdvertiseKeys(*own.public)
        return seen.message

    accept_anything_at_the_server(monkeypatch)
    if not checked:
        accept_repeated_keys(monkeypatch)
    network = Network(scenario, reflect)
    network.finish()
    dealt = {seen.sender for seen in network.seen if seen.message.KIND == 3}
    if checked:
        assert isinstance(network.failures[VICTIM].error, InvalidKey)
        assert VICTIM not in dealt
    else:
        assert VICTIM in dealt


def accept_anything_at_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "expected public keys of its own, got one that is taken"
    unchecked = without_raise(MaskingServer.take_keys, words)
    monkeypatch.setitem(MaskingServer._handlers[AdvertiseKeys], "advertise", unchecked)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("checked", [False, True])
def test_a_corrupt_client_that_advertises_anothers_key(
    name: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the server's check. Then every honest client meets the key twice, and ends."""
    scenario = scenario_of(name, 7)
    copied: list[bytes] = []

    def copy(seen: Seen) -> Message:
        if not isinstance(seen.message, AdvertiseKeys):
            return seen.message
        if seen.sender == VICTIM:
            copied.append(seen.message.channel_key)
        if seen.sender != CORRUPT:
            return seen.message
        return AdvertiseKeys(copied[0], seen.message.mask_key)

    if not checked:
        accept_anything_at_the_server(monkeypatch)
    network = Network(scenario, copy)
    network.finish()
    if not checked:
        assert network.total is None
        honest = set(scenario.inputs) - {CORRUPT}
        assert all(isinstance(network.failures[who].error, InvalidKey) for who in honest)
        return
    (accusation,) = network.accused
    assert accusation.culprit == CORRUPT
    assert isinstance(accusation.error, InvalidKey)
    assert set(network.included) == set(scenario.inputs) - {CORRUPT}
