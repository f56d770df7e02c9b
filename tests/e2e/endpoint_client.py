"""A client in a process of its own, on standard input and output.

    endpoint_client.py PROTOCOL LEVEL NUMBER FOLDER FUSE

FOLDER holds the invitation and the client's ledger, NUMBER.db; FUSE is as for `DyingPipe`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from e2e.endpoint_example import loops
from e2e.endpoint_pipes import DyingPipe
from unit.endpoint.federation import CONFIGURATION, MODEL, Federation

from secagg.endpoint import Invitation
from secagg.ledger import SqliteStorage
from secagg.protocol import Level
from secagg.types import client


def main(protocol: str, level: str, number: str, folder: str, fuse: str) -> None:
    federation, me = Federation(protocol, Level(level)), client(int(number))
    invitation = (Path(folder) / "invitation").read_bytes()
    federation.invitation = Invitation.decode(invitation)
    channel = DyingPipe(sys.stdin.fileno(), sys.stdout.fileno(), int(fuse))
    with federation.ledger(me, SqliteStorage(Path(folder) / f"{number}.db"), new=False) as ledger:
        loops().take_part(
            channel,
            invitation,
            me,
            federation.updates[me],
            federation.weights[me],
            model=MODEL,
            configuration=CONFIGURATION,
            policy=federation.policy,
            ledger=ledger,
            roster=federation.roster,
            identity=federation.identities[me],
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
