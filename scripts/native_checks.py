"""Checks of the C core on its own: builds, CTest, sanitizers, constant time, masks, disassembly.

Takes no arguments, builds below build/native-*, and exits non-zero if any check fails or cannot be
run. On x86-64 the core is built for 64-bit ARM as well, and run in an emulator: that shows what it
computes and what the compiler made of it, not how fast it is.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import disassembly
import mask_vectors

ROOT = Path(__file__).parents[1]
PLAIN = ROOT / "build" / "native-plain"
SANITIZED = ROOT / "build" / "native-sanitized"
AARCH64 = ROOT / "build" / "native-aarch64"


class Target(NamedTuple):
    """A kind of CPU that the core is built for.

    Attributes:
        machine: of its disassembly.
        objdump: that reads its objects.
        emulator: the words before a command for it; none where it is this CPU's kind.
        levels: that have masks.
        vectors: other sources whose values must stay in vectors, and which of their functions work
            on what is public: parameters, and what the caller is told.
        other: a level that it never has.
    """

    machine: disassembly.Machine
    objdump: str
    emulator: tuple[str, ...]
    levels: tuple[str, ...]
    vectors: tuple[tuple[str, frozenset[str]], ...]
    other: str


X86 = Target(
    disassembly.X86,
    "objdump",
    (),
    ("aesni", "vaes"),
    (("fixed/vaes", frozenset({"rule_of", "exact_in_float", "told"})),),
    "armv8",
)
ARM = Target(disassembly.ARM, "objdump", (), ("armv8",), (), "vaes")
# As in cmake/aarch64.cmake.
EMULATED_ARM = ARM._replace(
    objdump="aarch64-linux-gnu-objdump", emulator=("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")
)
NATIVE = {"x86_64": X86, "amd64": X86, "aarch64": ARM, "arm64": ARM}
CROSS_TOOLS = "gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"


class Failure(Exception):
    """A check did not pass; the message says which and why."""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    print("+", *command, flush=True)
    try:
        result = subprocess.run(
            command,
            cwd=cwd,
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise Failure(f"{command[0]} could not be started: {error}") from error
    if result.returncode != 0:
        raise Failure(f"{result.stdout}\n{command[0]} exited with {result.returncode}")
    return result.stdout


def build(folder: Path, *options: str) -> None:
    run(
        *("cmake", "-S", ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=Release"),
        *("-DSECAGG_PYTHON=OFF", "-DSECAGG_TESTS=ON", "-DSECAGG_WERROR=ON", *options),
    )
    run("cmake", "--build", folder, "--parallel")


def check_tests(folder: Path) -> None:
    output = run("ctest", "--test-dir", folder, "--output-on-failure")
    for line in output.splitlines():
        if "Test" in line and "#" in line:
            print(" ", line.strip())


def check_constant_time() -> None:
    if shutil.which("valgrind") is None or not (PLAIN / "secagg_ct").exists():
        raise Failure("valgrind and its headers are needed for the constant-time test: install it")
    # The reports of the twins that must be caught would only alarm the reader: CTest has the log.
    command = ("valgrind", "--quiet", "--tool=memcheck", "--log-file=ct.log", "./secagg_ct")
    print(run(*command, cwd=PLAIN), end="")


def check_masks(folder: Path, target: Target) -> None:
    """Every level that the CPU can run against another AES, byte for byte."""
    command = (*target.emulator, str(folder / "secagg_masks"))
    print("+", *command, flush=True)
    for level in ("portable", target.other):
        if problem := mask_vectors.refusal_problem(command, level):
            raise Failure(f"level {level}, which has no masks here: {problem}")
    for level in target.levels:
        if not mask_vectors.available(command, level):
            if target.emulator:
                raise Failure(f"the emulated CPU cannot run level {level}")
            print(f"  {level}: this CPU cannot run it")
        elif problem := mask_vectors.problem_of(command, level):
            raise Failure(f"level {level}: {problem}")


def check_disassembly(folder: Path, target: Target) -> None:
    machine = target.machine
    for level in target.levels:
        kernel = folder / "CMakeFiles" / "secagg_core.dir" / "csrc" / "mask" / f"{level}.c.o"
        listing = run(target.objdump, "-d", "--no-show-raw-insn", *machine.options, kernel)
        if problem := disassembly.problem_of(listing, f"secagg_mask_apply_{level}", machine):
            raise Failure(problem)
        print(f"  {level}: no branch on data, registers cleared at the end")
    for source, public in target.vectors:
        path = folder / "CMakeFiles" / "secagg_core.dir" / "csrc" / f"{source}.c.o"
        listing = run(target.objdump, "-d", "--no-show-raw-insn", *machine.options, path)
        if problem := disassembly.escape_of(listing, public, machine):
            raise Failure(problem)
        if disassembly.escape_of(listing, frozenset(), machine) is None and public:
            raise Failure(f"{source}: {sorted(public)} shows no use of public values: not checked")
        print(f"  {source}: values stay in vectors")


def check_emulated_arm() -> None:
    tools = ("aarch64-linux-gnu-gcc", EMULATED_ARM.objdump, EMULATED_ARM.emulator[0])
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise Failure(f"{', '.join(missing)} not found; on Debian: apt-get install {CROSS_TOOLS}")
    build(AARCH64, "-DCMAKE_TOOLCHAIN_FILE=" + str(ROOT / "cmake" / "aarch64.cmake"))
    check_tests(AARCH64)
    check_masks(AARCH64, EMULATED_ARM)
    check_disassembly(AARCH64, EMULATED_ARM)


def main() -> int:
    native = NATIVE.get(platform.machine().lower())
    try:
        build(PLAIN)
        check_tests(PLAIN)
        check_constant_time()
        build(SANITIZED, "-DSECAGG_SANITIZE=address,undefined")
        check_tests(SANITIZED)
        if native is not None:
            check_masks(PLAIN, native)
            check_masks(SANITIZED, native)
            check_disassembly(PLAIN, native)
        if native is not ARM:
            check_emulated_arm()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    print("native checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
