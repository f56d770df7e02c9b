"""Records by a server whose clients lend it their keys: every signature and every frame is right.

What is left are the rules that honest clients hold to, so that a record which breaks them shows
that its clients are not honest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from unit.record.sessions import Fields, Recorded, failing, forged, judged

from secagg import protocols
from secagg.crypto.digest import encode_party, join_framed
from secagg.crypto.rng import seeded
from secagg.crypto.signing import SigningKey
from secagg.protocol import Identities, Level, Session, Task
from secagg.protocols._masking.authenticated import statements
from secagg.protocols._masking.authenticated.messages import (
    RING_TABLE,
    CohortRoot,
    SignedKeys,
    SurvivorQuorum,
    SurvivorSignature,
)
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.messages import encode_numbers
from secagg.record import Recorder
from secagg.record.lines import encode
from secagg.record.published import Publisher
from secagg.runner import run
from secagg.types import SERVER, Role, client
from secagg.wire import Envelope, Message

Change = Callable[[list[Fields]], None]


@cache
def recorded(protocol: str = "secagg", client_one_sends: int = 2) -> Recorded:
    return Recorded(protocol, lost={client(1): client_one_sends})


def session_of(session: Recorded) -> Session:
    return session.federation.invitation.agree(session.federation.roster)[1]


def key_of(session: Recorded, number: int) -> SigningKey:
    identity = session.federation.identities[client(number)]
    assert identity is not None
    assert identity.key is not None
    return identity.key


def line_of(session: Recorded, number: int, message: Message) -> Fields:
    """The line of a message, as an honest recorder writes it."""
    upward = message.SENDER is Role.CLIENT
    ends = (client(number), SERVER) if upward else (SERVER, client(number))
    frame = RING_TABLE.encode(Envelope(session.server.session, *ends, message))
    line = Publisher().line("00" * 32, client(number), message, frame)
    made: Fields = json.loads(encode(line))
    return made


def at(fields: list[Fields], line: str, number: int) -> int:
    return next(n for n, f in enumerate(fields) if f["line"] == line and f["client"] == number)


def after(fields: list[Fields], *kinds: str) -> int:
    """Where the lines of these kinds end."""
    return 1 + max(n for n, f in enumerate(fields) if f["line"] in kinds)


def wrongs(session: Recorded, change: Change) -> str:
    return "\n".join(
        text for texts in failing(judged(forged(session.lines, change))).values() for text in texts
    )


def keys_line(session: Recorded, number: int, model: bytes, keys: PublicKeys) -> Fields:
    statement = statements.keys_statement(session.server.session, client(number), model, keys)
    signature = key_of(session, number).sign(statements.KEYS, statement)
    return line_of(session, number, SignedKeys(model, *keys, signature))


def test_keys_for_another_model() -> None:
    session = recorded()

    def change(fields: list[Fields]) -> None:
        place = at(fields, "SignedKeys", 2)
        line = fields[place]
        keys = PublicKeys(bytes.fromhex(line["channel_key"]), bytes.fromhex(line["mask_key"]))
        fields[place] = keys_line(session, 2, b"\x05" * 32, keys)

    assert "they are for another model" in wrongs(session, change)


@pytest.mark.parametrize("own", [False, True])
def test_a_key_that_is_taken(own: bool) -> None:
    session = recorded()

    def change(fields: list[Fields]) -> None:
        place = at(fields, "SignedKeys", 2)
        other = fields[place if own else at(fields, "SignedKeys", 0)]
        mask = bytes.fromhex(fields[place]["mask_key"])
        taken = mask if own else bytes.fromhex(other["channel_key"])
        keys = PublicKeys(taken, mask)
        fields[place] = keys_line(session, 2, session_of(session).model_digest, keys)

    assert "client 2 advertises a key that is taken" in wrongs(session, change)


def test_a_message_that_the_protocol_does_not_have() -> None:
    session = recorded()
    root = CohortRoot(b"\x1f", b"\x01" * 32, b"", b"\x02" * 8)

    def change(fields: list[Fields]) -> None:
        fields.insert(after(fields, "SignedKeys"), line_of(session, 2, root))

    assert "client 2 and CohortRoot have no part in this session of secagg" in wrongs(
        session, change
    )


def test_a_client_of_the_roster_that_the_task_does_not_name() -> None:
    task = Task(
        clients=tuple(client(number) for number in range(5)),
        length=6,
        bound=9,
        level=Level.MALICIOUS,
        dropout="0.2",  # type: ignore[arg-type]
    )
    protocol, all_six = protocols.get("secagg"), tuple(client(number) for number in range(6))
    bigger = Task(
        clients=all_six,
        length=6,
        bound=9,
        level=Level.MALICIOUS,
        dropout="0.2",  # type: ignore[arg-type]
    )
    identities = Identities.drawn(protocol.plan(bigger), seeded(1), b"\x00" * 32)
    session = Session.fresh(protocol.plan(task), seeded(2), roster=identities.roster)
    lines: list[bytes] = []
    ones = np.ones(6, dtype=session.plan.ring.dtype)
    run(
        protocol,
        session,
        dict.fromkeys(task.clients, ones),
        seeded(3),
        identities=identities,
        witnesses={SERVER: Recorder(session, lines.append, salt=b"\x01" * 32)},
    )
    assert judged(lines).holds

    def change(fields: list[Fields]) -> None:
        place = at(fields, "SignedKeys", 4)
        fields.insert(place + 1, fields[place] | {"client": 5})

    wrong = failing(judged(forged(lines, change)))
    assert "client 5 and SignedKeys have no part" in wrong["order"][0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("CohortRoot", "client 1 is shown a root and has no keys"),
        ("SignedKeyBook", "client 1 is shown keys and has none"),
    ],
)
def test_a_client_without_keys_is_shown_something(line: str, words: str) -> None:
    session = recorded("secagg_plus", 0)

    def change(fields: list[Fields]) -> None:
        fields.insert(after(fields, line), fields[at(fields, line, 0)] | {"client": 1})

    assert words in wrongs(session, change)


def transcript_in(session: Recorded) -> bytes:
    return bytes.fromhex(session.receipts(0)[0].transcript)


def survivors_in(session: Recorded) -> bytes:
    return bytes.fromhex(session.receipts(0)[0].survivors)


def test_shares_of_a_client_without_keys() -> None:
    session = recorded("secagg", 0)
    statement = statements.shares_statement(
        transcript_in(session), client(1), b"\x01" * 32, b"\x02" * 32
    )
    signature = key_of(session, 1).sign(statements.SHARES, statement).hex()

    def change(fields: list[Fields]) -> None:
        made = {"client": 1, "commitment": "01" * 32, "root": "02" * 32, "signature": signature}
        place = at(fields, "CommittedShares", 0)
        fields.insert(place + 1, fields[place] | made)

    assert "client 1 has no keys and deals" in wrongs(session, change)


def test_a_vector_of_a_client_that_dealt_nothing() -> None:
    session = recorded("secagg", 1)
    statement = join_framed(transcript_in(session), encode_party(client(1)), b"", b"\x03" * 32)
    signature = key_of(session, 1).sign(statements.VECTOR, statement).hex()

    def change(fields: list[Fields]) -> None:
        made = {"client": 1, "vector": "03" * 32, "signature": signature}
        place = at(fields, "SignedVector", 0)
        fields.insert(place + 1, fields[place] | made)

    assert "client 1 dealt no shares" in wrongs(session, change)


def test_a_signature_of_one_who_is_no_survivor() -> None:
    session = recorded()
    signature = key_of(session, 1).sign(statements.SURVIVORS, survivors_in(session))

    def change(fields: list[Fields]) -> None:
        line = line_of(session, 1, SurvivorSignature(signature))
        fields.insert(after(fields, "SurvivorSignature"), line)

    assert "client 1 is no survivor" in wrongs(session, change)


def quorum(session: Recorded, fields: list[Fields], signers: list[int]) -> Message:
    signed = [fields[at(fields, "SurvivorSignature", number)]["signature"] for number in signers]
    return SurvivorQuorum(encode_numbers(signers), bytes.fromhex("".join(signed)))


@pytest.mark.parametrize("signers", [[2], [2, 3], [0, 2, 3]])
def test_a_quorum_that_is_none(signers: list[int]) -> None:
    """Too few, or the client itself among them, which is counted already."""
    session = recorded()

    def change(fields: list[Fields]) -> None:
        place = at(fields, "SurvivorQuorum", 0)
        fields[place] = line_of(session, 0, quorum(session, fields, signers))

    assert f"client 0 was shown signatures of {len(signers)}: expected those of 3" in wrongs(
        session, change
    )


def test_a_quorum_shown_to_one_who_signed_nothing() -> None:
    session = recorded()

    def change(fields: list[Fields]) -> None:
        line = line_of(session, 1, quorum(session, fields, [0, 2, 3]))
        fields.insert(after(fields, "SurvivorQuorum"), line)

    assert "client 1 was shown signatures of 3" in wrongs(session, change)


def test_an_answer_of_one_who_was_asked_nothing() -> None:
    session = recorded()
    openings = b"\x04" * 32
    statement = join_framed(survivors_in(session), encode_party(client(1)), openings)
    signature = key_of(session, 1).sign(statements.ANSWER, statement).hex()

    def change(fields: list[Fields]) -> None:
        made = {"client": 1, "openings": openings.hex(), "signature": signature}
        place = at(fields, "SignedAnswer", 0)
        fields.insert(place + 1, fields[place] | made)

    assert "client 1 was asked nothing" in wrongs(session, change)
