"""Where a secret may be: in the memory reachable from an object, or in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from secagg.protocol import Party
from secagg.protocols._masking.authenticated.client import AuthenticatedClient
from secagg.protocols._masking.client import MaskingClient
from secagg.types import Secret

WINDOW = 8


def reachable(root: object) -> Iterator[object]:
    """An object and all that hangs on its attributes and containers; classes left out."""
    seen: set[int] = set()
    keep: list[object] = []  # so that no id is used twice
    todo: list[object] = [root]
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        keep.append(item)
        yield item
        todo += _parts(item)


def _parts(item: object) -> Iterable[object]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, list | tuple | set | frozenset):
        return list(item)
    names = [name for cls in type(item).__mro__ for name in _slots(cls)]
    names += [*getattr(item, "__dict__", {}), *getattr(item, "__struct_fields__", ())]
    return [getattr(item, name) for name in names if hasattr(item, name)]


def _slots(cls: type) -> tuple[str, ...]:
    slots: Any = cls.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def content(item: object) -> bytes:
    """The bytes of an object that is made of bytes; none of others."""
    if isinstance(item, Secret):
        return item.reveal()
    if isinstance(item, np.ndarray):
        return item.tobytes()
    return bytes(item) if isinstance(item, bytes | bytearray | memoryview) else b""


def holds(root: object, secret: bytes) -> bool:
    """Whether the memory reachable from an object contains these bytes."""
    assert len(secret) >= WINDOW  # noqa: S101
    return any(secret in content(item) for item in reachable(root))


def seeds_of(party: Party) -> dict[str, bytes]:
    """A client's own secrets, while it has them."""
    assert isinstance(party, MaskingClient | AuthenticatedClient)  # noqa: S101
    assert party._seed is not None  # noqa: S101
    found = {
        "party seed": party._seed.reveal(),
        "mask seed": party._keys.mask_seed.reveal(),
        "self seed": party._keys.self_seed.reveal(),
    }
    assert all(found.values())  # noqa: S101
    return found


def shows(text: str, secret: bytes) -> bool:
    """Whether a text shows eight bytes in a row of a secret, in any of the usual spellings."""
    lowered = text.lower()
    for start in range(len(secret) - WINDOW + 1):
        part = secret[start : start + WINDOW]
        spellings = (part.hex(), part.hex(" "), repr(part)[2:-1].lower(), str(list(part))[1:-1])
        if any(spelling in lowered for spelling in spellings):
            return True
    return False


def shows_numbers(text: str, values: Iterable[int]) -> bool:
    """Whether a text shows four numbers in a row of a vector."""
    wanted = list(values)
    found = [int(number) for number in re.findall(r"-?\d+", text)]
    runs = {tuple(found[i : i + 4]) for i in range(len(found) - 3)}
    return any(tuple(wanted[i : i + 4]) in runs for i in range(len(wanted) - 3))
