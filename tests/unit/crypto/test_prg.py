from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from secagg import kernels
from secagg.crypto import kdf
from secagg.crypto.prg import mask_stream
from secagg.types import Ring, Secret, client


def stream(**changes: object) -> kernels.MaskStream:
    settings: dict[str, object] = {
        "context": bytes(32),
        "purpose": kdf.Purpose.SELF_MASK,
        "parties": (client(1),),
        "protocol": "secagg",
        "ring": Ring(20),
        "length": 100,
        "key_bits": 128,
        "sign": 1,
    }
    return mask_stream(Secret(bytes(range(32))), **(settings | changes))  # type: ignore[arg-type]


def test_keys_and_ivs_are_bound_to_everything() -> None:
    variants = [
        stream(),
        stream(context=b"\1" * 32),
        stream(purpose=kdf.Purpose.PAIR_MASK),
        stream(parties=(client(2),)),
        stream(protocol="secagg_plus"),
        stream(ring=Ring(21)),
        stream(ring=Ring(40)),
        stream(length=101),
        stream(details=(b"x",)),
        stream(vector="other"),
    ]
    assert len({variant.key for variant in variants}) == len(variants)
    assert len({variant.iv for variant in variants}) == len(variants)
    assert stream(sign=-1) == stream()._replace(sign=-1)


def test_a_mask_is_the_keystream_of_any_library() -> None:
    for key_bits in (128, 256):
        chosen = stream(key_bits=key_bits)
        assert (len(chosen.key), len(chosen.iv)) == (key_bits // 8, 12)
        cipher = Cipher(algorithms.AES(chosen.key), modes.CTR(chosen.iv + bytes(4)))
        expected = np.frombuffer(cipher.encryptor().update(bytes(400)), dtype="<u4")
        total = np.zeros(100, dtype=np.uint32)
        kernels.apply_masks(total, [chosen])
        np.testing.assert_array_equal(total, expected)
