"""Every protocol of this library, by name.

To add one: a module in this package that defines PROTOCOL, and its name below. Packages outside
register theirs under the entry-point group "secagg.protocols". Modules are imported when asked
for, so an optional dependency is loaded only by the protocol that needs it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from secagg.errors import ParameterError
from secagg.protocol import Protocol

NAMES: Final = ("plain", "secagg", "secagg_plus", "bfv", "ckks", "enclave")
_GROUP: Final = "secagg.protocols"


def names() -> tuple[str, ...]:
    """The names of all protocols: those here, then those of other packages."""
    return (*NAMES, *sorted(entry.name for entry in entry_points(group=_GROUP)))


def get(name: str) -> Protocol:
    """The protocol of this name.

    Raises:
        ParameterError: there is none.
        UnavailableError: it needs a package that is not installed.
    """
    if name in NAMES:
        protocol = import_module(f"secagg.protocols.{name}").PROTOCOL
    else:
        found = [entry for entry in entry_points(group=_GROUP) if entry.name == name]
        if not found:
            raise ParameterError(f"expected a protocol of {', '.join(names())}; got {name!r}")
        protocol = found[0].load()
    if not isinstance(protocol, Protocol):
        raise ParameterError(f"{name}: expected a Protocol, found {type(protocol).__name__}")
    return protocol
