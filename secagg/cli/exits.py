"""The exit codes of all commands."""

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended. A finding and a check that did not run are never confused."""

    DONE = 0
    FINDING = 1
    USAGE = 2
    UNDECIDED = 3
    ABORTED = 4
    INTERRUPTED = 130
