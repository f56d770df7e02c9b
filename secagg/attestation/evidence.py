"""The quote: a signed statement of a platform about the code that runs on it, in fixed layout.

    magic "SATT" | format version u16 | algorithm 24 bytes | measurement 32 | configuration 32
    | signer 32 | security version u16 | debug u8 | platform TCB u8 | report data 32
    | issued at u64 (seconds) | root 32 | signature 64                             (big-endian)

The algorithm's name says SIMULATED: nothing that verifies evidence of hardware may accept it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Final

from secagg.crypto.digest import DIGEST_BYTES, digest
from secagg.errors import DecodeError, ParameterError

MAGIC: Final = b"SATT"
FORMAT_VERSION: Final = 1
ALGORITHM: Final = "SIMULATED-ED-QUOTE"
CONTEXT: Final = "SIMULATED enclave quote"

_STATEMENT: Final = struct.Struct(">4sH24s32s32s32sHBB32sQ32s")
_SIGNATURE_BYTES: Final = 64
EVIDENCE_BYTES: Final = _STATEMENT.size + _SIGNATURE_BYTES


class TcbStatus(IntEnum):
    """What the platform's maker says of its firmware and settings."""

    UP_TO_DATE = 0
    CONFIGURATION_NEEDED = 1
    OUT_OF_DATE = 2
    REVOKED = 3


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One quote.

    Attributes:
        format_version: of this layout.
        algorithm: what kind of evidence this is; SIMULATED in its name.
        measurement: of the code and its launch settings.
        configuration: what the code was told to enforce: 32 bytes, fixed at launch.
        signer: who vouches for the code.
        security_version: raised whenever a weakness of the code was repaired.
        debug: whether the operator can look inside.
        platform_tcb: the state of the platform.
        report_data: 32 bytes that the code chose.
        issued_at: seconds since 1970, by the platform's clock.
        root: the public key that signed.
        signature: over everything above.
    """

    measurement: bytes
    configuration: bytes
    signer: bytes
    security_version: int
    debug: bool
    platform_tcb: TcbStatus
    report_data: bytes
    issued_at: int
    root: bytes
    signature: bytes = field(default=bytes(_SIGNATURE_BYTES), repr=False)
    format_version: int = FORMAT_VERSION
    algorithm: str = ALGORITHM

    @property
    def statement(self) -> bytes:
        """What is signed.

        Raises:
            ParameterError: a field that the layout cannot hold.
        """
        for name in ("measurement", "configuration", "signer", "report_data", "root"):
            if len(getattr(self, name)) != DIGEST_BYTES:
                raise ParameterError(f"{name} has {DIGEST_BYTES} bytes")
        try:
            return _STATEMENT.pack(
                MAGIC,
                self.format_version,
                self.algorithm.encode("ascii"),
                self.measurement,
                self.configuration,
                self.signer,
                self.security_version,
                self.debug,
                self.platform_tcb,
                self.report_data,
                self.issued_at,
                self.root,
            )
        except struct.error as error:
            raise ParameterError(f"a field does not fit the quote: {error}") from None

    def encode(self) -> bytes:
        """The canonical bytes."""
        return self.statement + self.signature

    @property
    def digest(self) -> bytes:
        """32 bytes over the whole quote."""
        return digest("quote", self.encode())

    @classmethod
    def decode(cls, data: bytes) -> Evidence:
        """The inverse of `encode`.

        Raises:
            DecodeError: another size, another magic, or not the canonical encoding.
        """
        if len(data) != EVIDENCE_BYTES:
            raise DecodeError(f"a quote has {EVIDENCE_BYTES} bytes, got {len(data)}")
        magic, version, algorithm, *rest = _STATEMENT.unpack_from(data)
        if magic != MAGIC:
            raise DecodeError(f"a quote starts with {MAGIC!r}, got {magic!r}")
        code, config, signer, security_version, debug, tcb, report_data, issued_at, root = rest
        try:
            evidence = cls(
                format_version=version,
                algorithm=algorithm.rstrip(b"\0").decode("ascii"),
                measurement=code,
                configuration=config,
                signer=signer,
                security_version=security_version,
                debug=bool(debug),
                platform_tcb=TcbStatus(tcb),
                report_data=report_data,
                issued_at=issued_at,
                root=root,
                signature=data[_STATEMENT.size :],
            )
        except ValueError as error:
            raise DecodeError(f"not a quote: {error}") from None
        if "\0" in evidence.algorithm or evidence.encode() != data:
            raise DecodeError("not the canonical encoding of a quote")
        return evidence

    def describe(self) -> tuple[tuple[str, str], ...]:
        """The fields by name, for people."""
        shown = [("evidence", "SIMULATED: no hardware stands behind it")]
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, bytes):
                value = value.hex()
            elif isinstance(value, TcbStatus):
                value = value.name.lower().replace("_", " ")
            shown.append((entry.name.replace("_", " "), str(value)))
        return tuple(shown)

    def __repr__(self) -> str:
        return f"Evidence(SIMULATED, measurement={self.measurement.hex()[:16]})"
