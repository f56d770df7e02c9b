"""A server in a process of its own, on standard input and output.

    endpoint_server.py PROTOCOL LEVEL FOLDER FUSE

FOLDER holds the invitation and the records. The last message is the result, as JSON, for itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from e2e.endpoint_example import loops
from e2e.endpoint_pipes import DyingPipe
from unit.endpoint.federation import Federation

from secagg.endpoint import FileRecords, Invitation
from secagg.protocol import Level
from secagg.types import SERVER


def main(protocol: str, level: str, folder: str, fuse: str) -> None:
    assert Federation(protocol, Level(level)).roster is None
    invitation = Invitation.decode((Path(folder) / "invitation").read_bytes())
    channel = DyingPipe(sys.stdin.fileno(), sys.stdout.fileno(), int(fuse))
    records = FileRecords(Path(folder) / "records")
    mean = loops().serve(channel, invitation, records=records)
    result = [mean.values.tolist(), mean.weight, [party.number for party in mean.included]]
    channel.send(SERVER, json.dumps(result).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
