"""The messages of a record, line by line: who signed what, and whether the digests come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from secagg import protocols
from secagg.audit.verification.verdicts import Findings
from secagg.crypto.digest import encode_party, join_framed
from secagg.crypto.merkle import MerkleTree, padded
from secagg.errors import VerificationError
from secagg.protocol import Session
from secagg.protocol.cohort import encode_bitmap
from secagg.protocols._masking.authenticated import messages, statements
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.messages import encode_numbers
from secagg.protocols._masking.neighbourhood import Neighbourhood
from secagg.protocols._masking.plan import MaskingPlan, transcript
from secagg.record import lines
from secagg.record.lines import MessageLine, kind_of
from secagg.record.published import frame_digest
from secagg.record.reader import Place
from secagg.types import SERVER, Role, client
from secagg.wire import Envelope, Message

KEYS: Final = "keys"
COHORT: Final = "cohort"
SHARES: Final = "shares"
VECTORS: Final = "masked vectors"
SURVIVORS: Final = "survivors"
AGREEMENT: Final = "agreement"
QUORUMS: Final = "quorums"
ANSWERS: Final = "answers"
FRAMES: Final = "frames"
ORDER: Final = "order"


class Conversation:
    """What was said in a session, as far as it came.

    Attributes:
        keys: by client, of whoever advertised any.
        authentic: whose signatures on their keys are valid.
        cohort_root: over them, once a client was shown one.
        transcript: once the keys are fixed.
        dealers: who dealt shares.
        senders: whose vectors were taken.
        survivors: the digest over both, once a client was shown them.
        signed: valid signatures on it, by client.
        shown: clients that were shown a quorum.
        answered: whose answers were taken.
    """

    def __init__(self, session: Session, findings: Findings) -> None:
        assert isinstance(session.plan, MaskingPlan)  # noqa: S101
        self.plan: MaskingPlan = session.plan
        self.keys: dict[int, lines.KeysLine] = {}
        self.authentic: set[int] = set()
        self.cohort_root = b""
        self.transcript = b""
        self.dealers: set[int] = set()
        self.senders: set[int] = set()
        self.survivors = b""
        self.signed: dict[int, bytes] = {}
        self.shown: set[int] = set()
        self.answered: set[int] = set()
        self._session, self._findings = session, findings
        self._table = protocols.get(self.plan.protocol).at(self.plan.task.level).table
        self._kinds = {message.__name__ for message in self._table.messages}
        self._invited = {party.number for party in self.plan.task.clients}
        self._taken: set[bytes] = set()
        self._tree = MerkleTree([])
        self._places: dict[int, int] = {}
        self._bitmap = b""
        self._beacon_round = b""
        self._beacon: bytes | None = None
        self._hood: Neighbourhood | None = None
        self._lists = (b"", b"")

    @property
    def on_a_ring(self) -> bool:
        """Whether the graph was drawn from a beacon."""
        return bool(self._beacon_round)

    def take(self, line: MessageLine, place: Place) -> None:
        """Judge a line; the lines before it were taken."""
        kind = kind_of(line)
        if kind not in self._kinds or line.client not in self._invited:
            what = f"client {line.client} and {kind} have no part in this session of"
            self._wrong(ORDER, f"{what} {self.plan.protocol}", place)
            return
        handler = _HANDLERS[type(line)]
        message = handler(self, line, place)
        if message is not None:
            self._check_frame(line, message, place)

    def _keys(self, line: lines.KeysLine, place: Place) -> Message:
        who, session = client(line.client), self._session
        keys = _public_keys(line)
        model = bytes.fromhex(line.model_digest)
        self._expect(model == session.model_digest, KEYS, "they are for another model", place)
        fresh = keys.channel != keys.mask and self._taken.isdisjoint(keys)
        self._expect(fresh, KEYS, f"{who} advertises a key that is taken", place)
        self._taken.update(keys)
        statement = statements.keys_statement(session.id, who, model, keys)
        if self._check(line.client, line.signature, statements.KEYS, statement, KEYS, place):
            self.authentic.add(line.client)
        self.keys[line.client] = line
        return messages.SignedKeys(model, *keys, bytes.fromhex(line.signature))

    def _root(self, line: lines.RootLine, place: Place) -> Message | None:
        self._fix_cohort()
        self._check_cohort(line.cohort, line.cohort_root, place)
        self._beacon_round = self._beacon_round or bytes.fromhex(line.beacon_round)
        self._expect(
            line.beacon_round == self._beacon_round.hex(),
            COHORT,
            f"expected round {self._beacon_round.hex()} of the beacon, got {line.beacon_round}",
            place,
        )
        if line.client not in self._places:
            self._wrong(COHORT, f"client {line.client} is shown a root and has no keys", place)
            return None
        path = self._tree.path(self._places[line.client])
        return messages.CohortRoot(self._bitmap, self.cohort_root, path, self._beacon_round)

    def _root_signature(self, line: lines.RootSignatureLine, place: Place) -> Message:
        statement = statements.cohort_statement(
            self._session.id,
            client(line.client),
            self._bitmap,
            self.cohort_root,
            self._beacon_round,
        )
        self._check(line.client, line.signature, statements.COHORT, statement, COHORT, place)
        return messages.CohortSignature(bytes.fromhex(line.signature))

    def _book(self, line: lines.BookLine, place: Place) -> Message | None:
        self._fix_cohort()
        self._check_cohort(line.cohort, line.cohort_root, place)
        if self._beacon is None:
            self._draw(bytes.fromhex(line.beacon))
        said = self._beacon or b""
        self._expect(
            line.beacon == said.hex(),
            COHORT,
            f"expected the beacon's value {said.hex()}, as others were told, got {line.beacon}",
            place,
        )
        if line.client not in self._places or self._hood is None:
            self._wrong(COHORT, f"client {line.client} is shown keys and has none", place)
            return None
        near = self._hood.neighbours(line.client)
        around = [self.keys[number] for number in near]
        closed = () if self._hood.complete else sorted((*near, line.client))
        return messages.SignedKeyBook(
            cohort=self._bitmap,
            cohort_root=self.cohort_root,
            beacon=said,
            neighbours=encode_numbers(near),
            keys=b"".join(b"".join(_public_keys(one)) for one in around),
            models=b"".join(bytes.fromhex(one.model_digest) for one in around),
            signatures=b"".join(bytes.fromhex(one.signature) for one in around),
            paths=b"".join(self._tree.path(self._places[number]) for number in closed),
        )

    def _shares(self, line: lines.SharesLine, place: Place) -> None:
        who = client(line.client)
        self._expect(line.client in self.keys, SHARES, f"{who} has no keys and deals", place)
        statement = statements.shares_statement(
            self.transcript, who, bytes.fromhex(line.commitment), bytes.fromhex(line.root)
        )
        self._check(line.client, line.signature, statements.SHARES, statement, SHARES, place)
        self.dealers.add(line.client)

    def _bundle(self, line: lines.BundleLine, place: Place) -> None:
        dealt = line.client in self.dealers
        self._expect(dealt, SHARES, f"client {line.client} is sent shares and dealt none", place)

    def _vector(self, line: lines.VectorLine, place: Place) -> None:
        who = client(line.client)
        self._expect(line.client in self.dealers, VECTORS, f"{who} dealt no shares", place)
        # As `statements.vector_statement`, from the digest: the vector is not here.
        complaints = encode_numbers(line.complaints)
        statement = join_framed(
            self.transcript, encode_party(who), complaints, bytes.fromhex(line.vector)
        )
        self._check(line.client, line.signature, statements.VECTOR, statement, VECTORS, place)
        self.senders.add(line.client)

    def _list(self, line: lines.SurvivorsLine, place: Place) -> Message:
        if not self.survivors:
            clients = self.plan.task.clients
            self._lists = (
                encode_bitmap(clients, self.dealers),
                encode_bitmap(clients, self.senders),
            )
            self.survivors = statements.survivor_digest(self.transcript, *self._lists)
        for name, said, found in zip(
            ("who dealt shares", "whose vectors were taken"),
            (line.dealt, line.included),
            self._lists,
            strict=True,
        ):
            self._expect(
                said == found.hex(),
                SURVIVORS,
                f"{name}: client {line.client} was shown {said}, the lines before give"
                f" {found.hex()}",
                place,
            )
        return messages.SurvivorList(*self._lists)

    def _survivor_signature(self, line: lines.SurvivorSignatureLine, place: Place) -> Message:
        included = line.client in self.senders
        self._expect(included, AGREEMENT, f"client {line.client} is no survivor", place)
        signature = bytes.fromhex(line.signature)
        if self._check(
            line.client,
            line.signature,
            statements.SURVIVORS,
            self.survivors,
            AGREEMENT,
            place,
        ):
            self.signed[line.client] = signature
        return messages.SurvivorSignature(signature)

    def _quorum(self, line: lines.QuorumLine, place: Place) -> Message | None:
        who, needed = line.client, self.plan.threshold
        self.shown.add(who)
        near = () if self._hood is None or who not in self.keys else self._hood.neighbours(who)
        known = set(near) & self.signed.keys()
        enough = len(line.signers) + 1 >= needed and known.issuperset(line.signers)
        self._expect(
            enough and who in self.signed,
            QUORUMS,
            f"client {who} was shown signatures of {len(line.signers)}: expected those of"
            f" {needed - 1} neighbours who signed, and its own",
            place,
        )
        if not self.signed.keys() >= set(line.signers):
            return None
        column = b"".join(self.signed[number] for number in line.signers)
        return messages.SurvivorQuorum(encode_numbers(line.signers), column)

    def _answer(self, line: lines.AnswerLine, place: Place) -> None:
        who = client(line.client)
        self._expect(line.client in self.shown, ANSWERS, f"{who} was asked nothing", place)
        # As `statements.answer_statement`, from the digest: the shares are not here.
        statement = join_framed(self.survivors, encode_party(who), bytes.fromhex(line.openings))
        self._check(line.client, line.signature, statements.ANSWER, statement, ANSWERS, place)
        self.answered.add(line.client)

    def _fix_cohort(self) -> None:
        if self.cohort_root:
            return
        cohort = sorted(self.keys)
        leaves = [
            statements.keys_leaf(
                client(number),
                _public_keys(self.keys[number]),
                bytes.fromhex(self.keys[number].signature),
            )
            for number in cohort
        ]
        self._tree = MerkleTree(padded(leaves)) if leaves else MerkleTree([])
        self.cohort_root = self._tree.root
        self._places = {number: place for place, number in enumerate(cohort)}
        self._bitmap = encode_bitmap(self.plan.task.clients, cohort)

    def _draw(self, beacon: bytes) -> None:
        self._beacon = beacon
        seed = b""
        if self._beacon_round:
            seed = statements.graph_seed(
                self._session.id, self._bitmap, self.cohort_root, self._beacon_round, beacon
            )
        self.transcript = transcript(self._session, self.cohort_root, seed)
        if self.plan.complete or seed:
            self._hood = Neighbourhood(self.plan, self._bitmap, seed) if self.keys else None

    def _check_cohort(self, bitmap: str, root: str, place: Place) -> None:
        for name, said, found in (
            ("cohort", bitmap, self._bitmap.hex()),
            ("cohort root", root, self.cohort_root.hex()),
        ):
            self._expect(
                said == found,
                COHORT,
                f"{name}: the keys before give {found}, the line says {said}",
                place,
            )

    def _check(
        self, who: int, signature: str, context: str, statement: bytes, check: str, place: Place
    ) -> bool:
        try:
            statements.check_signature(
                self._session, client(who), bytes.fromhex(signature), context, statement
            )
        except VerificationError as error:
            self._wrong(check, f"client {who}: {error}, signature {signature[:16]}...", place)
            return False
        return True

    def _check_frame(self, line: MessageLine, message: Message, place: Place) -> None:
        """The whole message is public: made again, it has this size and this digest."""
        who = client(line.client)
        ends = (who, SERVER) if line.SENDER is Role.CLIENT else (SERVER, who)
        frame = self._table.encode(Envelope(self._session.id, *ends, message))
        said, found = (line.size, line.sha256), (frame.size, frame_digest(frame).hex())
        self._expect(
            said == found,
            FRAMES,
            f"{kind_of(line)} of client {line.client}: made again it has {found[0]} bytes and"
            f" digest {found[1]}, the line says {said[0]} and {said[1]}",
            place,
        )

    def _expect(self, condition: bool, check: str, details: str, place: Place) -> None:
        if not condition:
            self._wrong(check, details, place)

    def _wrong(self, check: str, details: str, place: Place) -> None:
        self._findings.add(check, details, place)


def _public_keys(line: lines.KeysLine) -> PublicKeys:
    return PublicKeys(bytes.fromhex(line.channel_key), bytes.fromhex(line.mask_key))


_Handler = Callable[[Conversation, Any, Place], Message | None]

_HANDLERS: Final[Mapping[type[MessageLine], _Handler]] = {
    lines.KeysLine: Conversation._keys,
    lines.RootLine: Conversation._root,
    lines.RootSignatureLine: Conversation._root_signature,
    lines.BookLine: Conversation._book,
    lines.SharesLine: Conversation._shares,
    lines.BundleLine: Conversation._bundle,
    lines.VectorLine: Conversation._vector,
    lines.SurvivorsLine: Conversation._list,
    lines.SurvivorSignatureLine: Conversation._survivor_signature,
    lines.QuorumLine: Conversation._quorum,
    lines.AnswerLine: Conversation._answer,
}
