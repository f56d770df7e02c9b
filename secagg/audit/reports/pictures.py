"""Greyscale pictures for a page that asks nobody: PGM (P5) to PNG (ISO 15948), in an address."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import Final

MOST_PIXELS: Final = 1 << 20

_HEADER: Final = re.compile(rb"P5\s(\d{1,5})\s(\d{1,5})\s255\s")
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def address_of(pgm: bytes) -> str | None:
    """The picture as a data address; None if it is not one of 8 bits a pixel, or a large one."""
    header = _HEADER.match(pgm)
    if header is None:
        return None
    width, height = map(int, header.groups())
    pixels = pgm[header.end() :]
    if not 0 < width * height <= MOST_PIXELS or len(pixels) != width * height:
        return None
    rows = b"".join(b"\0" + pixels[start : start + width] for start in range(0, len(pixels), width))
    png = (
        _SIGNATURE
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
