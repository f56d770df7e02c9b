"""A transcript as the subject of an audit: what its keeper noted, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from secagg.audit.subject import Subject
from secagg.errors import ParameterError
from secagg.transcript import Entry

MAX_BYTES: Final = 1 << 30

_ENTRY: Final = msgspec.json.Decoder(Entry)


class TranscriptSubject(Subject):
    """The entries of one run, from a file of JSON lines.

    Raises:
        ParameterError: it cannot be read, is too large, is empty, or a line is no entry.
    """

    kind = "transcript"

    def __init__(self, path: Path) -> None:
        self.name = f"transcript {path.name}"
        self.title = "sizes and digests of messages, as their keeper noted them"
        self._entries = _read(path)

    def entries(self) -> Sequence[Entry]:
        """All of them, in the order of the file."""
        return self._entries


def _read(path: Path) -> list[Entry]:
    found = []
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ParameterError(f"{path}: expected at most {MAX_BYTES} bytes")
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    found.append(_ENTRY.decode(line))
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    raise ParameterError(f"{path}, line {number}: {error}") from None
    except OSError as error:
        raise ParameterError(f"{path}: {error.strerror}") from None
    if not found:
        raise ParameterError(f"{path}: no entries")
    return found
