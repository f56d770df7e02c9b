"""What messages carry: sets, indices, shares, keys, packed vectors, proofs, sealed bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import numpy as np
from fuzz.databases import patched
from fuzz.target import Decode, Target
from unit.he.cases import key_of

from secagg import kernels
from secagg.crypto import aead, hpke, merkle, shamir, signing
from secagg.crypto.agreement import PrivateKey, check_public_key
from secagg.crypto.rng import seeded
from secagg.errors import SecaggError, VerificationError
from secagg.he import jobs, vectors
from secagg.he.channel import Begin
from secagg.he.contexts import PublicContext, SecretContext
from secagg.he.parameters import derive_bfv
from secagg.protocol.cohort import decode_bitmap, encode_bitmap
from secagg.protocols._homomorphic.messages import bitmap, members
from secagg.protocols._masking.checks import read_rows
from secagg.protocols._masking.messages import decode_numbers, encode_numbers
from secagg.types import SERVER, Ring, Secret, client

CLIENTS = tuple(client(number) for number in range(0, 39, 3))


def chosen(*decoders: Decode) -> Decode:
    """The first byte says which of them gets the rest."""

    def decode(data: bytes) -> bytes | None:
        number = data[0] if data else 0
        encoded = decoders[number % len(decoders)](data[1:])
        return None if encoded is None else data[:1] + encoded

    return decode


def numbered(*seeds: Callable[[], Iterable[bytes]]) -> Callable[[], Iterator[bytes]]:
    """For each decoder its seeds."""
    return lambda: (bytes((number,)) + seed for number, each in enumerate(seeds) for seed in each())


def _numbers(data: bytes) -> bytes:
    return encode_numbers(decode_numbers(data))


def _bitmap(data: bytes) -> bytes:
    count = data[0] % len(CLIENTS) + 1 if data else 1
    clients = CLIENTS[:count]
    return data[:1] + encode_bitmap(clients, decode_bitmap(clients, data[1:]))


def _members(data: bytes) -> bytes:
    return bitmap(members(data, CLIENTS, SERVER), CLIENTS)


def _rows(data: bytes) -> bytes:
    size, count = (data[0] % 7, data[1] % 7) if len(data) > 1 else (0, 0)
    # A size is never 0 in the library: it is a constant of the format.
    return data[:2] + b"".join(read_rows(data[2:], size + 1, count, "rows", SERVER))


def _shares(data: bytes) -> bytes:
    if len(data) == shamir.SHARE_BYTES:
        # Two ways to refuse the same: neither may be more lenient.
        verdicts = []
        for check in (shamir.check_share, shamir.decode_shares):
            try:
                check(data)
            except SecaggError:
                verdicts.append(False)
            else:
                verdicts.append(True)
        assert verdicts[0] == verdicts[1]
    return shamir.encode_shares(shamir.decode_shares(data))


def _combined(data: bytes) -> None:
    """Three holders' shares of a secret; of those that combine, the secret splits again."""
    numbers = tuple(range(3))
    shares = shamir.decode_shares(data)
    if shares.shape != (3, shamir.LIMBS):
        raise SecaggError("not three shares")
    (secret,) = shamir.combine(shares[None], numbers)
    assert len(secret) == shamir.SECRET_BYTES


def _split() -> bytes:
    split = shamir.split([Secret(bytes(range(32)))], 3, [0, 1, 2], seeded(1))
    return shamir.encode_shares(split)


def _public(data: bytes) -> None:
    """A key is refused without an agreement just if it is refused with one."""
    verdicts = []
    for check in (check_public_key, lambda key: PrivateKey(Secret(b"1" * 32)).agree(key)):
        try:
            check(data)
        except VerificationError:
            verdicts.append(False)
        else:
            verdicts.append(True)
    assert verdicts[0] == verdicts[1]


def _signature(data: bytes) -> None:
    signing.verify(data[:32], data[32:], "fuzz", b"statement")


def _signed() -> bytes:
    key = signing.SigningKey(Secret(b"k" * 32))
    return key.public + key.sign("fuzz", b"statement")


def _packed(data: bytes) -> bytes:
    bits, length = (data[0] % 64 + 1, data[1]) if len(data) > 1 else (1, 0)
    ring = Ring(bits)
    vector = kernels.unpack(data[2:], ring, length)
    total = np.zeros(length, ring.dtype)
    kernels.unpack_add(total, data[2:], ring)
    assert (total == vector).all()
    return data[:2] + bytes(kernels.pack(vector, ring))


def _vectors() -> Iterator[bytes]:
    for bits, length in ((1, 9), (13, 5), (16, 3), (17, 20), (32, 4), (61, 7)):
        ring = Ring(bits)
        vector = (np.arange(length) * 12345 % (ring.mask + 1)).astype(ring.dtype)
        yield bytes((bits - 1, length)) + bytes(kernels.pack(vector, ring))


def _path(data: bytes) -> None:
    """A leaf of a tree, by its audit path; what has the root of the tree is a leaf of it."""
    index, count = (data[0], data[1]) if len(data) > 1 else (0, 1)
    leaves = [bytes((number,)) for number in range(count)]
    leaf = leaves[index] if index < count else b"leaf"
    root = merkle.root_of_path(leaf, index, count, data[2:])
    tree = merkle.MerkleTree(leaves)
    assert (root == tree.root) == (data[2:] == tree.path(index))


def _paths() -> Iterator[bytes]:
    for index, count in ((0, 1), (2, 5), (4, 5)):
        tree = merkle.MerkleTree([bytes((number,)) for number in range(count)])
        yield bytes((index, count)) + tree.path(index)


def _aead(data: bytes) -> bytes:
    key = Secret(b"k" * 32)
    plain = aead.open_sealed(key, data, b"place")
    # The nonce is drawn, so sealing gives other bytes: these are the only ones that open.
    return data if plain.reveal() == b"plaintext" else b"forged"


def _hpke(data: bytes) -> bytes:
    plain = hpke.OpeningKey(Secret(b"k" * 32)).open(data, b"place")
    return data if plain.reveal() == b"plaintext" else b"forged"


def _sealed() -> tuple[bytes, bytes]:
    public = hpke.OpeningKey(Secret(b"k" * 32)).public
    return (
        aead.seal(Secret(b"k" * 32), b"plaintext", b"place", seeded(1)),
        hpke.seal(public, b"plaintext", b"place", seeded(1)),
    )


@cache
def context() -> SecretContext:
    return key_of(derive_bfv(3, 1, 4).lattice)[0]


def _context(data: bytes) -> None:
    """A real public context, changed in places. Its first byte, if odd, cuts the end off."""
    lattice, good = context().public.lattice, context().public.encoded
    changed = patched(good, data[1:])
    if data and data[0] % 2:
        changed = changed[: -data[0]]
    parsed = PublicContext.parse(changed, lattice)
    assert parsed.encoded == changed
    words = jobs._public_key.__wrapped__(lattice, parsed.residues.tobytes())
    assert words is not None


def _encrypted(data: bytes) -> None:
    """A batch of slots for a worker, perhaps no whole row."""
    lattice = context().public.lattice
    begin = Begin("encrypt", lattice)
    job = jobs.begin(begin, context().public.residues.tobytes())
    size = begin.row_bytes - (data[0] if data else 0)
    assert len(job(patched(bytes(size), data[1:]))) == begin.answer_bytes


def _decrypted(data: bytes) -> None:
    """A batch of ciphertexts for a worker, perhaps no whole row."""
    begin = Begin("decrypt", context().public.lattice)
    job = jobs.begin(begin, context().seed.reveal())
    size = begin.row_bytes - (data[0] if data else 0)
    assert len(job(patched(bytes(size), data[1:]))) == begin.answer_bytes


def _ciphertexts(data: bytes) -> None:
    """Packed ciphertexts: zeros, changed in places."""
    layout = derive_bfv(3, 1, 4)
    packed = patched(bytes(layout.upload_bytes), data)
    residues = vectors.unpack(memoryview(packed), layout)
    assert hashlib.sha256(vectors.pack(residues, layout.lattice)).digest()


TARGETS = (
    Target(
        "columns",
        chosen(_numbers, _bitmap, _members, _rows, _shares),
        (
            "secagg.protocols._masking.messages:decode_numbers",
            "secagg.protocol.cohort:decode_bitmap",
            "secagg.protocols._homomorphic.messages:members",
            "secagg.protocols._masking.checks:read_rows",
            "secagg.crypto.shamir:decode_shares",
            "secagg.crypto.shamir:check_share",
        ),
        numbered(
            lambda: (b"", encode_numbers([1, 2, 70000])),
            lambda: (b"\x0c" + encode_bitmap(CLIENTS, {3, 36}),),
            lambda: (encode_bitmap(CLIENTS, {0}),),
            lambda: (b"\2\2" + bytes(range(6)),),
            lambda: (_split(), _split()[:40]),
        ),
    ),
    Target(
        "shares",
        _combined,
        ("secagg.crypto.shamir:combine",),
        lambda: (_split(),),
    ),
    Target(
        "keys",
        chosen(_public, _signature),
        (
            "secagg.crypto.agreement:_check_encoding",
            "secagg.crypto.agreement:PrivateKey.agree",
            "secagg.crypto.signing:verify",
        ),
        numbered(
            lambda: (PrivateKey(Secret(b"2" * 32)).public, b"\1" + bytes(31), b"\xff" * 32),
            lambda: (_signed(),),
        ),
    ),
    Target(
        "packed",
        _packed,
        ("secagg.kernels.vectors:unpack", "secagg.kernels.vectors:sum_packed"),
        _vectors,
    ),
    Target("merkle", _path, ("secagg.crypto.merkle:root_of_path",), _paths),
    Target(
        "sealed",
        chosen(_aead, _hpke),
        ("secagg.crypto.aead:open_sealed", "secagg.crypto.hpke:OpeningKey.open"),
        numbered(lambda: _sealed()[:1], lambda: _sealed()[1:]),
    ),
    Target(
        "lattices",
        chosen(_context, _ciphertexts, _encrypted, _decrypted),
        (
            "secagg.he.contexts:PublicContext.parse",
            "secagg.he.contexts:_unpacked_key",
            "secagg.he.vectors:unpack",
            "secagg.he.jobs:_public_key",
            "secagg.he.jobs:slots_in",
            "secagg.he.jobs:_decryption.decrypt",
            "secagg.he.seal:decrypt",
        ),
        numbered(
            lambda: (b"\0", b"\0\0\0\0", b"\1", b"\0\1\0\xff"),
            lambda: (b"", b"\0\0\xff\0\1\xff\0\2\xff"),
            lambda: (b"", b"\1", b"\0\0\0\5", b"\0\0\7\xff"),
            lambda: (b"", b"\1", b"\0\0\0\5", b"\0\0\7\xff"),
        ),
    ),
)
