"""Runs what a milestone must show and records it in results/acceptance-<milestone>.json.

    python scripts/acceptance.py 1
    python scripts/acceptance.py 1 --only hospitals --only losses

Every step is recorded with its commands, exit codes, seconds and verdict. Ends with 0 only if every
step that ran has passed; a partial run (--only) writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from performance_doc import RATIOS as GOALS

from secagg.cli import machine

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
SECAGG = str(BIN / "secagg")
DEMO_SECONDS = 600
MASKING = ("secagg", "secagg_plus")


class Failed(Exception):
    """A step did not show what it must."""


class Step:
    """Runs commands and keeps their record."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.commands: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}

    def run(
        self,
        *words: str,
        code: int = 0,
        cwd: Path = ROOT,
        limit: float = 1800,
        capture: bool = False,
        **variables: str,
    ) -> str:
        """Run, record, and insist on the exit code and the time."""
        shown = " ".join([*(f"{k}={v}" for k, v in variables.items()), *words])
        for path, name in ((f"{BIN}/", ""), (str(ROOT), "."), (tempfile.gettempdir(), "$TMP")):
            shown = shown.replace(path, name)
        print(f"$ {shown}", flush=True)
        began = time.monotonic()
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
        seconds = round(time.monotonic() - began, 2)
        self.commands.append(
            {
                "command": shown,
                "exit": done.returncode,
                "expected": code,
                "seconds": seconds,
            }
        )
        self.expect(done.returncode == code, f"{shown} ended with {done.returncode}, not {code}")
        self.expect(seconds <= limit, f"{shown} took {seconds} s, more than {limit}")
        return done.stdout or ""

    def tried(self, *words: str) -> int:
        """Run and record; the exit code, whatever it is."""
        try:
            self.run(*words)
        except Failed:
            return int(self.commands[-1]["exit"])
        return 0

    def compare(self, *words: str, code: int = 0) -> dict[str, Any]:
        """The JSON of `secagg compare`."""
        text = self.run(SECAGG, "compare", *words, "--format", "json", code=code, capture=True)
        document: dict[str, Any] = json.loads(text)
        self.facts["kernel"] = document["machine"]["kernel_level"]
        self.facts["level"] = document["settings"]["level"]
        self.facts["gamma"] = document["settings"]["corrupt"]
        return document

    def expect(self, holds: bool, otherwise: str) -> None:
        """Fail the step unless this holds."""
        if not holds:
            raise Failed(otherwise)


def rows_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["protocol"]: row for row in document["rows"]}


def fresh_clone(step: Step) -> None:
    """In a fresh clone `make demo` prints the table within 10 minutes, and `make test` passes."""
    with tempfile.TemporaryDirectory(prefix="acceptance-") as folder:
        clone = Path(folder) / "clone"
        step.run("git", "clone", "--quiet", str(ROOT), str(clone))
        text = step.run("make", "demo", cwd=clone, limit=DEMO_SECONDS, capture=True)
        print(text)
        for word in ("plain", *MASKING, "accuracy", "trusts"):
            step.expect(word in text, f"make demo printed no {word}")
        step.run("make", "test", cwd=clone)


def hospitals(step: Step) -> None:
    """Four hospitals: R2 near the pooled fit, and every exact protocol has the bits of plain."""
    document = step.compare("--data", "opt", "--rounds", "20")
    training = document["training"]
    gap = abs(training["pooled"] - training["federated"])
    step.facts |= {"pooled_r2": training["pooled"], "federated_r2": training["federated"]}
    step.expect(training["clients"] == 4, f"{training['clients']} hospitals")
    step.expect(len(training["federated_by_split"]) == 10, "not 10 splits")
    step.expect(gap <= 0.02, f"R2 of FedAvg and of the pooled fit differ by {gap}")
    rows = rows_of(document)
    for name, row in rows.items():
        step.expect(row["status"] == "done", f"{name}: {row['status']}: {row['reason']}")
        if row["claims_exact"]:
            step.expect(all(r["exact"] for r in row["rounds"]), f"{name} is not exact")
            step.expect(
                row["metric_by_split"] == rows["plain"]["metric_by_split"],
                f"{name} does not end where plain ends",
            )
    step.expect(all(rows[name]["claims_exact"] for name in MASKING), "masking is not exact")


def losses(step: Step) -> None:
    """floor(0.3 n) clients vanish over all phases, the sums stay exact; more, and it aborts."""
    document = step.compare("--clients", "60", "--dropout", "0.3")
    rows = rows_of(document)
    step.expect(document["training"]["lost"] == 18, "not floor(0.3 * 60) lost")
    for name, row in rows.items():
        spread = row["lost_after"]
        step.expect(row["status"] == "done", f"{name}: {row['status']}: {row['reason']}")
        step.expect(sum(spread) == 18, f"{name} loses {spread}")
        step.expect(max(spread) - min(spread) <= 1, f"{name}: losses are not spread: {spread}")
        step.expect(row["planned_dropouts"] >= 18, f"{name} plans {row['planned_dropouts']}")
        for record in row["rounds"]:
            step.expect(record["lost"] == 18, f"{name} loses {record['lost']}")
            step.expect(
                record["included"] == 42 + len(record["lost_but_included"]),
                f"{name} includes {record['included']}",
            )
            step.expect(record["exact"] or not row["claims_exact"], f"{name} is not exact")
    for name in MASKING:
        step.expect(rows[name]["planned_dropouts"] == 18, f"{name}: delta does not follow")
        step.expect(len(rows[name]["lost_after"]) == 4, f"{name} has not 4 phases")
        step.expect(rows[name]["exact"] is True, f"{name} is not exact")
    words = ("--clients", "60", "--dropout", "0.3", "--lose", "0.6", "--rounds", "2")
    rows = rows_of(step.compare(*words, code=4))
    step.expect(rows["plain"]["status"] == "done", "plain did not finish")
    for name in MASKING:
        step.expect(rows[name]["status"] == "aborted", f"{name}: {rows[name]['status']}")
        step.expect(bool(rows[name]["reason"]), f"{name} does not say why")
        step.facts[f"{name}_reason"] = rows[name]["reason"]


def parameters(step: Step) -> None:
    """The published tables, and the complete graph for small cohorts."""
    step.run(sys.executable, "-m", "pytest", "-q", "tests/unit/protocols/test_parameters.py")
    for clients, expected in ((10, (9, 6)), (4, (3, 3))):
        step.run(
            sys.executable,
            "-c",
            "import secagg;"
            f" found = secagg.secagg_plus_parameters({clients}, '0.1', '0.1');"
            f" assert found[:2] == {expected} and found.complete, found",
        )


def extension(step: Step) -> None:
    """A toy protocol is one file and one name; every kernel level and a single protocol pass."""
    step.run(sys.executable, "-m", "pytest", "-q", "tests/conformance/test_toy.py")
    kernels = ("-m", "pytest", "-q", "tests/unit/kernels")
    step.run(sys.executable, *kernels, SECAGG_CPU="reference")
    conformance = ("-m", "pytest", "-q", "tests/conformance")
    step.run(sys.executable, *conformance, SECAGG_CONFORMANCE="secagg")


def six_rows(step: Step) -> None:
    """`make demo` prints six rows within 10 minutes."""
    text = step.run("make", "demo", limit=DEMO_SECONDS, capture=True)
    print(text)
    for word in ("plain", *MASKING, "bfv", "ckks", "enclave"):
        step.expect(word in text, f"make demo printed no {word}")


def fashion(step: Step) -> None:
    """About 100 000 parameters: bfv and enclave equal plain, ckks is within 0.1 points."""
    chosen = ("--protocols", "plain,bfv,ckks,enclave", "--data", "fashion-mnist")
    document = step.compare(*chosen, "--clients", "10", "--rounds", "3")
    step.expect(90_000 < document["training"]["length"] < 110_000, "another size of model")
    rows = rows_of(document)
    for name in ("bfv", "enclave"):
        step.expect(rows[name]["exact"] is True, f"{name} is not exact")
        step.expect(rows[name]["difference"] == 0, f"{name} differs from plain")
    step.expect(abs(rows["ckks"]["difference"]) <= 0.001, "ckks is off by more than 0.1 points")
    step.facts["ckks_difference"] = rows["ckks"]["difference"]


def ciphertext_bytes(step: Step) -> None:
    """BFV at n = 100 with 1M values of 16 bits: at most 3.0x float32 on the wire, exact."""
    step.run(sys.executable, "benchmarks/he_bytes.py")


def worst_case_noise(step: Step) -> None:
    """200 random tasks and every boundary: exact with worst-case contributions, or refused."""
    step.run(sys.executable, "-m", "pytest", "-q", "tests/unit/he")


def two_workers(step: Step) -> None:
    """Encryption of 1M values with two workers at least 1.6x faster than with one."""
    step.run(sys.executable, "benchmarks/he_workers.py")


def enclave_proofs(step: Step) -> None:
    """The memory scan, the one-byte measurement test, and the table of mutated quotes."""
    files = ("tests/e2e/test_enclave_memory.py", "tests/e2e/test_enclave_process.py")
    step.run(sys.executable, "-m", "pytest", "-q", *files, "tests/unit/attestation")


def kernel_speed(step: Step) -> None:
    """Kernels next to their ceilings, at the VAES level, on a quiet machine."""
    text = step.run(SECAGG, "speed", "--format", "json", "--repeats", "41", capture=True)
    (ROOT / "results" / "speed.json").write_text(text)
    document: dict[str, Any] = json.loads(text)
    step.facts["kernel"] = document["machine"]["kernel_level"]
    step.facts["doubts"] = document["doubts"]
    step.expect(step.facts["kernel"] == "vaes", "another level")
    by_name = {row["kernel"]: row for row in document["rows"]}
    got = {(name, key): by_name[name][key] for name, key, _ in GOALS if name in by_name}
    step.facts["figures"] = {f"{name}, {key}": value for (name, key), value in got.items()}
    missed = [
        f"{name}: {key} {got.get((name, key), 0):.2f}, not {least}"
        for name, key, least in GOALS
        if got.get((name, key), 0) < least
    ]
    step.expect(not missed, "; ".join(missed))


def flower(step: Step) -> None:
    """Rounds of 100 clients and 1M elements next to Flower's own SecAgg+."""
    words = (sys.executable, "benchmarks/compare.py", "--rival", "flower", "--dropout", "0.1")
    size = ("--clients", "100", "--length", "1000000")
    sparse = ("--min-client-ratio", "15", "--min-server-ratio", "50", "--min-bytes-ratio", "2")
    complete = ("--min-client-ratio", "50", "--min-server-ratio", "400")
    codes = [
        step.tried(*words, *size, "--neighbours", "21", *sparse),
        step.tried(*words, *size, "--neighbours", "complete", *complete),
    ]
    step.expect(not any(codes), f"ended with {codes}")


def bonawitz(step: Step) -> None:
    """500 clients and 100 000 elements on the complete graph next to the published table."""
    words = ("--rival", "bonawitz", "--min-server-ratio", "30")
    step.run(sys.executable, "benchmarks/compare.py", *words)


def at_scale(step: Step) -> None:
    """2000 clients and 100 000 elements, exact; the server's memory per client."""
    words = ("--protocol", "secagg_plus", "--clients", "2000", "--length", "100000")
    text = step.run(
        SECAGG, "simulate", *words, "--dropout", "0.05", "--format", "json", capture=True
    )
    (row,) = json.loads(text)["rows"]
    step.facts["simulated"] = row
    step.expect(row["exact"] is True, "the sum is not exact")
    step.run(sys.executable, "benchmarks/server_memory.py")


def every_mask(step: Step) -> None:
    """Masks of every level, lane, AES size and number of threads equal another AES-CTR."""
    step.run(sys.executable, "scripts/native_checks.py")
    step.run(sys.executable, "-m", "pytest", "-q", "tests/unit/kernels")


def planner(step: Step) -> None:
    """200 graphs of each size: isolation without acknowledgements, none with the correction."""
    text = step.run(sys.executable, "scripts/isolation.py", capture=True)
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    step.facts["isolated"] = {
        f"n = {row['clients']}, ({row['degree']}, {row['threshold']})": {
            "graphs": row["graphs"],
            "with_isolation": sum(group is not None for group in row["groups"]),
            "smallest_group": min(group for group in row["groups"] if group is not None),
        }
        for row in rows
        if "groups" in row
    }
    step.facts["gaps"] = {
        f"n = {row['present']}, ({row['degree']}, {row['threshold']})": row["gaps"]
        for row in rows
        if "gaps" in row
    }
    step.run(sys.executable, "scripts/consistency_doc.py", "--check")
    files = ("tests/oracles/test_isolation.py", "tests/oracles/test_left_open.py")
    step.run(sys.executable, "-m", "pytest", "-q", *files)


def attacks(step: Step) -> None:
    """Every attack reaches its goal with its check out; with it in, the named error stops it."""
    step.run(sys.executable, "-m", "pytest", "-q", "tests/attacks")
    step.run(sys.executable, "scripts/attacks_doc.py", "--check")


def mutants(step: Step) -> None:
    """With any one check of level malicious taken out of the code, a test fails."""
    step.run(sys.executable, "scripts/mutants.py", limit=4 * 3600)
    step.run(sys.executable, "scripts/mutants_doc.py", "--check")


def cost(step: Step) -> None:
    """Client CPU and bytes of level malicious next to curious, and next to the curve arithmetic."""
    step.run(sys.executable, "benchmarks/malicious_cost.py")
    found: dict[str, Any] = json.loads((ROOT / "results" / "malicious-cost.json").read_text())
    step.facts["kernel"] = found["kernel"]
    step.facts["floor_seconds"] = found["floor_seconds"]
    step.facts["cases"] = [
        {
            key: case[key]
            for key in ("length", "client_seconds", "client_ratio", "server_ratio", "bytes_ratio")
        }
        for case in found["cases"]
    ]


def lying_server(step: Step) -> None:
    """60 clients, 12 lost: exact and as good as plain; what does not offer the level says so."""
    words = ("--level", "malicious", "--clients", "60", "--dropout", "0.2")
    document = step.compare(*words)
    rows = {(row["protocol"], row["level"]): row for row in document["rows"]}
    secagg, plain = rows["secagg", "malicious"], rows["plain", "malicious"]
    step.expect(document["training"]["lost"] == 12, "not floor(0.2 * 60) lost")
    step.expect(secagg["status"] == "done", f"secagg: {secagg['status']}: {secagg['reason']}")
    step.expect(all(record["exact"] for record in secagg["rounds"]), "secagg is not exact")
    step.expect(secagg["difference"] == 0 == plain["difference"], "secagg differs from plain sums")
    step.expect(secagg["survived_dropouts"] == 12, f"survived {secagg['survived_dropouts']}")
    step.expect("no server" in secagg["trusts"], f"secagg trusts {secagg['trusts']}")
    step.expect(rows["secagg", "curious"]["status"] == "done", "no row at curious beside it")
    for name in ("bfv", "ckks", "enclave"):
        state = rows[name, "malicious"]["status"]
        step.expect(state == "not offered", f"{name}: {state}")
    step.facts["client_cpu_ratio"] = round(
        secagg["client_cpu_seconds"]["mean"]
        / rows["secagg", "curious"]["client_cpu_seconds"]["mean"],
        2,
    )


MILESTONES: dict[int, tuple[Callable[[Step], None], ...]] = {
    1: (fresh_clone, hospitals, losses, parameters, extension),
    2: (six_rows, fashion, ciphertext_bytes, worst_case_noise, two_workers, enclave_proofs),
    3: (kernel_speed, flower, bonawitz, at_scale, every_mask),
    4: (attacks, mutants, planner, lying_server, cost),
}


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
