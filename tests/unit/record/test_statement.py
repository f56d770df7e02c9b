"""The statement of a verification, read by in-toto's own packages."""

from __future__ import annotations

import base64
import copy
import json
from functools import cache
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import TestResult as Predicate
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]
from unit.record.sessions import Recorded, forged, judged

from secagg.audit.verification import sign_statement
from secagg.crypto.rng import SEED_BYTES
from secagg.crypto.signing import SigningKey, envelope_statement
from secagg.enrolment import fingerprint
from secagg.types import Secret

AUDITOR = SigningKey(Secret(b"\x11" * SEED_BYTES))


@cache
def recorded() -> Recorded:
    return Recorded()


def envelope(*, edited: bool = False) -> dict[str, Any]:
    record = recorded().record
    if edited:
        record = forged(recorded().lines, lambda fields: fields[0].update(job="another"))
    found = judged(record, recorded().receipts(0) if not edited else ())
    subjects = {"record": found.sha256}
    data = sign_statement(found, subjects, {"roster": "ab" * 32}, AUDITOR)
    made: dict[str, Any] = json.loads(data)
    return made


def key(signer: SigningKey = AUDITOR) -> SSlibKey:
    return SSlibKey(
        fingerprint(AUDITOR.public), "ed25519", "ed25519", {"public": signer.public.hex()}
    )


def test_the_encoding_of_the_specification() -> None:
    """The example of secure-systems-lab/dsse, protocol.md."""
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert envelope_statement("http://example.com/HelloWorld", b"hello world") == expected


def test_its_signature_is_one_by_the_other_implementation() -> None:
    made = envelope()
    assert Envelope.from_dict(copy.deepcopy(made)).verify([key()], 1)
    other = SigningKey(Secret(b"\x12" * SEED_BYTES))
    with pytest.raises(VerificationError):
        Envelope.from_dict(copy.deepcopy(made)).verify([key(other)], 1)
    payload = base64.b64decode(made["payload"])
    changed = made | {"payload": base64.b64encode(payload.replace(b"PASSED", b"FAILED")).decode()}
    with pytest.raises(VerificationError):
        Envelope.from_dict(changed).verify([key()], 1)


def test_no_signature_of_ours_is_one_of_an_envelope() -> None:
    made = envelope()
    payload = base64.b64decode(made["payload"])
    ours = AUDITOR.sign("context", payload)
    public = Ed25519PublicKey.from_public_bytes(AUDITOR.public)
    with pytest.raises(InvalidSignature):
        public.verify(ours, envelope_statement(made["payloadType"], payload))


@pytest.mark.parametrize("edited", [False, True])
def test_it_is_a_statement_about_a_test(edited: bool) -> None:
    made = envelope(edited=edited)
    assert made["payloadType"] == "application/vnd.in-toto+json"
    payload = json.loads(base64.b64decode(made["payload"]))
    subjects = [
        ResourceDescriptor(name=one["name"], digest=one["digest"]).pb for one in payload["subject"]
    ]
    statement = Statement(subjects, payload["predicateType"], payload["predicate"])
    statement.validate()
    assert payload["_type"] == statement.pb.type
    assert payload["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    # Fields that it does not know are passed over, as the specification wants it.
    predicate = json_format.ParseDict(payload["predicate"], Predicate(), ignore_unknown_fields=True)
    assert predicate.result == ("FAILED" if edited else "PASSED")
    assert bool(predicate.failed_tests) == edited
    assert any("consistent with this log" in test for test in predicate.passed_tests)
    assert predicate.configuration[0].name == "roster"
    assert "sum" in payload["predicate"]["notCheckable"]
