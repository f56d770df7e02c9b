"""Why a roster, or a place in it, is refused."""

from enum import StrEnum


class Reason(StrEnum):
    """The `reason` of a `RosterRefused`."""

    MALFORMED = "malformed roster"
    UNSIGNED = "unsigned roster"
    WRONG_AUTHORITY = "roster of another authority"
    BAD_SIGNATURE = "bad signature on the roster"
    AUTHORITY_IS_SERVER = "the authority is the server"
    WRONG_FEDERATION = "roster of another federation"
    NOT_YET_VALID = "roster not yet valid"
    EXPIRED = "expired roster"
    ROLLBACK = "older roster"
    DUPLICATE_KEY = "a key twice"
    CHANGED_HISTORY = "changed history"
    UNKNOWN = "unknown identity"
    REVOKED = "revoked identity"
