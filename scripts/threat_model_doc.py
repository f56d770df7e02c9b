"""Write what every protocol promises at every level into docs/threat-model.md, from `Guarantees`.

What a promise leaves out is here, by its value: a value that is not here cannot be written about.
With --check it only says whether the document shows what the protocols say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from secagg import protocols
from secagg.protocol import (
    Adversary,
    Claim,
    Collusion,
    Dropouts,
    Evidence,
    Exactness,
    Guarantees,
    Level,
    Offering,
    Validity,
)
from secagg.types import Role

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "threat-model.md"
START = "<!-- promises: scripts/threat_model_doc.py writes this from secagg/protocols -->\n"
END = "<!-- end of promises -->\n"

KINDS = ("adversary", "collusion", "dropouts", "exactness", "validity", "evidence")

LEFT_OUT: dict[Claim, str] = {
    Adversary.TRUSTED_SERVER: "anything against the computing party: it sees every input",
    Adversary.CURIOUS_SERVER: (
        "anything once a computing party lies: about keys, about who survived, about what a sum"
        " covers"
    ),
    Adversary.LYING_SERVER: (
        "anything against a server that is also the authority of the roster; availability; what the"
        " sum itself tells"
    ),
    Collusion.NOBODY: "anything once two parties pool what they saw",
    Collusion.PLANNED_CLIENTS: (
        "anything with one colluding client more than planned, Sybils included"
    ),
    Dropouts.PLANNED: "a sum if more vanish than planned",
    Dropouts.ANY: "a sum if a computing party vanishes",
    Exactness.BOUNDED_ERROR: "the exact sum",
    Exactness.EXACT: "more digits than the codec keeps",
    Validity.UNCHECKED: "that any input is honest: one client sets the sum (A23)",
    Validity.PROVED_IN_RANGE: "that an input in range is an honest one",
    Evidence.NONE: "any evidence",
    Evidence.SIMULATED: "any hardware: SIMULATED evidence is software that can sign anything",
    Evidence.SKETCH: "a proof: the sketch has gaps that are named",
    Evidence.PROVED: (
        "that this code is what was proved: nobody outside reviewed it, and a proof counts one"
        " session"
    ),
}
"""What each promise does not promise."""

PARTICULAR: dict[str, tuple[str, ...]] = {
    "secagg malicious": (
        "one answer in a training round is the ledger's doing: without one no client takes part",
        "differences from the paper are argued in [malicious.md](malicious.md), by us alone",
    ),
    "secagg_plus curious": ("the graph is the server's to draw: honestly, at this level",),
    "secagg_plus malicious": (
        "EXPERIMENTAL: clients must accept it by name; no real beacon is built in; whoever knows"
        " the beacon early chooses the graph",
    ),
    "bfv curious": (
        "honest-but-curious parties and honest clients only: one decryption of a ciphertext that"
        " the server made is an input, or the secret key",
    ),
    "ckks curious": (
        "honest-but-curious parties and honest clients only, and no noise flooding: the released"
        " numbers depend on the noise",
    ),
    "enclave curious": (
        "nothing against the operator of the machine: he can sign any quote and read the process",
    ),
}
"""What else a protocol at a level leaves out."""

ROLES: dict[Role, str] = {
    Role.CLIENT: "input parties",
    Role.SERVER: "computing and result party",
    Role.DECRYPTOR: "computing party",
    Role.ENCLAVE: "computing and result party",
}
"""Names of ISO/IEC 4922-1 for the roles."""


def text() -> Iterator[str]:
    offered = [
        (name, level, offering)
        for name in protocols.NAMES
        for level, offering in protocols.get(name).levels.items()
    ]
    yield "| protocol | level | withstands | may collude | may vanish | sum | inputs | evidence |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, level, offering in offered:
        cells = [f"`{name}`", f"`{level}`", *map(named, claims(offering.guarantees))]
        yield f"| {' | '.join(cells)} |"
    for name, level, offering in offered:
        yield ""
        yield from section(name, level, offering)


def section(name: str, level: Level, offering: Offering) -> Iterator[str]:
    promised = offering.guarantees
    yield f"### `{name}` at `{level}`"
    yield ""
    parties = (f"{role.name.lower()} ({ROLES[role]})" for role in offering.roles)
    yield f"Parties: {', '.join(parties)}. Source: {promised.source}."
    yield ""
    yield "| promise | guaranteed | not guaranteed |"
    yield "|---|---|---|"
    for kind, claim in zip(KINDS, claims(promised), strict=True):
        yield f"| {kind} | {named(claim)}: {claim.meaning} | {LEFT_OUT[claim]} |"
    if left_out := PARTICULAR.get(f"{name} {level}"):
        yield ""
        yield f"Besides: {'; '.join(left_out)}."


def claims(promised: Guarantees) -> list[Claim]:
    return [getattr(promised, kind) for kind in KINDS]


def named(claim: Claim) -> str:
    return claim.name.lower().replace("_", " ")


def main() -> int:
    found = DOCUMENT.read_text()
    before, rest = found.split(START)
    _, after = rest.split(END)
    lines = "\n".join(text())
    new = f"{before}{START}\n{lines}\n\n{END}{after}"
    if "--check" in sys.argv:
        if new != found:
            print(f"{DOCUMENT} is not what is promised: python scripts/threat_model_doc.py")
        return int(new != found)
    DOCUMENT.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
