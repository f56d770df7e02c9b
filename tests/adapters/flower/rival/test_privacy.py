"""What a server learns from Flower's own SecAgg+, by watching or by lying, and no client objects.

Each test passes because the failure is there. docs/flower-secaggplus.md names them.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from adapters.flower.rival.legacy import NODES, Legacy, request, some
from flwr.app import ConfigRecord, Context, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import bytes_to_ndarray
from flwr.common.secure_aggregation.crypto.shamir import combine_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import decrypt, generate_shared_key
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.common.secure_aggregation.secaggplus_utils import (
    pseudo_rand_gen,
    share_keys_plaintext_separate,
)
from flwr.supercore.primitives.asymmetric import (
    bytes_to_private_key,
    bytes_to_public_key,
    generate_key_pairs,
    public_key_to_bytes,
)

SETUP = {
    Key.STAGE: Stage.SETUP,
    Key.SAMPLE_NUMBER: 3,
    Key.SHARE_NUMBER: 3,
    Key.THRESHOLD: 2,
    Key.CLIPPING_RANGE: 8.0,
    Key.TARGET_RANGE: 1 << 22,
    Key.MOD_RANGE: 1 << 32,
    Key.MAX_WEIGHT: 1000.0,
}


def test_the_seed_of_a_mask_has_28_bits() -> None:
    """The words of the key, which is base64 text, are xored: the top bit of every byte is zero."""
    private, _ = generate_key_pairs()
    folds = set()
    for _ in range(64):
        _, public = generate_key_pairs()
        key = generate_shared_key(private, public)
        words = np.frombuffer(key, np.uint32)
        folds.add(int(np.bitwise_xor.reduce(words)))
        # The order of the words does not matter, so the mask does not depend on all of the key.
        turned = np.roll(words, 1).tobytes()
        assert turned != key
        np.testing.assert_array_equal(_mask(turned, 1 << 32, 8), _mask(key, 1 << 32, 8))
    differing = int(np.bitwise_or.reduce(list(folds)) & ~np.bitwise_and.reduce(list(folds)))
    assert differing.bit_count() <= 28


def test_masks_are_not_uniform() -> None:
    """The largest value never comes, so a masked coordinate that is the largest tells something."""
    mask = _mask(os.urandom(32), 4, 100_000)
    assert set(mask.tolist()) == {0, 1, 2}


def test_the_number_of_examples_travels_in_clear() -> None:
    """Beside the masked vector, whose first coordinate is the same number under a mask."""
    clients = some(3)
    for number, client in enumerate(clients):
        client.examples = 100 + number
    legacy = Legacy(clients, shares=3, threshold=2)
    assert legacy.run() is not None
    answers = legacy.sent[Stage.COLLECT_MASKED_VECTORS]
    seen = {
        number: content.metric_records["fitres.num_examples"]["num_examples"]
        for number, content in answers.items()
    }
    assert seen == {0: 100, 1: 101, 2: 102}


def test_a_peer_named_alive_and_dead_yields_both_shares_and_is_opened() -> None:
    """The last request names one client in both lists; from the answers its update follows."""
    victim = NODES + 1

    def both(number: int, configs: ConfigRecord) -> None:
        dead: Any = configs[Key.DEAD_NODE_ID_LIST]
        configs[Key.DEAD_NODE_ID_LIST] = [*dead, victim]

    legacy = Legacy(some(3), shares=3, threshold=2, tamper={Stage.UNMASK: both})
    with pytest.raises(ValueError, match="Duplicate share"):
        # What stands in for the liar is honest code, and stumbles; no client did.
        legacy.run()
    assert not legacy.errors
    seeds, keys = [], []
    for content in legacy.sent[Stage.UNMASK].values():
        answer: Any = content.config_records[RECORD_KEY_CONFIGS]
        of_victim = [
            share
            for node, share in zip(answer[Key.NODE_ID_LIST], answer[Key.SHARE_LIST], strict=True)
            if node == victim
        ]
        seeds.append(of_victim[0])
        keys.append(of_victim[1])
    sent: Any = legacy.sent[Stage.COLLECT_MASKED_VECTORS][1].config_records[RECORD_KEY_CONFIGS]
    masked = bytes_to_ndarray(sent[Key.MASKED_PARAMETERS][1])
    # The first array of a mask is for the weight, which has no coordinates of its own.
    opened = masked - _second_mask(combine_shares(seeds), len(masked))
    private = bytes_to_private_key(combine_shares(keys))
    for number in (0, 2):
        public: Any = legacy.sent[Stage.SETUP][number].config_records[RECORD_KEY_CONFIGS]
        shared = generate_shared_key(private, bytes_to_public_key(public[Key.PUBLIC_KEY_1]))
        sign = 1 if victim > NODES + number else -1
        opened = opened - sign * _second_mask(shared, len(masked))
    step = 16 / (1 << 22)
    update = (opened % (1 << 32)) * step - 8
    np.testing.assert_allclose(update, legacy.trained[1].update, atol=2 * step)


def test_a_server_that_swaps_the_keys_reads_the_shares() -> None:
    """No key is signed: the client seals its shares to whatever keys it is handed."""
    context = _node(NODES)
    configs = _answer(context, SETUP)
    servers = {NODES + number: (generate_key_pairs(), generate_key_pairs()) for number in (1, 2)}
    keys: dict[str, Any] = {
        str(node): [public_key_to_bytes(pair[1]) for pair in pairs]
        for node, pairs in servers.items()
    }
    keys[str(NODES)] = [configs[Key.PUBLIC_KEY_1], configs[Key.PUBLIC_KEY_2]]
    answer = _answer(context, {Key.STAGE: Stage.SHARE_KEYS, **keys})
    own = bytes_to_public_key(configs[Key.PUBLIC_KEY_2])
    shares = []
    for node, sealed in zip(answer[Key.DESTINATION_LIST], answer[Key.CIPHERTEXT_LIST], strict=True):
        plain = decrypt(generate_shared_key(servers[node][1][0], own), sealed)
        shares.append(share_keys_plaintext_separate(plain)[2])
    assert combine_shares(shares) == _state(context)["rd_seed"]


def test_clients_accept_a_threshold_of_one() -> None:
    """Then every single share is the secret."""
    context = _node(NODES)
    configs = _answer(context, {**SETUP, Key.THRESHOLD: 1})
    keys: dict[str, Any] = {str(NODES): [configs[Key.PUBLIC_KEY_1], configs[Key.PUBLIC_KEY_2]]}
    for number in (1, 2):
        publics = [public_key_to_bytes(generate_key_pairs()[1]) for _ in range(2)]
        keys[str(NODES + number)] = publics
    answer = _answer(context, {Key.STAGE: Stage.SHARE_KEYS, **keys})
    assert len(answer[Key.CIPHERTEXT_LIST]) == 2
    state = _state(context)
    own_share = dict(zip(state["rd_seed_share_dict:K"], state["rd_seed_share_dict:V"], strict=True))
    assert combine_shares([own_share[NODES]]) == state["rd_seed"]


def test_clients_accept_a_modulus_of_two() -> None:
    """One bit is left of a coordinate, and masks are all zero: the top value never comes."""
    assert Key.PUBLIC_KEY_1 in _answer(_node(NODES), {**SETUP, Key.MOD_RANGE: 2})
    assert not _mask(os.urandom(32), 2, 1000).any()


def test_private_keys_stay_in_the_state_after_the_round() -> None:
    legacy = Legacy(some(3), shares=3, threshold=2)
    assert legacy.run() is not None
    for number in range(3):
        state: Any = legacy.state_of(number)
        assert state["sk1"].startswith(b"-----BEGIN PRIVATE KEY-----")
        assert state["sk2"].startswith(b"-----BEGIN PRIVATE KEY-----")
        assert len(state["rd_seed"]) == 32


def _mask(seed: bytes, modulus: int, length: int) -> np.ndarray[Any, np.dtype[Any]]:
    (mask,) = pseudo_rand_gen(seed, modulus, [(length,)])
    return mask


def _second_mask(seed: bytes, length: int) -> np.ndarray[Any, np.dtype[Any]]:
    _, mask = pseudo_rand_gen(seed, 1 << 32, [(), (length,)])
    return mask


def _node(node: int) -> Context:
    return Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={})


def _answer(context: Context, configs: dict[str, Any]) -> Any:
    """The mod's answer to a request that no training belongs to."""

    def never(*_: Any) -> Any:
        raise AssertionError("no training was asked for")

    answer = secaggplus_mod(request(context.node_id, configs), context, never)
    return answer.content.config_records[RECORD_KEY_CONFIGS]


def _state(context: Context) -> Any:
    (record,) = context.state.config_records.values()
    return record
