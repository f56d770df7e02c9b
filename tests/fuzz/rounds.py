"""Whole sessions in which some messages arrive changed: what a party reads out of a message.

The rest of the data is changes: two bytes that say which message, two where in it, one what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from conformance.scenario import Offered, Scenario, chosen_names
from fuzz.target import Target

from secagg.errors import SecaggError
from secagg.runner import Faults
from secagg.types import PartyId
from secagg.wire import ENVELOPE_BYTES, Frame

CHANGE_BYTES = 5
MOST_CHANGES = 8
CLIENTS = 4


def tampering(data: bytes) -> Callable[[Frame, PartyId, PartyId], Frame]:
    """Changes what these bytes say in the messages of one session."""
    changes: dict[int, list[tuple[int, int]]] = {}
    for at in range(
        0, min(len(data), CHANGE_BYTES * MOST_CHANGES) - CHANGE_BYTES + 1, CHANGE_BYTES
    ):
        which = int.from_bytes(data[at : at + 2], "big")
        place = int.from_bytes(data[at + 2 : at + 4], "big")
        changes.setdefault(which % 64, []).append((place, data[at + 4]))
    sent = 0

    def tamper(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        nonlocal sent
        sent += 1
        if sent - 1 not in changes:
            return frame
        joined = bytearray(frame.join())
        for place, value in changes[sent - 1]:
            # The envelope has a target of its own: here the message arrives.
            size = len(joined) - ENVELOPE_BYTES
            joined[ENVELOPE_BYTES + place % size] ^= value
        return Frame.split(bytes(joined))

    return tamper


def run(name: str, data: bytes) -> None:
    """The sum is right, or there is none, and every refusal has a type."""
    world = Scenario(Offered.named(name), CLIENTS, {"dropout": "0.25", "length": 3})
    outcome = world.run(Faults(tamper=tampering(data)))
    for _, error in outcome.accused:
        assert isinstance(error, SecaggError)
    for report in outcome.parties.values():
        assert all(isinstance(error, SecaggError) for error in report.refused)
    assert (outcome.total is None) == bool(outcome.failure)


def _decode(name: str) -> Callable[[bytes], None]:
    return lambda data: run(name, data)


def _seeds() -> Iterator[bytes]:
    yield b""
    for which in range(0, 24, 3):
        yield which.to_bytes(2, "big") + (which * 5).to_bytes(2, "big") + b"\1"


COVERS = {
    "plain-curious": ("secagg.protocol.party:Party.open",),
    "secagg-curious": (
        "secagg.protocols._masking.checks:read_bitmap",
        "secagg.protocols._masking.checks:read_numbers",
        "secagg.protocol.cohort:is_subset",
        "secagg.protocols._masking.client:MaskingClient._open_shares",
        "secagg.protocols._masking.mailbox:ShareMailbox.deal",
        "secagg.protocols._masking.server:MaskingServer.take_answer",
    ),
    "secagg-malicious": (
        "secagg.protocols._masking.authenticated.server:AuthenticatedServer.take_answer",
    ),
    "secagg_plus-malicious": (
        "secagg.protocols._masking.authenticated.ring:RingClient.beacon_round",
        "secagg.protocols._masking.authenticated.ring:RingServer.beacon_round",
        "secagg.protocols._masking.neighbourhood:Neighbourhood.__init__",
    ),
    "bfv-curious": (
        "secagg.protocols._homomorphic.client:parsed_context",
        "secagg.protocols._homomorphic.decryptor:Decryptor.open_sum",
        "secagg.protocols._homomorphic.decryptor:Decryptor._opened",
        "secagg.protocols._homomorphic.server:HomomorphicServer.add",
        "secagg.protocols._homomorphic.server:HomomorphicServer.release",
    ),
    "enclave-curious": (
        "secagg.protocols._enclave.client:Client.check_quote",
        "secagg.protocols._enclave.client:Client.check_record",
    ),
}


TARGETS = tuple(
    Target(f"round-{name}", _decode(name), COVERS.get(name, ()), _seeds)
    for name in chosen_names(None)
)
