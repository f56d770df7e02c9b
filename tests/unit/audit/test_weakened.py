"""Implementations that are weak in one way each fail the checks listed for them, and no others."""

from __future__ import annotations

import pytest
from unit.audit.weakened import LISTED, OUTSIDE, FloatMasks, SharedKey, Sound

from secagg.audit.checks import CHECKS
from secagg.audit.engine import chosen, hold
from secagg.audit.foreign import AdapterSubject
from secagg.audit.registry import Settings
from secagg.audit.verdicts import Scope, Verdict

SETTINGS = Settings(timeout=30)


@pytest.mark.parametrize("weak", LISTED, ids=lambda weak: weak.__name__)
def test_each_fails_what_is_listed_for_it(weak: type[Sound]) -> None:
    subject = AdapterSubject(f"unit.audit.weakened:{weak.__name__}", SETTINGS.timeout)
    try:
        results = hold(subject, chosen(CHECKS, (), "adapter"), SETTINGS)
    finally:
        subject.close()
    assert weak.name in subject.name
    found = {one.id for one in results if one.verdict is Verdict.FAIL}
    assert found == LISTED[weak], [(one.id, one.evidence) for one in results]
    assert found - OUTSIDE == {one.id for one in results if one.finding}
    assert found & OUTSIDE == {one.id for one in results if one.beyond}
    # Whoever promises nothing is held to level curious.
    assert all(one.scope is Scope.DEMANDED for one in results if one.id in found - OUTSIDE)
    undecided = {one.id for one in results if one.undecided}
    without_masks = {"masks.whole-ring"} if weak in (FloatMasks, SharedKey) else set()
    assert undecided == without_masks


def test_every_check_that_an_adapter_can_fail_is_failed_by_one() -> None:
    possible = {check.id for check in CHECKS if "adapter" in check.kinds}
    assert set().union(*LISTED.values()) == possible
