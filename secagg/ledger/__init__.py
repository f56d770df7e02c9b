"""A client's memory on its own disk: opened before it speaks, written before it acts.

`Ledger` holds the rules, a `Storage` the bytes, and a `Keeper` stands between party and driver.
`Participation` is a record of another kind: who was in which sum.
"""

from secagg.ledger.entries import Owner
from secagg.ledger.files import FileStorage, create_device_key, load_device_key
from secagg.ledger.keeper import Keeper
from secagg.ledger.ledger import Ledger
from secagg.ledger.participation import Overlap, Participation, Taken
from secagg.ledger.sqlite import SqliteStorage
from secagg.ledger.storage import MemoryStorage, Storage

__all__ = [
    "FileStorage",
    "Keeper",
    "Ledger",
    "MemoryStorage",
    "Overlap",
    "Owner",
    "Participation",
    "SqliteStorage",
    "Storage",
    "Taken",
    "create_device_key",
    "load_device_key",
]
