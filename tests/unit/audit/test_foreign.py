"""Whatever an adapter does, an audit goes on, and nothing that it does is a pass."""

from __future__ import annotations

import time

import pytest
from unit.audit.weakened import OUTSIDE

from secagg.audit.checks import CHECKS
from secagg.audit.engine import chosen, hold
from secagg.audit.foreign import AdapterSubject, channel
from secagg.audit.registry import Settings
from secagg.audit.verdicts import Result, Verdict
from secagg.errors import AdapterFailed
from secagg.protocol import Adversary

SETTINGS = Settings(timeout=20)
FROM_SESSIONS = {
    check.id
    for check in CHECKS
    if "adapter" in check.kinds
    and check.id not in ("masks.whole-ring", "shares.at-once", "shares.in-turn")
    and check.id not in ("floor.client", "fresh.seeds", "exactness.not-a-number")
    and check.group != "lies"
}


def audit(name: str, timeout: float = 20) -> dict[str, Result]:
    subject = AdapterSubject(f"unit.audit.misbehaving:{name}", timeout)
    try:
        return {one.id: one for one in hold(subject, chosen(CHECKS, (), "adapter"), SETTINGS)}
    finally:
        subject.close()


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Crashes", "ended without an answer"),
        ("Raises", "ZeroDivisionError: on purpose"),
        ("Exits", "SystemExit"),
        ("Shouts", "the adapter"),
        ("AnswersAnything", "expected Facts, got dict"),
        ("OtherShapes", "expected a sum of"),
        ("NotFinite", "not finite"),
        ("Strangers", "(0, 1, 99)"),
        ("TooMuch", "at most 268435456 bytes"),
    ],
)
def test_no_session_no_verdict(name: str, word: str) -> None:
    results = audit(name)
    found = {id_: results[id_] for id_ in FROM_SESSIONS}
    assert {one.verdict for one in found.values()} == {Verdict.INCONCLUSIVE}
    assert word in results["exactness.sum"].evidence
    assert all(one.undecided == (id_ not in OUTSIDE) for id_, one in found.items())


def test_one_that_hangs_is_given_up() -> None:
    began = time.monotonic()
    results = audit("Hangs", timeout=2)
    # Three processes are lost; then nobody waits any more.
    assert time.monotonic() - began < 30
    assert {results[id_].verdict for id_ in FROM_SESSIONS} == {Verdict.INCONCLUSIVE}
    assert "within 2 seconds" in results["exactness.sum"].evidence
    assert "given up" in results["sizes.clear-values"].evidence


def test_what_is_not_offered_is_inconclusive_with_the_reason() -> None:
    results = audit("Silent")
    for check in CHECKS:
        if "adapter" in check.kinds:
            assert results[check.id].verdict is Verdict.INCONCLUSIVE, check.id
            assert "the adapter" in results[check.id].evidence
            assert results[check.id].undecided == (check.id not in OUTSIDE)


def test_answers_of_other_kinds_are_none() -> None:
    results = audit("AnswersAnything")
    for id_ in (
        *("masks.whole-ring", "shares.at-once", "shares.in-turn", "fresh.seeds"),
        *("lies.keys", "exactness.not-a-number"),
    ):
        assert results[id_].verdict is Verdict.INCONCLUSIVE
    assert audit("OtherShapes")["masks.whole-ring"].verdict is Verdict.INCONCLUSIVE


def test_a_floor_that_cannot_be_is_none() -> None:
    found = audit("OddFloor")["floor.released"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "1000000000" in found.evidence


def test_a_ring_of_64_bits_is_one() -> None:
    results = audit("WideRing")
    assert not {one.id for one in results.values() if one.finding} - {"exactness.range"}
    assert results["masks.integers"].verdict is Verdict.PASS


def test_its_promises_are_its_own_words() -> None:
    subject = AdapterSubject("unit.audit.misbehaving:Promises", 20)
    subject.close()
    assert subject.guarantees is not None
    assert subject.guarantees.adversary is Adversary.LYING_SERVER


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("unit.audit.misbehaving:NoStart", "RuntimeError: no start"),
        ("unit.audit.misbehaving:BadName", "spoke nonsense"),
        ("unit.audit.misbehaving:Missing", "AttributeError"),
        ("unit.audit.misbehaving:np", "no subclass"),
        ("unit.audit.nowhere:Missing", "ModuleNotFoundError"),
        ("os:getcwd", "no subclass"),
        ("missing-colon", "module:Class"),
    ],
)
def test_what_is_no_adapter_does_not_start(target: str, word: str) -> None:
    with pytest.raises(AdapterFailed, match=word):
        AdapterSubject(target, 20)


def test_a_shape_that_no_array_has_is_no_answer() -> None:
    """Of nothing even one that numpy cannot count."""
    for shape in ((0, 1 << 62), (1 << 62, 0), (0, -1), (2, 2)):
        with pytest.raises(AdapterFailed, match="no array of shape"):
            channel.numbers(channel.Array("<i8", shape, b""))
    assert channel.numbers(channel.Array("<i8", (0, 3), b"")).shape == (0, 3)
