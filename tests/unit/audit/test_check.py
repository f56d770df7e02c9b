"""What an attack may not do is found in its source."""

from __future__ import annotations

from pathlib import Path

import pytest

from secagg.audit.adversary.check import check, findings
from secagg.errors import AttackCheats


def said(source: str, *own: str) -> list[str]:
    return [finding.what for finding in findings(source, "attack.py", own)]


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np",
        "from secagg.audit.adversary import Network, recovered",
        "from secagg.protocols._masking.messages import KeyBook",
        "from secagg.protocols._masking.authenticated.messages import SignedKeys",
        "from secagg.crypto import aead",
        "from secagg.protocol import Fail, Level",
        "from secagg import kernels",
        "network.corrupt(who)._keys",
        "party = network.corrupt(who)\nparty._keys.mask_seed\nparty._shares[0]._buffer",
        "def attack(network):\n    one = network.corrupt(3)\n    return one._keys",
    ],
)
def test_what_an_adversary_has_is_allowed(source: str) -> None:
    assert said(source) == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import os", "imports os"),
        ("import secagg", "imports secagg"),
        ("from secagg.protocol import Party", "imports secagg.protocol.Party"),
        ("from secagg.protocol.memory import Memory", "imports secagg.protocol.memory.Memory"),
        (
            "from secagg.protocols._masking.client import MaskingClient",
            "imports secagg.protocols._masking.client.MaskingClient",
        ),
        ("from secagg.runner import run", "imports secagg.runner.run"),
        ("from conformance.scenario import Scenario", "imports conformance.scenario.Scenario"),
        ("from . import scenes", "imports None.scenes"),
        ("network._inputs", "touches _inputs of network"),
        ("network.parties[0]._keys", "touches _keys of network.parties[0]"),
        ("x.__dict__", "touches __dict__ of x"),
        ("getattr(x, '_keys')", "uses getattr"),
        ("vars(x)", "uses vars"),
        ("eval('x._keys')", "uses eval"),
        ("look = getattr", "uses getattr"),
        ("object.__getattribute__(x, '_seat')", "touches __getattribute__ of object"),
    ],
)
def test_what_it_does_not_have_is_found(source: str, what: str) -> None:
    assert what in said(source)


@pytest.mark.parametrize(
    "source",
    [
        "party = network.corrupt(1)\nparty = network\nparty._inputs",
        "party = network.corrupt(1)\nfor party in everybody:\n    party._keys",
        "party = network.corrupt(1)\ndef see(party):\n    return party._keys",
        "party = network.corrupt(1)\nwith network as party:\n    party._keys",
        "party, other = network.corrupt(1), network\nother._keys",
        "corrupt(1)._keys",
    ],
)
def test_a_name_is_corrupt_only_if_it_is_nothing_else(source: str) -> None:
    assert len(said(source)) == 1


def test_the_modules_of_a_scene_are_named_by_whoever_checks() -> None:
    source = "from attacks.scenes import network_of\nfrom attacks import scenes"
    assert len(said(source)) == 2
    assert said(source, "attacks.scenes") == []


def test_a_refusal_has_all_findings_with_file_and_line(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.py", tmp_path / "good.py"
    bad.write_text("import os\n\nnetwork._inputs\n")
    good.write_text("import math\n")
    check([good])
    with pytest.raises(AttackCheats) as refused:
        check([good, bad])
    assert refused.value.findings == (
        "bad.py:1: imports os",
        "bad.py:3: touches _inputs of network",
    )
