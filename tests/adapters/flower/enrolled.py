"""Nodes with keys in files, a signed roster, and folders for their ledgers."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from secagg import enrolment
from secagg.crypto.rng import SystemRng
from secagg.enrolment import Document, KeyRole


@dataclass
class Enrolled:
    """Files as each node and the app have them.

    Attributes:
        roster: in base64, as in the app's configuration.
        authority: the public key.
        configs: each node's configuration.
    """

    folder: Path
    count: int
    configs: dict[int, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = SystemRng()
        self.folder.chmod(0o700)
        self.authority = enrolment.create(
            self.folder / "authority.key", KeyRole.AUTHORITY, "authority", rng
        ).key
        keys = []
        for number in range(self.count):
            home = self.folder / f"node {number}"
            home.mkdir(mode=0o700)
            keys.append(
                enrolment.create(home / "long.key", KeyRole.CLIENT, f"client-{number}", rng)
            )
            self.configs[number] = {
                "secagg-key": str(home / "long.key"),
                "secagg-authority": str(self.folder / "authority.key.pub"),
                "secagg-folder": str(home / "ledgers"),
                "secagg-device-key": str(home / "device.key"),
            }
        self.document = Document.empty("test").adding(keys)
        self.roster = self.signed(self.document)

    def signed(self, document: Document) -> str:
        pair = enrolment.load(self.folder / "authority.key")
        now = int(time.time())
        data = enrolment.sign(document, pair.key, not_before=now - 60, not_after=now + 3600)
        return base64.b64encode(data).decode()

    @property
    def run_config(self) -> dict[str, Any]:
        return {"secagg-roster": self.roster}
