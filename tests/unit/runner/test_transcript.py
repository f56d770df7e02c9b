"""The transcript tells who sent what to whom in which phase, and nothing of the content."""

from __future__ import annotations

import hashlib

import msgspec
from conformance.scenario import Scenario

from secagg import protocols
from secagg.runner import Faults
from secagg.transcript import Entry, Transcript
from secagg.types import PartyId, client
from secagg.wire import Frame


def test_every_message_is_noted_once_with_size_and_digest() -> None:
    frames: dict[str, int] = {}

    def watch(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        frames[hashlib.sha256(frame.join()).hexdigest()] = frame.size
        return frame

    transcript = Transcript()
    Scenario(protocols.get("secagg"), 3).run(Faults(tamper=watch), transcript=transcript)
    assert {entry.sha256: entry.size for entry in transcript.entries} == frames
    assert [entry.sequence for entry in transcript.entries] == list(range(len(frames)))
    assert {entry.fate for entry in transcript.entries} == {"delivered"}
    by_message = {entry.message: entry.phase for entry in transcript.entries}
    assert by_message == {
        "AdvertiseKeys": "advertise",
        "KeyBook": "advertise",
        "ShareKeys": "share",
        "ShareBundle": "share",
        "MaskedVector": "mask",
        "UnmaskRequest": "unmask",
        "UnmaskShares": "unmask",
    }


def test_late_and_refused_messages_are_noted_as_such() -> None:
    def garble(frame: Frame, sender: PartyId, recipient: PartyId) -> Frame:
        return Frame(frame.head[:-1], frame.tail) if sender == client(0) else frame

    transcript = Transcript()
    scenario = Scenario(protocols.get("secagg"), 4, {"dropout": "0.25"})
    outcome = scenario.run(Faults(tamper=garble, duplicate=True), transcript=transcript)
    scenario.check(outcome)
    fates = {entry.fate for entry in transcript.entries}
    assert fates == {"delivered", "late", "refused"}
    assert {e.sender for e in transcript.entries if e.fate == "refused"} == {"client 0"}


def test_lines_are_json() -> None:
    transcript = Transcript()
    Scenario(protocols.get("plain"), 2).run(transcript=transcript)
    entries = [msgspec.json.decode(line, type=Entry) for line in transcript.lines()]
    assert entries == transcript.entries
