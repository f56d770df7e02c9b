"""Evidence about what code holds a key, and the policy by which a client judges it.

All evidence here is SIMULATED: a software root signs what a processor would have to vouch for.
"""

from secagg.attestation.evidence import ALGORITHM, EVIDENCE_BYTES, Evidence, TcbStatus
from secagg.attestation.measurement import (
    Measurement,
    describe_measurement,
    measure,
    measure_installed,
)
from secagg.attestation.platform import SIMULATED_SIGNER, SimulatedPlatform
from secagg.attestation.policy import HardwareVerifier, Policy, Reason, SimulatedVerifier, Verifier

__all__ = [
    "ALGORITHM",
    "EVIDENCE_BYTES",
    "SIMULATED_SIGNER",
    "Evidence",
    "HardwareVerifier",
    "Measurement",
    "Policy",
    "Reason",
    "SimulatedPlatform",
    "SimulatedVerifier",
    "TcbStatus",
    "Verifier",
    "describe_measurement",
    "measure",
    "measure_installed",
]
