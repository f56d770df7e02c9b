"""The kernels in C. The only importer of `secagg._native`.

Importing this module fails with ImportError where the compiled module is missing;
`secagg.kernels.selection` then falls back to the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from secagg._native import ffi, lib  # noqa: TID251
from secagg.kernels import reference
from secagg.kernels.backend import (
    BLOCK_BYTES,
    SECRET_BYTES,
    Buffer,
    Encoding,
    MaskStream,
    Status,
    Words,
)
from secagg.kernels.reference import keystream, keystream_words
from secagg.types import LANE_BITS, RingVector

_TILE: Final = 1 << 18
"""Bytes of keystream per call into `cryptography`: enough to hide the call, still in the cache."""

_RECORD: Final = ffi.sizeof("struct secagg_mask_stream")


def _by_lane(name: str) -> dict[int, Any]:
    """The three functions of a family and verb, by the size of a lane in bytes."""
    return {bits // 8: getattr(lib, f"secagg_{name}_u{bits}") for bits in LANE_BITS}


_RING_ADD: Final = _by_lane("ring_add")
_RING_SUBTRACT: Final = _by_lane("ring_subtract")
_RING_REDUCE: Final = _by_lane("ring_reduce")
_RING_PACK: Final = _by_lane("ring_pack")
_RING_UNPACK: Final = _by_lane("ring_unpack")
_RING_SUM: Final = _by_lane("ring_sum")
_RING_WITHIN: Final = _by_lane("ring_within")
_MASK_APPLY: Final = _by_lane("mask_apply")
_MASK_PACK: Final = _by_lane("mask_pack")
_FIXED_ENCODE: Final = _by_lane("fixed_encode")
_FIXED_ENCODE_MASKED: Final = _by_lane("fixed_encode_masked")
_FIXED_CENTER: Final = _by_lane("fixed_center")
_FIXED_DECODE: Final = _by_lane("fixed_decode")


def supported(level: str) -> bool:
    """Whether this build and this CPU can run the level."""
    return bool(lib.secagg_cpu_supported(level.encode()))


def select(level: str) -> None:
    """Make the C core use the level, which must be supported."""
    if lib.secagg_cpu_select(level.encode()) != Status.OK:
        raise AssertionError(f"level {level} was not checked before it was selected")


def _lanes(vector: RingVector, *, write: bool = False) -> Any:
    return ffi.from_buffer(f"uint{8 * vector.itemsize}_t[]", vector, require_writable=write)


def _bytes(buffer: object, *, write: bool = False) -> Any:
    return ffi.from_buffer("uint8_t[]", buffer, require_writable=write)


def _words(array: Words, *, write: bool = False) -> Any:
    return ffi.from_buffer("uint64_t[]", array, require_writable=write)


def ring_add(total: RingVector, vector: RingVector) -> None:
    """Add vector to total, wrapping in the lane."""
    _RING_ADD[total.itemsize](_lanes(total, write=True), _lanes(vector), len(total))


def ring_subtract(total: RingVector, vector: RingVector) -> None:
    """Subtract vector from total, wrapping in the lane."""
    _RING_SUBTRACT[total.itemsize](_lanes(total, write=True), _lanes(vector), len(total))


def ring_reduce(total: RingVector, bits: int) -> None:
    """Keep the low `bits` bits of every element."""
    _RING_REDUCE[total.itemsize](_lanes(total, write=True), len(total), bits)


def within(vector: RingVector, bits: int, bound: int) -> bool:
    """In one pass."""
    return bool(_RING_WITHIN[vector.itemsize](_lanes(vector), len(vector), bits, bound))


def pack(packed: memoryview, vector: RingVector, bits: int) -> None:
    """Fill `packed`, which has the exact size."""
    _RING_PACK[vector.itemsize](_bytes(packed, write=True), _lanes(vector), len(vector), bits)


def unpack(vector: RingVector, packed: Buffer, bits: int) -> Status:
    """The inverse of `pack`."""
    function = _RING_UNPACK[vector.itemsize]
    return Status(function(_lanes(vector, write=True), _bytes(packed), len(vector), bits))


def sum_packed(total: RingVector, packed: Sequence[Buffer], bits: int) -> Status:
    """Unpacked and added, several in one pass over the total."""
    vectors = [_bytes(one) for one in packed]
    pointers = ffi.new("uint8_t *[]", vectors)
    function = _RING_SUM[total.itemsize]
    return Status(function(_lanes(total, write=True), pointers, len(packed), len(total), bits))


def apply_masks(total: RingVector, streams: Sequence[MaskStream], offset: int) -> None:
    """One native call for all streams; without AES instructions, tiles from `cryptography`."""
    if not lib.secagg_cpu_has_masks():
        _apply_masks_by_tiles(total, streams, offset)
        return
    records = _records(streams)
    status = _MASK_APPLY[total.itemsize](
        _lanes(total, write=True), len(total), offset, _structs(records), len(streams)
    )
    wipe(records)
    if status != Status.OK:
        raise AssertionError(f"arguments were not checked: {Status(status).name}")


def pack_masked(
    packed: memoryview, vector: RingVector, streams: Sequence[MaskStream], offset: int, bits: int
) -> None:
    """Copied, masked and packed in tiles; without AES instructions, one after the other."""
    if not lib.secagg_cpu_has_masks():
        masked = vector.copy()
        _apply_masks_by_tiles(masked, streams, offset)
        pack(packed, masked, bits)
        return
    records = _records(streams)
    status = _MASK_PACK[vector.itemsize](
        _bytes(packed, write=True),
        _lanes(vector),
        len(vector),
        offset,
        bits,
        _structs(records),
        len(streams),
    )
    wipe(records)
    if status != Status.OK:
        raise AssertionError(f"arguments were not checked: {Status(status).name}")


def _records(streams: Sequence[MaskStream]) -> bytearray:
    """The streams as C structs, to be wiped after use."""
    records = bytearray(_RECORD * len(streams))
    for number, stream in enumerate(streams):
        start = number * _RECORD
        records[start : start + len(stream.key)] = stream.key
        records[start + 32 : start + 44] = stream.iv
        records[start + 44] = len(stream.key)
        records[start + 45] = stream.sign & 0xFF
    return records


def _structs(records: bytearray) -> Any:
    return ffi.from_buffer("struct secagg_mask_stream[]", records)


def _apply_masks_by_tiles(total: RingVector, streams: Sequence[MaskStream], offset: int) -> None:
    block, skip = divmod(offset * total.itemsize, BLOCK_BYTES)
    generators = [keystream(stream, block) for stream in streams]
    for generator in generators:
        generator.update(bytes(skip))
    zeros = bytes(min(_TILE, total.nbytes))
    # update_into asks for room for one more block.
    scratch = np.empty(len(zeros) + BLOCK_BYTES, dtype=np.uint8)
    step = _TILE // total.itemsize
    for start in range(0, len(total), step):
        tile = total[start : start + step]
        mask: RingVector = scratch[: tile.nbytes].view(total.dtype)
        for stream, generator in zip(streams, generators, strict=True):
            generator.update_into(memoryview(zeros)[: tile.nbytes], scratch.data)
            if stream.sign > 0:
                ring_add(tile, mask)
            else:
                ring_subtract(tile, mask)
    wipe(scratch)


def encode_fixed(
    out: RingVector, values: npt.NDArray[np.float32], encoding: Encoding, offset: int
) -> tuple[Status, int]:
    """Clamp, scale, round and mask, in one pass where there are AES instructions."""
    randomness, mask = encoding.randomness, encoding.mask
    if lib.secagg_cpu_has_masks() and not isinstance(randomness, np.ndarray):
        return _encode_with_streams(out, values, encoding, offset)
    if isinstance(randomness, MaskStream):
        randomness = keystream_words(randomness, offset, len(values))
    report = ffi.new("uint64_t *")
    status = _FIXED_ENCODE[out.itemsize](
        _lanes(out, write=True),
        ffi.from_buffer("float[]", values),
        ffi.NULL if randomness is None else ffi.from_buffer("uint16_t[]", randomness),
        len(values),
        encoding.clip,
        encoding.scale,
        encoding.bits,
        report,
    )
    if status == Status.OK and mask is not None:
        apply_masks(out, [mask], offset)
    return Status(status), int(report[0])


def _encode_with_streams(
    out: RingVector, values: npt.NDArray[np.float32], encoding: Encoding, offset: int
) -> tuple[Status, int]:
    streams = [s for s in (encoding.randomness, encoding.mask) if isinstance(s, MaskStream)]
    records = _records(streams)
    structs = _structs(records)
    struct = ffi.new("struct secagg_encoding *")
    struct.clip, struct.scale, struct.bits = encoding.clip, encoding.scale, encoding.bits
    if encoding.randomness is not None:
        struct.rounding = structs + 0
    if encoding.mask is not None:
        struct.mask = structs + len(streams) - 1
    report = ffi.new("uint64_t *")
    status = _FIXED_ENCODE_MASKED[out.itemsize](
        _lanes(out, write=True),
        ffi.from_buffer("float[]", values),
        len(values),
        offset,
        struct,
        report,
    )
    wipe(records)
    return Status(status), int(report[0])


def decode_signed(out: npt.NDArray[np.int64], vector: RingVector, bits: int) -> None:
    """Centred representatives."""
    pointer = ffi.from_buffer("int64_t[]", out, require_writable=True)
    _FIXED_CENTER[vector.itemsize](pointer, _lanes(vector), len(vector), bits)


def decode_fixed(
    out: npt.NDArray[np.float64], vector: RingVector, bits: int, divisor: float
) -> None:
    """Centred representatives over `divisor`."""
    pointer = ffi.from_buffer("double[]", out, require_writable=True)
    _FIXED_DECODE[vector.itemsize](pointer, _lanes(vector), len(vector), bits, divisor)


def shamir_split(shares: Words, secrets: Buffer, coefficients: Words, points: Words) -> Status:
    """Horner's rule in constant time."""
    return Status(
        lib.secagg_shamir_split_m61(
            _words(shares, write=True),
            _bytes(secrets),
            len(secrets) // SECRET_BYTES,
            _words(coefficients),
            coefficients.shape[2],
            _words(points),
            len(points),
        )
    )


def shamir_lagrange(lagrange: Words, points: Words) -> Status:
    """Weights of the shares at these points."""
    pointer = _words(lagrange, write=True)
    return Status(lib.secagg_shamir_lagrange_m61(pointer, _words(points), len(points)))


def shamir_combine(secrets: bytearray, shares: Words, lagrange: Words) -> Status:
    """Weighted sums of the shares in constant time."""
    return Status(
        lib.secagg_shamir_combine_m61(
            _bytes(secrets, write=True),
            _words(shares),
            len(shares),
            _words(lagrange),
            len(lagrange),
        )
    )


def keystream_passes(out: npt.NDArray[np.uint8], passes: int, stream: MaskStream) -> None:
    """What the level can do at best; without AES instructions, what `cryptography` can."""
    if not lib.secagg_cpu_has_masks():
        reference.keystream_passes(out, passes, stream)
        return
    records = _records([stream])
    status = lib.secagg_speed_keystream(
        _bytes(out, write=True), len(out), passes, _structs(records)
    )
    wipe(records)
    if status != Status.OK:
        raise AssertionError(f"arguments were not checked: {Status(status).name}")


def read(buffer: npt.NDArray[np.uint8]) -> int:
    """The sum of the words."""
    return int(lib.secagg_speed_read(_bytes(buffer), len(buffer)))


def copy(to: npt.NDArray[np.uint8], source: npt.NDArray[np.uint8]) -> None:
    """The system's memcpy."""
    lib.secagg_speed_copy(_bytes(to, write=True), _bytes(source), len(source))


def wipe(buffer: bytearray | npt.NDArray[Any]) -> None:
    """Overwrite with zeros in a way that no compiler removes."""
    pointer = _bytes(buffer, write=True)
    lib.secagg_bytes_wipe(pointer, len(pointer))
