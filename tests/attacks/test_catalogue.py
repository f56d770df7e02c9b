"""The attacks of the package: what is guarded fails, and what is said to get through does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from secagg import protocols
from secagg.audit.attacks import ATTACKS
from secagg.crypto.rng import seeded
from secagg.protocol import Level

FOLDER = Path(__file__).parent


def mounted() -> Iterator[tuple[str, str, Level]]:
    """Every attack with every protocol and level to which it applies."""
    for key, attack in ATTACKS.items():
        for name in protocols.NAMES:
            protocol = protocols.get(name)
            for level in protocol.levels:
                if attack.applies(protocol, level) is None:
                    yield key, name, level


@pytest.mark.parametrize(("key", "name", "level"), list(mounted()))
def test_an_attack_gets_through_where_nothing_is_promised_and_nowhere_else(
    key: str, name: str, level: Level
) -> None:
    attack, protocol = ATTACKS[key], protocols.get(name)
    outcome = attack.run(protocol, level, seeded(7))
    assert outcome.succeeded == (not attack.guarded(protocol, level))
    assert bool(outcome.stopped_by) != outcome.succeeded
    assert outcome.evidence
    assert "\n" not in outcome.evidence


def test_every_attack_is_in_the_table() -> None:
    """Under its id, which is that of a module here."""
    titles = [ast.get_docstring(ast.parse(path.read_text())) or "" for path in FOLDER.glob("*.py")]
    ids = {one.strip() for title in titles for one in title.partition(":")[0].split(",")}
    assert not ATTACKS.keys() - ids


@pytest.mark.parametrize("key", ATTACKS)
def test_an_attack_applies_somewhere_and_says_why_not_elsewhere(key: str) -> None:
    attack = ATTACKS[key]
    assert attack.id == key
    assert all((attack.title, attack.goal, attack.source))
    reasons = [
        attack.applies(protocols.get(name), level)
        for name in protocols.NAMES
        for level in protocols.get(name).levels
    ]
    assert None in reasons
    assert all(reason is None or len(reason) > 20 for reason in reasons)
