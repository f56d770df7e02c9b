"""A finished verification as an in-toto Statement v1 with a test result, in a DSSE envelope."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from secagg.audit.verification.judge import Verification
from secagg.audit.verification.verdicts import Standing, Verdict
from secagg.crypto.signing import SigningKey
from secagg.enrolment import fingerprint

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"


def statement(
    verification: Verification, subjects: Mapping[str, str], configuration: Mapping[str, str]
) -> dict[str, Any]:
    """The statement.

    What could not be checked is no test: it is listed under a name of its own, which readers of the
    predicate who do not know it pass over.

    Args:
        verification: that was finished.
        subjects: SHA-256 in hexadecimal, by the name of the file: the record and the receipts.
        configuration: the same of what was believed: roster, keys.
    """
    verdicts = verification.verdicts
    failed = [_test(verdict) for verdict in verdicts if verdict.holds is False]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [_resource(name, digest) for name, digest in subjects.items()],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": "FAILED" if failed else "PASSED",
            "configuration": [_resource(name, digest) for name, digest in configuration.items()],
            "passedTests": [_test(verdict) for verdict in verdicts if verdict.holds is True],
            "warnedTests": [],
            "failedTests": failed,
            "notCheckable": [
                verdict.check for verdict in verdicts if verdict.standing is Standing.UNCHECKABLE
            ],
            "session": verification.session,
        },
    }


def sign_statement(
    verification: Verification,
    subjects: Mapping[str, str],
    configuration: Mapping[str, str],
    key: SigningKey,
) -> bytes:
    """The envelope: JSON with the statement in base64 and one Ed25519 signature.

    Args:
        verification: as `statement`.
        subjects: as `statement`.
        configuration: as `statement`.
        key: of whoever verified.
    """
    payload = msgspec.json.encode(statement(verification, subjects, configuration))
    signature = key.sign_envelope(PAYLOAD_TYPE, payload)
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {"keyid": fingerprint(key.public), "sig": base64.b64encode(signature).decode()}
        ],
    }
    return msgspec.json.encode(envelope) + b"\n"


def _resource(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest}}


def _test(verdict: Verdict) -> str:
    place = "" if verdict.place is None else f" at {verdict.place}"
    return f"{verdict.check}{place}: {verdict.standing}"
