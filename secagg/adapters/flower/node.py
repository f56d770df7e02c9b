"""What a client has from its own node's configuration, which the server does not write.

    secagg-device-key   file of this device's key; made if it is not there
    secagg-folder       where ledgers are kept: needed at level malicious
    secagg-key          file of the client's long-term key: needed at level malicious
    secagg-passphrase   file of that key's passphrase, if it has one
    secagg-authority    file of the public key that signs rosters: needed at level malicious

A SuperNode takes them as `--node-config 'secagg-folder="/var/lib/secagg" ...'`. The signed roster
itself comes with the app's configuration, `secagg-roster`, in base64.
"""

from __future__ import annotations

import base64
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flwr.app import Context

from secagg import enrolment
from secagg.crypto.rng import SystemRng
from secagg.errors import LedgerError, LedgerMissing, LedgerUnavailable, ParameterError, PolicyError
from secagg.ledger import create_device_key, load_device_key
from secagg.protocol import Level, Roster
from secagg.types import PartyId, Secret

DEVICE_KEY: Final = "secagg-device-key"
FOLDER: Final = "secagg-folder"
KEY: Final = "secagg-key"
PASSPHRASE: Final = "secagg-passphrase"  # noqa: S105
AUTHORITY: Final = "secagg-authority"
ROSTER: Final = "secagg-roster"


@dataclass(frozen=True)
class Enrolled:
    """A client that a signed roster knows.

    Attributes:
        pair: its long-term key.
        roster: as it verified it.
        me: its number in the roster.
        folder: where its ledgers are.
    """

    pair: enrolment.KeyPair
    roster: Roster
    me: PartyId
    folder: Path


def device_key(context: Context) -> Secret:
    """The key of this device, from its file; drawn and written there the first time.

    Raises:
        LedgerError: it cannot be read or written.
    """
    path = _path(context, DEVICE_KEY) or _state_home() / "secagg" / "device.key"
    try:
        return _loaded_or_made(path)
    except OSError as error:
        reason = error.strerror or str(error)
    except LedgerUnavailable as error:
        reason = str(error)
    raise LedgerUnavailable(
        f"{reason} (name another file by {DEVICE_KEY} in the node's configuration)",
        place=str(path),
    )


def enrolled(context: Context, least_epoch: int) -> Enrolled:
    """The client as the roster in the app's configuration knows it, all checked.

    Raises:
        PolicyError: the node's or the app's configuration lacks something.
        RosterRefused: by the node's pinned authority, or the client is not in it.
        FileRefused: a file is missing, or others may read it.
    """
    folder, key = _needed(context, FOLDER), _needed(context, KEY)
    passphrase = _path(context, PASSPHRASE)
    pair = enrolment.load(
        key, None if passphrase is None else enrolment.read_passphrase(passphrase)
    )
    authority = enrolment.load_public(_needed(context, AUTHORITY)).key
    data = roster_bytes(context.run_config.get(ROSTER))
    roster = enrolment.verify(data, authority, at=int(time.time()), at_least_epoch=least_epoch)
    document, _ = enrolment.inspect(data)
    return Enrolled(pair, roster, document.party_of(pair.public.key), folder)


def roster_bytes(value: object) -> bytes:
    """A signed roster from an app's configuration.

    Raises:
        PolicyError: there is none.
        ParameterError: not base64, or too long.
    """
    if not isinstance(value, str) or not value:
        raise PolicyError(
            ROSTER,
            f"a signed roster in base64 under {ROSTER!r} in the app's configuration",
            "none",
        )
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError as error:
        # Not only `binascii.Error`: text beyond ASCII is another complaint.
        raise ParameterError(f"{ROSTER}: not base64: {error}") from None
    if len(data) > enrolment.MAX_ROSTER_BYTES:
        raise ParameterError(
            f"{ROSTER}: expected at most {enrolment.MAX_ROSTER_BYTES} bytes, got {len(data)}"
        )
    return data


def _loaded_or_made(path: Path) -> Secret:
    try:
        return load_device_key(path)
    except LedgerMissing:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return create_device_key(path, SystemRng())
    except LedgerUnavailable:
        raise
    except LedgerError:
        # Another process of this device was first.
        return load_device_key(path)


def _needed(context: Context, name: str) -> Path:
    path = _path(context, name)
    if path is None:
        raise PolicyError(
            name, f"a path under {name!r} in the node's configuration for {Level.MALICIOUS}", "none"
        )
    return path


def _path(context: Context, name: str) -> Path | None:
    value = context.node_config.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ParameterError(f"{name}: expected a path in the node's configuration")
    return Path(value).expanduser()


def _state_home() -> Path:
    named = os.environ.get("XDG_STATE_HOME")
    return Path(named) if named else Path.home() / ".local" / "state"
