"""Who takes part: long-term keys in files, and the roster that an authority signs.

The authority is not the server: whoever writes the roster chooses the clients, and a server that
chooses them fills a cohort with its own.
"""

from secagg.enrolment.document import Document, Entry
from secagg.enrolment.files import read_public, replace, write_new
from secagg.enrolment.keyfile import (
    KeyPair,
    create,
    is_protected,
    load,
    load_public,
    public_path,
    read_passphrase,
)
from secagg.enrolment.public import KeyRole, PublicKey, fingerprint
from secagg.enrolment.reason import Reason
from secagg.enrolment.roster import (
    MAX_ROSTER_BYTES,
    check_successor,
    draft,
    inspect,
    sign,
    verify,
)

__all__ = [
    "MAX_ROSTER_BYTES",
    "Document",
    "Entry",
    "KeyPair",
    "KeyRole",
    "PublicKey",
    "Reason",
    "check_successor",
    "create",
    "draft",
    "fingerprint",
    "inspect",
    "is_protected",
    "load",
    "load_public",
    "public_path",
    "read_passphrase",
    "read_public",
    "replace",
    "sign",
    "verify",
    "write_new",
]
