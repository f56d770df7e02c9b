"""A31: secrets that end up in a log.

Adversary: whoever reads the logs of clients and server. The worst of logs: at every step the repr
and the text of the party, of what happened, and of everything of this library's that hangs on it.
Goal: the seeds and shares of a client, or its input.
Protection: what holds secrets prints as its name, and as sizes; errors contain none.
Levels: curious, malicious.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from attacks.scenes import MALICIOUS, mounted, scenario_of
from conformance.scenario import Scenario

from secagg.audit.adversary import Network, Relay, Seen
from secagg.audit.leaks import reachable, seeds_of, shows, shows_numbers
from secagg.errors import InputError
from secagg.kernels import MaskStream
from secagg.protocol import Effect, Input, Record
from secagg.protocols._masking.authenticated.client import AuthenticatedClient
from secagg.protocols._masking.authenticated.messages import CommittedBundle, SignedVector
from secagg.protocols._masking.client import MaskingClient
from secagg.protocols._masking.messages import MaskedVector, ShareBundle
from secagg.types import PartyId, Secret, client
from secagg.wire import Message

LOG = logging.getLogger("attacks")
WHO = client(1)


class Logged(Network):
    """Everything is logged; the secrets of one client are noted, to search the log for them."""

    def __init__(self, scenario: Scenario, relay: Relay) -> None:
        super().__init__(
            scenario.protocol,
            scenario.session,
            scenario.inputs,
            scenario.rng,
            relay,
            identities=scenario.identities,
        )
        self.inputs = scenario.inputs
        self.seeds: dict[str, bytes] = {}
        self.shares: set[bytes] = set()
        self._lines: set[str] = set()

    def run(self) -> None:
        for vector in self.inputs.values():
            self._log(Input(vector))
        super().run()

    def _log(self, item: object) -> None:
        line = f"{item!r} {item}"
        if line not in self._lines:
            LOG.debug(line)
        self._lines.add(line)

    def _act(self, who: PartyId, effects: list[Effect]) -> None:
        seat = self._seats[who]
        party = seat.party
        if who == WHO and not party.ended:
            assert isinstance(party, MaskingClient | AuthenticatedClient)
            self.seeds = seeds_of(party)
            held = party._shares if isinstance(party, MaskingClient) else party._openings
            self.shares = {share.reveal() for share in held.values()}
        # With the party what it remembers, on its way to a disk.
        for item in reachable([party, effects, seat]):
            if type(item).__module__.startswith(("secagg.", "msgspec")):
                self._log(item)
        super()._act(who, effects)


def logged(
    scenario: Scenario, caplog: pytest.LogCaptureFixture, *, faulty: bool = False
) -> tuple[Logged, str]:
    """A round and its log; a faulty one has a dropout, a share that does not open, a bad input."""

    def relay(seen: Seen) -> Message | None:
        message = seen.message
        if not faulty:
            return message
        if isinstance(message, MaskedVector | SignedVector) and seen.sender == client(0):
            return None
        if isinstance(message, ShareBundle | CommittedBundle) and seen.recipient == client(2):
            flipped = bytes((message.sealed[0] ^ 1,)) + message.sealed[1:]
            if isinstance(message, ShareBundle):
                return ShareBundle(message.dealers, flipped)
            return msgspec.structs.replace(message, sealed=flipped)
        return message

    caplog.set_level(logging.DEBUG)
    network = Logged(scenario, relay)
    network.finish()
    if faulty:
        bad = scenario.inputs[WHO].copy()
        bad[0] = scenario.plan.ring.mask // 2
        party = scenario.party(WHO)
        party.start()
        with pytest.raises(InputError) as caught:
            party.handle(Input(bad), WHO)
        LOG.debug("%r %s", caught.value, caught.value, exc_info=caught.value)
    LOG.debug("%r %r", network.accused, network.failures)
    return network, caplog.text


def found(network: Logged, scenario: Scenario, text: str) -> set[str]:
    """What the reader of the log has of the client's secrets."""
    names = {name for name, seed in network.seeds.items() if shows(text, seed)}
    if any(shows(text, share) for share in network.shares):
        names.add("share")
    lanes = scenario.inputs[WHO].tolist()
    signed = scenario.values[WHO].tolist()
    if shows_numbers(text, lanes) or shows_numbers(text, signed):
        names.add("input")
    return names


OUT: dict[str, tuple[type, Callable[[Any], str], set[str]]] = {
    "secrets": (
        Secret,
        lambda secret: f"Secret({secret.reveal()!r})",
        {"party seed", "mask seed", "self seed", "share"},
    ),
    "records": (Record, lambda record: f"Record({record.head!r})", {"party seed", "share"}),
    "messages": (
        Message,
        lambda message: f"Message({[getattr(message, n) for n in message.__struct_fields__]})",
        {"share"},
    ),
    "inputs": (Input, lambda event: f"Input({event.vector.tolist()})", {"input"}),
}


@pytest.mark.parametrize("what", OUT)
def test_without_the_redaction_the_log_tells(
    what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Taken out: the repr that says nothing, of one kind of object at a time."""
    kind, telling, told = OUT[what]
    monkeypatch.setattr(kind, "__repr__", telling)
    scenario = scenario_of("secagg 4 curious")
    network, text = logged(scenario, caplog)
    assert found(network, scenario, text) == told


@pytest.mark.parametrize("scene", ["secagg 7 curious", "secagg_plus 7 curious", MALICIOUS])
@pytest.mark.parametrize("faulty", [False, True])
def test_with_it_the_log_tells_nothing(
    scene: str, faulty: bool, caplog: pytest.LogCaptureFixture
) -> None:
    scenario = scenario_of(scene, corrupt="0", dropout="0.25")
    network, text = logged(scenario, caplog, faulty=faulty)
    assert network.total is not None
    assert bool(network.failures) == faulty
    assert len(text) > 10_000
    assert not found(network, scenario, text)


@pytest.mark.parametrize("kind", ["secrets", "inputs"])
def test_without_it_the_search_of_the_audit_finds_what_is_printed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, telling, _ = OUT[kind]
    monkeypatch.setattr(what, "__repr__", telling)
    outcome = mounted("A31", "secagg curious")
    assert outcome.succeeded
    assert outcome.evidence.endswith(str(kind == "inputs"))


def test_a_mask_stream_does_not_print_its_key() -> None:
    """The one object that holds a key outside a `Secret`, for the kernels."""
    stream = MaskStream(bytes(range(100, 116)), bytes(range(12)), +1)
    assert shows(repr(tuple(stream)), stream.key)
    for text in (repr(stream), str(stream), f"{stream}"):
        assert not shows(text, stream.key)


@pytest.mark.parametrize("spelled", [bytes.hex, repr, list, lambda secret: secret.hex(" ")])
def test_the_reader_finds_what_is_there(spelled: Callable[[bytes], object]) -> None:
    secret = bytes(range(60, 92))
    assert shows(f"before {spelled(secret)} after", secret)
    assert not shows(f"before {spelled(secret[::-1])} after", secret)
