"""Runs what a milestone must show and records it in results/acceptance-<milestone>.json.

    python scripts/acceptance.py 1
    python scripts/acceptance.py 1 --only hospitals --only losses

Every step is recorded with its commands, exit codes, seconds and verdict. Ends with 0 only if every
step that ran has passed; a partial run (--only) writes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from must_shows import MILESTONES
from must_shows.step import ROOT, Failed, Step

from secagg.cli import machine


def perform(action: Callable[[Step], None]) -> dict[str, Any]:
    step = Step(action.__name__)
    print(f"\n== {step.name}: {action.__doc__}", flush=True)
    try:
        action(step)
        verdict, why = "passed", None
    except Failed as error:
        verdict, why = "failed", str(error)
    except Exception as error:  # a step that breaks has not passed
        verdict, why = "failed", f"{type(error).__name__}: {error}"
    print(f"== {step.name}: {verdict}" + (f": {why}" if why else ""), flush=True)
    return {
        "step": step.name,
        "shows": action.__doc__,
        "verdict": verdict,
        "why": why,
        "seconds": round(sum(entry["seconds"] for entry in step.commands), 2),
        "facts": step.facts,
        "commands": step.commands,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run what a milestone must show.")
    parser.add_argument("milestone", type=int, choices=sorted(MILESTONES))
    parser.add_argument("--only", action="append", metavar="STEP", help="may be repeated")
    options = parser.parse_args(arguments)
    actions = MILESTONES[options.milestone]
    names = [action.__name__ for action in actions]
    if unknown := set(options.only or ()) - set(names):
        parser.error(f"no such step: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    build, started, before = machine.build(), machine.now(), machine.load()
    steps = [
        perform(action)
        for action in actions
        if options.only is None or action.__name__ in options.only
    ]
    facts = {key: value for step in steps for key, value in step["facts"].items()}
    passed = all(step["verdict"] == "passed" for step in steps)
    result = {
        "schema": "secagg.acceptance/1",
        "milestone": options.milestone,
        "verdict": "passed" if passed else "failed",
        "secagg": msgspec.to_builtins(build),
        "machine": msgspec.to_builtins(machine.machine()),
        "load": {"before": before, "after": machine.load()},
        "versions": machine.versions(),
        "started": started,
        "level": facts.get("level"),
        "gamma": facts.get("gamma"),
        "kernel": facts.get("kernel"),
        "steps": steps,
    }
    if options.only is None:
        path = ROOT / "results" / f"acceptance-{options.milestone}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + "\n")
        print(f"written to {path.relative_to(ROOT)}")
    for step in steps:
        print(f"{step['verdict']:7} {step['seconds']:8.1f} s  {step['step']}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
