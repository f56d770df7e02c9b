"""What a client of either level checks of what the server says. Each refusal names the server."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from secagg.crypto.agreement import check_public_key
from secagg.errors import (
    CohortTooSmall,
    DecodeError,
    InvalidKey,
    RemoteProtocolError,
    VerificationError,
)
from secagg.protocol.cohort import decode_bitmap, is_subset
from secagg.protocols._masking.keyring import PublicKeys
from secagg.protocols._masking.messages import KEY_BYTES, decode_numbers
from secagg.protocols._masking.plan import GRAPH_SEED_BYTES, MaskingPlan
from secagg.types import PartyId


def read_bitmap(plan: MaskingPlan, bitmap: bytes, sender: PartyId) -> frozenset[int]:
    """The clients of a bitmap.

    Raises:
        RemoteProtocolError: it is no bitmap over the plan's clients.
    """
    try:
        return decode_bitmap(plan.task.clients, bitmap)
    except DecodeError as error:
        raise RemoteProtocolError(sender, str(error)) from None


def read_numbers(column: bytes, sender: PartyId) -> tuple[int, ...]:
    """The roster indices of a column.

    Raises:
        RemoteProtocolError: they are not whole, or do not ascend.
    """
    try:
        return decode_numbers(column)
    except DecodeError as error:
        raise RemoteProtocolError(sender, str(error)) from None


def read_rows(column: bytes, size: int, count: int, what: str, sender: PartyId) -> list[bytes]:
    """`count` rows of `size` bytes.

    Raises:
        RemoteProtocolError: the column has another size.
    """
    if len(column) != size * count:
        raise RemoteProtocolError(
            sender, f"expected {size} bytes of {what} for each of {count}, got {len(column)}"
        )
    return [column[start : start + size] for start in range(0, len(column), size)]


def check_cohort(
    plan: MaskingPlan, me: PartyId, cohort: bytes, neighbours: bytes, sender: PartyId
) -> tuple[int, ...]:
    """The neighbours' roster indices, of a cohort with enough clients and me.

    Raises:
        CohortTooSmall: fewer clients than the plan begins with.
        RemoteProtocolError: I am not in the cohort, or a neighbour is not, or they are too few.
    """
    members, numbers = read_bitmap(plan, cohort, sender), read_numbers(neighbours, sender)
    check_size(plan, members, sender)
    others = members - {me.number}
    if me.number not in members or not others.issuperset(numbers):
        raise RemoteProtocolError(sender, "expected a cohort with me and all my neighbours")
    expected = len(others) if plan.complete else min(plan.degree, len(others))
    if len(numbers) != expected:
        raise RemoteProtocolError(sender, f"expected {expected} neighbours, got {len(numbers)}")
    return numbers


def check_size(plan: MaskingPlan, members: Collection[int], sender: PartyId) -> None:
    """Enough clients to begin with.

    Raises:
        CohortTooSmall: fewer than the plan begins with.
    """
    if len(members) < plan.smallest_cohort:
        raise CohortTooSmall(
            sender,
            f"expected at least {plan.smallest_cohort} clients in phase advertise, got"
            f" {len(members)}",
        )


def check_graph_seed(plan: MaskingPlan, seed: bytes, sender: PartyId) -> None:
    """Of the complete graph nothing is drawn.

    Raises:
        RemoteProtocolError: a seed where there is none, or of another size.
    """
    if len(seed) != (0 if plan.complete else GRAPH_SEED_BYTES):
        raise RemoteProtocolError(
            sender, f"a graph seed of {len(seed)} bytes does not fit the plan"
        )


def check_keys(
    mine: PublicKeys, numbers: Sequence[int], column: bytes, sender: PartyId
) -> dict[int, PublicKeys]:
    """The neighbours' public keys, all different, mine included.

    Raises:
        InvalidKey: a key is malformed, of low order, or there twice.
        RemoteProtocolError: the column has another size.
    """
    rows = read_rows(column, 2 * KEY_BYTES, len(numbers), "keys", sender)
    pairs = [PublicKeys(row[:KEY_BYTES], row[KEY_BYTES:]) for row in rows]
    keys = [key for pair in pairs for key in pair]
    for key in keys:
        try:
            check_public_key(key)
        except VerificationError as error:
            raise InvalidKey(sender, str(error)) from None
    if len({*keys, *mine}) != len(keys) + len(mine):
        raise InvalidKey(sender, "expected distinct public keys, got one twice")
    return dict(zip(numbers, pairs, strict=True))


def check_dealers(
    plan: MaskingPlan, neighbours: Collection[int], dealers: bytes, sender: PartyId
) -> tuple[int, ...]:
    """The neighbours who dealt shares: my partners in masking.

    Raises:
        CohortTooSmall: with me they are fewer than the threshold.
        RemoteProtocolError: somebody else is among them.
    """
    numbers = read_numbers(dealers, sender)
    if not set(neighbours).issuperset(numbers):
        raise RemoteProtocolError(sender, "expected dealers among my neighbours, got others")
    if len(numbers) + 1 < plan.threshold:
        raise CohortTooSmall(
            sender,
            f"expected shares of at least {plan.threshold} clients in my neighbourhood,"
            f" got {len(numbers) + 1}",
        )
    return numbers


def check_survivors(
    plan: MaskingPlan,
    me: PartyId,
    included: bytes,
    cohort: bytes,
    neighbours: Collection[int],
    dealers: Collection[int],
    sender: PartyId,
) -> frozenset[int]:
    """The clients whose vectors are in the sum, enough of them, and enough around me.

    Args:
        plan: of the session.
        me: whose vector was sent.
        included: the bitmap that the server names.
        cohort: the bitmap of those who advertised keys.
        neighbours: mine.
        dealers: those of them that dealt me shares.
        sender: the server.

    Raises:
        CohortTooSmall: fewer than the plan releases, or fewer around me than the threshold.
        RemoteProtocolError: I am not among them, or somebody is who cannot be.
    """
    survivors = read_bitmap(plan, included, sender)
    if me.number not in survivors or not is_subset(included, cohort):
        raise RemoteProtocolError(sender, "expected survivors of the cohort, me among them")
    if len(survivors) < plan.minimum:
        raise CohortTooSmall(
            sender,
            f"expected a sum over at least {plan.minimum} clients, got {len(survivors)}",
        )
    near = survivors & set(neighbours)
    if not near <= set(dealers):
        raise RemoteProtocolError(sender, "a survivor is named that dealt me no shares")
    if len(near) + 1 < plan.threshold:
        raise CohortTooSmall(
            sender,
            f"expected at least {plan.threshold} survivors in my neighbourhood, got"
            f" {len(near) + 1}",
        )
    return survivors
