"""Judging a public record offline, by whoever has it: docs/verify.md.

Each verdict is marked with what it is worth: proved to a third party, consistent with this log, or
not checkable.
"""

from secagg.audit.verification.heads import decode_head
from secagg.audit.verification.judge import Proof, Verification, verify
from secagg.audit.verification.opening import Anchor
from secagg.audit.verification.statement import sign_statement
from secagg.audit.verification.verdicts import Standing, Verdict

__all__ = [
    "Anchor",
    "Proof",
    "Standing",
    "Verdict",
    "Verification",
    "decode_head",
    "sign_statement",
    "verify",
]
