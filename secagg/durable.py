"""What makes bytes and names stay on a local file system when the power goes."""

from __future__ import annotations

import os
from pathlib import Path


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of it, however many calls that takes; it is on the device after an fsync only."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def flush_directory(path: Path) -> None:
    """Put on the device which files are in it: a new, renamed or removed one, not its bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
