"""Mutation of MessagePack as what it is: most changes of its bytes are not MessagePack any more."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
from fuzz.target import Target, join_body, split_body

INTEGERS = (0, 1, -1, 127, 128, 255, 256, (1 << 31) - 1, 1 << 32, (1 << 63) - 1, -(1 << 63))
OTHERS: tuple[Any, ...] = (
    *(None, True, False, 0.0, -0.0, 1e308, float("inf"), float("nan"), b"", "", [], {}),
    *("0.1", "1E-5", "1e999999", "NaN", "sNaN", "-0", "\x00", "\ud7ff", "0" * 40),
)

Mutate = Callable[[bytes, int], bytes]


def mutator(target: Target, plain: Mutate) -> Callable[[bytes, int, int], bytes]:
    """Bytes, the largest size and a seed to other bytes; `plain` is the fuzzer's own mutation."""

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        draw = random.Random(seed)
        if target.form == "bytes" or draw.random() < 0.4:
            return plain(data, largest)
        first, body, tail = split_body(data) if target.form == "body" else (0, data, b"")
        try:
            value = msgspec.msgpack.decode(body)
            for _ in range(draw.randrange(1, 4)):
                value = changed(value, draw)
            body = msgspec.msgpack.encode(value)
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
            return plain(data, largest)
        found = join_body(first, body, tail) if target.form == "body" else body
        return found if len(found) <= largest else plain(data, largest)

    return mutate


def changed(value: Any, draw: random.Random) -> Any:
    """The same with one place changed."""
    if isinstance(value, list) and value and draw.random() < 0.85:
        at = draw.randrange(len(value))
        return [*value[:at], changed(value[at], draw), *value[at + 1 :]]
    if isinstance(value, list):
        how = draw.randrange(4)
        if how == 0 and value:
            return value[:-1]
        if how == 1:
            return [*value, draw.choice([0, b"", *value])]
        if how == 2 and value:
            return [*value, *value]
        draw.shuffle(value)
        return value
    if draw.random() < 0.15:
        return draw.choice((*OTHERS, *INTEGERS))
    if isinstance(value, bool) or value is None:
        return draw.choice((True, False, None, 0, b""))
    if isinstance(value, int):
        return draw.choice((value + 1, value - 1, value ^ (1 << draw.randrange(63)), *INTEGERS))
    if isinstance(value, bytes) and value:
        at = draw.randrange(len(value))
        other = bytes((draw.randrange(256),))
        return draw.choice((value[:-1], value + other, value[:at] + other + value[at + 1 :]))
    if isinstance(value, str):
        return draw.choice(
            (value[:-1], value + "0", value * 3, *(o for o in OTHERS if o == str(o)))
        )
    return draw.choice((*OTHERS, *INTEGERS))
