"""What a verdict is worth depends on what the verifier believes without being shown."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest
from unit.record.sessions import SERVER_KEY, Recorded, failing, forged, judged

from secagg import enrolment
from secagg.audit.verification import Anchor, Standing, Verification
from secagg.errors import ParameterError

BY_SIGNATURES = (
    "session",
    "keys",
    "cohort",
    "shares",
    "masked vectors",
    "survivors",
    "agreement",
    "answers",
)


@cache
def recorded() -> Recorded:
    return Recorded()


def standings(found: Verification) -> dict[str, Standing]:
    return {verdict.check: verdict.standing for verdict in found.verdicts}


def test_without_an_anchor_nothing_is_proved() -> None:
    worth = standings(judged(recorded().record))
    assert Standing.PROVED not in worth.values()
    assert worth["roster"] is Standing.UNCHECKABLE
    assert {worth[check] for check in BY_SIGNATURES} == {Standing.CONSISTENT}


def test_a_roster_of_an_authority_whom_nobody_named() -> None:
    found = judged(recorded().record, anchor=Anchor(recorded().signed_roster()))
    assert found.holds
    worth = standings(found)
    assert worth["roster"] is Standing.CONSISTENT
    assert Standing.PROVED not in worth.values()


def test_with_roster_and_authority_signatures_prove() -> None:
    found = judged(recorded().record, anchor=recorded().anchor())
    assert found.holds
    worth = standings(found)
    assert {worth[check] for check in (*BY_SIGNATURES, "roster")} == {Standing.PROVED}
    # Of the server's word nothing is.
    for check in ("log", "order", "frames", "quorums"):
        assert worth[check] is Standing.CONSISTENT
    for check in ("sum", "completeness", "absence of the excluded", "no other queries", "result"):
        assert worth[check] is Standing.UNCHECKABLE


def test_every_verdict_has_a_reason() -> None:
    for found in (judged(recorded().record), judged(recorded().record, recorded().receipts())):
        for verdict in found.verdicts:
            assert verdict.details
            assert (verdict.standing is Standing.UNCHECKABLE) == (verdict.holds is None)


def test_rosters_that_do_not_back_the_record() -> None:
    record, signed = recorded().record, recorded().signed_roster()
    authority = recorded().authority.public
    document, _ = enrolment.inspect(signed)
    fewer = msgspec.structs.replace(document, entries=document.entries[:-1])
    others = enrolment.sign(fewer, recorded().authority, not_before=1000, not_after=2000)
    for anchor, words in (
        (Anchor(recorded().signed_roster(epoch=4), authority), "the file has epoch 4"),
        (Anchor(others, authority), "the session is of a roster with epoch 3 and digest"),
        (Anchor(signed, SERVER_KEY.public), "roster of another authority"),
        (Anchor(signed[:-1] + bytes([signed[-1] ^ 1]), authority), "bad signature on the roster"),
        (Anchor(enrolment.draft(document), authority), "unsigned roster"),
        (Anchor(enrolment.draft(document)), "unsigned roster"),
        (Anchor(b"nonsense", authority), "malformed roster"),
        (Anchor(signed, authority, server=authority), "the authority is the server"),
    ):
        found = judged(record, anchor=anchor)
        (wrong,) = failing(found)["roster"]
        assert words in wrong
        assert standings(found)["keys"] is Standing.CONSISTENT


def test_an_authority_without_a_roster_is_refused() -> None:
    with pytest.raises(ParameterError, match="the signed roster is missing"):
        Anchor(authority=recorded().authority.public)


def test_a_record_of_keys_that_its_maker_drew() -> None:
    """Everything fits, and nothing is proved: somebody played all clients."""
    other = Recorded()
    line = forged(recorded().lines, lambda fields: None)
    assert judged(line).holds
    document, _ = enrolment.inspect(other.signed_roster(epoch=9))
    signed = enrolment.sign(document, SERVER_KEY, not_before=1, not_after=2)
    found = judged(line, anchor=Anchor(signed, SERVER_KEY.public))
    assert not found.holds
