"""The enclave's process for somebody without privileges: whoever runs this gives theirs up."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

SCRIPT = Path(__file__).with_name("unprivileged_rounds.py")


@pytest.fixture(scope="module")
def seen() -> Any:
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(SCRIPT)], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout)


def test_there_are_no_privileges_to_help(seen: Any) -> None:
    for who in ("own", "enclave"):
        for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            assert int(seen[who][kind], 16) == 0, (who, kind)


def test_the_rounds_are_the_same(seen: Any) -> None:
    assert seen["sums"] == [[10] * 50] * 2
    assert "opened before" in seen["refusal"]


def test_all_safeguards_but_locked_memory_need_no_privilege(seen: Any) -> None:
    safeguards = {name: (held, details) for name, held, details in seen["safeguards"]}
    for name in ("environment", "descriptors", "limits", "inspection"):
        assert safeguards[name][0], safeguards[name]
    # A container may refuse seccomp to everybody; the process must know.
    assert safeguards["network"][0] == (seen["enclave"]["Seccomp"] == "2")
    assert seen["enclave"]["NoNewPrivs"] == "1"


def test_locked_memory_depends_on_the_limit_and_what_is_said_is_true(seen: Any) -> None:
    ((held, details),) = ((g[1], g[2]) for g in seen["safeguards"] if g[0] == "memory")
    locked = int(seen["enclave"]["VmLck"].split()[0])
    assert held == (locked > 0) == (seen["lockable"] == resource.RLIM_INFINITY)
    if not held:
        assert f"the limit is {seen['lockable']} bytes; it may be swapped" in details


def test_its_own_user_cannot_look_inside(seen: Any) -> None:
    """Another process of the same user is open to that user: it is not the machine that is shut."""
    assert seen["readable"]["enclave"] == []
    # Its memory too, unless the machine lets nobody attach to anything.
    assert {"environ", "maps"} <= set(seen["readable"]["other"])
