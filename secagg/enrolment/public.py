"""A public key on one line, to be mailed, compared by telephone and added to a roster.

secagg-ed25519 ROLE KEY-IN-BASE64 FINGERPRINT NAME
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from secagg.crypto.digest import digest
from secagg.crypto.signing import PUBLIC_KEY_BYTES
from secagg.errors import DecodeError, ParameterError

FORMAT: Final = "secagg-ed25519"
MAX_LINE_BYTES: Final = 256
# Printable and plain: a name reaches terminals and reports, and two must not look alike.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_FINGERPRINT_BYTES: Final = 20


class KeyRole(StrEnum):
    """What a long-term key is for."""

    CLIENT = "client"
    AUTHORITY = "authority"
    SERVER = "server"
    AUDITOR = "auditor"


def fingerprint(key: bytes) -> str:
    """40 hexadecimal digits that people compare."""
    return digest("fingerprint", key)[:_FINGERPRINT_BYTES].hex()


def is_name(name: str) -> bool:
    """Whether this names a key's owner or a federation: up to 64 letters, digits and `._@-`."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class PublicKey:
    """Whose public key, and what for.

    Raises:
        ParameterError: a key of another length, or no name.
    """

    role: KeyRole
    key: bytes
    name: str

    def __post_init__(self) -> None:
        if len(self.key) != PUBLIC_KEY_BYTES:
            raise ParameterError(f"a key has {PUBLIC_KEY_BYTES} bytes, got {len(self.key)}")
        if not is_name(self.name):
            raise ParameterError(
                f"a name has 1 to 64 letters, digits and . _ @ - and starts with a letter or"
                f" digit, got {self.name!r}"
            )

    @property
    def fingerprint(self) -> str:
        """For people to compare."""
        return fingerprint(self.key)

    @property
    def line(self) -> str:
        """The key on one line, with the line's end."""
        encoded = base64.b64encode(self.key).decode()
        return f"{FORMAT} {self.role} {encoded} {self.fingerprint} {self.name}\n"

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """The inverse of `line`.

        Raises:
            DecodeError: anything that `line` does not write, a wrong fingerprint included.
        """
        fields = text.removesuffix("\n").split(" ")
        if len(fields) != 5 or fields[0] != FORMAT:
            raise DecodeError(f"a public key is one line: {FORMAT} ROLE KEY FINGERPRINT NAME")
        _, role, encoded, print_, name = fields
        try:
            public = cls(KeyRole(role), base64.b64decode(encoded, validate=True), name)
        except (binascii.Error, ValueError) as error:
            raise DecodeError(f"not a public key: {error}") from None
        if public.fingerprint != print_:
            raise DecodeError(
                f"the fingerprint of the key is {public.fingerprint}, the line says {print_!r}"
            )
        if public.line != text:
            raise DecodeError("not the canonical line of a public key")
        return public
