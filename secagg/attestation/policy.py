"""A verifier's policy, and the check of evidence against it. Refusals carry a typed reason."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from secagg.attestation.evidence import (
    ALGORITHM,
    CONTEXT,
    FORMAT_VERSION,
    Evidence,
    TcbStatus,
)
from secagg.crypto import signing
from secagg.errors import AttestationError, DecodeError, VerificationError

SIMULATED: Final = "SIMULATED"


class Reason(StrEnum):
    """Why evidence was refused."""

    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported format or algorithm"
    SIMULATED = "simulated evidence"
    UNKNOWN_ROOT = "unknown root"
    BAD_SIGNATURE = "bad signature"
    WRONG_MEASUREMENT = "measurement not allowed"
    WRONG_SIGNER = "signer not allowed"
    OLD_SECURITY_VERSION = "security version too low"
    DEBUG = "debug"
    PLATFORM = "platform not accepted"
    NOT_YET_VALID = "not yet valid"
    TOO_OLD = "too old"
    EXPIRED = "expired"
    ABSURD_EXPIRY = "expiry not after issue"
    WRONG_CONFIGURATION = "wrong configuration"
    WRONG_REPORT_DATA = "wrong report data"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What evidence must show. There is no setting that accepts debug.

    Attributes:
        roots: public keys whose signature counts.
        measurements: of the code that may run.
        signers: who may vouch for it; None for anybody, since the measurement is fixed.
        minimum_security_version: of the code.
        maximum_age: seconds between issue and verification.
        clock_skew: seconds by which an issuer's clock may be ahead.
        platforms: accepted states of the platform.
    """

    roots: frozenset[bytes] = field(repr=False)
    measurements: frozenset[bytes] = field(repr=False)
    signers: frozenset[bytes] | None = None
    minimum_security_version: int = 1
    maximum_age: int = 300
    clock_skew: int = 30
    platforms: frozenset[TcbStatus] = frozenset({TcbStatus.UP_TO_DATE})


class Verifier(ABC):
    """Checks one kind of evidence."""

    @abstractmethod
    def verify(
        self,
        data: bytes,
        *,
        report_data: bytes,
        configuration: bytes,
        policy: Policy,
        expires_at: int,
        at: int,
    ) -> Evidence:
        """The evidence, if it is good.

        Args:
            data: the encoded evidence.
            report_data: what the code must have chosen to say.
            configuration: what the code must have been told to enforce.
            policy: of the verifier.
            expires_at: the last second, since 1970, at which the code wants to be believed; the
                caller has put it into `report_data`, for the quote has no field of its own for it.
            at: seconds since 1970; never read from a clock here.

        Raises:
            AttestationError: with the reason.
        """


class SimulatedVerifier(Verifier):
    """For SIMULATED evidence, and nothing else."""

    def verify(
        self,
        data: bytes,
        *,
        report_data: bytes,
        configuration: bytes,
        policy: Policy,
        expires_at: int,
        at: int,
    ) -> Evidence:
        """As `Verifier.verify`."""
        evidence = _decoded(data)
        if evidence.format_version != FORMAT_VERSION or evidence.algorithm != ALGORITHM:
            raise AttestationError(
                Reason.UNSUPPORTED,
                f"expected version {FORMAT_VERSION} of {ALGORITHM}, got version"
                f" {evidence.format_version} of {evidence.algorithm!r}",
            )
        if evidence.root not in policy.roots:
            raise AttestationError(Reason.UNKNOWN_ROOT, evidence.root.hex())
        try:
            signing.verify(evidence.root, evidence.signature, CONTEXT, evidence.statement)
        except VerificationError as error:
            raise AttestationError(Reason.BAD_SIGNATURE, str(error)) from None
        _check_code(evidence, policy)
        _check_time(evidence, policy, at)
        if evidence.configuration != configuration:
            raise AttestationError(
                Reason.WRONG_CONFIGURATION, "the enclave enforces another plan or roster"
            )
        if evidence.report_data != report_data:
            raise AttestationError(
                Reason.WRONG_REPORT_DATA,
                "the quote is for other keys, another session or another expiry",
            )
        _check_expiry(evidence, expires_at, at)
        return evidence


class HardwareVerifier(Verifier):
    """For evidence of hardware. None is supported yet, and simulated evidence never will be."""

    def verify(
        self,
        data: bytes,
        *,
        report_data: bytes,
        configuration: bytes,
        policy: Policy,
        expires_at: int,
        at: int,
    ) -> Evidence:
        """Refuses: evidence that calls itself simulated, and everything else."""
        evidence = _decoded(data)
        if SIMULATED in evidence.algorithm:
            raise AttestationError(Reason.SIMULATED, "expected evidence of hardware")
        raise AttestationError(
            Reason.UNSUPPORTED, f"no verifier for {evidence.algorithm!r} is built in"
        )


def _decoded(data: bytes) -> Evidence:
    try:
        return Evidence.decode(data)
    except DecodeError as error:
        raise AttestationError(Reason.MALFORMED, str(error)) from None


def _check_code(evidence: Evidence, policy: Policy) -> None:
    if evidence.measurement not in policy.measurements:
        raise AttestationError(Reason.WRONG_MEASUREMENT, evidence.measurement.hex())
    if policy.signers is not None and evidence.signer not in policy.signers:
        raise AttestationError(Reason.WRONG_SIGNER, evidence.signer.hex())
    if evidence.security_version < policy.minimum_security_version:
        raise AttestationError(
            Reason.OLD_SECURITY_VERSION,
            f"expected at least {policy.minimum_security_version}, got {evidence.security_version}",
        )
    if evidence.debug:
        raise AttestationError(Reason.DEBUG, "the operator can look inside")
    if evidence.platform_tcb not in policy.platforms:
        raise AttestationError(Reason.PLATFORM, evidence.platform_tcb.name)


def _check_time(evidence: Evidence, policy: Policy, at: int) -> None:
    age = at - evidence.issued_at
    if age < -policy.clock_skew:
        raise AttestationError(Reason.NOT_YET_VALID, f"issued {-age} seconds in the future")
    if age > policy.maximum_age:
        raise AttestationError(
            Reason.TOO_OLD, f"issued {age} seconds ago, at most {policy.maximum_age} are accepted"
        )


def _check_expiry(evidence: Evidence, expires_at: int, at: int) -> None:
    if expires_at <= evidence.issued_at:
        raise AttestationError(
            Reason.ABSURD_EXPIRY,
            f"issued at {evidence.issued_at}, it calls itself good until {expires_at}",
        )
    if at > expires_at:
        raise AttestationError(
            Reason.EXPIRED, f"good until {expires_at}, {at - expires_at} seconds ago"
        )
