"""Checks of the C core that need no Python module: builds, CTest, sanitizers, constant time.

Takes no arguments, builds below build/native-*, and exits non-zero if any check fails or cannot be
run. The disassembly check covers the VAES kernel, which valgrind cannot execute.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PLAIN = ROOT / "build" / "native-plain"
SANITIZED = ROOT / "build" / "native-sanitized"

# By sign, key size and lane.
LOOPS_PER_KERNEL = 12
# The only instructions without a vector register that a keystream loop needs: pointers, counter.
SCALAR = re.compile(r"(add|sub|inc|dec|lea|cmp|test|nop)[bwlq]?$")
# Instructions that turn a vector's value into flags.
FLAGS_FROM_VECTORS = re.compile(r"v?(u?comis[sd]|ptest|testp[sd]|pcmp[ei]str[im])$")


class Failure(Exception):
    """A check did not pass; the message says which and why."""


class Instruction(NamedTuple):
    address: int
    mnemonic: str
    operands: str

    @property
    def target(self) -> int | None:
        """Where a jump goes, or None."""
        if not self.mnemonic.startswith("j"):
            return None
        direct = re.match(r"([0-9a-f]+)\b", self.operands)
        return int(direct[1], 16) if direct else -1


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


def functions(listing: str) -> dict[str, list[Instruction]]:
    """The instructions of each function in the output of objdump."""
    found: dict[str, list[Instruction]] = {}
    body: list[Instruction] = []
    for line in listing.splitlines():
        if header := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            body = found.setdefault(header[1], [])
        elif code := re.match(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)$", line):
            operands = code[3].split("#")[0].strip()
            body.append(Instruction(int(code[1], 16), code[2], operands))
    return found


def loop_problem(body: list[Instruction]) -> str | None:
    """Why the keystream loop of a function could depend on data, or None.

    In a loop, the value of a vector register may reach other vector registers and memory only:
    never a general register, an address or a flag. General registers are never loaded from
    memory, so what decides the one branch is the counter.
    """
    rounds = [i for i in body if re.fullmatch("v?aesenc", i.mnemonic)]
    back = [i for i in body if i.target is not None and i.target <= i.address]
    if len(back) != 1 or back[0].target is None:
        return f"expected one loop, found {len(back)}"
    begin, end = back[0].target, back[0].address
    if not all(begin <= i.address < end for i in rounds):
        return "AES rounds outside the loop"
    for instruction in (i for i in body if begin <= i.address < end):
        where = f"{instruction.address:x}: {instruction.mnemonic} {instruction.operands}"
        if re.search(r"\([^)]*%[xyz]mm", instruction.operands):
            return f"an address from a vector at {where}"
        if re.search(r"%[xyz]mm", instruction.operands):
            destination = re.split(r",(?![^(]*\))", instruction.operands)[-1].strip()
            if not re.fullmatch(r"%[xyz]mm\d+|.*\(.*\)", destination):
                return f"a vector reaches a general register at {where}"
            if FLAGS_FROM_VECTORS.match(instruction.mnemonic):
                return f"a vector reaches the flags at {where}"
        elif not SCALAR.match(instruction.mnemonic):
            return f"unexpected instruction at {where}"
        elif "(" in instruction.operands and not instruction.mnemonic.startswith(("lea", "nop")):
            return f"memory reaches a general register or the flags at {where}"
    return None


def check_listing(listing: str) -> None:
    """Refuse a mask kernel with a keystream loop that could branch or index on data."""
    loops = {
        name: body
        for name, body in functions(listing).items()
        if any(re.fullmatch("v?aesenc", i.mnemonic) for i in body)
    }
    if len(loops) != LOOPS_PER_KERNEL:
        raise Failure(f"expected {LOOPS_PER_KERNEL} keystream loops, found {sorted(loops)}")
    for name, body in loops.items():
        if problem := loop_problem(body):
            raise Failure(f"{name}: {problem}")


def check_disassembly() -> None:
    for level in ("aesni", "vaes"):
        objects = PLAIN / "CMakeFiles" / "secagg_core.dir" / "csrc" / "mask" / f"{level}.c.o"
        listing = run("objdump", "-d", "--no-show-raw-insn", "-M", "att", objects)
        check_listing(listing)
        # The same listing with a leak in place of a harmless instruction must be refused.
        harmless = re.compile(r"v?pshufb .*")
        for leak in ("vptest %ymm1,%ymm1", "vmovd  %xmm1,%eax", "jne    0", "mov    (%rdi),%rax"):
            try:
                check_listing(harmless.sub(leak, listing))
            except Failure:
                continue
            raise Failure(f"the check of the disassembly does not notice {leak!r}")
        print(f"  {level}: {LOOPS_PER_KERNEL} keystream loops, no branch but the counter's")


def main() -> int:
    try:
        build(PLAIN)
        check_tests(PLAIN)
        check_constant_time()
        build(SANITIZED, "-DSECAGG_SANITIZE=address,undefined")
        check_tests(SANITIZED)
        if platform.machine().lower() in ("x86_64", "amd64"):
            check_disassembly()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    print("native checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
