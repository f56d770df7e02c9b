"""For whoever embeds the library: one object on each side of a channel, bytes in and bytes out.

`Invitation` is what both sides agree on, `ClientEndpoint` and `ServerEndpoint` are one party of one
session each. They do no I/O, read no clock and start no thread: docs/embedding.md.
"""

from secagg.endpoint.base import BeaconSource, Endpoint, Outgoing, reads_beacon
from secagg.endpoint.client import ClientEndpoint
from secagg.endpoint.invitation import MAX_INVITATION_BYTES, Invitation
from secagg.endpoint.records import FileRecords, MemoryRecords, RecordStore
from secagg.endpoint.server import Mean, Refusal, ServerEndpoint
from secagg.endpoint.sqlite_records import SqliteRecords
from secagg.endpoint.timing import Deadlines

__all__ = [
    "MAX_INVITATION_BYTES",
    "BeaconSource",
    "ClientEndpoint",
    "Deadlines",
    "Endpoint",
    "FileRecords",
    "Invitation",
    "Mean",
    "MemoryRecords",
    "Outgoing",
    "RecordStore",
    "Refusal",
    "ServerEndpoint",
    "SqliteRecords",
    "reads_beacon",
]
