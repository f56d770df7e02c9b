"""Write docs/performance.md from results/.

With --check it only says whether the document shows what the results say. The prose about method
and formulas stands here; every figure comes from a result.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from secagg import protocols
from secagg.protocol import Level, Offering

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "results"

Facts = dict[str, Any]

COSTS: Final = {
    "plain": (
        "encode and pack d elements",
        "add n packed vectors",
    ),
    "secagg": (
        "with k = n - 1: as secagg_plus",
        "as secagg_plus, with k = n - 1",
    ),
    "secagg_plus": (
        "(k + 1) d lanes of AES-128-CTR, added and packed; 2 k + 2 X25519; 3 k HKDF; 2 k AES-GCM of"
        " 80 bytes; two Shamir splits of threshold t among k + 1 holders",
        "add s packed vectors; s d + k' l d lanes of AES-128-CTR, where s clients stay, l are lost"
        " and k' <= k neighbours of a lost one stay; k' l X25519 and HKDF; s + l Shamir combines"
        " of t shares",
    ),
    "bfv": (
        "ceil(d / (values per slot * N)) encryptions (docs/he.md)",
        "as many additions per client; the decryptor decrypts as many ciphertexts once",
    ),
    "ckks": (
        "ceil(d / slots) encryptions (docs/he.md)",
        "as many additions per client; the decryptor decrypts as many ciphertexts once",
    ),
    "enclave": (
        "one quote checked, one HPKE seal, AES-256-GCM of the packed vector, one signature",
        "per client one signature checked, one HPKE open, AES-256-GCM of a packed vector, one"
        " addition",
    ),
}
"""What a client and the others compute, by protocol: n clients, d elements, k neighbours."""

AT_MALICIOUS: Final = {
    "secagg": (
        "with k = n - 1: as secagg_plus at malicious",
        "as secagg_plus at malicious, with k = n - 1",
    ),
    "secagg_plus": (
        "as at curious, with AES-256-CTR and 112 bytes sealed; and 6 Ed25519 signatures (secagg:"
        " 5), k + t - 1 verifications, 4 k + 2 HKDF for commitments, a Merkle tree of k + 1 leaves,"
        " and another or k + 1 audit paths",
        "as at curious, with AES-256-CTR; and 6 verifications per client (secagg: 5), a Merkle tree"
        " of k + 1 leaves for each, one HKDF for every share revealed",
    ),
}
"""The same at level malicious, where a protocol offers more there than at curious."""

RATIOS: Final = (
    ("masks, AES-128, 32-bit lanes", "of_ceiling", 0.90),
    ("masks, AES-128, 32-bit lanes", "over_rival", 2.2),
    ("encode, nearest + mask, scale 2^k", "of_ceiling", 0.90),
    ("encode, stochastic, scale 2^k", "of_ceiling", 0.90),
    ("sum of packed vectors, 32 bits", "of_ceiling", 0.90),
    ("masks, AES-128, 32-bit lanes, 2 threads", "of_ceiling", 1.8),
)
"""What the kernels are meant to reach."""

MALICIOUS_GOALS: Final = {
    "client_ratio": "client CPU over curious",
    "client_seconds": "client CPU, s",
    "bytes_ratio": "bytes of a client over curious",
}
"""What benchmarks/malicious_cost.py has goals for."""

REASONS: Final = {
    "encode, nearest + mask, scale 2^k": (
        "eight values take about 27 vector instructions, 10 of them AES on two of the four pipes:"
        " in the first-level cache that is about 0.32 ns a value at 256 bits, and no copy of memory"
        " is waited for"
    ),
    "encode, stochastic, scale 2^k": (
        "as above, with 16 bits of keystream and eight more instructions of arithmetic: about"
        " 0.35 ns a value in the first-level cache"
    ),
    "sum of packed vectors, 32 bits": (
        "four vectors are read side by side and the total is read and written for every four:"
        " a quarter more traffic than reading, of which its cache takes most but not all"
    ),
    "client CPU, s": (
        "the masks alone, at the raw rate of the keystream, and two X25519 for every neighbour are"
        " most of the time: see the profile below"
    ),
    "server CPU, s": (
        "the masks alone, at the raw rate of the keystream, are most of the time: see the profile"
        " below"
    ),
}
"""Why a goal is missed on the machine of the results, where it is."""


def read(name: str) -> Facts:
    found: Facts = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> Iterator[str]:
    """A Markdown table whose last `numbers` columns are numbers."""
    texts = len(heads) - numbers
    yield "| " + " | ".join(heads) + " |"
    yield "| " + " | ".join(["---"] * texts + ["---:"] * numbers) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def origin(facts: Facts) -> str:
    """Where and when a result was measured."""
    machine = facts["machine"]
    load = facts.get("load_before") or facts["load"]
    if isinstance(load, dict):
        load = load["before"]
    kernel = facts.get("kernel") or machine.get("kernel_level")
    commit = facts.get("commit") or facts["secagg"]["commit"] or ""
    versions = facts["versions"]
    chosen = [f"{name} {versions[name]}" for name in ("numpy", "cryptography") if name in versions]
    return (
        f"`{' '.join(facts['argv'])}` at {commit[:12]}, {facts['started'][:10]}, on"
        f" {machine['cpu']}, {machine['cores']} CPUs, Python {machine['python']},"
        f" {', '.join(chosen)}{f', kernels {kernel}' if kernel else ''}, load {load[0]:.2f}"
        f" {'before' if facts.get('load_before') or 'argv' not in facts else 'at the time'}."
    )


def kernels(speed: Facts) -> Iterator[str]:
    yield "## Kernels next to the ceilings of the machine"
    yield ""
    yield (
        "A ceiling is the fastest that the machine can do the unavoidable part of the work: make"
        " the keystream with the same instructions into the first-level cache, copy the memory,"
        " read it. Kernel and ceiling take turns in one process, so that the ratio survives a"
        " changing clock; medians count. GB/s count what the kernel goes through."
    )
    yield ""
    rows = (
        (
            row["kernel"],
            row["load"],
            f"{row['gigabytes_per_second']:.2f}",
            f"{row['nanoseconds_per_element']:.3f}",
            f"{row['ceiling']}: {row['ceiling_gigabytes_per_second']:.2f}",
            f"{row['of_ceiling']:.2f}",
            "" if row["rival"] is None else f"{row['over_rival']:.2f} x {row['rival']}",
        )
        for row in speed["rows"]
    )
    heads = ("kernel", "load", "GB/s", "ns per element", "ceiling, GB/s", "of it", "over a rival")
    yield from table(heads, rows, 0)
    by_name = {row["kernel"]: row for row in speed["rows"]}
    goals = []
    for name, key, least in RATIOS:
        if name not in by_name:
            continue
        got = by_name[name][key]
        verdict = "reached" if got >= least else "MISSED"
        against = by_name[name]["ceiling" if key == "of_ceiling" else "rival"]
        goals.append((name, against, f"{least:.2f}", f"{got:.2f}", verdict))
    yield from table(("goal", "against", "at least", "measured", ""), goals, 0)
    yield from reasons(name for name, *_, verdict in goals if verdict == "MISSED")
    doubts = "; ".join(speed["doubts"])
    yield f"Too loaded to trust: {doubts}." if doubts else "The machine was quiet."
    yield ""
    yield origin(speed)
    yield ""


def reasons(missed: Iterable[str]) -> Iterator[str]:
    for name in missed:
        yield f"Why {name} misses its goal here: {REASONS[name]}."
        yield ""


def rivals(names: Sequence[str]) -> Iterator[str]:
    yield "## Whole rounds next to others"
    yield ""
    yield (
        "CPU seconds of a client (the median of those in the sum) and of the server, in codec,"
        " protocol and messages; level curious, no transcript, all parties in one process. What is"
        " counted for the rival, and for whom doubts are resolved:"
        " docs/decisions/0017-comparing-with-flower.md."
    )
    yield ""
    for name in names:
        facts = read(name)
        plan = facts["plan"]
        words = ", ".join(f"{key}: {value}" for key, value in plan.items())
        rival = facts["settings"]["rival"]
        yield f"### {facts['protocol']} next to {rival}"
        yield ""
        yield f"{words}."
        yield ""
        rows = (
            (
                row["name"].strip(),
                f"{row['ours']:.6g}",
                "" if row["rival"] is None else f"{row['rival']:.6g}",
                "" if row["ratio"] is None else f"{row['ratio']:.2f}",
                "" if row["least"] is None else f"{row['least']:g}",
            )
            for row in facts["rows"]
        )
        yield from table(("", "secagg", rival, "ratio", "at least"), rows, 4)
        yield from reasons(row["name"] for row in facts["rows"] if not row["passed"])
        if isinstance(facts.get("flower"), dict):
            flower = facts["flower"]
            versions = ", ".join(f"{key} {value}" for key, value in flower["versions"].items())
            yield f"Rival: {versions}."
            yield ""
        if isinstance(facts.get("bonawitz"), str):
            yield f"{facts['bonawitz']}. Machines differ: the ratio says little about either."
            yield ""
        yield origin(facts)
        yield ""


def formulas() -> Iterator[str]:
    yield "## What a round costs"
    yield ""
    yield (
        "n clients, d elements of b bits in lanes of 16, 32 or 64 bits, k neighbours. `secagg"
        " protocols` prints the bytes of every message exactly; a test holds the messages to them."
    )
    yield ""
    rows = []
    for name in protocols.names():
        levels = protocols.get(name).levels
        rows.append((name, *COSTS[name], bytes_of(levels[Level.CURIOUS])))
        if (offered := levels.get(Level.MALICIOUS)) not in (None, levels[Level.CURIOUS]):
            rows.append((f"{name} at malicious", *AT_MALICIOUS[name], bytes_of(offered)))
    expected = {*COSTS, *(f"{name} at malicious" for name in AT_MALICIOUS)}
    if expected != {row[0] for row in rows}:
        raise SystemExit(f"formulas are missing or too many: {expected ^ {row[0] for row in rows}}")
    heads = ("protocol", "a client computes", "the others compute", "a client's bytes")
    yield from table(heads, rows, 0)


def bytes_of(offering: Offering) -> str:
    return offering.traffic_formula.replace("|", "\\|")


def malicious(facts: Facts) -> Iterator[str]:
    yield "## What it costs to withstand a server that lies"
    yield ""
    clients, counts = facts["settings"]["clients"], facts["counts"]["malicious"]
    micros = {name: f"{value * 1e6:.0f} µs" for name, value in facts["operation_seconds"].items()}
    floor = facts["floor_seconds"]["malicious"]
    yield (
        f"`secagg` on the complete graph of {clients} clients at level malicious next to curious:"
        " CPU of a client, the median over the clients and then over the rounds, with its codec"
        " and, at malicious, its ledger in memory. docs/malicious.md says what is done for it."
    )
    yield ""
    rows: list[tuple[str, ...]] = []
    for case in facts["cases"]:
        for level in ("curious", "malicious"):
            found = case["levels"][level]
            rows.append(
                (
                    f"{case['length']:,}",
                    level,
                    f"{found['client_seconds'] * 1e3:.1f}",
                    f"{facts['floor_seconds'][level] * 1e3:.1f}",
                    f"{found['server_seconds'] * 1e3:.0f}",
                    f"{found['up'] / 1e6:.3f}",
                    f"{found['down'] / 1e6:.3f}",
                )
            )
    heads = (
        "elements",
        "level",
        "client, ms",
        "of it curves, ms",
        "server, ms",
        "up, MB",
        "down, MB",
    )
    yield from table(heads, rows, 5)
    goals = [
        (
            f"{case['length']:,}",
            MALICIOUS_GOALS[name],
            f"{most:g}",
            f"{case[name]:.3g}",
            "reached" if case[name] <= most else "MISSED",
        )
        for case in facts["cases"]
        for name, most in case["goals"].items()
    ]
    yield from table(("elements", "goal", "at most", "measured", ""), goals, 0)
    yield (
        f"A client signs {counts['sign']} times, verifies {counts['verify']} signatures and makes"
        f" {counts['agree']} key agreements, counted in a round. Timed in the same process, one"
        f" signature takes {micros['sign']}, one verification {micros['verify']}, one agreement"
        f" {micros['agree']}: together {floor * 1e3:.1f} ms, below which no client gets with these"
        " curves and this library."
    )
    yield ""
    yield origin(facts)
    yield ""


def growth(facts: Facts) -> Iterator[str]:
    yield "## How it grows"
    yield ""
    yield (
        "One quantity changes at a time; the exponent b of cost = a x^b is fitted by least squares"
        " of the logarithms over the sizes shown. Small sizes have fixed costs in them, so"
        " exponents lie a little below those of the formulas. Neighbours of the sparse graph follow"
        " from the number of clients, and grow with its logarithm."
    )
    yield ""
    for name, series in facts["series"].items():
        points, exponents = series["points"], series["exponents"]
        yield f"### {name}"
        yield ""
        rows: list[tuple[str, ...]] = [
            (
                f"{p['x']:,}",
                f"{p['neighbours']}",
                f"{p['client_seconds'] * 1e3:.2f}",
                f"{p['server_seconds'] * 1e3:.1f}",
                f"{p['up'] / 1e6:.3f}",
                f"{p['down'] / 1e6:.3f}",
            )
            for p in points
        ]
        fitted = [
            f"{exponents[key]:.2f}" for key in ("client_seconds", "server_seconds", "up", "down")
        ]
        rows.append(("exponent", "", *fitted))
        heads = ("x", "neighbours", "client, ms", "server, ms", "up, MB", "down, MB")
        yield from table(heads, rows, 6)
    yield origin(facts)
    yield ""


def profile(facts: Facts) -> Iterator[str]:
    yield "## Where the time goes"
    yield ""
    yield (
        "The seconds are measured without a profiler; the shares with one, which makes small Python"
        " functions look dearer than they are. Kernels on one thread."
    )
    yield ""
    for name, case in facts["cases"].items():
        yield f"### {name}"
        yield ""
        yield (
            f"Client {case['client_seconds'] * 1e3:.2f} ms, of which encoding"
            f" {case['encode_seconds'] * 1e3:.2f} ms; server {case['server_seconds'] * 1e3:.0f} ms;"
            f" {case['neighbours']} neighbours, threshold {case['threshold']}."
        )
        yield ""
        rows = (
            (kind, f"{part:.0%}", f"{case['server'][kind]:.0%}")
            for kind, part in case["client"].items()
        )
        yield from table(("", "client, without encoding", "server"), rows, 2)
    yield origin(facts)
    yield ""


def memory(facts: Facts) -> Iterator[str]:
    yield "## Memory of the server"
    yield ""
    yield (
        "The growth of the server's process over its start, at its peak, in rounds of `secagg"
        " simulate` with the clients in other processes, fitted as a + b n + c d:"
        f" a = {facts['bytes'] / 1e6:.1f} MB, b = {facts['bytes_per_client'] / 1e3:.2f} kB a"
        f" client, c = {facts['bytes_per_coordinate']:.1f} bytes an element."
    )
    yield ""
    rows = (
        (f"{p['clients']:,}", f"{p['length']:,}", f"{p['bytes'] / 1e6:.1f}")
        for p in facts["points"]
    )
    yield from table(("clients", "elements", "MB"), rows, 3)
    yield origin(facts)
    yield ""


def document() -> str:
    names = ("compare-flower-k21", "compare-flower-complete", "compare-bonawitz")
    lines = [
        "# Performance",
        "",
        "scripts/performance_doc.py writes this page from results/; CI checks that it did. Every"
        " figure is of one machine on one day; what lasts are the ratios.",
        "",
        *formulas(),
        *kernels(read("speed")),
        *rivals(names),
        *malicious(read("malicious-cost")),
        *growth(read("growth")),
        *profile(read("profile")),
        *memory(read("server-memory")),
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    text = document()
    if "--check" in sys.argv:
        return int(not DOCUMENT.exists() or DOCUMENT.read_text() != text)
    DOCUMENT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
