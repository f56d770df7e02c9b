"""`secagg audit` of Flower's own SecAgg+: what it finds, and that it is Flower's code that it asks.

docs/auditing.md lists the findings; a test holds it to them.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from flwr.common.secure_aggregation.secaggplus_constants import Key, Stage

from secagg.adapters.flower import audited
from secagg.adapters.flower.audited import FlowerSecAggPlus
from secagg.audit.report import Audited
from secagg.audit.subject import Moment, Question, Request
from secagg.audit.verdicts import Scope, Verdict
from secagg.cli.audit import Document
from secagg.errors import CannotTell

client: Any = importlib.import_module("flwr.client.mod.secure_aggregation.secaggplus_mod")
"""Not to be had by an import: its package has a function of the same name."""

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "auditing.md").read_text()
SECTION = PAGE.partition("## Flower's own SecAgg+\n")[2].partition("\n## ")[0]
COMMAND = "secagg audit --adapter secagg.adapters.flower.audited:FlowerSecAggPlus"

FINDINGS = {
    "exactness.early-dropouts": "client 1 before sharing keys): no sum was released",
    "exactness.range": "inputs beyond the ring of 32 bits, and no error",
    "exactness.cohort": "9 clients at the largest input, ring of 24 bits: no error",
    "exactness.not-a-number": "is in a released sum",
    "masks.whole-ring": "1 of 256 values never occur",
    "masks.complexity": "low bits of 50000 masked zeros",
    "sizes.clear-values": "the server sees of every client: num_examples",
    "fresh.seeds": "pairwise masks: 28 bits vary, self masks: 32 bits vary",
    "shares.at-once": "both kinds of share of 7 peers, from one client",
}
BEYOND = {
    "fresh.forgotten": "rd_seed, sk1, sk2",
    "lies.keys": "a client went on",
    "lies.threshold": "a client went on",
    "lies.ring": "a client went on",
}


def held(*words: str) -> tuple[int, Audited]:
    """The documented command, with its answer as JSON."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "secagg.cli",
            *COMMAND.split()[1:],
            "-q",
            "--format",
            "json",
            *words,
        ],
        text=True,
        check=False,
        capture_output=True,
        timeout=600,
        env={**os.environ, "FLWR_TELEMETRY_ENABLED": "0"},
    )
    assert done.stdout, done.stderr
    return done.returncode, msgspec.json.decode(done.stdout, type=Document).audit


@pytest.fixture(scope="module")
def audit() -> Audited:
    code, found = held()
    assert code == 1
    return found


def test_the_findings(audit: Audited) -> None:
    assert len(FINDINGS) >= 5
    assert audit.summary.findings == list(FINDINGS)
    assert not audit.summary.undecided
    by_id = {one.id: one for one in audit.results}
    for id_, evidence in FINDINGS.items():
        assert by_id[id_].scope is Scope.PROMISED
        assert evidence in by_id[id_].evidence, by_id[id_].evidence
    # Each value is an output of the Mersenne Twister of 19 937 bits, and a sum of such is one.
    linear = by_id["masks.complexity"].measure
    assert linear is not None
    assert 19_900 < linear.value <= 19_937


def test_what_only_a_lying_server_gets_is_outside_its_guarantee(audit: Audited) -> None:
    assert set(audit.summary.beyond) == set(BEYOND)
    by_id = {one.id: one for one in audit.results}
    for id_, evidence in BEYOND.items():
        assert evidence in by_id[id_].evidence
        assert by_id[id_].scope is Scope.OUTSIDE
    code, demanded = held("--policy", "malicious", "--check", "lies")
    assert code == 1
    lies = [id_ for id_ in BEYOND if id_.startswith("lies")]
    assert demanded.summary.findings == ["claims.adversary", *lies]


def test_what_holds(audit: Audited) -> None:
    passed = {one.id for one in audit.results if one.verdict is Verdict.PASS}
    assert passed == {
        *("exactness.sum", "exactness.dropouts", "exactness.extremes"),
        *("masks.integers", "masks.uniform", "masks.independent"),
        *("sizes.inputs", "fresh.masks", "fresh.tokens"),
        *("shares.in-turn", "floor.released", "floor.client"),
    }


def test_the_page_says_what_the_audit_says(audit: Audited) -> None:
    assert f"    {COMMAND}\n" in SECTION
    listed = re.findall(r"^\| `([a-z.-]+)` \| (finding|outside) \|", SECTION, re.MULTILINE)
    assert listed == [
        *((id_, "finding") for id_ in audit.summary.findings),
        *((id_, "outside") for id_ in audit.summary.beyond),
    ]
    assert f"ends with 1 and {len(audit.summary.findings)} findings" in SECTION


def session(lost: dict[int, Moment] | None = None) -> Any:
    inputs = np.arange(8 * 5, dtype=np.int64).reshape(8, 5) - 20
    return inputs, FlowerSecAggPlus().session(Request(inputs, 8, bytes(32), lost or {}))


def test_integers_are_summed_as_they_are() -> None:
    inputs, facts = session({2: "before upload", 5: "after upload"})
    members = [0, 1, 3, 4, 5, 6, 7]
    assert facts.included == tuple(members)
    np.testing.assert_array_equal(facts.total, inputs[members].sum(axis=0))
    assert facts.clear == {"num_examples": (1000.0,) * 7}
    assert facts.bits == 32


class Refused(Exception):
    """What a repaired client would raise."""


def test_a_client_that_refuses_both_kinds_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = client._unmask

    def repaired(state: Any, configs: Any) -> Any:
        if set(configs[Key.ACTIVE_NODE_ID_LIST]) & set(configs[Key.DEAD_NODE_ID_LIST]):
            raise Refused
        return real(state, configs)

    question = Question((0, 1, 2, 3, 4, 5), (5,))
    (before,) = FlowerSecAggPlus().answers(6, (question,))
    assert before is not None
    assert {(5, "self"), (5, "mask")} <= set(before)
    monkeypatch.setattr(client, "_unmask", repaired)
    fair = Question((0, 1, 2, 3, 4), (5,))
    assert FlowerSecAggPlus().answers(6, (question,)) == (None,)
    (after,) = FlowerSecAggPlus().answers(6, (fair,))
    assert set(after or ()) == {*((number, "self") for number in range(5)), (5, "mask")}


@pytest.mark.parametrize(
    ("lie", "key", "least"),
    [("threshold of one", Key.THRESHOLD, 2), ("ring of one bit", Key.MOD_RANGE, 4)],
)
def test_a_client_that_refuses_a_lie_passes(
    monkeypatch: pytest.MonkeyPatch, lie: Any, key: str, least: int
) -> None:
    real = client.check_configs

    def repaired(stage: str, configs: Any) -> None:
        if stage == Stage.SETUP and configs[key] < least:
            raise Refused
        real(stage, configs)

    assert FlowerSecAggPlus().believes(lie)
    monkeypatch.setattr(client, "check_configs", repaired)
    assert not FlowerSecAggPlus().believes(lie)


def test_a_client_that_knows_its_peers_keys_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def repaired(state: Any, configs: Any) -> Any:
        raise Refused

    assert FlowerSecAggPlus().believes("other keys")
    monkeypatch.setattr(client, "_share_keys", repaired)
    assert not FlowerSecAggPlus().believes("other keys")


def test_a_client_that_refuses_nan_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = client.quantize

    def repaired(parameters: Any, *rest: Any) -> Any:
        if not all(np.isfinite(array).all() for array in parameters):
            raise Refused
        return real(parameters, *rest)

    assert FlowerSecAggPlus().takes_not_a_number()
    monkeypatch.setattr(client, "quantize", repaired)
    assert not FlowerSecAggPlus().takes_not_a_number()


def test_a_generator_that_uses_its_whole_seed_shows_no_short_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def repaired(seed: bytes, modulus: int, shapes: Any) -> list[Any]:
        words = np.random.default_rng(list(seed))
        return [words.integers(0, modulus, shape) for shape in shapes]

    monkeypatch.setattr(audited, "pseudo_rand_gen", repaired)
    with pytest.raises(CannotTell, match="do not follow"):
        FlowerSecAggPlus().seeds(2)


def test_a_client_that_forgets_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = client._unmask

    def repaired(state: Any, configs: Any) -> Any:
        answer = real(state, configs)
        state.sk1 = state.sk2 = state.rd_seed = b""
        return answer

    assert session()[1].kept == ("sk1", "sk2", "rd_seed")
    monkeypatch.setattr(client, "_unmask", repaired)
    assert session()[1].kept == ()
