"""The first lines of a record: the session that they give, and whose roster stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from secagg import enrolment, protocols
from secagg.audit.verification.verdicts import Findings, Standing, Verdict, uncheckable
from secagg.enrolment import fingerprint
from secagg.errors import ParameterError, RecordRefused, RosterRefused
from secagg.protocol import Level, Roster, Session, Task
from secagg.protocols._masking.plan import MaskingPlan
from secagg.record.lines import MemberLine, SessionLine
from secagg.record.published import RECORDED
from secagg.record.reader import Place
from secagg.types import client

ROSTER: Final = "roster"
SESSION: Final = "session"


@dataclass(frozen=True)
class Anchor:
    """What the verifier believes without being shown.

    Attributes:
        roster: the file of a signed roster.
        authority: the public key of the authority whose rosters it believes.
        server: the public key of the server, if that has one.

    Raises:
        ParameterError: an authority without a roster: a record holds no signature of it.
    """

    roster: bytes | None = None
    authority: bytes | None = None
    server: bytes | None = None

    def __post_init__(self) -> None:
        if self.authority is not None and self.roster is None:
            raise ParameterError(
                "an authority is believed for the rosters that it signed: the signed roster is"
                " missing, and a record does not hold it"
            )


def open_session(
    first: SessionLine, members: Sequence[MemberLine], place: Place, findings: Findings
) -> Session | None:
    """The session of a record; None if its fields give none.

    Raises:
        RecordRefused: of a protocol, or a version of one, that this release does not know.
    """
    if first.protocol not in RECORDED:
        raise RecordRefused(
            f"expected a session of {' or '.join(RECORDED)}, got {first.protocol!r}", place
        )
    protocol = protocols.get(first.protocol)
    if first.version != protocol.version:
        raise RecordRefused(
            f"expected version {protocol.version} of {first.protocol}, got {first.version}: verify"
            " it with the release that wrote it",
            place,
        )
    try:
        session = _session(first, members)
    except (ParameterError, ValueError) as error:
        findings.add(SESSION, f"no session has these fields: {error}", place)
        return None
    for name, said, found in (
        ("plan", first.plan, session.plan.digest.hex()),
        ("roster", first.roster, session.roster.digest.hex()),
        ("session", first.session, session.id.hex()),
    ):
        if said != found:
            findings.add(SESSION, f"{name}: the fields give {found}, the line says {said}", place)
    return session


def _session(first: SessionLine, members: Sequence[MemberLine]) -> Session:
    clients = tuple(client(member.number) for member in members)
    task = Task(
        clients=tuple(sorted(client(member.number) for member in members if member.invited)),
        length=first.length,
        bound=first.bound,
        min_clients=first.min_clients,
        level=Level(first.level),
        corrupt=Decimal(first.corrupt),
        dropout=Decimal(first.dropout),
        sigma=first.sigma,
        eta=first.eta,
    )
    plan = protocols.get(first.protocol).plan(task)
    if task.level is not Level.MALICIOUS or not isinstance(plan, MaskingPlan):
        raise ParameterError(f"level {task.level} leaves nothing that could be verified")
    return Session(
        plan=plan,
        roster=Roster(
            first.epoch,
            clients,
            tuple(bytes.fromhex(member.key) for member in members),
            bytes.fromhex(first.authority),
        ),
        job=first.job,
        training_round=first.training_round,
        model_digest=bytes.fromhex(first.model_digest),
        nonce=bytes.fromhex(first.nonce),
    )


def judge_roster(anchor: Anchor, session: Session) -> Verdict:
    """Whether the keys in the record are those that an authority signed.

    The time of the session is not known, so the roster's validity is told and not judged.
    """
    if anchor.roster is None:
        return uncheckable(
            ROSTER,
            "no roster was given: that these keys are the clients' is the word of whoever made the"
            " record. Pass --roster and --authority",
        )
    standing = Standing.CONSISTENT if anchor.authority is None else Standing.PROVED
    try:
        document, claimed = enrolment.inspect(anchor.roster)
        authority = claimed if anchor.authority is None else anchor.authority
        roster = enrolment.verify(
            anchor.roster, authority, at=document.not_before, server=anchor.server
        )
    except (RosterRefused, ParameterError) as error:
        return Verdict(check=ROSTER, standing=standing, holds=False, details=str(error))
    if roster.digest != session.roster.digest:
        return Verdict(
            check=ROSTER,
            standing=standing,
            holds=False,
            details=f"the session is of a roster with epoch {session.roster.epoch} and digest"
            f" {session.roster.digest.hex()}, the file has epoch {roster.epoch} and"
            f" {roster.digest.hex()}",
        )
    believed = "which you believe" if anchor.authority is not None else "whom you did not name"
    return Verdict(
        check=ROSTER,
        standing=standing,
        holds=True,
        details=f"epoch {roster.epoch} of {document.federation}, {len(roster.clients)} clients,"
        f" signed by {fingerprint(authority)}, {believed}; valid from second"
        f" {document.not_before} to {document.not_after} since 1970",
    )
