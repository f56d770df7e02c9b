"""Files that hold keys and rosters: who may read them, and writing them whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from secagg.durable import flush_directory, write_all
from secagg.errors import FileRefused

PRIVATE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def check_folder(path: Path) -> None:
    """Refuse to keep a key where others can put another file in its place.

    Raises:
        FileRefused: the folder is missing, belongs to another user, or others may write to it.
    """
    folder = path.parent
    try:
        status = folder.stat()
    except OSError as error:
        raise FileRefused(folder, _words(error)) from None
    if not stat.S_ISDIR(status.st_mode):
        raise FileRefused(folder, "expected a folder")
    _check_owner(folder, status)
    # In a folder with the sticky bit, as /tmp, nobody can replace the files of others.
    if status.st_mode & _OTHERS_WRITE and not status.st_mode & stat.S_ISVTX:
        raise FileRefused(
            folder,
            f"others may replace files here (mode {stat.S_IMODE(status.st_mode):04o}): chmod go-w",
        )


def create(path: Path, data: bytes | bytearray, mode: int) -> None:
    """Write a new file, to the disk.

    Raises:
        FileRefused: there is a file, or it cannot be written; then there is none.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, mode)
    except FileExistsError:
        raise FileRefused(path, "there is a file already, and it is not overwritten") from None
    except OSError as error:
        raise FileRefused(path, _words(error)) from None
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            os.fchmod(file.fileno(), mode)
            write_all(file.fileno(), data)
            os.fsync(file.fileno())
        flush_directory(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise FileRefused(path, _words(error)) from None


def write_new(path: Path, data: bytes) -> None:
    """Write a file that everybody may read, and that was not there.

    Raises:
        FileRefused: there is a file, or it cannot be written.
    """
    create(path, data, PUBLIC_MODE)


def replace(path: Path, data: bytes) -> None:
    """Write a file anew: after a crash it holds the old bytes or the new ones.

    Raises:
        FileRefused: it cannot be written; what was there stays.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    create(draft, data, PUBLIC_MODE)
    try:
        draft.replace(path)
        flush_directory(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise FileRefused(path, _words(error)) from None


def read_private(path: Path, limit: int) -> bytearray:
    """A file that only its owner may read; the caller wipes what it got.

    What is checked is the open file, so that nobody can swap it in between.

    Raises:
        FileRefused: missing, no plain file, of another user, readable by others, or longer than
            `limit` bytes.
    """
    with _Opened(path) as descriptor:
        status = os.fstat(descriptor)
        _check_owner(path, status)
        if status.st_mode & _OTHERS:
            raise FileRefused(
                path,
                f"others may read or change it (mode {stat.S_IMODE(status.st_mode):04o}): expected"
                f" mode {PRIVATE_MODE:04o}, chmod 600",
            )
        return _read(path, descriptor, limit)


def read_public(path: Path, limit: int) -> bytes:
    """A file of at most `limit` bytes.

    Raises:
        FileRefused: missing, no plain file, or longer.
    """
    with _Opened(path) as descriptor:
        return bytes(_read(path, descriptor, limit))


class _Opened:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> int:
        try:
            # Non-blocking, or a pipe under this name would hang us here.
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise FileRefused(self._path, _words(error)) from None
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.close(self._descriptor)
            raise FileRefused(self._path, "expected a plain file")
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _read(path: Path, descriptor: int, limit: int) -> bytearray:
    data = bytearray(min(os.fstat(descriptor).st_size, limit) + 1)
    filled = 0
    try:
        while filled < len(data):
            count = os.readv(descriptor, [memoryview(data)[filled:]])
            if not count:
                break
            filled += count
    except OSError as error:
        raise FileRefused(path, _words(error)) from None
    if filled > limit:
        raise FileRefused(path, f"expected at most {limit} bytes")
    if filled == len(data):
        raise FileRefused(path, "it grew while it was read")
    del data[filled:]
    return data


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise FileRefused(path, f"it belongs to user {status.st_uid}, not to {os.geteuid()}")


def _words(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
