"""The attacks keep to what their adversary has, and the table of them says what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from secagg.audit.adversary.check import check

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
PACKAGED = ROOT / "secagg" / "audit" / "attacks"
SETTING = (
    "secagg.audit.attacks.attack",
    "secagg.audit.attacks.digits",
    "secagg.audit.attacks.scene",
    "secagg.attestation.Evidence",
    "secagg.audit.attacks.chosen_graph",
    "secagg.audit.attacks.differencing",
    "secagg.he.contexts.SecretContext",
    "secagg.he.vectors",
    "secagg.he.workers",
    "secagg.ledger.Participation",
    "secagg.ledger.Taken",
    "secagg.protocol.Effect",
    "secagg.protocol.Exactness",
    "secagg.protocols._enclave.messages",
    "secagg.protocols._enclave.statements",
    "secagg.protocols._homomorphic.messages",
    "secagg.protocols._homomorphic.plan",
)
"""What the package's attacks may import besides: their scene, and words of other protocols."""
SCENES = (
    "attacks.scenes",
    "attacks.checks",
    "secagg.audit.leaks",
    "secagg.ledger.Participation",
    "oracles.isolation",
    "secagg.audit.attacks",
)

# Not about messages of pairwise masking between parties of which some are honest.
ABOUT_OTHER_THINGS = {
    "test_a16_overflow.py": "the adversary is a client with an input of its own choosing",
    "test_a23_poisoning.py": "the adversary is a client with an input of its own choosing",
    "test_a27_decryption_leak.py": "the decryptor of ckks, and what it has before it rounds",
    "test_a28_secret_key_in_context.py": "a single party of bfv and ckks and what it is given",
    "test_a31_secrets_in_text.py": "the adversary reads logs, and these are searched for secrets",
    "test_catalogue.py": "mounts the attacks of the package",
    "test_checks.py": "no attack",
    "test_enclave_quotes.py": "single parties of the enclave protocol",
    "test_enclave_uploads.py": "single parties of the enclave protocol",
    "test_lying_server.py": "single parties of bfv and ckks",
    "test_policy_downgrade.py": "rosters and plans, and what a client's user wrote",
    "test_rollback_of_a_ledger_not_covered.py": "the adversary writes to a client's disk",
    "test_rules.py": "no attack",
}


PRIVILEGED = {"secrets_in_text.py": "prints everything and searches it, as a log would show it"}
"""Of the package's attacks those that are about something else."""


def test_every_attack_uses_what_its_adversary_has_and_nothing_else() -> None:
    attacks = [path for path in FOLDER.glob("test_*.py") if path.name not in ABOUT_OTHER_THINGS]
    assert len(attacks) >= 16
    check(attacks, SCENES)


def test_every_attack_of_the_package_does_too() -> None:
    no_attacks = {"__init__.py", "attack.py", "digits.py", "scene.py"}
    attacks = [p for p in PACKAGED.glob("*.py") if p.name not in no_attacks | PRIVILEGED.keys()]
    assert len(attacks) >= 3
    check(attacks, SETTING)


def test_the_exceptions_are_there() -> None:
    assert {path.name for path in FOLDER.glob("test_*.py")} >= ABOUT_OTHER_THINGS.keys()


def test_the_table_of_attacks_says_what_the_modules_say() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "attacks_doc.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
