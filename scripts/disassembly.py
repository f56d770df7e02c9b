"""What the compiler made of a mask kernel: nothing in it may depend on data, nor be left behind.

Reads what objdump prints for x86-64 (in AT&T syntax) and for 64-bit ARM, and refuses a kernel

- in which the value of a vector register reaches a general register, an address or a flag;
- with a keystream loop that has a second branch, loads a general register from memory, so that
  something else than the counter could decide the branch, or uses the stack;
- that returns with something in a vector register that it named.

The check has to refuse the same listing with a leak planted in it, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

# By sign, key size and lane; and by key size those that only store.
LOOPS_PER_KERNEL: Final = 14


class Instruction(NamedTuple):
    address: int
    mnemonic: str
    operands: str

    @property
    def text(self) -> str:
        return f"{self.mnemonic} {self.operands}"

    def __str__(self) -> str:
        return f"{self.address:x}: {self.text}"


class Machine(NamedTuple):
    """What differs between the two instruction sets.

    Attributes:
        options: of objdump.
        comment: what begins one in its output.
        middle_round: the mnemonic that is in keystream loops and nowhere else.
        jump: mnemonics of jumps; the last operand says where to.
        call: mnemonics of calls.
        scalar: what a loop needs besides vectors: pointers and the counter.
        stack: the stack pointer.
        vectors: the vector registers that operands name.
        escape: why a vector's value gets where it must not, or None.
        zeroed: the vector registers that an instruction sets to zero.
        restoring: instructions that give the caller's registers back.
        harmless: an instruction of the loops, to be replaced by each of `leaks`.
        leaks: what must be refused there.
        clearing: one that clears, to be left out.
        late: what must be refused between clearing and return.
    """

    options: tuple[str, ...]
    comment: str
    middle_round: re.Pattern[str]
    jump: re.Pattern[str]
    call: re.Pattern[str]
    scalar: re.Pattern[str]
    stack: re.Pattern[str]
    vectors: Callable[[str], set[str]]
    escape: Callable[[Instruction], str | None]
    zeroed: Callable[[Instruction], set[str]]
    restoring: re.Pattern[str]
    harmless: re.Pattern[str]
    leaks: tuple[str, ...]
    clearing: re.Pattern[str]
    late: str

    def target(self, instruction: Instruction) -> int | None:
        """Where a jump goes, -1 if only the CPU will know, or None if it is no jump."""
        if not self.jump.fullmatch(instruction.mnemonic):
            return None
        direct = re.search(r"(?:^|[ ,])([0-9a-f]+)$", instruction.operands)
        return int(direct[1], 16) if direct else -1


def _x86_vectors(operands: str) -> set[str]:
    return set(re.findall(r"%[xyz]mm\d+", operands))


def _x86_escape(instruction: Instruction) -> str | None:
    if re.search(r"\([^)]*%[xyz]mm", instruction.operands):
        return "an address from a vector"
    destination = re.split(r",(?![^(]*\))", instruction.operands)[-1].strip()
    if not re.fullmatch(r"%[xyz]mm\d+|.*\(.*\)", destination):
        return "a vector reaches a general register"
    if re.fullmatch(r"v?(u?comis[sd]|ptest|testp[sd]|pcmp[ei]str[im])", instruction.mnemonic):
        return "a vector reaches the flags"
    return None


def _x86_zeroed(instruction: Instruction) -> set[str]:
    if instruction.mnemonic == "vzeroall":
        return {f"%{width}mm{number}" for width in "xyz" for number in range(16)}
    same = re.fullmatch(r"pxor (%xmm\d+),\1", instruction.text)
    return {same[1]} if same else set()


_ARM_VECTOR: Final = re.compile(r"\b[bhsdqvz](\d|[12]\d|3[01])\b")


def _arm_vectors(operands: str) -> set[str]:
    return {f"v{number}" for number in _ARM_VECTOR.findall(operands)}


def _arm_escape(instruction: Instruction) -> str | None:
    # Brackets hold an address, or the number of a lane.
    if any(_ARM_VECTOR.search(inside) for inside in re.findall(r"\[(.*?)\]", instruction.operands)):
        return "an address from a vector"
    destination, *_ = instruction.operands.split(",")
    if not _ARM_VECTOR.search(destination):
        return "a vector reaches a general register"
    if re.fullmatch("fc?cmpe?", instruction.mnemonic):
        return "a vector reaches the flags"
    return None


def _arm_zeroed(instruction: Instruction) -> set[str]:
    whole = re.fullmatch(r"movi (v\d+)\.2d, #0x0", instruction.text)
    return {whole[1]} if whole else set()


X86: Final = Machine(
    options=("-M", "att"),
    comment="#",
    middle_round=re.compile("v?aesenc"),
    jump=re.compile("j.*"),
    call=re.compile("call.*"),
    scalar=re.compile(r"(add|sub|inc|dec|cmp|test)[bwlq]? [^(]*|(lea|nop)[bwlq]? .*"),
    stack=re.compile("%rsp"),
    vectors=_x86_vectors,
    escape=_x86_escape,
    zeroed=_x86_zeroed,
    restoring=re.compile(r"(?!)"),
    harmless=re.compile(r"v?pshufb .*"),
    leaks=(
        "vptest %ymm1,%ymm1",
        "vmovd  %xmm1,%eax",
        "vpgatherdd %ymm1,(%rax,%ymm2,1),%ymm3",
        "jne    0",
        "jne    ffffff",
        "mov    (%rdi),%rax",
        "cmp    (%rdi),%rax",
        "movups %xmm1,0x10(%rsp)",
    ),
    clearing=re.compile(r"pxor   %xmm7,%xmm7|vzeroall"),
    late="movups 0x10(%rsp),%xmm3",
)

ARM: Final = Machine(
    options=(),
    comment="//",
    middle_round=re.compile("aesmc"),
    jump=re.compile(r"b|br|b\..*|cbn?z|tbn?z"),
    call=re.compile("blr?"),
    scalar=re.compile(r"(adds?|subs?|cmp|mov) [^[]*|nop "),
    stack=re.compile(r"\bw?sp\b"),
    vectors=_arm_vectors,
    escape=_arm_escape,
    zeroed=_arm_zeroed,
    # The low halves of v8 to v15 are the caller's.
    restoring=re.compile(r"(ldp d([89]|1[0-5]), d([89]|1[0-5])|ldr d([89]|1[0-5])), \[sp.*"),
    harmless=re.compile(r"tbl\s.*"),
    leaks=(
        "fcmp d1, d2",
        "umov w3, v1.b[0]",
        "fmov x3, d1",
        "ldr q1, [x0, v2.d]",
        "b.ne 0",
        "b.ne ffffff",
        "ldr x3, [x0]",
        "str q1, [sp, #16]",
    ),
    clearing=re.compile(r"movi\s+v7\.2d, #0x0"),
    late="ldr q3, [sp, #16]",
)


def _functions(listing: str, machine: Machine) -> dict[str, list[Instruction]]:
    """The instructions of each function in the output of objdump."""
    found: dict[str, list[Instruction]] = {}
    body: list[Instruction] = []
    for line in listing.splitlines():
        if header := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            body = found.setdefault(header[1], [])
        elif code := re.match(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)$", line):
            operands = re.sub(r"<.*?>", "", code[3].split(machine.comment)[0]).strip()
            body.append(Instruction(int(code[1], 16), code[2], operands))
    return found


def _vectors(instruction: Instruction, machine: Machine) -> set[str]:
    """The vector registers it names. An address that it jumps to may look like one."""
    if machine.target(instruction) is not None or machine.call.fullmatch(instruction.mnemonic):
        return set()
    return machine.vectors(instruction.operands)


def _loop_problem(body: list[Instruction], machine: Machine) -> str | None:
    """Why the keystream loop of a function could depend on data, or None."""
    jumps = [(i.address, machine.target(i)) for i in body]
    back = [(at, target) for at, target in jumps if target is not None and target <= at]
    if len(back) != 1:
        return f"expected one loop, found {len(back)}"
    end, begin = back[0]
    for instruction in body:
        if begin <= instruction.address < end:
            if machine.stack.search(instruction.operands):
                return f"the stack is used at {instruction}"
            vectors = _vectors(instruction, machine)
            if not vectors and not machine.scalar.fullmatch(instruction.text):
                return f"unexpected instruction at {instruction}"
        elif machine.middle_round.fullmatch(instruction.mnemonic):
            return f"a round outside the loop at {instruction}"
    return None


def _return_problem(body: list[Instruction], used: set[str], machine: Machine) -> str | None:
    """Why a function could return with something in the vector registers in use, or None."""
    returns = [number for number, i in enumerate(body) if i.mnemonic == "ret"]
    targets = {machine.target(i) for i in body}
    for number in returns:
        left = set(used)
        for instruction in reversed(body[:number]):
            zeroed = machine.zeroed(instruction)
            left -= zeroed
            if (
                not left
                or machine.target(instruction) is not None
                or machine.call.fullmatch(instruction.mnemonic)
                # What jumps to here has not been through what stands before.
                or instruction.address in targets
            ):
                break
            touched = _vectors(instruction, machine) - zeroed
            if touched and not machine.restoring.fullmatch(instruction.text):
                break
        if left:
            return f"not cleared before {body[number]}: {', '.join(sorted(left))}"
    return None if returns else "no return found"


def _problem(listing: str, kernel: str, machine: Machine) -> str | None:
    functions = _functions(listing, machine)
    used: set[str] = set()
    loops = 0
    for name, body in functions.items():
        for instruction in body:
            if vectors := _vectors(instruction, machine):
                used |= vectors
                if problem := machine.escape(instruction):
                    return f"{name}: {problem} at {instruction}"
        if any(machine.middle_round.fullmatch(i.mnemonic) for i in body):
            loops += 1
            if problem := _loop_problem(body, machine):
                return f"{name}: {problem}"
    if loops != LOOPS_PER_KERNEL:
        return f"expected {LOOPS_PER_KERNEL} keystream loops, found {loops}"
    if problem := _return_problem(functions.get(kernel, []), used, machine):
        return f"{kernel}: {problem}"
    return None


def _planted(listing: str, machine: Machine) -> Iterator[tuple[str, str]]:
    """What was planted, and the listing with it."""
    for leak in machine.leaks:
        yield leak, machine.harmless.sub(leak, listing)
    yield "a register left as it was", machine.clearing.sub("nop", listing)
    last = re.compile(r"^(\s*[0-9a-f]+:\s+)ret\s*$", re.MULTILINE)
    yield f"{machine.late} at the end", last.sub(rf"\1{machine.late}\n\1ret", listing)


def problem_of(listing: str, kernel: str, machine: Machine) -> str | None:
    """Why a mask kernel is refused, or why this check cannot be trusted, or None.

    Args:
        listing: `objdump -d --no-show-raw-insn` of its object, with the machine's options.
        kernel: the function that is called from outside.
        machine: X86 or ARM.
    """
    if problem := _problem(listing, kernel, machine):
        return problem
    for leak, leaking in _planted(listing, machine):
        if _problem(leaking, kernel, machine) is None:
            return f"the check of the disassembly does not notice {leak!r}"
    return None


def escape_of(listing: str, public: frozenset[str], machine: Machine) -> str | None:
    """Where the value of a vector register gets out of vectors, or None.

    Args:
        listing: as above, of an object with vectors throughout.
        public: functions that work on what is public.
        machine: X86 or ARM.
    """
    for name, body in _functions(listing, machine).items():
        for instruction in body:
            problem = machine.escape(instruction) if _vectors(instruction, machine) else None
            if problem and name not in public:
                return f"{name}: {problem} at {instruction}"
    return None
