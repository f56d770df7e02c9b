"""Arithmetic on ring vectors, masks, fixed point and Shamir shares, at the best level that runs.

Every function here checks its arguments (type, shape, contiguity, overlap, range), so the
implementations below can trust them: `reference` in Python and `native` in C. `levels` chooses.
All of them give the same bytes. Vectors of length zero are allowed and change nothing. Native
calls release the interpreter's lock; nobody may write to the arguments meanwhile.

Functions with `threads` split long vectors among that many threads; without it they use as many
CPUs as this process may (`using_threads` changes that). Results do not depend on the number.
"""

from __future__ import annotations

from secagg.kernels.backend import PRIME, MaskStream
from secagg.kernels.buffers import aligned, wipe
from secagg.kernels.fixed import decode_fixed, decode_signed, encode_fixed
from secagg.kernels.selection import (
    level,
    levels,
    mask_level,
    native_available,
    native_missing,
    select_level,
    using_level,
)
from secagg.kernels.sharing import shamir_combine, shamir_lagrange, shamir_split
from secagg.kernels.threads import threads_in_use, usable_cpus, using_threads
from secagg.kernels.vectors import (
    apply_masks,
    check_packed,
    pack,
    pack_masked,
    ring_add,
    ring_reduce,
    ring_subtract,
    sum_packed,
    unpack,
    unpack_add,
    within,
)

__all__ = [
    "PRIME",
    "MaskStream",
    "aligned",
    "apply_masks",
    "check_packed",
    "decode_fixed",
    "decode_signed",
    "encode_fixed",
    "level",
    "levels",
    "mask_level",
    "native_available",
    "native_missing",
    "pack",
    "pack_masked",
    "ring_add",
    "ring_reduce",
    "ring_subtract",
    "select_level",
    "shamir_combine",
    "shamir_lagrange",
    "shamir_split",
    "sum_packed",
    "threads_in_use",
    "unpack",
    "unpack_add",
    "usable_cpus",
    "using_level",
    "using_threads",
    "wipe",
    "within",
]
