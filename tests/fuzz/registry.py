"""All targets, and the functions of the library that read bytes: no decoder without a target."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from fuzz import (
    audits,
    channels,
    columns,
    databases,
    datasets,
    documents,
    memory,
    records,
    rounds,
    storage,
    wire,
)

ROOT = Path(__file__).parents[2]
PACKAGES = ("secagg", "fl")

TARGETS = {
    target.name: target
    for module in (
        *(wire, columns, documents, storage, memory, databases, channels, rounds, datasets),
        *(records, audits),
    )
    for target in module.TARGETS
}

PRIMITIVES = frozenset(
    {
        *("decode", "convert", "unpack", "unpack_from", "iter_unpack", "unpackbits", "frombuffer"),
        *("from_bytes", "fromhex", "b64decode", "decrypt", "load_pem_private_key", "DictReader"),
        *("from_public_bytes", "loads"),
    }
)
"""Calls by which bytes become something else. Whoever makes one is a decoder."""

NAMED = re.compile(r"_?(decode|parse|open_sealed)")
"""And so is whoever is called this, or calls something of that name."""

DRAWN = "randomness that was drawn here"
KERNEL = "every vector of a lane is one of the ring; csrc/tests/fuzz has the kernel"
OWN = "what this process made itself"
ATTACK = "an attacker's own reading of what it saw"
HANDS_ON = "hands the bytes to a decoder that has a target"
SHIPPED = "known answers that come with the package"
SEEN = "messages of sessions that this process holds, after their parties took them"

EXEMPT = {
    "fl.contender:Contender.play": OWN,
    "fl.contender:Offer.exact_mean": OWN,
    "fl.opt:parse": "bytes whose SHA-256 is pinned; others are refused unread",
    "fl.sampling:dirichlet": DRAWN,
    "fl.sampling:permutation": DRAWN,
    "fl.sampling:stream": OWN,
    "fl.workload:RandomVectors._draw": DRAWN,
    "secagg.audit.adversary.dialect:Dialect.share": ATTACK,
    "secagg.audit.adversary.dialect:Dialect.thinned": ATTACK,
    "secagg.audit.adversary.survivors:show_quorum": ATTACK,
    "secagg.audit.adversary.view:ServerView._learn_answer": ATTACK,
    "secagg.audit.adversary.view:ServerView._note": ATTACK,
    "secagg.audit.checks.attestation:_hold.carry": SEEN,
    "secagg.audit.checks.inputs:random": DRAWN,
    "secagg.audit.checks.signatures:_session_with.change": SEEN,
    "secagg.audit.checks.vectors:_aes_ctr": SHIPPED,
    "secagg.audit.checks.vectors:_aes_gcm": SHIPPED,
    "secagg.audit.checks.vectors:_ed25519": SHIPPED,
    "secagg.audit.checks.vectors:_hkdf": SHIPPED,
    "secagg.audit.checks.vectors:_hpke": SHIPPED,
    "secagg.audit.checks.vectors:_json": SHIPPED,
    "secagg.audit.checks.vectors:_secagg": SHIPPED,
    "secagg.audit.checks.vectors:_shamir": SHIPPED,
    "secagg.audit.checks.vectors:_x25519": SHIPPED,
    "secagg.audit.foreign.channel:read_ask": "what the audit asks of the process that it started",
    "secagg.audit.library:ProtocolSubject._vectors": SEEN,
    "secagg.audit.library:ProtocolSubject.hold.watch": SEEN,
    "secagg.audit.reports.pictures:address_of": OWN,
    "secagg.audit.reports.sarif:render": OWN,
    "secagg.audit.verification.statement:sign_statement": OWN,
    "secagg.cli.output:_json": OWN,
    "secagg.cli.output:_json_lines": OWN,
    "secagg.codec.pipeline:Codec.decode": KERNEL,
    "secagg.codec.quantize:FixedPoint.decode": KERNEL,
    "secagg.crypto.rng:uniform_below": DRAWN,
    "secagg.crypto.shamir:_draw_61_bits": DRAWN,
    "secagg.endpoint.client:ClientEndpoint.__init__": HANDS_ON,
    "secagg.endpoint.invitation:Invitation.fresh": OWN,
    "secagg.endpoint.invitation:_tensor": OWN,
    "secagg.endpoint.server:ServerEndpoint._finish": KERNEL,
    "secagg.enrolment.public:PublicKey.line": OWN,
    "secagg.he.seal:_seeded": DRAWN,
    "secagg.he.seal:_version": "the header of the library that is installed",
    "secagg.kernels.fixed:decode_fixed": KERNEL,
    "secagg.kernels.fixed:decode_fixed.work": KERNEL,
    "secagg.kernels.fixed:decode_signed": KERNEL,
    "secagg.protocols._homomorphic.client:HomomorphicClient._upload": OWN,
    "secagg.protocols._masking.graph:_draws_up_to": DRAWN,
    "secagg.runner.recipe:SyntheticInputs._values": DRAWN,
}
"""Decoders without a target, and why."""

OTHERS = (
    *("secagg.kernels.reference", "secagg.kernels.native", "secagg.kernels.backend"),
    "secagg.cli.workloads",
)
"""Modules without decoders: the kernels behind `secagg.kernels`, and what measures them."""

ELSEWHERE = {
    "secagg.audit.attacks": ATTACK,
    "secagg.adapters": "needs Flower, which is not among the tools here: what it reads from others"
    " is tested where Flower is, in tests/adapters/flower/test_words.py",
}
"""Packages that are not searched, and why."""


def decoders() -> set[str]:
    """The functions that read bytes, as `module:Class.method`, found in the source."""
    found: set[str] = set()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if module in OTHERS or any(module.startswith(f"{one}.") for one in ELSEWHERE):
                continue
            found |= {f"{module}:{name}" for name in _decoders(ast.parse(path.read_text()))}
    return found


def _decoders(node: ast.AST, within: tuple[str, ...] = ()) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _decoders(child, (*within, child.name))
            continue
        if isinstance(child, ast.FunctionDef):
            if NAMED.match(child.name):
                yield ".".join((*within, child.name))
            yield from _decoders(child, (*within, child.name))
            continue
        if isinstance(child, ast.Call) and within and _reads(child):
            yield ".".join(within)
        yield from _decoders(child, within)


def _reads(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in PRIMITIVES or name.startswith("decode_")
    return False
