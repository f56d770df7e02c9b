"""Fuzz every decoder with atheris and every kernel with libFuzzer.

    python scripts/fuzzing.py [--seconds 2] [TARGET...]

Targets in Python are those of tests/fuzz, targets in C are called native-ring and so on. A run
starts from tests/fuzz/corpus and from what earlier runs kept in build/fuzz. What it finds is
written there and ends it with status 1: docs/fuzzing.md says what to do then.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOUND = ROOT / "build" / "fuzz"
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
NATIVE = ROOT / "build" / "native-fuzz"
SOURCES = ROOT / "csrc" / "tests" / "fuzz"
PREFIX = "native-"
LONGEST = 4096
SECONDS_FOR_ONE = 20
MEGABYTES = 4096


def native_names() -> list[str]:
    return [PREFIX + path.stem for path in sorted(SOURCES.glob("*.c"))]


def build() -> None:
    """The core and its targets, with coverage and both sanitizers."""
    compiler = shutil.which("clang")
    if compiler is None:
        raise SystemExit("clang not found; on Debian: apt-get install clang libclang-rt-dev")
    commands = (
        (
            *("cmake", "-S", ROOT, "-B", NATIVE, f"-DCMAKE_C_COMPILER={compiler}"),
            *("-DCMAKE_BUILD_TYPE=Release", "-DSECAGG_PYTHON=OFF", "-DSECAGG_FUZZ=ON"),
            *("-DSECAGG_WERROR=ON", "-DSECAGG_SANITIZE=fuzzer-no-link,address,undefined"),
        ),
        ("cmake", "--build", NATIVE, "--parallel"),
    )
    for command in commands:
        result = subprocess.run(command, text=True, capture_output=True, check=False)
        if result.returncode:
            raise SystemExit(f"{result.stdout}\n{result.stderr}\nthe targets were not built")


def fuzz_native(name: str, seconds: int) -> bool:
    """Whether nothing was found."""
    found, grown = FOUND / name, FOUND / "corpus" / name
    for folder in (found, grown):
        folder.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": seconds,
        "timeout": SECONDS_FOR_ONE,
        "rss_limit_mb": MEGABYTES,
        "max_len": LONGEST,
        "artifact_prefix": f"{found}/",
        "print_final_stats": 1,
        "seed": 1,
    }
    log = found / "log"
    with log.open("w") as file:
        status = subprocess.run(
            [
                NATIVE / f"fuzz_{name.removeprefix(PREFIX)}",
                *(f"-{option}={value}" for option, value in options.items()),
                grown,
                CORPUS / name,
            ],
            stdout=file,
            stderr=file,
            check=False,
        ).returncode
    lines = log.read_text(errors="replace").splitlines()
    counted = [line.split()[-1] for line in lines if line.startswith("stat::number_of_executed")]
    well = status == 0 and bool(counted)
    print(f"  {name}: {counted[0] + ' inputs' if well else 'FOUND'}", flush=True)
    if not well:
        print("\n".join(lines[-60:]), flush=True)
    return well


def fuzz_python(names: list[str], seconds: int, jobs: int) -> bool:
    """All of these targets, in one process that forks; no name means all."""
    if find_spec("atheris") is None:
        if (sys.platform, platform.machine()) == ("linux", "x86_64"):
            raise SystemExit("atheris is not installed: it comes with the development tools")
        print("there is no atheris for this kind of machine: decoders are NOT fuzzed", flush=True)
        return True
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "fuzz.harness", str(seconds), str(jobs), *names]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=2, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    asked = parser.parse_args()
    jobs = os.cpu_count() or 1
    native = [name for name in native_names() if not asked.targets or name in asked.targets]
    others = [name for name in asked.targets if name not in native]
    well = True
    if native:
        build()
        with ThreadPoolExecutor(jobs) as pool:
            well = all(list(pool.map(partial(fuzz_native, seconds=asked.seconds), native)))
    if others or not asked.targets:
        well &= fuzz_python(others, asked.seconds, jobs)
    print("nothing found" if well else f"found: see above, and {FOUND}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
