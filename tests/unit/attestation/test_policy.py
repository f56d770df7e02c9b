"""The table of mutated quotes: every field, signed by the root or not, refused for its reason."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from secagg.attestation import (
    EVIDENCE_BYTES,
    SIMULATED_SIGNER,
    Evidence,
    HardwareVerifier,
    Policy,
    Reason,
    SimulatedPlatform,
    SimulatedVerifier,
    TcbStatus,
)
from secagg.errors import AttestationError, DecodeError, ParameterError
from secagg.types import Secret

NOW = 1_800_000_000
MEASUREMENT, DATA, CONFIGURATION = b"m" * 32, b"d" * 32, b"c" * 32
PLATFORM = SimulatedPlatform(Secret(b"r" * 32), MEASUREMENT, NOW)
STRANGER = SimulatedPlatform(Secret(b"s" * 32), MEASUREMENT, NOW)
POLICY = Policy(
    roots=frozenset({PLATFORM.root}),
    measurements=frozenset({MEASUREMENT}),
    signers=frozenset({SIMULATED_SIGNER}),
)
GOOD = PLATFORM.quote(DATA, CONFIGURATION)

SIGNED_MUTATIONS: list[tuple[str, Any, Reason]] = [
    ("format_version", 2, Reason.UNSUPPORTED),
    ("algorithm", "INTEL-TDX", Reason.UNSUPPORTED),
    ("root", STRANGER.root, Reason.UNKNOWN_ROOT),
    ("measurement", b"x" * 32, Reason.WRONG_MEASUREMENT),
    ("signer", b"x" * 32, Reason.WRONG_SIGNER),
    ("security_version", 0, Reason.OLD_SECURITY_VERSION),
    ("debug", True, Reason.DEBUG),
    ("platform_tcb", TcbStatus.CONFIGURATION_NEEDED, Reason.PLATFORM),
    ("platform_tcb", TcbStatus.OUT_OF_DATE, Reason.PLATFORM),
    ("platform_tcb", TcbStatus.REVOKED, Reason.PLATFORM),
    ("issued_at", NOW + 31, Reason.NOT_YET_VALID),
    ("issued_at", NOW - 301, Reason.TOO_OLD),
    ("issued_at", 0, Reason.TOO_OLD),
    ("configuration", b"x" * 32, Reason.WRONG_CONFIGURATION),
    ("report_data", b"x" * 32, Reason.WRONG_REPORT_DATA),
]


# The expiry is in the report data, not a field: when it is looked at, it is as the code said it.
EXPIRIES: list[tuple[int, int, Reason]] = [
    (NOW + 299, NOW + 300, Reason.EXPIRED),
    (NOW + 1, NOW + 2, Reason.EXPIRED),
    (NOW + 1, NOW + 300, Reason.EXPIRED),
    (NOW, NOW, Reason.ABSURD_EXPIRY),
    (NOW, NOW + 1, Reason.ABSURD_EXPIRY),
    (NOW - 1, NOW - 2, Reason.ABSURD_EXPIRY),
    (0, NOW, Reason.ABSURD_EXPIRY),
    # A long expiry does not make an old quote young.
    (NOW + 10_000, NOW + 301, Reason.TOO_OLD),
    ((1 << 64) - 1, NOW + 301, Reason.TOO_OLD),
]


def verify(
    data: bytes, at: int = NOW, policy: Policy = POLICY, expires_at: int = NOW + 300
) -> Evidence:
    return SimulatedVerifier().verify(
        data,
        report_data=DATA,
        configuration=CONFIGURATION,
        policy=policy,
        expires_at=expires_at,
        at=at,
    )


def reason_of(
    data: bytes, at: int = NOW, policy: Policy = POLICY, expires_at: int = NOW + 300
) -> str:
    with pytest.raises(AttestationError) as caught:
        verify(data, at, policy, expires_at)
    assert str(caught.value).startswith(caught.value.reason)
    return caught.value.reason


def test_good_evidence_is_accepted_in_its_time_only() -> None:
    assert verify(GOOD.encode()) == GOOD
    assert len(GOOD.encode()) == EVIDENCE_BYTES
    for at in (NOW - 30, NOW, NOW + 300):
        verify(GOOD.encode(), at)
    assert reason_of(GOOD.encode(), NOW - 31) == Reason.NOT_YET_VALID
    assert reason_of(GOOD.encode(), NOW + 301) == Reason.TOO_OLD


@pytest.mark.parametrize(("field", "value", "reason"), SIGNED_MUTATIONS)
def test_every_field_that_the_root_signed_wrongly(field: str, value: Any, reason: Reason) -> None:
    """The platform itself says something else: the policy refuses it, for that."""
    changed = PLATFORM.sign(replace(GOOD, **{field: value}))
    assert reason_of(changed.encode()) == reason


@pytest.mark.parametrize(("field", "value", "reason"), SIGNED_MUTATIONS)
def test_every_field_changed_after_signing(field: str, value: Any, reason: Reason) -> None:
    changed = replace(GOOD, **{field: value})
    early = {Reason.UNSUPPORTED, Reason.UNKNOWN_ROOT}
    assert reason_of(changed.encode()) == (reason if reason in early else Reason.BAD_SIGNATURE)


@pytest.mark.parametrize(("expires_at", "at", "reason"), EXPIRIES)
def test_expiries_that_have_passed_or_mean_nothing(
    expires_at: int, at: int, reason: Reason
) -> None:
    assert reason_of(GOOD.encode(), at, expires_at=expires_at) == reason


@pytest.mark.parametrize("at", [NOW - 30, NOW, NOW + 7])
def test_an_expiry_is_the_last_good_second(at: int) -> None:
    assert verify(GOOD.encode(), at, expires_at=NOW + 7) == GOOD


def test_an_expiry_that_the_quote_does_not_cover_is_no_expiry_of_it() -> None:
    """Unbound, it says nothing: the reason is that the report data are wrong, whatever it says."""
    other = PLATFORM.quote(b"x" * 32, CONFIGURATION).encode()
    for expires_at, at in ((0, NOW), (NOW + 1, NOW + 2), (NOW + 300, NOW)):
        assert reason_of(other, at, expires_at=expires_at) == Reason.WRONG_REPORT_DATA


def test_a_platform_gives_its_quotes_an_end() -> None:
    assert PLATFORM.expires_at == NOW + 300
    assert SimulatedPlatform(Secret(b"r" * 32), MEASUREMENT, NOW, 20).expires_at == NOW + 20
    for validity in (0, -1):
        with pytest.raises(ParameterError, match="at least 1 second"):
            SimulatedPlatform(Secret(b"r" * 32), MEASUREMENT, NOW, validity)


def test_the_table_names_every_field() -> None:
    assert {f.name for f in fields(Evidence)} == {m[0] for m in SIGNED_MUTATIONS} | {"signature"}


def test_every_byte_counts() -> None:
    data = GOOD.encode()
    allowed = {Reason.MALFORMED, Reason.UNSUPPORTED, Reason.UNKNOWN_ROOT, Reason.BAD_SIGNATURE}
    for position in range(len(data)):
        for bit in (1, 128):
            changed = bytearray(data)
            changed[position] ^= bit
            assert reason_of(bytes(changed)) in allowed, position


def test_truncated_extended_and_foreign_bytes_are_malformed() -> None:
    data = GOOD.encode()
    for bad in (b"", data[:-1], data + b"\0", bytes(len(data)), b"X" * len(data)):
        assert reason_of(bad) == Reason.MALFORMED


def test_another_root_signs_for_itself_only() -> None:
    foreign = STRANGER.quote(DATA, CONFIGURATION)
    assert reason_of(foreign.encode()) == Reason.UNKNOWN_ROOT
    posing = replace(foreign, root=PLATFORM.root)
    assert reason_of(posing.encode()) == Reason.BAD_SIGNATURE


def test_an_empty_policy_refuses_everything() -> None:
    nothing = Policy(roots=frozenset(), measurements=frozenset())
    assert reason_of(GOOD.encode(), policy=nothing) == Reason.UNKNOWN_ROOT
    no_code = replace(POLICY, measurements=frozenset())
    assert reason_of(GOOD.encode(), policy=no_code) == Reason.WRONG_MEASUREMENT
    lenient = replace(POLICY, platforms=frozenset(TcbStatus), signers=None)
    verify(PLATFORM.sign(replace(GOOD, platform_tcb=TcbStatus.REVOKED)).encode(), policy=lenient)


def test_a_verifier_of_hardware_refuses_simulated_evidence() -> None:
    def refused(evidence: Evidence) -> str:
        with pytest.raises(AttestationError) as caught:
            HardwareVerifier().verify(
                evidence.encode(),
                report_data=DATA,
                configuration=CONFIGURATION,
                policy=POLICY,
                expires_at=NOW + 300,
                at=NOW,
            )
        return caught.value.reason

    assert refused(GOOD) == Reason.SIMULATED
    assert refused(PLATFORM.sign(replace(GOOD, algorithm="INTEL-TDX"))) == Reason.UNSUPPORTED


def test_everything_printed_says_simulated() -> None:
    for text in (repr(GOOD), repr(PLATFORM), GOOD.algorithm, str(GOOD.describe())):
        assert "SIMULATED" in text


@pytest.mark.parametrize("changes", [{"root": b"short"}, {"issued_at": -1}, {"format_version": -1}])
def test_what_the_layout_cannot_hold_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        replace(GOOD, **changes).encode()


def test_an_encoding_is_canonical() -> None:
    data = bytearray(GOOD.encode())
    position = data.index(b"SIMULATED") + len(GOOD.algorithm) + 1
    data[position] = ord("x")
    with pytest.raises(DecodeError):
        Evidence.decode(bytes(data))
