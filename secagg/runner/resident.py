"""The resident memory of this process, as Linux counts it.

The peak is that of the memory that the program has now. `ru_maxrss` of a process also covers what
it was before it became this program: in a child of a large process it tells the parent's size.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_RESET_PEAK: Final = "5"


def resident_bytes() -> int:
    """Now; where there is no /proc, the peak."""
    return _field("VmRSS:")


def peak_bytes() -> int:
    """The most since the start of the program or the last `reset_peak`."""
    return _field("VmHWM:")


def reset_peak() -> None:
    """Begin anew to look for the peak, where the system can."""
    with suppress(OSError):
        _CLEAR.write_text(_RESET_PEAK)


def _field(name: str) -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
