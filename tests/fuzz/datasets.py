"""Files with training data that somebody downloaded."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

from fuzz.documents import folder
from fuzz.target import Target

from fl import idx


def _idx(data: bytes) -> bytes:
    dimensions = data[0] % 4 if data else 1
    found = idx.parse(data[1:], dimensions, "file")
    head = bytes((0, 0, idx.UNSIGNED_BYTE, dimensions))
    sizes = b"".join(size.to_bytes(4, "big") for size in found.shape)
    return data[:1] + head + sizes + found.tobytes()


def _idx_files() -> Iterator[bytes]:
    for sizes in ((3,), (2, 1, 2)):
        head = bytes((len(sizes), 0, 0, idx.UNSIGNED_BYTE, len(sizes)))
        body = bytes(range(4 if len(sizes) > 1 else 3))
        yield head + b"".join(size.to_bytes(4, "big") for size in sizes) + body


def _packed(data: bytes) -> None:
    path = folder() / "data.gz"
    path.write_bytes(data)
    idx._unpack(path)


TARGETS = (
    Target("idx", _idx, ("fl.idx:parse",), _idx_files),
    Target(
        "idx-gzip",
        _packed,
        ("fl.idx:_unpack",),
        lambda: (gzip.compress(b"abc" * 9, mtime=0),),
    ),
)
