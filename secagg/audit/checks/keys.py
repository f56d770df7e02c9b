"""Who can open a single client's vector."""

from __future__ import annotations

from typing import Final

from secagg.audit.checks import inputs
from secagg.audit.registry import Check, Settings, private
from secagg.audit.subject import Request, Subject
from secagg.audit.verdicts import Judgement, Severity, beside, failed, passed

APART: Final = frozenset(("decryptor", "enclave"))
"""Roles that may hold a key because the server is somebody else."""


def _holders(subject: Subject, settings: Settings) -> Judgement:
    values = inputs.constant(settings, 8, 1)
    facts = subject.session(Request(values, inputs.BITS, settings.draw("keys")))
    if facts.key_holders is None:
        return beside("nobody is given a key that opens a client's vector")
    others = sorted(set(facts.key_holders) - APART)
    if others:
        return failed(f"a key that opens a single vector is held by: {', '.join(others)}")
    return passed(f"it is held by: {', '.join(sorted(facts.key_holders))}")


CHECKS: Final = (
    Check(
        id="keys.holders",
        claim="neither the server nor a client holds a key that opens one client's vector",
        method="every context and key that is sent to somebody is looked into",
        judge=_holders,
        severity=Severity.CRITICAL,
        promised=private,
        source="A28",
    ),
)
