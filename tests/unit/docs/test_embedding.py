"""docs/embedding.md says what the code does: its examples run, its errors are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from unit.endpoint.federation import Federation

import secagg
from secagg import errors, ledger
from secagg.crypto.rng import SystemRng
from secagg.endpoint import ClientEndpoint, Invitation
from secagg.protocol import Level
from secagg.types import client

TEXT = (Path(__file__).parents[3] / "docs" / "embedding.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_invitation() -> None:
    sent: list[bytes] = []
    tensors = {"w": np.zeros((3, 2), np.float32)}
    names: dict[str, Any] = {
        "secagg": secagg,
        "Invitation": Invitation,
        "clients": tuple(client(number) for number in range(5)),
        "layout": secagg.Layout.of(tensors),
        "model_bytes": b"model",
        "configuration_bytes": b"configuration",
        "send_to_everybody": lambda *words: sent.extend(words),
    }
    exec(EXAMPLES[0], names)  # noqa: S102
    received = Invitation.decode(sent[0])
    assert received.job == "weather"
    assert received.training_round == 7
    assert received.model_digest == received.digest_of(b"model", b"configuration")
    assert received.flattened(tensors).shape == (6,)


def test_the_ledger(tmp_path: Path) -> None:
    federation, me = Federation("secagg", Level.MALICIOUS), client(1)
    federation.invitation = federation.invite(job="weather")
    identity = federation.identities[me]
    assert identity is not None
    code = EXAMPLES[1].replace('Path("device.key")', 'folder / "device.key"')
    code = code.replace("ClientEndpoint(..., ", "ClientEndpoint(")
    names: dict[str, Any] = {
        "ledger": ledger,
        "folder": tmp_path,
        "path": tmp_path / "ledger.db",
        "rng": SystemRng(),
        "key": identity.key,
        "ClientEndpoint": lambda ledger: federation.client(me, ledger),
    }
    exec(code, names)  # noqa: S102
    assert isinstance(names["endpoint"], ClientEndpoint)
    assert (tmp_path / "ledger.db.keys").is_dir()


def test_the_errors_are_there() -> None:
    table = TEXT[TEXT.index("| what | how |") :]
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z]\w+)`", table))
    assert len(named) >= 12
    assert {name for name in named if not hasattr(errors, name)} == {"ClientEndpoint"}
