"""X25519, HKDF, AES-CTR and Shamir in plain Python, from their standards, with no library's code.

Slow and not constant in time: it is there to disagree.
"""

from __future__ import annotations

import hashlib
import hmac

PRIME = 2**255 - 19
FIELD = 2**61 - 1


def x25519(scalar: bytes, point: bytes) -> bytes:
    """RFC 7748, section 5."""
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    number = int.from_bytes(k, "little")
    x1 = int.from_bytes(point, "little") % (1 << 255)
    x2, z2, x3, z3 = 1, 0, x1, 1
    for place in reversed(range(255)):
        bit = number >> place & 1
        if bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a, c * b, a * a, b * b
        x3, z3 = (da + cb) ** 2 % PRIME, x1 * (da - cb) ** 2 % PRIME
        e = aa - bb
        x2, z2 = aa * bb % PRIME, e * (aa + 121665 * e) % PRIME
        if bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, section 2."""
    key = hmac.digest(salt, secret, hashlib.sha256)
    made, block = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([counter]), hashlib.sha256)
        made += block
    return made[:length]


def framed(*parts: bytes) -> bytes:
    """Each part behind its length in 8 bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def times(a: int, b: int) -> int:
    """In GF(2^8) modulo x^8 + x^4 + x^3 + x + 1."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def _substitution() -> list[int]:
    table = []
    for value in range(256):
        inverse = next((c for c in range(256) if times(value, c) == 1), 0)
        table.append(0x63)
        for shift in range(5):
            table[-1] ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
    return table


BOX = _substitution()


def aes(key: bytes, block: bytes) -> bytes:
    """FIPS 197: one block under a key of 16 or 32 bytes."""
    words, rounds = len(key) // 4, len(key) // 4 + 6
    schedule = [list(key[4 * n : 4 * n + 4]) for n in range(words)]
    constant = 1
    for n in range(words, 4 * (rounds + 1)):
        word = list(schedule[-1])
        if n % words == 0:
            word = [BOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = times(constant, 2)
        elif words > 6 and n % words == 4:
            word = [BOX[b] for b in word]
        schedule.append([a ^ b for a, b in zip(schedule[n - words], word, strict=True)])
    keys = [[b for word in schedule[4 * n : 4 * n + 4] for b in word] for n in range(rounds + 1)]
    state = [a ^ b for a, b in zip(block, keys[0], strict=True)]
    for number in range(1, rounds + 1):
        state = [BOX[state[(5 * n) % 16]] for n in range(16)]
        if number < rounds:
            mixed = []
            for column in range(0, 16, 4):
                part = state[column : column + 4]
                for row in range(4):
                    a, b, c, d = (part[(row + k) % 4] for k in range(4))
                    mixed.append(times(a, 2) ^ times(b, 3) ^ c ^ d)
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[number], strict=True)]
    return bytes(state)


def keystream(key: bytes, iv: bytes, length: int) -> bytes:
    """Counter mode from block 0 (SP 800-38A, section 6.5)."""
    blocks = -(-length // 16)
    return b"".join(aes(key, iv + n.to_bytes(4, "big")) for n in range(blocks))[:length]


def interpolate(points: dict[int, int]) -> int:
    """The value at 0 of the polynomial through these points, modulo 2^61 - 1 (Shamir 1979)."""
    total = 0
    for x, y in points.items():
        top = bottom = 1
        for other in points:
            if other != x:
                top, bottom = top * -other % FIELD, bottom * (x - other) % FIELD
        total += y * top * pow(bottom, FIELD - 2, FIELD)
    return total % FIELD
