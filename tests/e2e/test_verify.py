"""From key files and a signed roster to a record that a stranger verifies with `secagg verify`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from e2e.test_enrolled_round import NAMES, Federation, secagg
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]
from unit.endpoint.federation import Channel

from secagg import enrolment
from secagg.codec import Codec
from secagg.crypto.rng import SystemRng
from secagg.endpoint import ClientEndpoint, Invitation, ServerEndpoint
from secagg.ledger import Ledger, MemoryStorage, Owner
from secagg.protocol import Identity, Level
from secagg.protocols._masking.authenticated.statements import survivor_digest
from secagg.record import Receipt
from secagg.record.receipt import CONTEXT
from secagg.types import SERVER, PartyId, Secret

CODEC = Codec(length=20, clip=1.0, max_weight=10)
DEVICE = Secret(bytes(range(32)))


class Site(Federation):
    """A federation whose server keeps a record, and whose clients keep receipts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        secagg(self.folder, "keygen", "--role", "server", "-o", "server.key")
        secagg(self.folder, "keygen", "--role", "auditor", "-o", "auditor.key")

    def play(self, record: str, training_round: int) -> None:
        """One round over endpoints; client 1 vanishes before it sends its vector."""
        roster = self.roster()
        invitation = Invitation.fresh(
            "secagg",
            CODEC,
            roster.clients,
            SystemRng(),
            model=b"model",
            job="weather",
            training_round=training_round,
            roster=roster,
            level=Level.MALICIOUS,
            dropout=Decimal("0.2"),
        )
        path = self.folder / record
        with path.open("wb") as file:
            key = enrolment.load(self.folder / "server.key").key
            server = ServerEndpoint(
                invitation,
                deadlines=10.0,
                public_record=file.write,
                roster=roster,
                identity=Identity(key=key),
            )
            clients = {who: self.client(invitation, who) for who in roster.clients}
            Channel({SERVER: server, **clients}, lost={roster.clients[1]: 2}).run()
        assert [party.number for party in server.result().included] == [0, 2, 3, 4]
        for who, end in clients.items():
            if end.done:
                receipt = end.receipt().encoded
                path.with_suffix(f".receipt{who.number}").write_bytes(receipt)

    def client(self, invitation: Invitation, who: PartyId) -> ClientEndpoint:
        roster = self.roster()
        _, session = invitation.agree(roster)
        rng, owner = SystemRng(), Owner.of(session, who)
        storage = MemoryStorage()
        Ledger.create(storage, owner, DEVICE, rng)
        keys = [enrolment.load(self.folder / f"{name}.key").key for name in NAMES]
        mine = next(key for key in keys if key.public == session.keys[who])
        return ClientEndpoint(
            invitation.encoded,
            who,
            np.full(20, 0.1 * who.number, dtype=np.float32),
            1 + who.number,
            model=b"model",
            policy=self.policy,
            patience=1000.0,
            ledger=Ledger.open(storage, owner, DEVICE, rng, sessions_per_round=1),
            roster=roster,
            identity=Identity(key=mine),
        )

    def verify(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "secagg.cli", "verify", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def rows(self, *words: str, code: int = 0) -> dict[str, dict[str, Any]]:
        out = self.verify(*words, "--format", "json", "-o", "out.json", code=code)
        assert "written to out.json" in out
        document = json.loads((self.folder / "out.json").read_bytes())
        assert document["schema"] == "secagg.verify/1"
        assert document["holds"] == (code == 0)
        return {row["check"]: row for row in document["rows"]}


ANCHOR = ("--roster", "winds.roster", "--authority", "authority.key.pub")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    folder.chmod(0o700)
    made = Site(folder)
    made.play("one.record", 0)
    made.play("two.record", 1)
    return made


def receipts(record: str, numbers: Sequence[int]) -> list[str]:
    return [word for n in numbers for word in ("--receipt", f"{record}.receipt{n}")]


def test_a_stranger_verifies_all_of_it(site: Site) -> None:
    rows = site.rows(
        "one.record", *ANCHOR, "--server-key", "server.key.pub", *receipts("one", (0, 2, 3, 4))
    )
    for check in ("roster", "keys", "agreement", "answers", "receipts", "one log", "result"):
        assert (rows[check]["answer"], rows[check]["standing"]) == (
            "holds",
            "proved to a third party",
        )
    for check in ("log", "inclusion"):
        assert rows[check]["standing"] == "consistent with this log"
    for check in ("sum", "completeness", "absence of the excluded", "no other queries"):
        assert (rows[check]["answer"], rows[check]["standing"]) == ("-", "not checkable")


def test_alone_it_proves_nothing(site: Site) -> None:
    out = site.verify("one.record")
    assert "proved to a third party" not in out
    assert "Everything that could be checked holds. What could not be is listed." in out
    assert "secagg, round 0 of job weather" in out


def test_an_edited_record_ends_with_a_finding_and_its_line(site: Site) -> None:
    lines = (site.folder / "one.record").read_bytes().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if b'"SignedVector"' in line)
    lines[number] = lines[number].replace(b'"size":', b'"size":1')
    (site.folder / "edited.record").write_bytes(b"".join(lines))
    out = site.verify("edited.record", *ANCHOR, code=1)
    assert f"line {number + 2}, byte" in out
    assert "FINDINGS" in out


def test_what_cannot_be_decided(site: Site) -> None:
    data = (site.folder / "one.record").read_bytes()
    for name, changed, words in (
        ("cut.record", data[:-200], "truncated"),
        ("half.record", data[: data.index(b"\n", 9000) + 1], "truncated: no head"),
        ("new.record", data.replace(b"record 1", b"record 7", 1), "expected 'secagg record 1'"),
        ("none.record", b"", "got nothing"),
        ("binary.record", bytes(range(256)), "line 1, byte 0"),
    ):
        (site.folder / name).write_bytes(changed)
        out = site.verify(name, code=3)
        assert name in out
        assert words in out
    assert "missing.record: no such file" in site.verify("missing.record", code=3)
    (site.folder / "no.receipt").write_bytes(b"{}\n")
    assert "no.receipt: " in site.verify("one.record", "--receipt", "no.receipt", code=3)


def test_usage(site: Site) -> None:
    assert "Usage" in site.verify(code=2)
    assert "belong together" in site.verify("one.record", "--statement", "x", code=2)
    out = site.verify("one.record", "--authority", "authority.key.pub", code=2)
    assert "the signed roster is missing" in out
    words = ("--roster", "winds.roster", "--authority", "server.key.pub")
    assert "expected a key for the role authority" in site.verify("one.record", *words, code=2)
    words = ("--statement", "x", "--key", "server.key")
    assert "expected a key for the role auditor" in site.verify("one.record", *words, code=2)


def test_two_rounds_do_not_pass_for_one(site: Site) -> None:
    one, two = (
        (site.folder / name).read_bytes().splitlines(keepends=True)
        for name in ("one.record", "two.record")
    )
    (site.folder / "mixed.record").write_bytes(b"".join(one[:20] + two[20:]))
    rows = site.rows("mixed.record", *ANCHOR, code=1)
    assert rows["log"]["answer"] == "FAILS"
    assert rows["log"]["place"].startswith("line ")
    rows = site.rows("one.record", *receipts("two", (0,)), code=1)
    assert "it is of session" in rows["receipts"]["details"]


def test_two_clients_that_were_told_different_things_are_named(site: Site) -> None:
    """Client 0 says that it signed other survivors than client 2."""
    receipt = Receipt.decode((site.folder / "one.receipt0").read_bytes())
    digest = survivor_digest(
        bytes.fromhex(receipt.transcript), bytes.fromhex(receipt.dealt), b"\x0d"
    )
    told = msgspec.structs.replace(
        receipt, included="0d", survivors=digest.hex(), signers=(), signatures=(), signature=""
    )
    roster = site.roster()
    keys = [enrolment.load(site.folder / f"{name}.key").key for name in NAMES]
    key = next(key for key in keys if key.public == roster.keys[0])
    told = msgspec.structs.replace(told, signature=key.sign(CONTEXT, told.statement).hex())
    (site.folder / "other.receipt0").write_bytes(told.encoded)
    rows = site.rows(
        "one.record", *ANCHOR, *receipts("other", (0,)), *receipts("one", (2,)), code=1
    )
    assert rows["one log"]["answer"] == "FAILS"
    assert rows["one log"]["place"] == "receipts of client 0 and client 2"
    assert "client 0 signed two lists" in rows["one signature each"]["details"]


def test_the_statement_is_an_in_toto_envelope(site: Site) -> None:
    words = ("--statement", "one.dsse", "--key", "auditor.key")
    site.verify("one.record", *ANCHOR, *words, *receipts("one", (0, 2)))
    public = enrolment.load_public(site.folder / "auditor.key.pub")
    key = SSlibKey(public.fingerprint, "ed25519", "ed25519", {"public": public.key.hex()})

    def read() -> dict[str, Any]:
        envelope = Envelope.from_dict(json.loads((site.folder / "one.dsse").read_bytes()))
        assert envelope.verify([key], 1)
        payload: dict[str, Any] = json.loads(envelope.payload)
        return payload

    statement = read()
    assert statement["predicate"]["result"] == "PASSED"
    names = [subject["name"] for subject in statement["subject"]]
    assert names == ["one.record", "one.receipt0", "one.receipt2"]
    site.verify("one.record", *ANCHOR, *words, *receipts("two", (0,)), code=1)
    assert read()["predicate"]["result"] == "FAILED"


def test_a_head_that_somebody_kept(site: Site) -> None:
    """The last line of the record is enough to notice that the server has another one."""
    for name in ("one", "two"):
        head = (site.folder / f"{name}.record").read_bytes().splitlines(keepends=True)[-1]
        (site.folder / f"{name}.head").write_bytes(head)
    server = ("--server-key", "server.key.pub")
    rows = site.rows("one.record", *server, "--head", "one.head")
    assert rows["one head"]["answer"] == "holds"
    rows = site.rows("one.record", *server, "--head", "two.head", code=1)
    assert "it is of session" in rows["one head"]["details"]
    out = site.verify("one.record", "--head", "one.receipt0", code=3)
    assert "one.receipt0: not the last line of a record" in out
