"""Which implementation runs: one ladder of levels, and the one in use.

`reference` is Python. `portable` is C, with keystreams from `cryptography`. `aesni` and `vaes` on
x86-64, `armv8` on 64-bit ARM are C with the keystream fused into the addition. The best supported
level is taken at import, unless the environment variable SECAGG_CPU names one; naming one that
cannot run here is an error at the first use of a kernel, not a silent fallback.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from secagg.errors import UnavailableError
from secagg.kernels import reference
from secagg.kernels.backend import Backend

try:
    from secagg.kernels import native
except ImportError as error:
    # Kept as text: an exception would keep its frames alive.
    _NATIVE_MISSING: str | None = f"the compiled module could not be imported: {error}"
else:
    _NATIVE_MISSING = None

VARIABLE: Final = "SECAGG_CPU"

_DESCRIPTIONS: Final = {
    "reference": "Python throughout; masks from cryptography's AES-CTR",
    "portable": "C; masks from cryptography's AES-CTR in tiles, then added",
    "aesni": "C; masks fused with AES-NI, 128-bit",
    "vaes": "C; masks fused with VAES, 256-bit",
    "armv8": "C; masks fused with ARMv8's AES instructions, 128-bit",
}


def native_available() -> bool:
    """Whether the compiled module could be imported."""
    return _NATIVE_MISSING is None


def native_missing() -> str | None:
    """Why the compiled module could not be imported, or None if it could."""
    return _NATIVE_MISSING


def levels() -> tuple[str, ...]:
    """The levels that this machine can run, the slowest first. `reference` is always there."""
    return tuple(name for name in _DESCRIPTIONS if _obstacle(name) is None)


def _obstacle(name: str) -> str | None:
    """Why a level cannot run here, or None."""
    if name not in _DESCRIPTIONS:
        return f"expected one of {', '.join(_DESCRIPTIONS)}"
    if name == "reference":
        return None
    if _NATIVE_MISSING is not None:
        return _NATIVE_MISSING
    return None if native.supported(name) else "this CPU or this build cannot run it"


class _Choice:
    """The level in use, or why there is none."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.obstacle = _obstacle(name)
        self.backend: Backend = reference
        if self.obstacle is None and name != "reference":
            native.select(name)
            self.backend = native


def _first_choice() -> _Choice:
    return _Choice(os.environ.get(VARIABLE) or levels()[-1])


_choice = _first_choice()


def implementation() -> Backend:
    """The implementation in use.

    Raises:
        UnavailableError: the level that was asked for cannot run on this machine.
    """
    if _choice.obstacle is not None:
        raise _unavailable(_choice)
    return _choice.backend


def _unavailable(choice: _Choice) -> UnavailableError:
    return UnavailableError(
        f"kernel level {choice.name!r} (from {VARIABLE} or select_level) is not available:"
        f" {choice.obstacle}; usable here: {', '.join(levels())}"
    )


def level() -> str:
    """The name of the level in use.

    Raises:
        UnavailableError: the level that was asked for cannot run on this machine.
    """
    implementation()
    return _choice.name


def mask_level() -> str:
    """How masks are computed at the level in use, for a person to read.

    Raises:
        UnavailableError: the level that was asked for cannot run on this machine.
    """
    return _DESCRIPTIONS[level()]


def select_level(name: str) -> None:
    """Use another level from now on, in all threads; select before threads run kernels.

    Raises:
        UnavailableError: unknown, or this machine cannot run it. The level in use stays.
    """
    global _choice
    choice = _Choice(name)
    if choice.obstacle is not None:
        raise _unavailable(choice)
    _choice = choice


@contextmanager
def using_level(name: str) -> Iterator[None]:
    """Use another level inside a `with` block: for tests, because it applies to all threads.

    Raises:
        UnavailableError: unknown, or this machine cannot run it.
    """
    global _choice
    before = _choice
    select_level(name)
    try:
        yield
    finally:
        if before.obstacle is None:
            select_level(before.name)
        else:
            _choice = before
