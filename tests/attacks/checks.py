"""The checks that attacks are stopped by, by name, each with the places where it is made.

`without` takes named checks out for one test. `Refusal` is one `raise` in the library's source,
found by words of it: whoever changes the source by a script finds the same place by the same words.
`Replacement` is a function or method with its protection left out.
"""

from __future__ import annotations
import __future__

import ast
import importlib
import inspect
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pytest

from secagg import kernels
from secagg.crypto import kdf
from secagg.crypto.agreement import PrivateKey
from secagg.errors import VerificationError
from secagg.protocols._masking.parameters import GraphParameters
from secagg.types import PartyId, Ring, RingVector, Secret

MASKING = "secagg.protocols._masking"
CLIENT = f"{MASKING}.authenticated.client:AuthenticatedClient"
RING = f"{MASKING}.authenticated.ring:RingClient"
SERVER = f"{MASKING}.authenticated.server:AuthenticatedServer"


@dataclass(frozen=True)
class Refusal:
    """One `raise` statement.

    Attributes:
        where: module and qualified name of the function, with a colon between.
        words: in this statement and in no other `raise` of the function.
    """

    where: str
    words: str


@dataclass(frozen=True)
class Replacement:
    """A function without its protection.

    Attributes:
        where: as above.
        by: from the function to the one that replaces it.
    """

    where: str
    by: Callable[[Any], Any]


Check: TypeAlias = tuple[Refusal | Replacement, ...]


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Take these checks out, until the end of the test."""
    words: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        for place in CHECKS[name]:
            if isinstance(place, Refusal):
                words[place.where].append(place.words)
            else:
                _put(monkeypatch, place.where, place.by(found(place.where)))
    for where, said in words.items():
        _put(monkeypatch, where, silenced(found(where), said))


def found(where: str) -> Any:
    """The function at a place."""
    owner, name = _owner(where)
    return inspect.getattr_static(owner, name) if isinstance(owner, type) else getattr(owner, name)


def silenced(function: Any, said: list[str]) -> Any:
    """The function with one `raise` for each of these words turned into nothing."""
    source = getattr(function, "silenced_source", None) or textwrap.dedent(
        inspect.getsource(function)
    )
    tree = ast.parse(source)
    for words in said:
        editor = _Silencer(words)
        tree = editor.visit(tree)
        assert editor.count == 1, f"{function.__qualname__}: {words!r}: {editor.count} times"
    ast.fix_missing_locations(tree)
    flags = __future__.annotations.compiler_flag
    namespace: dict[str, Any] = {}
    code = compile(tree, f"<{function.__qualname__} silenced>", "exec", flags, dont_inherit=True)
    exec(code, function.__globals__, namespace)  # noqa: S102
    result = namespace[function.__name__]
    result.silenced_source = ast.unparse(tree)
    return result


class _Silencer(ast.NodeTransformer):
    def __init__(self, words: str) -> None:
        self.words = words
        self.count = 0

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        if self.words not in ast.unparse(node):
            return node
        self.count += 1
        return ast.Pass()


def _owner(where: str) -> tuple[Any, str]:
    module, _, path = where.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for one in classes:
        owner = getattr(owner, one)
    return owner, name


def _put(monkeypatch: pytest.MonkeyPatch, where: str, new: Any) -> None:
    """In its place, and wherever else it is known by its name."""
    owner, name = _owner(where)
    old = found(where)
    monkeypatch.setattr(owner, name, new)
    for phases in getattr(owner, "_handlers", {}).values():
        for phase, handler in phases.items():
            if handler is old:
                monkeypatch.setitem(phases, phase, new)
    if isinstance(owner, type):
        return
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("secagg.") and getattr(module, name, None) is old:
            monkeypatch.setattr(module, name, new)


# What replaces what.


def _either_way(channel: Any) -> Any:
    def undirected(self: Any, sender: PartyId, receiver: PartyId) -> Secret:
        found: Secret = channel(self, *sorted((sender, receiver)))
        return found

    return undirected


def _for_both(associated_data: Any) -> Any:
    def undirected(
        protocol: str, transcript: bytes, step: str, sender: PartyId, receiver: PartyId
    ) -> Any:
        return associated_data(protocol, transcript, step, *sorted((sender, receiver)))

    return undirected


def _without_context(*purposes: kdf.Purpose) -> Callable[[Any], Any]:
    """Key derivation without what says in which session the key is good."""

    def contextless(derive: Any) -> Any:
        def derived(secret: Any, *, context: bytes, purpose: kdf.Purpose, **rest: Any) -> Any:
            context = b"" if not purposes or purpose in purposes else context
            return derive(secret, context=context, purpose=purpose, **rest)

        return derived

    return contextless


def _any_transcript(associated_data: Any) -> Any:
    def untied(protocol: str, transcript: bytes, *place: Any) -> Any:
        return associated_data(protocol, b"", *place)

    return untied


def _agreeing_on_zeros(agree: Any) -> Any:
    def unchecked(self: Any, public: bytes) -> Secret:
        try:
            secret: Secret = agree(self, public)
        except VerificationError:
            return Secret(bytes(32))
        return secret

    return unchecked


def _known_self_mask(self_mask: Any) -> Any:
    def known(plan: Any, digest: bytes, _: Secret, owner: PartyId, sign: int) -> Any:
        return self_mask(plan, digest, Secret(bytes(32)), owner, sign)

    return known


def _threshold(lower: Callable[[GraphParameters], int]) -> Callable[[Any], Any]:
    def lowered(derive: Any) -> Any:
        def found(*arguments: Any, **options: Any) -> GraphParameters:
            parameters: GraphParameters = derive(*arguments, **options)
            return parameters._replace(threshold=lower(parameters))

        return found

    return lowered


def _as_the_book_says(drawn_from: Any) -> Any:
    """The graph of whatever cohort the server names now."""

    def drawn(self: Any, book: Any, sender: PartyId) -> bytes:
        self._cohort, self._cohort_root = book.cohort, book.cohort_root
        seed: bytes = drawn_from(self, book, sender)
        return seed

    return drawn


def _as_curious(derive: Any) -> Any:
    """More than half of the clients, however many may answer twice."""

    def found(n: int, corrupt: Any, dropout: Any, server: str) -> Any:
        return derive(n, corrupt, dropout, "curious")

    return found


def _one_share_suffices(split: Any) -> Any:
    """Where there are fewer holders than the threshold; the library refuses to deal to them."""

    def dealt(secrets: Any, threshold: int, numbers: Any, rng: Any) -> Any:
        return split(secrets, threshold if threshold <= len(numbers) else 1, numbers, rng)

    return dealt


def _long_lived(drawn: Any) -> Any:
    """Channel keys that a client has in every session."""

    def again(self: Any, session: Any, me: PartyId, rng: Any) -> None:
        drawn(self, session, me, rng)
        self._channel_key = PrivateKey(Secret(me.number.to_bytes(32, "big")))
        self.public = self.public._replace(channel=self._channel_key.public)

    return again


def _shortened(apply_masks: Any) -> Any:
    """Masks in which the top bit of a ring of 3 bits is never set."""

    def shortened(total: RingVector, streams: Any) -> None:
        mask = np.zeros_like(total)
        apply_masks(mask, streams)
        kernels.ring_add(total, mask & mask.dtype.type(3))

    return shortened


def _shortened_and_packed(_: Any) -> Any:
    shortened = _shortened(kernels.apply_masks)

    def packed(vector: RingVector, streams: Any, ring: Ring) -> memoryview:
        masked = vector.copy()
        shortened(masked, streams)
        return memoryview(kernels.pack(masked, ring))

    return packed


def _nothing(_: Any) -> Any:
    return lambda *arguments, **options: None


def _one_bit_less(for_sum: Any) -> Any:
    derive = for_sum.__func__

    def shorter(cls: type[Ring], count: int, bound: int) -> Ring:
        return cls(derive(cls, count, bound).bits - 1)

    return classmethod(shorter)


def _any_model(id_for_model: Any) -> Any:
    return lambda self, model: id_for_model(self, bytes(32))


CHECKS: Final[Mapping[str, Check]] = {
    # Who takes part.
    "cohort floor": (Refusal(f"{MASKING}.checks:check_size", "in phase advertise"),),
    "dealer floor": (Refusal(f"{MASKING}.checks:check_dealers", "shares of at least"),),
    "survivor floor": (
        Refusal(f"{MASKING}.checks:check_survivors", "a sum over at least"),
        Refusal(f"{MASKING}.checks:check_survivors", "survivors in my neighbourhood"),
    ),
    "enough holders": (Replacement("secagg.crypto.shamir:split", _one_share_suffices),),
    # On what graph.
    "round to come": (Refusal(f"{RING}.sign_root", "BeaconPassed"),),
    "signed cohort": (Replacement(f"{RING}._drawn_from", _as_the_book_says),),
    "threshold on the ring": (
        Replacement(
            f"{MASKING}.parameters:secagg_plus_parameters", _threshold(lambda p: p.corrupt + 2)
        ),
    ),
    # Keys.
    "distinct keys": (Refusal(f"{MASKING}.checks:check_keys", "distinct public keys"),),
    "low order at the client": (
        Refusal(f"{MASKING}.checks:check_keys", "str(error)"),
        Replacement("secagg.crypto.agreement:PrivateKey.agree", _agreeing_on_zeros),
    ),
    "low order at the server": (
        Refusal(f"{MASKING}.server:MaskingServer.take_keys", "InvalidKey(sender, str(error))"),
        Refusal(f"{SERVER}.take_keys", "InvalidKey(sender, str(error))"),
    ),
    "canonical keys": (Replacement("secagg.crypto.agreement:_check_encoding", _nothing),),
    "taken keys at the server": (
        Refusal(f"{MASKING}.server:MaskingServer.take_keys", "one that is taken"),
        Refusal(f"{SERVER}.take_keys", "one that is taken"),
    ),
    "signed keys": (Refusal(f"{CLIENT}._check_neighbour", "UnauthenticatedKey"),),
    "neighbour's model": (Refusal(f"{CLIENT}._check_neighbour", "NeighbourModelMismatch"),),
    "model at the server": (Refusal(f"{SERVER}.take_keys", "NeighbourModelMismatch"),),
    "model in the session": (Replacement("secagg.protocol.task:Session.id_for_model", _any_model),),
    # What keys and ciphertexts are bound to.
    "direction in the channel key": (
        Replacement(f"{MASKING}.keyring:Keyring._channel", _either_way),
    ),
    "direction in the associated data": (
        Replacement("secagg.crypto.aead:associated_data", _for_both),
    ),
    "transcript in the channel key": (
        Replacement("secagg.crypto.kdf:derive", _without_context(kdf.Purpose.CHANNEL)),
    ),
    "transcript in the associated data": (
        Replacement("secagg.crypto.aead:associated_data", _any_transcript),
    ),
    "transcript in the share commitments": (
        Replacement("secagg.crypto.kdf:commit", _without_context(kdf.Purpose.SHARE_COMMITMENT)),
    ),
    "fresh channel keys": (Replacement(f"{MASKING}.keyring:Keyring.__init__", _long_lived),),
    "session in every key": (
        Replacement("secagg.crypto.kdf:derive", _without_context()),
        Replacement("secagg.crypto.kdf:commit", _without_context()),
    ),
    # Shares.
    "share commitments": (
        Refusal(f"{MASKING}.authenticated.statements:check_opening", "open the commitment"),
    ),
    "rebuilt secrets": (
        Refusal(f"{MASKING}.recovery:Recovery._self_masks", "not the committed one"),
        Refusal(f"{MASKING}.recovery:Recovery._pair_masks", "not the advertised one"),
    ),
    "whole range of masks": (
        Replacement("secagg.kernels:pack_masked", _shortened_and_packed),
        Replacement("secagg.kernels:apply_masks", _shortened),
    ),
    "secret self masks": (Replacement(f"{MASKING}.plan:self_mask", _known_self_mask),),
    # Thresholds, which are derived.
    "threshold above the corrupt": (
        Replacement(
            f"{MASKING}.parameters:complete_graph_parameters", _threshold(lambda p: p.corrupt)
        ),
        Replacement(
            f"{MASKING}.parameters:secagg_plus_parameters", _threshold(lambda p: p.corrupt)
        ),
    ),
    "threshold for two lists": (
        Replacement(f"{MASKING}.parameters:complete_graph_parameters", _as_curious),
    ),
    # Survivors.
    "own dealers": (Refusal(f"{CLIENT}._checked_survivors", "others are said to have dealt"),),
    "survivors that dealt": (
        Refusal(f"{MASKING}.checks:check_survivors", "named that dealt me no shares"),
    ),
    "quorum size": (Refusal(f"{CLIENT}._check_quorum", "mine included"),),
    "quorum signatures": (Refusal(f"{CLIENT}._check_quorum", "did not sign the survivors"),),
    # What a client never does twice.
    "erasure": (
        Replacement(f"{MASKING}.client:MaskingClient.forget", _nothing),
        Replacement(f"{CLIENT}.forget", _nothing),
    ),
    "one answer in a training round": (
        Refusal("secagg.ledger.ledger:Ledger.open_session", "was answered"),
        Refusal("secagg.ledger.ledger:Ledger._finish", "another session of training round"),
    ),
    # What goes into a sum.
    "last bit of the ring": (Replacement("secagg.types:Ring.for_sum", _one_bit_less),),
    "input in its bounds": (Replacement("secagg.protocol.task:Plan.check_input", _nothing),),
    # What a client demands.
    "plan derived": (Replacement("secagg.protocol.interface:_check_derived", _nothing),),
}
