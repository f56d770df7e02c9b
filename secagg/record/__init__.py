"""What may be known of a session by everybody: the server's record of it, and clients' receipts.

A record is text, one JSON object on a line, each naming the digest of the line before; a Merkle
tree (RFC 6962) is over all of them. It holds facts about messages, and of their content what is
public: keys, signatures, commitments, bitmaps, digests. No share, no masked vector and no sum is in
it, open or sealed. docs/verify.md has the format; decision 32 says why it is so.
"""

from secagg.record.lines import FORMAT, MAX_LINE_BYTES, HeadLine, Line, printable
from secagg.record.published import is_recorded
from secagg.record.reader import Place, PlacedLine, read_record
from secagg.record.receipt import MAX_RECEIPT_BYTES, Receipt, ReceiptBook
from secagg.record.recorder import Opening, Recorder
from secagg.record.witness import Witness

__all__ = [
    "FORMAT",
    "MAX_LINE_BYTES",
    "MAX_RECEIPT_BYTES",
    "HeadLine",
    "Line",
    "Opening",
    "Place",
    "PlacedLine",
    "Receipt",
    "ReceiptBook",
    "Recorder",
    "Witness",
    "is_recorded",
    "printable",
    "read_record",
]
