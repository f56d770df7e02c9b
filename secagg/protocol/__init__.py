"""The interface between protocols and everything that drives them.

A protocol is a plan, plus one state machine per party: events in, effects out.
"""

from secagg.protocol.beacon import Beacon, SignedBeacon, SimulatedBeacon
from secagg.protocol.effects import (
    Accuse,
    BeaconHead,
    BeaconValue,
    Deadline,
    Done,
    Effect,
    Effects,
    Event,
    Fail,
    Input,
    Record,
    Remember,
    Send,
)
from secagg.protocol.guarantees import (
    Adversary,
    Claim,
    Collusion,
    Dropouts,
    Evidence,
    Exactness,
    Guarantees,
    Level,
    Validity,
)
from secagg.protocol.identity import Admission, Identities, Identity
from secagg.protocol.interface import Offering, Protocol, Traffic
from secagg.protocol.party import DONE, FAILED, Fate, Party, on
from secagg.protocol.policy import ClientPolicy
from secagg.protocol.task import Plan, Roster, Session, Task, model_digest

__all__ = [
    "DONE",
    "FAILED",
    "Accuse",
    "Admission",
    "Adversary",
    "Beacon",
    "BeaconHead",
    "BeaconValue",
    "Claim",
    "ClientPolicy",
    "Collusion",
    "Deadline",
    "Done",
    "Dropouts",
    "Effect",
    "Effects",
    "Event",
    "Evidence",
    "Exactness",
    "Fail",
    "Fate",
    "Guarantees",
    "Identities",
    "Identity",
    "Input",
    "Level",
    "Offering",
    "Party",
    "Plan",
    "Protocol",
    "Record",
    "Remember",
    "Roster",
    "Send",
    "Session",
    "SignedBeacon",
    "SimulatedBeacon",
    "Task",
    "Traffic",
    "Validity",
    "model_digest",
    "on",
]
