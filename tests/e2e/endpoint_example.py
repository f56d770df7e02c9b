"""The two loops of the README, as they stand there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

README = Path(__file__).parents[2] / "README.md"


class Loops(NamedTuple):
    """`serve` and `take_part`, and the names that they are defined among."""

    serve: Callable[..., Any]
    take_part: Callable[..., Any]
    names: dict[str, Any]


def blocks() -> list[str]:
    """The code of the section on embedding."""
    text = README.read_text()
    section = text[text.index("## Embedding it") :]
    section = section[: section.index("\n## ", 1)]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def loops(*, asynchronous: bool = False) -> Loops:
    """The loops; for asyncio they differ by `async` and `await` alone."""
    code = "\n".join(blocks())
    if asynchronous:
        for call in ("channel.send(", "channel.receive("):
            assert code.count(call) == 2
            code = code.replace(call, f"await {call}")
        code = code.replace("def ", "async def ")
    names: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), names)  # noqa: S102
    return Loops(names["serve"], names["take_part"], names)
