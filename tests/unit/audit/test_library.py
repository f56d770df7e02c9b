"""The checks of this library's protocols: they pass, and fail when the protocol is broken."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import secagg
from secagg import kernels, protocols
from secagg.attestation import Evidence
from secagg.attestation.policy import SimulatedVerifier
from secagg.audit.checks import CHECKS, native
from secagg.audit.engine import chosen, hold
from secagg.audit.library import ProtocolSubject, bound_for, from_ring, to_ring
from secagg.audit.registry import Settings
from secagg.audit.report import summed
from secagg.audit.subject import Question, Request
from secagg.audit.verdicts import Result, Severity, Verdict
from secagg.codec import Codec
from secagg.crypto import aead, signing
from secagg.crypto.prg import mask_stream
from secagg.errors import CannotTell, DecodeError, DoesNotArise
from secagg.he.contexts import PublicContext
from secagg.protocol import Level, Plan
from secagg.protocol.interface import Traffic
from secagg.protocols._masking import checks as masking_checks
from secagg.types import Ring

GROUPS = sorted({check.group for check in CHECKS} - {"attacks", "transcript"})
"""Attacks have tests of their own."""

OFFERED = [(name, level) for name in protocols.names() for level in protocols.get(name).levels]


def audit(name: str, level: Level, *words: str, settings: Settings | None = None) -> list[Result]:
    subject = ProtocolSubject(protocols.get(name), level)
    checks = chosen(CHECKS, words, "protocol")
    return hold(subject, checks, settings or Settings())


def only(name: str, level: Level, id_: str, settings: Settings | None = None) -> Result:
    return audit(name, level, id_, settings=settings)[-1]


@pytest.mark.parametrize(("name", "level"), OFFERED)
def test_every_protocol_keeps_what_it_promises(name: str, level: Level) -> None:
    results = audit(name, level, *GROUPS)
    summary = summed(results, Severity.LOW)
    assert summary.exit_code == 0, (summary.findings, summary.undecided)
    assert summary.verdicts["inconclusive"] == 0
    if level is Level.MALICIOUS and name != "plain":
        assert not summary.beyond
    if name == "plain":
        assert {"masks.uniform", "masks.independent", "fresh.masks"} <= set(summary.beyond)


def test_at_level_curious_lies_get_through_outside_the_guarantee() -> None:
    beyond = set(summed(audit("secagg", Level.CURIOUS, *GROUPS), Severity.LOW).beyond)
    assert beyond == {"signatures.messages", "signatures.digest", "signatures.survivors"}


def test_audits_with_one_seed_are_the_same() -> None:
    def shown() -> list[tuple[str, str]]:
        return [(one.id, one.evidence) for one in audit("secagg", Level.CURIOUS, "masks", "fresh")]

    assert shown() == shown()


@pytest.mark.parametrize("bits", [1, 8, 20, 32, 61])
def test_rings_and_integers(bits: int) -> None:
    ring, half = Ring(bits), 1 << (bits - 1)
    values = np.array([0, -half, half - 1, -1], dtype=np.int64)
    np.testing.assert_array_equal(from_ring(to_ring(values, ring), ring), values)
    if bits > 4:
        assert Ring.for_sum(8, bound_for(bits, 8)).bits == bits


def test_questions_and_refusals() -> None:
    subject = ProtocolSubject(protocols.get("secagg"), Level.CURIOUS)
    everybody = tuple(range(8))
    first, second = subject.answers(8, (Question(everybody, ()), Question(everybody[:-1], (7,))))
    assert first == tuple((number, "self") for number in everybody)
    assert second is None
    (one,) = subject.answers(8, (Question(everybody[:-2], everybody[-2:]),))
    assert one is not None
    assert {who for who, kind in one if kind == "mask"} == {6, 7}
    with pytest.raises(DoesNotArise, match="no shares"):
        ProtocolSubject(protocols.get("plain"), Level.CURIOUS).answers(8, (Question((), ()),))
    with pytest.raises(DoesNotArise, match="no masks"):
        ProtocolSubject(protocols.get("bfv"), Level.CURIOUS).streams(1, 1, 8, bytes(32))
    with pytest.raises(CannotTell, match="no plan for 2 clients"):
        subject.session(Request(np.zeros((2, 4), dtype=np.int64), 8, bytes(32)))


def test_a_codec_that_takes_anything_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only("secagg", Level.CURIOUS, "exactness.not-a-number").verdict is Verdict.PASS
    monkeypatch.setattr(Codec, "encode", _everything)
    assert only("secagg", Level.CURIOUS, "exactness.not-a-number").finding


def test_short_keys_of_masks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "keys of masks: 128 bits vary" in only("secagg", Level.CURIOUS, "fresh.seeds").evidence
    real = mask_stream

    def folded(*words: Any, **named: Any) -> kernels.MaskStream:
        stream = real(*words, **named)
        return stream._replace(key=stream.key[:3] + bytes(13))

    monkeypatch.setattr("secagg.audit.library.mask_stream", folded)
    found = only("secagg", Level.CURIOUS, "fresh.seeds")
    assert found.finding
    assert "keys of masks: 24 bits vary" in found.evidence


def _everything(*words: Any, **named: Any) -> None:
    """In place of a check."""


def _weak_mask(real: Callable[..., Any]) -> Callable[..., Any]:
    def pack(vector: Any, streams: Any, ring: Ring) -> Any:
        return real(vector, (), ring)

    return pack


def test_vectors_without_masks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "pack_masked", _weak_mask(kernels.pack_masked))
    found = {one.id for one in audit("secagg", Level.CURIOUS, "masks", "fresh") if one.finding}
    assert found == {
        *("masks.uniform", "masks.independent", "masks.complexity"),
        *("fresh.masks", "fresh.tokens"),
    }


def test_a_constant_nonce_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros:
        def bytes(self, count: int) -> bytes:
            return bytes(count)

    real = aead.seal
    monkeypatch.setattr(aead, "seal", lambda key, text, bound, rng: real(key, text, bound, Zeros()))
    found = only("secagg", Level.CURIOUS, "fresh.tokens")
    assert found.finding
    assert "nonces of sealed shares" in found.evidence


def test_a_client_without_a_floor_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = masking_checks.check_survivors

    def lenient(plan: Any, me: Any, included: bytes, *rest: Any) -> Any:
        try:
            return real(plan, me, included, *rest)
        except Exception:
            return {me.number}

    monkeypatch.setattr(masking_checks, "check_survivors", lenient)
    assert only("secagg", Level.CURIOUS, "floor.client").finding


def test_signatures_that_nobody_verifies_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "verify", _everything)
    assert only("secagg", Level.MALICIOUS, "signatures.messages").finding
    assert only("secagg", Level.MALICIOUS, "signatures.digest").verdict is Verdict.PASS


def test_evidence_that_nobody_checks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only("enclave", Level.CURIOUS, "attestation.evidence").verdict is Verdict.PASS

    def believe(self: SimulatedVerifier, data: bytes, **words: Any) -> Evidence:
        return Evidence.decode(data)

    monkeypatch.setattr(SimulatedVerifier, "verify", believe)
    found = only("enclave", Level.CURIOUS, "attestation.evidence")
    assert found.finding
    assert "clients sent" in found.evidence


def test_a_key_in_the_context_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = only("bfv", Level.CURIOUS, "keys.holders")
    assert (honest.verdict, honest.evidence) == (Verdict.PASS, "it is held by: decryptor")

    def refuse(encoded: bytes, lattice: Any) -> PublicContext:
        raise DecodeError("expected a public context, got one that holds a secret key")

    monkeypatch.setattr(PublicContext, "parse", refuse)
    leaked = only("bfv", Level.CURIOUS, "keys.holders")
    assert leaked.finding
    assert "server" in leaked.evidence


def test_a_wrong_formula_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = protocols.get("plain")
    real = type(protocol).traffic

    def traffic(self: Any, plan: Plan) -> Traffic:
        return Traffic(real(self, plan).up + 1, 0)

    monkeypatch.setattr(type(protocol), "traffic", traffic)
    found = only("plain", Level.CURIOUS, "sizes.formula")
    assert found.finding
    assert found.severity is Severity.LOW


def test_provenance(tmp_path: Path) -> None:
    source = Path(secagg.__file__).parents[1]
    same = only("plain", Level.CURIOUS, "native.provenance", Settings(source=source))
    assert same.verdict is Verdict.PASS
    assert "the checkout itself" in same.evidence
    shutil.copytree(source / "secagg", tmp_path / "secagg")
    copied = only("plain", Level.CURIOUS, "native.provenance", Settings(source=tmp_path))
    assert copied.verdict is Verdict.PASS
    assert "byte for byte" in copied.evidence
    (tmp_path / "secagg" / "wire.py").write_text("pass")
    changed = only("plain", Level.CURIOUS, "native.provenance", Settings(source=tmp_path))
    assert changed.finding
    assert "wire.py" in changed.evidence
    for id_ in ("native.provenance", "native.constant-time"):
        assert only("plain", Level.CURIOUS, id_).verdict is Verdict.NOT_APPLICABLE
        other = only("plain", Level.CURIOUS, id_, Settings(source=tmp_path / "secagg"))
        assert other.undecided
        assert "no checkout" in other.evidence


def test_constant_time_without_tools_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(source=Path(secagg.__file__).parents[1])
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    found = only("plain", Level.CURIOUS, "native.constant-time", settings)
    assert found.undecided
    assert found.evidence == "not installed: cmake, cc, valgrind"


@pytest.mark.parametrize(
    ("code", "built", "verdict"),
    [(0, True, Verdict.PASS), (1, True, Verdict.FAIL), (0, False, Verdict.INCONCLUSIVE)],
)
def test_constant_time_follows_the_word_of_the_test(
    monkeypatch: pytest.MonkeyPatch, code: int, built: bool, verdict: Verdict
) -> None:
    settings = Settings(source=Path(secagg.__file__).parents[1])
    monkeypatch.setattr(shutil, "which", lambda tool: tool)

    def call(command: list[str]) -> subprocess.CompletedProcess[str]:
        if command[0] == "cmake":
            if command[1] == "--build" and built:
                (Path(command[2]) / "secagg_ct").write_text("")
            return subprocess.CompletedProcess(command, 0, "", "")
        return subprocess.CompletedProcess(command, code, "one report\n", "")

    monkeypatch.setattr(native, "_call", call)
    assert only("plain", Level.CURIOUS, "native.constant-time", settings).verdict is verdict


def test_a_tool_that_fails_or_hangs_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(source=Path(secagg.__file__).parents[1])
    monkeypatch.setattr(shutil, "which", lambda tool: tool)

    def hangs(command: list[str], **settings: Any) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(subprocess, "run", hangs)
    assert only("plain", Level.CURIOUS, "native.constant-time", settings).undecided

    def fails(command: list[str], **settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 2, "no compiler\n", "")

    monkeypatch.setattr(subprocess, "run", fails)
    found = only("plain", Level.CURIOUS, "native.constant-time", settings)
    assert found.undecided
    assert "no compiler" in found.evidence
