"""What somebody demands of a target, beyond what it promises: by level, or from a file.

A policy can demand more and waive single findings with a reason; it cannot make a check pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from secagg.audit.registry import Check
from secagg.audit.verdicts import Result, Severity, Verdict
from secagg.errors import AuditPolicyRefused
from secagg.protocol import (
    Adversary,
    Claim,
    Collusion,
    Dropouts,
    Evidence,
    Exactness,
    Guarantees,
    Level,
    Validity,
)

SCHEMA: Final = "secagg.audit.policy/1"
MAX_BYTES: Final = 1 << 16

CLAIMS: Final[dict[str, type[Claim]]] = {
    "adversary": Adversary,
    "collusion": Collusion,
    "dropouts": Dropouts,
    "exactness": Exactness,
    "validity": Validity,
    "evidence": Evidence,
}
"""By the name of their field in `Guarantees`."""

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gate.

    Attributes:
        schema: of the file.
        about: which target it was made from; for readers.
        adversary, collusion, dropouts, exactness, validity, evidence: the least that is to be
            promised, in the words of `secagg protocols`, such as "lying server"; None for nothing.
        require: checks, or groups of them, that have to pass.
        waive: failures that are let pass, by check, each with a reason.
        fail_on: the least severity of a failure that counts; None for any.
    """

    schema: Literal["secagg.audit.policy/1"] = SCHEMA
    about: Annotated[str, msgspec.Meta(max_length=200)] = ""
    adversary: str | None = None
    collusion: str | None = None
    dropouts: str | None = None
    exactness: str | None = None
    validity: str | None = None
    evidence: str | None = None
    require: tuple[Name, ...] = ()
    waive: dict[Name, Reason] = {}
    fail_on: Severity | None = None

    def demanded(self, field: str) -> Claim | None:
        """The least promise that is demanded in one field.

        Raises:
            AuditPolicyRefused: a word that no promise has.
        """
        word = getattr(self, field)
        return None if word is None else named(field, word)

    @property
    def guarantees(self) -> Guarantees:
        """All that is demanded, and the weakest where nothing is."""
        found: dict[str, Any] = {
            field: self.demanded(field) or next(iter(kind)) for field, kind in CLAIMS.items()
        }
        return Guarantees(**found, source="demanded by a policy")

    def check(self, checks: Sequence[Check]) -> None:
        """Refuse words that mean nothing here.

        Raises:
            AuditPolicyRefused: an unknown promise, or an unknown check or group.
        """
        for field in CLAIMS:
            self.demanded(field)
        known = {check.id for check in checks} | {check.group for check in checks}
        known |= {f"claims.{field}" for field in CLAIMS} | {"claims"}
        for word in (*self.require, *self.waive):
            if word not in known:
                raise AuditPolicyRefused(f"there is no check and no group {word!r}")

    def requires(self, check: str) -> bool:
        """Whether this check has to pass."""
        return check in self.require or check.partition(".")[0] in self.require

    @classmethod
    def of_level(cls, level: Level) -> Policy:
        """What a level promises: the server that is withstood."""
        withstood = {
            Level.CURIOUS: Adversary.CURIOUS_SERVER,
            Level.MALICIOUS: Adversary.LYING_SERVER,
        }
        return cls(about=f"level {level}", adversary=word_of(withstood[level]))

    @classmethod
    def read(cls, path: Path) -> Policy:
        """A policy from a JSON file.

        Raises:
            AuditPolicyRefused: it cannot be read, is too large, or is no policy.
        """
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise AuditPolicyRefused(f"{path}: {error.strerror}") from None
        if len(data) > MAX_BYTES:
            raise AuditPolicyRefused(f"{path}: expected at most {MAX_BYTES} bytes")
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise AuditPolicyRefused(f"{path}: {error}") from None

    @classmethod
    def found(cls, word: str) -> Policy:
        """A policy by the name of a level, else from the file of this name.

        Raises:
            AuditPolicyRefused: as `read`.
        """
        if word in tuple(Level):
            return cls.of_level(Level(word))
        return cls.read(Path(word))

    @classmethod
    def made(cls, about: str, guarantees: Guarantees | None, results: Sequence[Result]) -> Policy:
        """One that freezes what is: the promises, and the checks that passed."""
        words: dict[str, Any] = {
            field: None if guarantees is None else word_of(getattr(guarantees, field))
            for field in CLAIMS
        }
        require = tuple(result.id for result in results if result.verdict is Verdict.PASS)
        return cls(about=about, require=require, **words)

    def encode(self) -> str:
        """As a JSON file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"


def word_of(claim: Claim) -> str:
    """A promise in the words of `secagg protocols`."""
    return claim.name.lower().replace("_", " ")


def named(field: str, word: str) -> Claim:
    """The inverse of `word_of`.

    Raises:
        AuditPolicyRefused: no promise of this field is called so.
    """
    for claim in CLAIMS[field]:
        if word_of(claim) == word:
            return claim
    known = ", ".join(repr(word_of(claim)) for claim in CLAIMS[field])
    raise AuditPolicyRefused(f"{field}: expected one of {known}, got {word!r}")
