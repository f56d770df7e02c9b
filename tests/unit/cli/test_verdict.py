"""How `secagg compare` ends when not every row is a good one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from unit.cli.conftest import SMALL, Invoke, by_name, read

from fl.results import ABORTED, DONE, NOT_OFFERED, REFUSED, UNAVAILABLE, WRONG, Row
from secagg import protocols
from secagg.cli import compare
from secagg.cli.exits import Exit
from secagg.errors import ParameterError, RemoteProtocolError, UnavailableError
from secagg.protocol import Accuse, Done, Effects, Exactness, Level, Protocol
from secagg.protocols.plain import Plain, Server
from secagg.types import Role, client


def test_an_aborted_row_says_why_and_the_others_are_complete(invoke: Invoke) -> None:
    document = read(invoke, "--lose", "0.7", code=Exit.ABORTED)
    rows = by_name(document)
    assert rows["plain"].status == DONE
    assert rows["plain"].exact
    for name in ("secagg", "secagg_plus"):
        assert rows[name].status == ABORTED
        assert "2 of 2 rounds" in (rows[name].reason or "")
        assert "are needed" in (rows[name].reason or "")
        assert rows[name].rounds_done == 0
        assert rows[name].exact is None
        assert all(record.failure for record in rows[name].rounds)
    table = invoke(*SMALL, "--lose", "0.7").stdout
    assert "aborted" in table
    assert "are needed" in table.replace("\n", " ")


def test_a_refused_plan_says_why(invoke: Invoke) -> None:
    rows = by_name(read(invoke, "--dropout", "0.6", "--lose", "0", code=Exit.ABORTED))
    assert rows["plain"].status == DONE
    assert rows["secagg"].status == REFUSED
    assert "threshold" in (rows["secagg"].reason or "")
    assert rows["secagg"].rounds == []
    result = invoke(*SMALL, "--dropout", "0.6")
    assert result.exit_code == Exit.ABORTED
    assert "refused" in result.stdout


def test_if_all_refuse_it_is_usage(invoke: Invoke) -> None:
    result = invoke(*SMALL, "--protocols", "secagg,secagg_plus", "--dropout", "0.6")
    assert result.exit_code == Exit.USAGE
    assert not result.stdout
    assert "secagg_plus: " in result.stderr
    assert "threshold" in result.stderr


def test_without_torch_it_names_the_extra(invoke: Invoke, without_torch: None) -> None:
    result = invoke("compare", "-q", "--data", "opt")
    assert result.exit_code == Exit.UNDECIDED
    assert "pip install 'secagg[fl]'" in result.stderr
    assert not result.stdout
    assert invoke(*SMALL).exit_code == Exit.DONE


def test_missing_data_names_the_package(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECAGG_FASHION_MNIST", "/nonexistent")
    result = invoke("compare", "-q", "--data", "fashion-mnist")
    assert result.exit_code == Exit.UNDECIDED
    assert "apt-get install dataset-fashion-mnist" in result.stderr


class _Liar(Server):
    """Releases a sum that is off by one, and accuses somebody if asked to."""

    accusing = False

    def _release(self) -> Effects:
        for effect in super()._release():
            if isinstance(effect, Done) and effect.total is not None:
                total = effect.total.copy()
                total[0] += 1
                if self.accusing:
                    who = client(0)
                    yield Accuse(who, RemoteProtocolError(who, "looked at me"))
                    total = effect.total
                yield Done(total, effect.included)
            else:
                yield effect


class _Accuser(_Liar):
    accusing = True


def with_server(monkeypatch: pytest.MonkeyPatch, server: type[Server], **overrides: Any) -> None:
    offering = Plain.levels[Level.CURIOUS]
    roles: Mapping[Role, Any] = {**offering.roles, Role.SERVER: server}
    levels = {Level.CURIOUS: replace(offering, roles=roles, **overrides)}
    faulty: Protocol = type("Faulty", (Plain,), {"levels": levels})()
    before = protocols.get
    monkeypatch.setattr(protocols, "get", lambda name: faulty if name == "plain" else before(name))


def test_a_wrong_sum_is_a_finding(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    with_server(monkeypatch, _Liar)
    rows = by_name(read(invoke, code=Exit.FINDING))
    assert rows["plain"].status == WRONG
    assert "exact" in (rows["plain"].reason or "")
    assert rows["plain"].exact is False
    assert rows["secagg"].status == DONE
    assert "NO" in invoke(*SMALL).stdout


def test_an_accusation_among_the_honest_is_a_finding(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_server(monkeypatch, _Accuser)
    rows = by_name(read(invoke, code=Exit.FINDING))
    assert rows["plain"].status == WRONG
    assert "looked at me" in (rows["plain"].reason or "")


def test_a_protocol_that_claims_no_exact_sum_may_be_off(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    promised = Plain.levels[Level.CURIOUS].guarantees
    with_server(monkeypatch, _Liar, guarantees=replace(promised, exactness=Exactness.BOUNDED_ERROR))
    row = by_name(read(invoke))["plain"]
    assert (row.status, row.exact, row.claims_exact) == (DONE, False, False)


def test_an_unavailable_protocol_matters_if_it_was_named(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = protocols.get

    def get(name: str) -> Protocol:
        if name == "secagg":
            raise UnavailableError("it needs gold")
        return before(name)

    monkeypatch.setattr(protocols, "get", get)
    row = by_name(read(invoke))["secagg"]
    assert (row.status, row.reason) == (UNAVAILABLE, "it needs gold")
    read(invoke, "--protocols", "plain,secagg", code=Exit.UNDECIDED)
    result = invoke(*SMALL, "--protocols", "secagg")
    assert result.exit_code == Exit.UNDECIDED
    assert "it needs gold" in result.stderr


@pytest.mark.parametrize(
    ("states", "asked", "code"),
    [
        ((DONE, DONE), True, Exit.DONE),
        ((DONE, ABORTED), True, Exit.ABORTED),
        ((ABORTED, ABORTED), True, Exit.ABORTED),
        ((DONE, REFUSED), True, Exit.ABORTED),
        ((DONE, UNAVAILABLE), False, Exit.DONE),
        ((DONE, UNAVAILABLE), True, Exit.UNDECIDED),
        ((ABORTED, UNAVAILABLE), False, Exit.ABORTED),
        ((WRONG, UNAVAILABLE, ABORTED), True, Exit.FINDING),
        ((DONE, NOT_OFFERED), False, Exit.DONE),
        ((DONE, NOT_OFFERED), True, Exit.DONE),
        ((DONE, NOT_OFFERED, UNAVAILABLE), True, Exit.UNDECIDED),
        ((ABORTED, NOT_OFFERED), True, Exit.ABORTED),
        ((WRONG, NOT_OFFERED), True, Exit.FINDING),
    ],
)
def test_verdicts(states: tuple[str, ...], asked: bool, code: Exit) -> None:
    rows = [Row(protocol="p", status=state, reason="r") for state in states]
    assert compare.verdict(rows, asked) == code


def test_no_verdict_without_a_run() -> None:
    refused = Row(protocol="p", status=REFUSED, reason="too much")
    missing = Row(protocol="q", status=UNAVAILABLE, reason="no gold")
    with pytest.raises(ParameterError, match="p: too much"):
        compare.verdict([refused, missing], asked=True)
    with pytest.raises(UnavailableError, match="q: no gold"):
        compare.verdict([missing], asked=False)
    weaker = Row(protocol="r", status=NOT_OFFERED, reason="it offers level curious")
    with pytest.raises(ParameterError, match="r: it offers level curious"):
        compare.verdict([weaker, refused, missing], asked=False)
