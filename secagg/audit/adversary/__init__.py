"""Attacks on sessions of this library, by whoever carries the messages and by corrupt parties.

A `Network` drives the same party objects as everybody does, with the adversary in the middle. An
attack sees message bytes, and the state of parties that it declares corrupt; `check` holds its
source to that, and honest parties are handed out as `Honest`, which cannot be looked into. What it
recovered is compared with the truth by `recovered` and its kin, and nowhere else.
"""

from secagg.audit.adversary.accomplice import Accomplice
from secagg.audit.adversary.cohort import Cohort
from secagg.audit.adversary.dialect import (
    CURIOUS,
    MALICIOUS,
    Dialect,
    Row,
    commit,
    dialect_of,
    plan_of,
    rows_of,
)
from secagg.audit.adversary.honest import Honest
from secagg.audit.adversary.impersonator import (
    Mask,
    all_but,
    impersonate,
    own_keys,
)
from secagg.audit.adversary.network import Network, Relay, Seen, as_sent
from secagg.audit.adversary.seat import Disk
from secagg.audit.adversary.survivors import ask, show_quorum, without_questions
from secagg.audit.adversary.truth import (
    carried,
    exact,
    recovered,
    recovered_difference,
    recovered_from_two,
    recovered_part,
    recovered_sum,
)
from secagg.audit.adversary.view import KINDS, Kind, ServerView

__all__ = [
    "CURIOUS",
    "KINDS",
    "MALICIOUS",
    "Accomplice",
    "Cohort",
    "Dialect",
    "Disk",
    "Honest",
    "Kind",
    "Mask",
    "Network",
    "Relay",
    "Row",
    "Seen",
    "ServerView",
    "all_but",
    "as_sent",
    "ask",
    "carried",
    "commit",
    "dialect_of",
    "exact",
    "impersonate",
    "own_keys",
    "plan_of",
    "recovered",
    "recovered_difference",
    "recovered_from_two",
    "recovered_part",
    "recovered_sum",
    "rows_of",
    "show_quorum",
    "without_questions",
]
