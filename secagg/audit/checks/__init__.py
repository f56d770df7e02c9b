"""All checks, in the order in which they are held."""

from __future__ import annotations

from typing import Final

from secagg.audit.attacks import ATTACKS
from secagg.audit.checks import (
    attacks,
    attestation,
    cohort,
    exactness,
    freshness,
    keys,
    lies,
    masks,
    native,
    shares,
    signatures,
    sizes,
    transcript,
    vectors,
)
from secagg.audit.registry import Check

CHECKS: Final[tuple[Check, ...]] = (
    *vectors.CHECKS,
    *exactness.CHECKS,
    *masks.CHECKS,
    *sizes.CHECKS,
    *freshness.CHECKS,
    *keys.CHECKS,
    *shares.CHECKS,
    *cohort.CHECKS,
    *lies.CHECKS,
    *signatures.CHECKS,
    *attestation.CHECKS,
    *attacks.checks_of(ATTACKS),
    *native.CHECKS,
    *transcript.CHECKS,
)
