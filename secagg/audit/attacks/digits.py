"""Sixty pictures of handwritten digits, for attacks that recover pictures.

The first sixty of the test part of E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten
Digits", UCI Machine Learning Repository, 1998, doi 10.24432/C50P49, licence CC BY 4.0, in the order
of scikit-learn's load_digits. 8 by 8 pixels, each a count of 0 to 16.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from secagg.audit.attacks.attack import Picture
from secagg.crypto.rng import uniform_below
from secagg.types import Rng

SIDE: Final = 8
PIXELS: Final = SIDE * SIDE
DEEPEST: Final = 16
"""The largest value of a pixel."""

Pixels = npt.NDArray[np.int64]

_COUNTS: Final = "0123456789abcdefg"
_PICTURES: Final = (
    "0005d910000dfaf5003f20b8004c008800580098004b01c7002e5ac00006da000",
    "1000cd500000bg900003fg60007fgg200001gg300001gg600001gg600000bga00",
    "20004fc00003gfe00008d8g000016fb00018df10009gg500003dggb500003bg90",
    "3007fd10008d6f400021dd000002fb1000001cc1000001a8000845e90007dd900",
    "40001b00000078000001d6220007f098005ga0g6004fgdg100003fa000002g400",
    "500ca000000egge0000dgfa1000bgg70000047g7000004g900054cg40009gga00",
    "6000cd000005g800000dg300000ed000000fc720000dgdg30007gbf800019fb30",
    "70078dgf100774bc000008d100488ff6002bff400000g5000009f100000d50000",
    "8009e810000ceec00009a0f40003gce20004gg20003g8ad2001f13g8000bgfb10",
    "900bc000002gggd0003gcae0001g1cf0000dg9f20000309b000009f40009cd300",
    "00019fb0000bg8e6002ga099001g4088004g4088001g51b3000ccaa00001ad300",
    "10000ed100005gg20000egc0001aggc0003ceg9000005gf000004ge000001dg10",
    "2005c100000fe700000d1c00002a0e0000020g1000006f000009gf982003b8dc4",
    "3029fe93004d89g800006ef30000be2000002fb0000002f400156dg6002ccdb00",
    "40008f100001ed11000af3fb007g71g8009gdeg5001afge000001ga00000af400",
    "505cdgg200bgf840008eb100008gge0000166g0000005g300015fd00004fg2000",
    "60008f100000ce000003g7000006g2000007ggd5000fg99e0003e92g20007fgb0",
    "70018fa0003dfee0005a0ac000035fa2000ggggc0018ce830000ad000000b9000",
    "800a7d900009acf20004bab00001ga10000cd400000c1c00001a2e00000be5000",
    "9006e400000bga000008eg200001ccb0000000b30000005b0001447g2007ggdb1",
    "0003db70000bggg2004g91e2004g00g2000g10c8000f90d60009e9e10002cd400",
    "10002gg200004gg20014cgc0007gggc00003age000008gc000006gg200002cf40",
    "2008g500001dbg00000a0d3000031g1000009c000003f500000ef8830007cccd1",
    "3018cfe4003b88cc000002d700002fc100000d50000009d000078ef0000efb200",
    "40000c2000006e100004g780000d90g6006gabg00005adg0000006g000000c800",
    "500c8870003ggb70002e1000005e5000002fg90000002g2000048g40000be9000",
    "6001de300008gd20002gg300003gc100005ge500003gggg6001egggc0003cfe70",
    "70008ee200006afb000000ea0028bcg8008gggg700000bf100009g700000cd100",
    "800ab400000afdd10008b0e40000dfd0001bgg00001f39a0000e6fa00008e7100",
    "9009d700000cgg20000cdg600006gge0000002g30000009a00037ceg2007cccb0",
    "000aeb30004gd6e1004g20b7008g00a5008g00e4008g01g1004g1bf0000bgc300",
    "9002d8000006gg600005fdb000007gf0000000e30000007b0000344g2002fded2",
    "502dgggb005ga541006g7300009ggg6000384bf000001cf00004dg60002gf8000",
    "506d5881008gggg6006g9640006ggf5000045fc000003g900018df30004gf3000",
    "60005e200001db000005g2000006f500001fgfb1002de1c90004g7d900005gf30",
    "503f8860004gggd2003g9200002ggf3000076c9000001ea00005ef20001fe1000",
    "0006ea20000ffdf3002ga0d9001g50c5000g30d6001f56d1000gbea00007gb100",
    "900da100005ge700004g8e00002egg60000149d1000000d60005859e000ddfgd0",
    "80077dg4000dd6c7000a4ab10008ga00003eg0000088b500004a9800001bg6000",
    "9019gd70007e4ac0006f9gb00009b7e0000000f2000000b6003d85e50009eda10",
    "800bac40000cd9g10007dbg00001ge40000agd00000e7c70004e4cd0001bec400",
    "40009f100004gc00000fe2b3004g94ga009gbdg20009gge000008g6000009g200",
    "10000c5000002gc00001cgb0002cgga0006b5f6000001g9000002gb000003g800",
    "70009fc0000477e0000000d300498ad1004gfgg600000e3000009c000000b7000",
    "7009ggg5001ea8g8000007g30038bfgb008ggfb30002g7000008g100000da0000",
    "3009gd6000065gg000008f5000005e30000009f2000000bc00048bfc000bec800",
    "501f4000002ggge2006gb883005gb500000bee1000005g700006gg40000ee4000",
    "10001b9000007gd00004eg9000agbg8000003g6000003g8000005ga000002e600",
    "0002fd30000afbf0003g60a0004g8038008e3048003f1037000eb6e50004cf600",
    "0001fd100007ge80008c92d20079106600590039000f208c0009fdg60000de800",
    "20005ec20007f8e4000623d100001d400001b900008gd000005egb2000006cd30",
    "20003fa10000bag40000c1f6000034f400006f60004fg900000dgf93000049e70",
    "7003cgg6000ab7gb000002ea005b89g3009gggg900149g600000be000004g5000",
    "80048g500009g8b00005a0d20000d4f200009g800008fe50000g5e400006gc100",
    "20001ee30000abd8000070d8000007f10048cf40006gg6000002cc4200001dg50",
    "0002ef50000aggf1003gaag4005g00e6005g60c7001fd4d6000bggf00002bd400",
    "10000cd100008gf2000aggc0004gggd000474g6000001g8000001g8000000cc00",
    "200019b00000dgg00000c7e000000e700005cc00007gg6000049dgb4000009d30",
    "6000ad10001bc700002gc000004gb000004gf840004ggdg60007g7de00007ff50",
    "301afb1000388bc000005ef10000bf2000004f2000000ca000034ag1000dgfa00",
)
"""Each a label, then the pixels row by row, one digit of radix 17 a pixel."""


def drawn(rng: Rng, count: int) -> tuple[Pixels, Pixels]:
    """So many different pictures at random, shape (count, 64), and their labels, shape (count,)."""
    left = list(_PICTURES)
    chosen = [left.pop(uniform_below(rng, len(left))) for _ in range(count)]
    pixels = [[_COUNTS.index(pixel) for pixel in one[1:]] for one in chosen]
    return np.array(pixels, dtype=np.int64), np.array([int(one[0]) for one in chosen])


def picture(title: str, pixels: npt.ArrayLike) -> Picture:
    """To show: stretched from its darkest to its lightest pixel, and eight times as wide."""
    values = np.asarray(pixels, dtype=np.float64).reshape(SIDE, SIDE)
    low, high = float(values.min()), float(values.max())
    grey = np.rint((values - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)
    large = np.kron(grey, np.ones((SIDE, SIDE), dtype=np.uint8))
    return Picture(title, b"P5\n64 64\n255\n" + large.tobytes())


def likeness(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """How alike two pictures are: the magnitude of their correlation, 0 to 1; 0 for a blank one."""
    one, two = (np.asarray(p, dtype=np.float64) for p in (first, second))
    one, two = one - one.mean(), two - two.mean()
    size = float(np.linalg.norm(one) * np.linalg.norm(two))
    return abs(float(one @ two)) / size if size else 0.0
