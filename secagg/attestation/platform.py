"""The SIMULATED platform: a software key that signs what a processor would have to vouch for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from secagg.attestation.evidence import CONTEXT, Evidence, TcbStatus
from secagg.crypto.digest import digest
from secagg.crypto.signing import SigningKey
from secagg.errors import ParameterError
from secagg.types import Secret

SIMULATED_SIGNER: Final = digest("SIMULATED signer of secagg enclaves")
SECURITY_VERSION: Final = 1
VALIDITY_SECONDS: Final = 300


class SimulatedPlatform:
    """A root, and the measurement of the code that it claims to run.

    Whoever holds the seed can sign any quote: that is what makes it a simulation.

    Attributes:
        measurement: of the code.
        now: its clock, in seconds since 1970; whoever drives it sets it.
        validity: seconds after its issue for which a quote may be used.

    Raises:
        ParameterError: a quote would expire before it can be used.
    """

    __slots__ = ("_key", "measurement", "now", "validity")

    def __init__(
        self, seed: Secret, measurement: bytes, now: int, validity: int = VALIDITY_SECONDS
    ) -> None:
        if validity < 1:
            raise ParameterError(f"a quote is good for at least 1 second, got {validity}")
        self._key = SigningKey(seed)
        self.measurement = measurement
        self.now = now
        self.validity = validity

    @property
    def root(self) -> bytes:
        """The public key behind every quote of this platform."""
        return self._key.public

    @property
    def expires_at(self) -> int:
        """The last second at which a quote issued now may be used."""
        return self.now + self.validity

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
