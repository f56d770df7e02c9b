"""Attacks on the protocols of this library, each mounted as it would be, with every check in place.

The same bodies are mounted with checks taken out by `tests/attacks`. An attack drives a session
through `secagg.audit.adversary` and has what its adversary has; `Scene` sets what it is mounted on.
"""

from collections.abc import Mapping
from typing import Final

from secagg.audit.attacks.attack import Attack, Outcome, Picture
from secagg.audit.attacks.both_shares import BothShares
from secagg.audit.attacks.impersonation import KeyReplacement, LowOrderKeys, RepeatedKeys
from secagg.audit.attacks.late_arrival import LateArrival
from secagg.audit.attacks.malformed_share import MalformedShare
from secagg.audit.attacks.mask_reuse import MaskReuse
from secagg.audit.attacks.reflected_shares import ReflectedShares
from secagg.audit.attacks.replayed_shares import ReplayedShares
from secagg.audit.attacks.selective_abort import SelectiveAbort
from secagg.audit.attacks.small_cohort import SmallCohort
from secagg.audit.attacks.split_view import SplitView

_ALL: Final[tuple[Attack, ...]] = (
    SplitView(),
    LateArrival(),
    BothShares(),
    ReflectedShares(),
    KeyReplacement(),
    SmallCohort(),
    MaskReuse(),
    ReplayedShares(),
    MalformedShare(),
    LowOrderKeys(),
    SelectiveAbort(),
    RepeatedKeys(),
)

ATTACKS: Final[Mapping[str, Attack]] = {attack.id: attack for attack in _ALL}
"""By id, in the order of docs/attacks.md."""

__all__ = ["ATTACKS", "Attack", "Outcome", "Picture"]
