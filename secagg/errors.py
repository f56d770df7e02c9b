"""Every exception that secagg raises on purpose.

A message says what was expected, what came and, inside a protocol, in which phase. It never
contains secret data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secagg.types import PartyId


class SecaggError(Exception):
    """The base of all errors of this library."""


class ParameterError(SecaggError, ValueError):
    """Something unsafe or impossible was asked for; nothing was sent."""


class PolicyError(ParameterError):
    """A session offers a client less than the client's own policy demands; nothing was sent.

    Attributes:
        field: of the policy, or of a plan that is not the one derived.
        demanded: what the client asks for, in words.
        offered: what the session has, in words.
    """

    def __init__(self, field: str, demanded: object, offered: object) -> None:
        super().__init__(f"{field}: {demanded} is demanded, {offered} is offered")
        self.field = field
        self.demanded = str(demanded)
        self.offered = str(offered)


class ModelMismatch(ParameterError):
    """A session for another model or configuration than this client received; nothing was sent.

    Attributes:
        own: the digest that the client computed from the bytes it received.
        offered: the session's.
    """

    def __init__(self, own: bytes, offered: bytes) -> None:
        super().__init__(
            f"the model and configuration received here have digest {own[:8].hex()}..., the"
            f" session is for {offered[:8].hex()}..."
        )
        self.own = own
        self.offered = offered


class InputError(SecaggError, ValueError):
    """A vector has the wrong shape, type or values; nothing was sent."""


class UnavailableError(SecaggError):
    """An optional package, data set or CPU feature is missing; the message says how to get it."""


class WorkerLost(SecaggError):
    """A worker process died, hung or spoke nonsense; what it worked on cannot go on."""


class DecodeError(SecaggError, ValueError):
    """Bytes that are not the one canonical encoding of anything expected here."""


class ProtocolError(SecaggError):
    """Somebody did not follow the protocol. Raised only as one of its two kinds."""

    def __init__(self, *details: object) -> None:
        if type(self) is ProtocolError:
            raise TypeError("raise LocalProtocolError or RemoteProtocolError")
        super().__init__(*details)


class LocalProtocolError(ProtocolError):
    """The caller drove a party wrongly: a bug on our own side."""


class RemoteProtocolError(ProtocolError):
    """A peer broke the rules.

    Attributes:
        culprit: who.
        reason: what was expected and what came.
    """

    def __init__(self, culprit: PartyId, reason: str) -> None:
        super().__init__(f"{culprit}: {reason}")
        self.culprit = culprit
        self.reason = reason

    def as_value(self) -> RemoteProtocolError:
        """Itself without a traceback, which would keep the handler's frames, and their secrets."""
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


class WrongSession(RemoteProtocolError):
    """A message of another session, or one replayed from an earlier one."""


class UnknownParty(RemoteProtocolError):
    """A message from somebody who has no part in this session."""


class DuplicateMessage(RemoteProtocolError):
    """A second, different message where the protocol allows one."""


class InvalidKey(RemoteProtocolError):
    """A public key that is malformed, repeated, or of low order (RFC 7748, section 6)."""


class ShareBindingError(RemoteProtocolError):
    """An encrypted share that is not what its dealer sealed for this holder in this session."""


class BadSignature(RemoteProtocolError):
    """A message without a valid signature by its sender's roster key."""


class UnauthenticatedKey(RemoteProtocolError):
    """A client's public keys that its roster key did not sign for this session."""


class NeighbourModelMismatch(RemoteProtocolError):
    """A neighbour signed its keys for another model or configuration: no sum is to be made of both.

    Attributes:
        own: the digest of what was received here.
        offered: the one that the neighbour signed.
    """

    def __init__(self, culprit: PartyId, own: bytes, offered: bytes) -> None:
        super().__init__(
            culprit,
            f"its keys are for a model of digest {offered[:8].hex()}..., expected one of"
            f" {own[:8].hex()}...",
        )
        self.own = own
        self.offered = offered


class InconsistentCohort(RemoteProtocolError):
    """A cohort without this client's keys, or another than the one that it signed."""


class BeaconPassed(RemoteProtocolError):
    """A graph is to be drawn from a round of the public beacon that may be known already."""


class ShareDisputed(RemoteProtocolError):
    """A client says that the shares dealt to it are not those that their dealer committed to.

    One of the two lies; nobody else can tell which, so both are named.

    Attributes:
        holder: who says so.
    """

    def __init__(self, culprit: PartyId, holder: PartyId) -> None:
        super().__init__(culprit, f"{holder} says that it was dealt no valid share")
        self.holder = holder


class WrongShare(RemoteProtocolError):
    """An answer with a share that is not the one that was dealt. It counts as missing."""


class InconsistentShares(RemoteProtocolError):
    """A dealer whose shares, each as it committed to it, do not make the secret it committed to."""


class InconsistentSurvivors(RemoteProtocolError):
    """A list of survivors that contradicts what this client saw or others signed."""


class QuorumMissing(RemoteProtocolError):
    """Too few neighbours signed the survivors that this client signed: nothing may be revealed."""


class SecretKeyExposed(RemoteProtocolError):
    """A public context that holds a secret key. Nothing may be encrypted under it."""


class WrongContext(RemoteProtocolError):
    """A public context, or a ciphertext under one, that is not this session's."""


class CohortTooSmall(RemoteProtocolError):
    """A sum was asked for over fewer clients than the plan allows."""


class EvidenceRefused(RemoteProtocolError):
    """An enclave whose evidence a client did not accept.

    Attributes:
        why: one of `secagg.attestation.Reason`.
    """

    def __init__(self, culprit: PartyId, refusal: AttestationError) -> None:
        super().__init__(culprit, str(refusal))
        self.why = refusal.reason


class SealBindingError(RemoteProtocolError):
    """A sealed or signed vector that its sender did not make for this enclave and session."""


class VerificationError(SecaggError):
    """A proof, tag, signature or attestation did not verify."""


class AttestationError(VerificationError):
    """Evidence about an enclave was refused.

    Attributes:
        reason: one of `secagg.attestation.Reason`.
    """

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(f"{reason}: {details}")
        self.reason = reason


class RosterRefused(VerificationError):
    """A roster, or somebody's place in it, was refused.

    Attributes:
        reason: one of `secagg.enrolment.Reason`.
    """

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(f"{reason}: {details}")
        self.reason = reason


class FileRefused(SecaggError):
    """A file of a key, a passphrase or a roster cannot be used or made. The message has no secret.

    Attributes:
        path: of the file.
        reason: what was expected and what came.
    """

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason


class RecordRefused(SecaggError):
    """A record or a receipt that cannot be read, so that nothing can be said of it.

    Attributes:
        reason: what was expected and what came.
        place: the line and the byte where it begins, if it has lines.
    """

    def __init__(self, reason: str, place: object = None) -> None:
        super().__init__(reason if place is None else f"{place}: {reason}")
        self.reason, self.place = reason, place


class ShareCorrupt(VerificationError):
    """A secret rebuilt from shares is not the one that its owner committed to.

    Which holder lied, or whether the owner dealt badly, is not known; nobody is accused.

    Attributes:
        owner: whose secret it is.
    """

    def __init__(self, owner: PartyId, reason: str) -> None:
        super().__init__(f"the secret of {owner}: {reason}")
        self.owner = owner


class LedgerError(SecaggError):
    """A ledger that cannot be relied on, or that forbids what was asked. Nothing may be sent.

    Attributes:
        place: the file or store.
        entry: the number of the entry concerned, from 0; None for the header, or for all.
        offset: the byte at which it begins, where there is one.
    """

    def __init__(
        self, reason: str, *, place: str, entry: int | None = None, offset: int | None = None
    ) -> None:
        where = [place]
        if entry is not None:
            where.append(f"entry {entry}")
        if offset is not None:
            where.append(f"byte {offset}")
        super().__init__(f"{', '.join(where)}: {reason}")
        self.place, self.entry, self.offset = place, entry, offset


class LedgerMissing(LedgerError):
    """There is no ledger, or a part of it is not there. Without a ledger there is no answer."""


class LedgerUnavailable(LedgerError):
    """A ledger that cannot be read or written: permissions, a full disk, an earlier failure."""


class LedgerBusy(LedgerError):
    """Another process has the ledger open."""


class LedgerCorrupt(LedgerError):
    """A ledger that was edited, damaged, or cut short."""


class LedgerForeign(LedgerError):
    """The ledger of another owner, job or device."""


class SessionRefused(LedgerError):
    """What the ledger forbids: a session opened twice or never, a second answer in a round."""


class NearIdenticalCohort(SecaggError):
    """A sum that, subtracted from others on the same model, says something of a few clients.

    Attributes:
        clients: roster indices of these clients.
    """

    def __init__(self, clients: tuple[int, ...], reason: str) -> None:
        super().__init__(f"clients {', '.join(map(str, clients))}: {reason}")
        self.clients = clients


class SessionLost(LedgerError):
    """A session whose key or records are gone: it can never be taken up again."""


class RoundFailed(SecaggError):
    """A round ended without a result, as the protocol requires. `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EnclaveLost(RoundFailed):
    """An enclave's process died, hung, or spoke nonsense. The round in it is lost, for good."""


class HonestStateRead(SecaggError):
    """An attack reached for what only an honest party has.

    Attributes:
        party: whose.
        name: of the attribute.
    """

    def __init__(self, party: PartyId, name: str) -> None:
        super().__init__(
            f"{party} is honest: expected to see its messages only, {name!r} was asked for"
        )
        self.party = party
        self.name = name


class AttackCheats(VerificationError):
    """The source of an attack uses more than its adversary has.

    Attributes:
        findings: each with file, line and what is done there.
    """

    def __init__(self, findings: tuple[str, ...]) -> None:
        super().__init__("; ".join(findings))
        self.findings = findings


class CannotTell(SecaggError):
    """A question of an audit that its target does not answer. `reason` says why: never a pass."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DoesNotArise(CannotTell):
    """A question of an audit that makes no sense for its target, which has no such thing."""


class AdapterFailed(CannotTell):
    """An adapter crashed, hung, or answered what is no answer: nothing is known of its target."""


class AuditPolicyRefused(ParameterError):
    """A policy of an audit that cannot be read: too large, malformed, or of unknown words."""
