"""docs/malicious.md says what the code does: messages, signed bytes, refusals, sizes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from secagg import errors, protocols
from secagg.crypto import aead
from secagg.crypto.rng import seeded
from secagg.crypto.signing import SigningKey
from secagg.protocol import Level, Roster, Session, Task
from secagg.protocols._masking.authenticated import messages, statements
from secagg.protocols._masking.authenticated.client import AuthenticatedClient
from secagg.protocols._masking.authenticated.server import AuthenticatedServer
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.messages import INDEX_BYTES, KEY_BYTES
from secagg.protocols._masking.plan import MaskingPlan, transcript
from secagg.types import Role, Secret, client

PATH = Path(__file__).parents[3] / "docs" / "malicious.md"
COMPLETE = protocols.get("secagg").at(Level.MALICIOUS)
OFFERING = protocols.get("secagg_plus").at(Level.MALICIOUS)
CODE = "|".join(
    path.read_text()
    for folder in (Path(messages.__file__).parent, Path(messages.__file__).parents[1])
    for path in sorted(folder.glob("*.py"))
)


def table(first: str) -> list[list[str]]:
    """The rows of the table whose first line begins so."""
    lines = PATH.read_text().splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {first} |")) + 2
    rows = []
    while lines[start].startswith("|"):
        rows.append([cell.strip() for cell in lines[start].strip("|").split("|")])
        start += 1
    return rows


def quoted(cell: str) -> list[str]:
    return re.findall("`([^`]+)`", cell)


def test_every_message_is_there_with_its_kind_and_fields() -> None:
    documented, sparse = {}, set()
    for round_, message, kind, sender, fields in table("round"):
        (name,) = quoted(message)
        documented[name] = (int(kind), sender, quoted(fields))
        if round_ == "0a":
            sparse.add(name)
            continue
        receiver = AuthenticatedServer if sender == "client" else AuthenticatedClient
        assert name in receiver.handled()[receiver.phases[int(round_)]]
    assert documented == {
        cls.__name__: (cls.KIND, cls.SENDER.name.lower(), list(cls.__struct_fields__))
        for cls in OFFERING.messages
    }
    assert documented.keys() - sparse == {cls.__name__ for cls in COMPLETE.messages}


def test_the_sizes_of_rows_are_those_of_the_code() -> None:
    sizes = {
        ("CommittedShares", "sealed"): messages.SEALED_OPENINGS_BYTES,
        ("CommittedShares", "commitments"): messages.COMMITMENT_PAIR_BYTES,
        ("CommittedBundle", "sealed"): messages.SEALED_OPENINGS_BYTES,
        ("CommittedBundle", "commitments"): messages.COMMITMENT_PAIR_BYTES,
        ("CommittedBundle", "dealers"): INDEX_BYTES,
        ("SignedKeyBook", "neighbours"): INDEX_BYTES,
        ("SignedKeyBook", "keys"): 2 * KEY_BYTES,
        ("SignedAnswer", "openings"): messages.OPENING_BYTES,
        ("CohortRoot", "beacon_round"): messages.ROUND_BYTES,
    }
    fields = {quoted(row[1])[0]: row[4] for row in table("round")}
    for (name, field), size in sizes.items():
        assert re.search(rf"`{field}` \({size}\b", fields[name])
    assert f"salt ({messages.SALT_BYTES} bytes)" in PATH.read_text()
    assert aead.OVERHEAD_BYTES + 2 * messages.OPENING_BYTES == messages.SEALED_OPENINGS_BYTES


def frame(*parts: bytes) -> bytes:
    """What the page says of frames, once more."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


ME = client(7)
PARTY = bytes((Role.CLIENT, 0, 0, 0, 7))
VALUES = {
    "session": bytes(range(32)),
    "party": PARTY,
    "model digest": b"m" * 32,
    "channel key": b"c" * 32,
    "mask key": b"k" * 32,
    "transcript": b"t" * 32,
    "cohort": b"\xff\x03",
    "cohort root": b"h" * 32,
    "beacon round": (300).to_bytes(8, "little"),
    "seed commitment": b"s" * 32,
    "share root": b"r" * 32,
    "complaints": b"\x03\x00\x00\x00",
    "vector hash": sha256(b"a masked vector"),
    "survivor digest": sha256(frame(b"secagg v1", b"survivors", b"t" * 32, b"\xff", b"\x7f")),
    "openings hash": sha256(b"openings"),
}
MADE: dict[str, Callable[[], bytes]] = {
    "masking keys": lambda: statements.keys_statement(
        VALUES["session"],
        ME,
        VALUES["model digest"],
        PublicKeys(VALUES["channel key"], VALUES["mask key"]),
    ),
    "masking cohort": lambda: statements.cohort_statement(
        VALUES["session"], ME, VALUES["cohort"], VALUES["cohort root"], VALUES["beacon round"]
    ),
    "masking shares": lambda: statements.shares_statement(
        VALUES["transcript"], ME, VALUES["seed commitment"], VALUES["share root"]
    ),
    "masked vector": lambda: statements.vector_statement(
        VALUES["transcript"], ME, VALUES["complaints"], memoryview(b"a masked vector")
    ),
    "masking survivors": lambda: statements.survivor_digest(VALUES["transcript"], b"\xff", b"\x7f"),
    "unmasking answer": lambda: statements.answer_statement(
        VALUES["survivor digest"], ME, b"openings"
    ),
}
SIGNED = [(quoted(row[0])[0], quoted(row[1])[0], row[2].split(", ")) for row in table("message")]


def test_every_signed_message_and_every_context_is_there() -> None:
    signed = {m.__name__ for m in OFFERING.messages if "signature" in m.__struct_fields__}
    assert {message for message, _, _ in SIGNED} == signed
    contexts = {
        statements.KEYS,
        statements.COHORT,
        statements.SHARES,
        statements.VECTOR,
        statements.SURVIVORS,
        statements.ANSWER,
    }
    assert {context for _, context, _ in SIGNED} == contexts == set(MADE)


@pytest.mark.parametrize(("message", "context", "parts"), SIGNED)
def test_the_signed_bytes_are_those_on_the_page(
    message: str, context: str, parts: list[str]
) -> None:
    values = [VALUES[part] for part in parts]
    said = values[0] if context == statements.SURVIVORS else frame(*values)
    assert MADE[context]() == said
    key = SigningKey(Secret(bytes(range(32))))
    over = frame(b"secagg signature v1", context.encode(), said)
    # Ed25519 is deterministic: the same signature means the same bytes were signed.
    assert key.sign(context, MADE[context]()) == key._key.sign(over)


def test_session_and_transcript_are_those_on_the_page() -> None:
    clients = tuple(client(number) for number in range(10))
    plan = protocols.get("secagg").plan(
        Task(clients=clients, length=3, bound=9, level=Level.MALICIOUS)
    )
    session = Session.fresh(plan, seeded(1), job="job", training_round=4, roster=Roster(2, clients))
    parts = (
        plan.digest,
        session.roster.digest,
        b"job",
        (4).to_bytes(8, "big"),
        session.model_digest,
        session.nonce,
    )
    assert session.id == sha256(frame(b"secagg v1", b"session", *parts))
    over = frame(b"secagg v1", b"transcript", session.id, b"r" * 32, b"")
    assert transcript(session, b"r" * 32, b"") == sha256(over)
    drawn = (session.id, VALUES["cohort"], VALUES["cohort root"], VALUES["beacon round"], b"said")
    seed = statements.graph_seed(*drawn)
    assert seed == sha256(frame(b"secagg v1", b"graph", *drawn))


def test_every_named_error_exists_and_is_raised() -> None:
    rows = table("who")
    named = {word for row in rows for word in quoted(row[3]) if word[0].isupper()}
    named -= {"Fail", "Accuse", *(cls.__name__ for cls in OFFERING.messages)}
    assert len(named) > 12
    for name in named:
        assert issubclass(getattr(errors, name), errors.SecaggError)
        at_once = ("PolicyError", "ModelMismatch", "LocalProtocolError")
        assert f"{name}(" in CODE or name in at_once
    # And the other way round: what level `malicious` brought is on the page.
    for name in (
        "BadSignature",
        "BeaconPassed",
        "InconsistentCohort",
        "UnauthenticatedKey",
        "NeighbourModelMismatch",
        "ShareDisputed",
        "WrongShare",
        "InconsistentShares",
        "InconsistentSurvivors",
        "QuorumMissing",
    ):
        assert name in named
    for row in rows:
        for name in quoted(row[1]):
            assert name in {cls.__name__ for cls in OFFERING.messages}


def test_every_message_that_is_received_has_its_checks() -> None:
    checked = {(row[0], name) for row in table("who") for name in quoted(row[1])}
    for cls in OFFERING.messages:
        receiver = "server" if cls.SENDER is Role.CLIENT else "client"
        assert (receiver, cls.__name__) in checked


@pytest.mark.parametrize(("count", "corrupt"), [(10, "0.1"), (60, "0.1"), (61, "0.2"), (100, "0")])
def test_the_thresholds_are_those_of_the_theorem(count: int, corrupt: str) -> None:
    clients = tuple(client(number) for number in range(count))
    task = Task(
        clients=clients,
        length=3,
        bound=9,
        level=Level.MALICIOUS,
        corrupt=Decimal(corrupt),
        dropout=Decimal("0.1"),
    )
    plan = protocols.get("secagg").plan(task)
    assert isinstance(plan, MaskingPlan)
    assert 2 * plan.threshold > count + plan.corrupt >= 2 * (plan.threshold - 1)
    assert plan.minimum >= plan.threshold
    assert plan.honest_lower_bound == plan.minimum - plan.corrupt >= plan.threshold - plan.corrupt


def test_the_page_is_linked() -> None:
    root = PATH.parents[1]
    for name in ("README.md", "ARCHITECTURE.md", "SECURITY.md", "secagg/protocols/secagg.py"):
        assert "docs/malicious.md" in (root / name).read_text()
