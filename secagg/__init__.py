"""Secure aggregation for federated learning: a server learns the sum, and only the sum.

The public names, nothing else. Start with `protocols.get`, `Codec`, `Task` and `run`.
"""

from importlib.metadata import version

from secagg import protocols
from secagg.codec import Codec, Layout
from secagg.crypto.rng import SystemRng, seeded
from secagg.errors import SecaggError
from secagg.protocol import ClientPolicy, Level, Party, Plan, Protocol, Session, Task
from secagg.protocols._masking.parameters import GraphParameters, secagg_plus_parameters
from secagg.runner import Faults, Outcome, run
from secagg.transcript import Transcript
from secagg.types import SERVER, PartyId, Ring, RingVector, Rng, Role, Secret, client

__version__ = version("secagg")

__all__ = [
    "SERVER",
    "ClientPolicy",
    "Codec",
    "Faults",
    "GraphParameters",
    "Layout",
    "Level",
    "Outcome",
    "Party",
    "PartyId",
    "Plan",
    "Protocol",
    "Ring",
    "RingVector",
    "Rng",
    "Role",
    "SecaggError",
    "Secret",
    "Session",
    "SystemRng",
    "Task",
    "Transcript",
    "__version__",
    "client",
    "protocols",
    "run",
    "secagg_plus_parameters",
    "seeded",
]
