"""A23: one client decides what the sum says.

Adversary: a corrupt client, whose input lies within the bound.
Seen: nothing.
Goal: the sign of every coordinate of the sum.
Protection: none: no input is proved to be in range, let alone to be honest (`Validity.UNCHECKED`).
The bound on a coordinate limits what one client can do, if all clients keep to it; a corrupt client
that skips its own check can shift the sum by anything (A16).
Levels: not covered at any.
"""

from __future__ import annotations

import pytest
from attacks.scenes import ANY, mounted

from secagg import protocols
from secagg.audit.attacks import ATTACKS
from secagg.protocol import Validity


@pytest.mark.parametrize("scene", [*ANY, "enclave curious", "ckks curious"])
def test_one_client_chooses_all_signs(scene: str) -> None:
    outcome = mounted("A23", scene)
    assert outcome.succeeded
    assert "chose 64 of 64 signs; the sum is right: True" in outcome.evidence


def test_nobody_claims_otherwise() -> None:
    for name in protocols.NAMES:
        protocol = protocols.get(name)
        for level in protocol.levels:
            assert protocol.guarantees(level).validity is Validity.UNCHECKED
            assert not ATTACKS["A23"].guarded(protocol, level)
