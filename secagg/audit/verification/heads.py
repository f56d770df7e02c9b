"""What the server signed: the head of this record, and other heads of it that somebody kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from secagg.audit.verification.verdicts import Standing, Verdict, uncheckable
from secagg.crypto import signing
from secagg.enrolment import fingerprint
from secagg.errors import DecodeError, RecordRefused, VerificationError
from secagg.record.lines import HEAD_CONTEXT, MAX_LINE_BYTES, EndLine, HeadLine, printable
from secagg.record.reader import decode_line
from secagg.record.recorder import head_statement

HEAD: Final = "signature of the server"
RESULT: Final = "result"
ONE_HEAD: Final = "one head"


def decode_head(data: bytes) -> HeadLine:
    """A head that somebody kept: the last line of a record, with its end.

    Raises:
        RecordRefused: it is none.
    """
    try:
        line = decode_line(data[: MAX_LINE_BYTES + 1].removesuffix(b"\n"))
    except DecodeError as error:
        raise RecordRefused(f"not the last line of a record: {error}") from None
    if not isinstance(line, HeadLine) or not data.endswith(b"\n"):
        raise RecordRefused("not the last line of a record")
    return line


def judge_server(
    believed: bytes | None, made: HeadLine, place: object, end: EndLine | None
) -> Iterator[Verdict]:
    """Whether the server stands behind the record, and behind the result in it.

    Args:
        believed: the server's public key, if the verifier knows one.
        made: the head with the size and the root that were computed.
        place: of the head in the record.
        end: what the session came to.
    """
    signed = uncheckable(HEAD, "no server signed this record: nothing in it is a server's word")
    if made.signature or believed is not None:
        wrong = _wrong(believed, made)
        signed = Verdict(
            check=HEAD,
            standing=_standing(believed),
            holds=wrong is None,
            details=wrong or f"{fingerprint(bytes.fromhex(made.server))} signed the head",
            place=None if wrong is None else str(place),
        )
    yield signed
    if end is None or end.outcome != "released":
        reason = "nothing" if end is None else printable(end.reason)
        yield uncheckable(RESULT, f"no sum was released, the record says: {reason}")
    elif signed.standing is Standing.PROVED and signed.holds:
        yield Verdict(
            check=RESULT,
            standing=Standing.PROVED,
            holds=True,
            details=f"the server signed the commitment {end.result} to its sum",
        )
    else:
        yield uncheckable(RESULT, f"{end.result} commits whoever made this record to a sum")


def judge_heads(
    believed: bytes | None, made: HeadLine, kept: Sequence[HeadLine]
) -> Iterator[Verdict]:
    """Whether heads that somebody kept are this record's.

    Two that the server signed prove that it has two logs of a session; of others anybody could
    have made either.

    Args:
        believed: the server's public key, if the verifier knows one.
        made: the head of this record, as computed.
        kept: heads that somebody kept.
    """
    for other in kept:
        wrong = _wrong(believed, other) if other.signature or believed is not None else None
        if other.session != made.session:
            wrong = f"it is of session {other.session}, not of {made.session}"
        elif wrong is None and (other.size, other.root) != (made.size, made.root):
            wrong = (
                f"two logs of one session: {made.size} lines under {made.root} here,"
                f" {other.size} under {other.root} there"
            )
        yield Verdict(
            check=ONE_HEAD,
            standing=_standing(believed),
            holds=wrong is None,
            details=wrong or f"a head that was kept has this root too, {made.root}",
        )


def _standing(believed: bytes | None) -> Standing:
    return Standing.CONSISTENT if believed is None else Standing.PROVED


def _wrong(believed: bytes | None, head: HeadLine) -> str | None:
    """What is wrong with a signature."""
    if believed is not None and head.server != believed.hex():
        return f"expected the key {believed.hex()}, got {head.server or 'none'}"
    statement = head_statement(bytes.fromhex(head.session), head.size, bytes.fromhex(head.root))
    try:
        signing.verify(
            bytes.fromhex(head.server), bytes.fromhex(head.signature), HEAD_CONTEXT, statement
        )
    except VerificationError as error:
        return str(error)
    return None
