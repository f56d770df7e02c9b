"""A long-term key pair in two files: the private half for its owner's eyes, the public beside it.

The private half is PKCS #8 in PEM (RFC 5958, RFC 7468), under a passphrase if one is given. That
encryption does not authenticate, so the public file decides whether the key is the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from secagg.crypto.rng import SEED_BYTES
from secagg.crypto.signing import SigningKey
from secagg.enrolment import files
from secagg.enrolment.public import MAX_LINE_BYTES, KeyRole, PublicKey
from secagg.errors import DecodeError, FileRefused, ParameterError
from secagg.types import Rng, Secret

SUFFIX: Final = ".pub"
_MAX_BYTES: Final = 4096
_PROTECTED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


@dataclass(frozen=True)
class KeyPair:
    """A key that was loaded, and what its public file says of it."""

    key: SigningKey
    public: PublicKey


def public_path(path: Path) -> Path:
    """Where the public half of the key in `path` is."""
    return path.with_name(path.name + SUFFIX)


def create(
    path: Path, role: KeyRole, name: str, rng: Rng, passphrase: Secret | None = None
) -> PublicKey:
    """Draw a key and write both files; nothing is ever overwritten.

    Raises:
        FileRefused: one of the files is there, or the folder is not safe or not writable.
        ParameterError: no name, or an empty passphrase.
    """
    _check_passphrase(passphrase)
    seed = Secret(rng.bytes(SEED_BYTES))
    public = PublicKey(role, SigningKey(seed).public, name)
    files.check_folder(path)
    beside = public_path(path)
    if beside.exists():
        raise FileRefused(beside, "there is a file already, and it is not overwritten")
    private = Ed25519PrivateKey.from_private_bytes(seed.reveal())
    encoded = bytearray(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.reveal())
            if passphrase is not None
            else serialization.NoEncryption(),
        )
    )
    try:
        files.create(path, encoded, files.PRIVATE_MODE)
    finally:
        encoded[:] = bytes(len(encoded))
    try:
        files.create(beside, public.line.encode(), files.PUBLIC_MODE)
    except FileRefused:
        path.unlink(missing_ok=True)
        raise
    return public


def load(path: Path, passphrase: Secret | None = None) -> KeyPair:
    """A key from its two files.

    Raises:
        FileRefused: a file or its folder is missing, unsafe or no key; the passphrase is wrong,
            missing or not needed; or the two files are not of one key.
    """
    files.check_folder(path)
    encoded = files.read_private(path, _MAX_BYTES)
    try:
        seed = _decode(path, encoded, passphrase)
    finally:
        encoded[:] = bytes(len(encoded))
    public = load_public(public_path(path))
    key = SigningKey(seed)
    if key.public != public.key:
        raise FileRefused(path, f"it is not the private half of {public_path(path)}")
    return KeyPair(key, public)


def load_public(path: Path) -> PublicKey:
    """A public key from its file.

    Raises:
        FileRefused: the file is missing, or not one canonical line.
    """
    try:
        return PublicKey.parse(files.read_public(path, MAX_LINE_BYTES).decode("ascii"))
    except UnicodeDecodeError:
        raise FileRefused(path, "not a public key: it holds more than ASCII") from None
    except DecodeError as error:
        raise FileRefused(path, str(error)) from None


def is_protected(path: Path) -> bool:
    """Whether loading this key takes a passphrase.

    Raises:
        FileRefused: as `load` for the private file.
    """
    encoded = files.read_private(path, _MAX_BYTES)
    try:
        return encoded.lstrip().startswith(_PROTECTED)
    finally:
        encoded[:] = bytes(len(encoded))


def read_passphrase(path: Path) -> Secret:
    """A passphrase from a file of one line that only its owner may read.

    Raises:
        FileRefused: as for a private key; or the file has no line, or several.
    """
    data = files.read_private(path, _MAX_BYTES)
    try:
        line = data.removesuffix(b"\n").removesuffix(b"\r")
        if not line or b"\n" in line:
            raise FileRefused(path, "expected one line with the passphrase")
        return Secret(line)
    finally:
        data[:] = bytes(len(data))


def _decode(path: Path, encoded: bytearray, passphrase: Secret | None) -> Secret:
    protected = encoded.lstrip().startswith(_PROTECTED)
    if protected and passphrase is None:
        raise FileRefused(path, "it is protected by a passphrase, and none was given")
    if passphrase is not None and not protected:
        raise FileRefused(path, "a passphrase was given, but nothing protects it")
    _check_passphrase(passphrase)
    try:
        key = serialization.load_pem_private_key(
            bytes(encoded), passphrase.reveal() if passphrase is not None else None
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        # The library's own words may quote the file: they stay out. A key of another length is an
        # InternalError there.
        reason = "wrong passphrase, or a damaged file" if protected else "not a private key in PEM"
        raise FileRefused(path, reason) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise FileRefused(path, f"expected an Ed25519 key, got {type(key).__name__}")
    return Secret(key.private_bytes_raw())


def _check_passphrase(passphrase: Secret | None) -> None:
    if passphrase is not None and not len(passphrase):
        raise ParameterError("a passphrase has at least one character")
