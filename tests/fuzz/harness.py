"""Fuzzes targets with atheris: `python -m fuzz.harness SECONDS JOBS [TARGET...]`.

Everything is imported and instrumented once, and each target then runs in a fork. What is found
lies in build/fuzz/NAME; new inputs are kept in build/fuzz/corpus/NAME for the next run.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from types import FunctionType

import atheris
from fuzz import registry
from fuzz.mutation import mutator
from fuzz.target import Target

FOUND = Path(__file__).parents[2] / "build" / "fuzz"
SECONDS_FOR_ONE = 20
MEGABYTES = 2048
LONGEST = 4096


def instrument() -> int:
    """Let the fuzzer see the branches of this library; the number of functions.

    As they are imported it cannot: an editable installation has an importer of its own.
    """
    functions = [
        one
        for one in gc.get_objects()
        if isinstance(one, FunctionType)
        and (one.__module__ or "").partition(".")[0] in registry.PACKAGES
    ]
    for function in functions:
        atheris.instrument_func(function)
    return len(functions)


def fuzz(target: Target, seconds: int) -> None:
    """Never returns: the process ends when the time is over, or with a finding."""
    found, grown = FOUND / target.name, FOUND / "corpus" / target.name
    for folder in (found, grown):
        folder.mkdir(parents=True, exist_ok=True)
    log = os.open(found / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    # What is made once, such as keys, is not the first input's time.
    for path in target.folder.iterdir():
        target.check(path.read_bytes())
    options = {
        "max_total_time": seconds,
        "timeout": SECONDS_FOR_ONE,
        "rss_limit_mb": MEGABYTES,
        "max_len": LONGEST,
        "artifact_prefix": f"{found}/",
        "print_final_stats": 1,
        "seed": 1,
    }
    arguments = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup(
        [target.name, *arguments, str(grown), str(target.folder)],
        target.check,
        custom_mutator=None if target.form == "bytes" else mutator(target, _plain),
    )
    atheris.Fuzz()


def _plain(data: bytes, largest: int) -> bytes:
    # Looked up when it is called: it is another function once the fuzzer has begun.
    mutated: bytes = atheris.Mutate(data, largest)
    return mutated


def started(target: Target, seconds: int) -> int:
    """The process that fuzzes it."""
    child = os.fork()
    if not child:
        # The fuzzer ends the process itself, and writes what it found on its way out.
        fuzz(target, seconds)
        sys.exit(1)
    return child


def told(target: Target, status: int) -> bool:
    """What came of it, on one line; whether it is well."""
    lines = (FOUND / target.name / "log").read_text(errors="replace").splitlines()
    counted = [line.split()[-1] for line in lines if line.startswith("stat::number_of_executed")]
    found = status != 0 or not counted
    print(f"  {target.name}: {'FOUND' if found else counted[0] + ' inputs'}", flush=True)
    if found:
        print("\n".join(lines[-60:]), flush=True)
    return not found


def main() -> int:
    seconds, jobs, names = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    print(f"  {instrument()} functions instrumented", flush=True)
    waiting = [registry.TARGETS[name] for name in names or registry.TARGETS]
    running: dict[int, Target] = {}
    well = True
    while waiting or running:
        while waiting and len(running) < jobs:
            target = waiting.pop(0)
            running[started(target, seconds)] = target
        child, status = os.wait()
        well &= told(running.pop(child), status)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
