"""Attacks on the protocols of this library, each mounted as it would be, with every check in place.

The same bodies are mounted with checks taken out by `tests/attacks`. An attack drives a session
through `secagg.audit.adversary` and has what its adversary has; `Scene` sets what it is mounted on.
"""

from collections.abc import Mapping
from typing import Final

from secagg.audit.attacks.attack import Attack, Outcome, Picture
from secagg.audit.attacks.both_shares import BothShares
from secagg.audit.attacks.chosen_graph import ChosenGraph
from secagg.audit.attacks.differencing import Differencing
from secagg.audit.attacks.enclave_messages import ForeignKey, MovedUpload, TwoEnclaves
from secagg.audit.attacks.frames import Frames
from secagg.audit.attacks.homomorphic import AskedTwice, DecryptionLeak, LyingSum, SecretInContext
from secagg.audit.attacks.impersonation import KeyReplacement, LowOrderKeys, RepeatedKeys
from secagg.audit.attacks.inversion import GradientInversion
from secagg.audit.attacks.isolation import Isolation
from secagg.audit.attacks.known_others import KnownOthers
from secagg.audit.attacks.late_arrival import LateArrival
from secagg.audit.attacks.malformed_share import MalformedShare
from secagg.audit.attacks.mask_reuse import MaskReuse
from secagg.audit.attacks.membership import Membership
from secagg.audit.attacks.other_model import OtherModel
from secagg.audit.attacks.overflow import Overflow
from secagg.audit.attacks.poisoning import Poisoning
from secagg.audit.attacks.reflected_shares import ReflectedShares
from secagg.audit.attacks.replayed_shares import ReplayedShares
from secagg.audit.attacks.secrets_in_text import SecretsInText
from secagg.audit.attacks.selective_abort import SelectiveAbort
from secagg.audit.attacks.small_cohort import SmallCohort
from secagg.audit.attacks.sparse_updates import SparseUpdates
from secagg.audit.attacks.split_view import SplitView
from secagg.audit.attacks.trap_model import TrapModel
from secagg.audit.attacks.two_halves import TwoHalves
from secagg.audit.attacks.weak_randomness import WeakRandomness

_ALL: Final[tuple[Attack, ...]] = (
    SplitView(),
    LateArrival(),
    BothShares(),
    ReflectedShares(),
    KeyReplacement(),
    KnownOthers(),
    SmallCohort(),
    SparseUpdates(),
    Differencing(),
    Membership(),
    OtherModel(),
    TrapModel(),
    GradientInversion(),
    Overflow(),
    Frames(),
    WeakRandomness(),
    MaskReuse(),
    ReplayedShares(),
    MalformedShare(),
    LowOrderKeys(),
    Poisoning(),
    SelectiveAbort(),
    RepeatedKeys(),
    DecryptionLeak(),
    SecretInContext(),
    AskedTwice(),
    SecretsInText(),
    Isolation(),
    ChosenGraph(),
    TwoHalves(),
    ForeignKey(),
    MovedUpload(),
    TwoEnclaves(),
    LyingSum(),
)

ATTACKS: Final[Mapping[str, Attack]] = {attack.id: attack for attack in _ALL}
"""By id, in the order of docs/attacks.md."""

__all__ = ["ATTACKS", "Attack", "Outcome", "Picture"]
