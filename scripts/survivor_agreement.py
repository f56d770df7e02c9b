"""Explores the model of the complete-graph rounds, and prints what each check is good for.

    python scripts/survivor_agreement.py

For each number of clients: the states, and that no violation is among them. For each check: the
shortest way to a violation without it, step by step.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from oracles.exploration import explore, story
from oracles.test_survivor_agreement import REMOVALS, SETTINGS, removed


def main() -> int:
    wrong = 0
    for setting, _ in SETTINGS:
        began = time.monotonic()
        outcome = explore(setting)
        print(
            f"{setting.honest} honest, {setting.corrupt} corrupt, threshold {setting.threshold},"
            f" {'with' if setting.every_stop else 'without'} states that give the server nothing:"
            f" {outcome.states} states, {outcome.transitions} transitions,"
            f" {', '.join(outcome.found) or 'no violation'},"
            f" {time.monotonic() - began:.1f} s",
            flush=True,
        )
        wrong += len(outcome.found)
    for removal in REMOVALS:
        setting = removal.setting._replace(rules=removal.rules)
        outcome = explore(setting, until=removal.consequence)
        print(f"\nwithout {removed(removal.rules)}: {removal.consequence}")
        way = outcome.found.get(removal.consequence, ())
        print(*story(way), sep="\n")
        wrong += not way
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
