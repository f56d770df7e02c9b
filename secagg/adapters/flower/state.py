"""What a client keeps between two messages: its ledger, and the results that wait to be added up.

Flower calls a client's function anew for every message, perhaps in another process. What must be
there the next time is in Flower's own records (`RecordState`) or in files (`FolderState`), sealed
in both under a key that only this device has.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
from flwr.app import ConfigRecord, RecordDict

from secagg.codec import Layout, TensorSpec
from secagg.crypto import chunked, kdf
from secagg.crypto.digest import digest, join_framed
from secagg.crypto.rng import SystemRng
from secagg.durable import flush_directory, write_all
from secagg.endpoint.invitation import Tensor
from secagg.errors import (
    DecodeError,
    LedgerError,
    LedgerMissing,
    LedgerUnavailable,
    VerificationError,
)
from secagg.ledger import Ledger, Owner, SqliteStorage, Storage
from secagg.ledger.storage import session_named
from secagg.types import Rng, Secret

LEDGER_RECORD: Final = "secagg.ledger"
RESULTS_RECORD: Final = "secagg.results"
SALT_BYTES: Final = 32
VALUE_BYTES: Final = 4


class Results(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What waits to be added up.

    Attributes:
        job, exchange: what they are the results of.
        model_digest: over everything that came with the work.
        weight: the number of examples.
        tensors: the layout of the vector.
        invitation: SHA-256 of that to the session that has them; empty if none has.
    """

    job: str
    exchange: int
    model_digest: bytes
    weight: int
    tensors: tuple[Tensor, ...]
    invitation: bytes = b""

    @property
    def layout(self) -> Layout:
        """Of the vector."""
        return Layout(tuple(TensorSpec(t.name, t.shape, np.dtype(t.dtype)) for t in self.tensors))


class ClientState(Protocol):
    """One client's memory in one run."""

    def begin(self, owner: Owner) -> None:
        """Make the ledger of a job, unless there is one.

        Raises:
            LedgerError: it cannot be made, or there was one and it is gone.
        """
        ...

    def ledger(self, owner: Owner, sessions_per_round: int) -> Ledger:
        """The ledger of a job, open.

        Raises:
            LedgerError: there is none, or it cannot be relied on.
        """
        ...

    def put(self, results: Results, vector: npt.NDArray[np.float32] | None) -> None:
        """Keep results, in place of any that are here."""
        ...

    def get(self, job: str) -> tuple[Results, npt.NDArray[np.float32] | None] | None:
        """The results that are here for a job, and their vector if it is.

        Raises:
            LedgerError: they cannot be relied on.
        """
        ...


class RecordState:
    """In Flower's records, which live in memory or where the node's software keeps them.

    A restarted node has none: the client is lost to its session, and no more. Nothing here is
    overwritten when it is erased.
    """

    def __init__(self, records: RecordDict, device: Secret) -> None:
        self._records = records
        self._device = device

    def begin(self, owner: Owner) -> None:
        """A ledger in place of that of an earlier job."""
        storage = RecordStorage(self._records)
        if storage.owner != owner.digest:
            storage.clear(owner.digest)
            Ledger.create(storage, owner, self._device, SystemRng())

    def ledger(self, owner: Owner, sessions_per_round: int) -> Ledger:
        """The ledger, if it is that of the job."""
        storage = RecordStorage(self._records)
        if storage.owner != owner.digest:
            raise LedgerMissing(
                "this client was restarted, or has not said hello in this job", place=storage.place
            )
        return Ledger.open(
            storage, owner, self._device, SystemRng(), sessions_per_round=sessions_per_round
        )

    def put(self, results: Results, vector: npt.NDArray[np.float32] | None) -> None:
        """Keep results."""
        sealed = _seal(results, vector, self._device, SystemRng())
        self._records[RESULTS_RECORD] = ConfigRecord({"sealed": bytes(sealed)})

    def get(self, job: str) -> tuple[Results, npt.NDArray[np.float32] | None] | None:
        """The results."""
        record = self._records.get(RESULTS_RECORD)
        if not isinstance(record, ConfigRecord):
            return None
        kept = _open(record.get("sealed"), self._device, RESULTS_RECORD)
        return kept if kept[0].job == job else None


class FolderState:
    """In files of the client's own, which survive its processes.

    A folder has one ledger for each job, and notes that it was made: one that is gone is not
    replaced, for it is what keeps the client from answering twice.
    """

    def __init__(self, folder: Path, device: Secret) -> None:
        self._folder = folder
        self._device = device

    def begin(self, owner: Owner) -> None:
        """The job's ledger, made if it was never made."""
        storage, made = SqliteStorage(self._ledger(owner)), self._path(owner, "made")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return
        except OSError as error:
            raise LedgerUnavailable(error.strerror or str(error), place=str(made)) from None
        os.close(descriptor)
        flush_directory(self._folder)
        Ledger.create(storage, owner, self._device, SystemRng())

    def ledger(self, owner: Owner, sessions_per_round: int) -> Ledger:
        """The job's ledger."""
        return Ledger.open(
            SqliteStorage(self._ledger(owner)),
            owner,
            self._device,
            SystemRng(),
            sessions_per_round=sessions_per_round,
        )

    def put(self, results: Results, vector: npt.NDArray[np.float32] | None) -> None:
        """Keep results: written beside their place and put there whole."""
        sealed = _seal(results, vector, self._device, SystemRng())
        place = self._results(results.job)
        new = place.with_suffix(".new")
        try:
            with suppress(FileNotFoundError):
                new.unlink()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(new, flags, 0o600)
            try:
                write_all(descriptor, sealed)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            new.replace(place)
            flush_directory(self._folder)
        except OSError as error:
            raise LedgerUnavailable(error.strerror or str(error), place=str(place)) from None

    def get(self, job: str) -> tuple[Results, npt.NDArray[np.float32] | None] | None:
        """The results."""
        place = self._results(job)
        try:
            sealed = place.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerUnavailable(error.strerror or str(error), place=str(place)) from None
        kept = _open(sealed, self._device, str(place))
        return kept if kept[0].job == job else None

    def _results(self, job: str) -> Path:
        return self._folder / f"{digest('job', job.encode()).hex()[:32]}.results"

    def _ledger(self, owner: Owner) -> Path:
        return self._path(owner, "ledger")

    def _path(self, owner: Owner, kind: str) -> Path:
        return self._folder / f"{owner.digest.hex()[:32]}.{kind}"


class RecordStorage(Storage):
    """A ledger's bytes in a record of Flower's. Durable as far as Flower's records are."""

    def __init__(self, records: RecordDict) -> None:
        record = records.get(LEDGER_RECORD)
        if not isinstance(record, ConfigRecord):
            record = records[LEDGER_RECORD] = ConfigRecord()
        self._record = record

    @property
    def owner(self) -> bytes:
        """The digest of the owner for whom it was cleared last."""
        return self._bytes("owner")

    @property
    def place(self) -> str:
        """The record's name."""
        return f"record {LEDGER_RECORD!r}"

    def clear(self, owner: bytes) -> None:
        """Forget everything, for another owner."""
        self._record.clear()
        self._record["owner"] = owner

    def create(self, log: bytes, mark: bytes) -> None:
        """A new ledger."""
        if "log" in self._record:
            raise LedgerError("there is a ledger already", place=self.place)
        self._record["log"], self._record["mark"] = log, mark

    def load(self) -> tuple[bytes, bytes]:
        """The log and the mark."""
        if "log" not in self._record:
            raise LedgerMissing("there is no ledger here", place=self.place)
        return self._bytes("log"), self._bytes("mark")

    def append(self, data: bytes) -> None:
        """Add to the end of the log."""
        self._record["log"] = self._bytes("log") + data

    def cut(self, size: int) -> None:
        """Drop all of the log from this byte on."""
        self._record["log"] = self._bytes("log")[:size]

    def replace_mark(self, mark: bytes) -> None:
        """Another mark."""
        self._record["mark"] = mark

    def sessions(self) -> Collection[bytes]:
        """The sessions that have items.

        Raises:
            LedgerCorrupt: somebody else put something there.
        """
        names = {key.partition("/")[0] for key in self._record if "/" in key}
        return {session_named(name, self.place) for name in names}

    def items(self, session: bytes) -> Collection[str]:
        """The names of a session's items."""
        head = f"{session.hex()}/"
        return [key.removeprefix(head) for key in self._record if key.startswith(head)]

    def put(self, session: bytes, name: str, data: bytes | bytearray) -> None:
        """Store an item."""
        self._record[f"{session.hex()}/{name}"] = bytes(data)

    def get(self, session: bytes, name: str) -> bytes | None:
        """An item, or None."""
        key = f"{session.hex()}/{name}"
        return self._bytes(key) if key in self._record else None

    def erase(self, session: bytes, keep: Collection[str] = ()) -> None:
        """Remove a session's items but for those named."""
        for name in list(self.items(session)):
            if name not in keep:
                del self._record[f"{session.hex()}/{name}"]

    def close(self) -> None:
        """Nothing is held open."""

    def _bytes(self, key: str) -> bytes:
        value = self._record.get(key, b"")
        return value if isinstance(value, bytes) else b""


def _seal(
    results: Results, vector: npt.NDArray[np.float32] | None, device: Secret, rng: Rng
) -> bytearray:
    salt = rng.bytes(SALT_BYTES)
    head = msgspec.msgpack.encode(results)
    ending = head + len(head).to_bytes(8, "big")
    data = memoryview(b"") if vector is None else vector.data.cast("B")
    return chunked.seal(_key(device, salt), data, _PLACE, ending=ending, clear=salt)


def _open(
    sealed: object, device: Secret, place: str
) -> tuple[Results, npt.NDArray[np.float32] | None]:
    if not isinstance(sealed, bytes) or len(sealed) < SALT_BYTES:
        raise LedgerError("not the results that were kept", place=place)
    try:
        plain = chunked.open_sealed(
            _key(device, sealed[:SALT_BYTES]), memoryview(sealed)[SALT_BYTES:], _PLACE
        )
        size = int.from_bytes(plain[-8:], "big")
        start = len(plain) - 8 - size
        if start < 0 or start % VALUE_BYTES:
            raise DecodeError(f"of {len(plain)} bytes {size} cannot be all but the vector")
        results = msgspec.msgpack.decode(plain[start:-8], type=Results)
    except (VerificationError, DecodeError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LedgerError(f"results that cannot be relied on: {error}", place=place) from None
    return results, np.frombuffer(plain, np.float32, count=start // VALUE_BYTES) if start else None


def _key(device: Secret, salt: bytes) -> Secret:
    return kdf.derive(
        device,
        context=digest("adapter results", b"flower"),
        purpose=kdf.Purpose.ADAPTER_UPDATE,
        details=(salt,),
        length=chunked.KEY_BYTES,
    )


_PLACE: Final = join_framed(b"secagg adapter results 1", b"flower")
