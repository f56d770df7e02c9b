"""The SIMULATED platform: a software key that signs what a processor would have to vouch for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from secagg.attestation.evidence import CONTEXT, Evidence, TcbStatus
from secagg.crypto.digest import digest
from secagg.crypto.signing import SigningKey
from secagg.types import Secret

SIMULATED_SIGNER: Final = digest("SIMULATED signer of secagg enclaves")
SECURITY_VERSION: Final = 1


class SimulatedPlatform:
    """A root, and the measurement of the code that it claims to run.

    Whoever holds the seed can sign any quote: that is what makes it a simulation.
    """

    __slots__ = ("_key", "measurement", "now")

    def __init__(self, seed: Secret, measurement: bytes, now: int) -> None:
        self._key = SigningKey(seed)
        self.measurement = measurement
        self.now = now

    @property
    def root(self) -> bytes:
        """The public key behind every quote of this platform."""
        return self._key.public

    def quote(self, report_data: bytes, configuration: bytes) -> Evidence:
        """A signed quote, issued now."""
        return self.sign(
            Evidence(
                measurement=self.measurement,
                configuration=configuration,
                signer=SIMULATED_SIGNER,
                security_version=SECURITY_VERSION,
                debug=False,
                platform_tcb=TcbStatus.UP_TO_DATE,
                report_data=report_data,
                issued_at=self.now,
                root=self.root,
            )
        )

    def sign(self, evidence: Evidence) -> Evidence:
        """The same statement with this root's signature, whatever it says."""
        return replace(evidence, signature=self._key.sign(CONTEXT, evidence.statement))

    def __repr__(self) -> str:
        return f"SimulatedPlatform(SIMULATED, root={self.root.hex()[:16]})"
