"""The corpus of every target, without a fuzzer; and no decoder and no message without a target."""

from __future__ import annotations

import re
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import msgspec
import pytest
from conformance.scenario import Offered, chosen_names
from fuzz import native, registry, wire
from fuzz.mutation import mutator
from fuzz.target import CORPUS, NotCanonical, Target, join_body, split_body

from secagg.errors import DecodeError
from secagg.wire import Frame

SMALL = 300_000
MOST_MEMORY = 64 << 20
HEADER = Path(__file__).parents[2] / "csrc" / "secagg.h"


def inputs(target: Target) -> list[Path]:
    return sorted(target.folder.iterdir())


@contextmanager
def calls() -> Iterator[set[str]]:
    """The functions of the library that are called, as `module:Class.method`."""
    names: dict[CodeType, str] = {}

    def seen(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code not in names:
            module = frame.f_globals.get("__name__", "")
            name = frame.f_code.co_qualname.replace(".<locals>", "")
            names[frame.f_code] = f"{module}:{name}"

    found: set[str] = set()
    sys.setprofile(seen)
    try:
        yield found
    finally:
        sys.setprofile(None)
        found.update(names.values())


@pytest.fixture(params=registry.TARGETS.values(), ids=list(registry.TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    found: Target = request.param
    return found


def test_every_input_is_taken_or_refused_as_it_should_be(target: Target) -> None:
    """And the corpus reaches what the target says that it covers, within bounds of memory."""
    paths, taken = inputs(target), 0
    assert paths
    with calls() as called:
        for path in paths:
            taken += target.check(path.read_bytes())
    assert taken
    assert set(target.covers) <= called
    tracemalloc.start()
    try:
        for path in paths:
            target.check(path.read_bytes())
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def test_the_seeds_are_those_that_a_script_makes(target: Target) -> None:
    """A format that changed changes them: python scripts/fuzz_corpus.py."""
    kept = [path.read_bytes() for path in inputs(target) if path.name.startswith("seed-")]
    made = list(target.seeds())
    assert len(kept) == len(made)
    assert target.drawn or kept == made


def test_every_decoder_has_a_target_or_a_reason() -> None:
    covered = {name for target in registry.TARGETS.values() for name in target.covers}
    found = registry.decoders()
    assert sorted(found - covered - set(registry.EXEMPT)) == []
    assert sorted(set(registry.EXEMPT) - found) == []
    assert sorted(set(registry.EXEMPT) & covered) == []
    assert all(registry.EXEMPT.values())


def test_a_decoder_that_nobody_knows_is_found(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "secagg").mkdir()
    (tmp_path / "fl").mkdir()
    (tmp_path / "secagg" / "new.py").write_text(
        "class New:\n"
        "    def read(self, data):\n"
        "        return int.from_bytes(data, 'big')\n"
        "def parse_it(data): ...\n"
        "def outer(data):\n"
        "    def inner(): return decode_numbers(data)\n"
        "def harmless(data): return data.hex()\n"
    )
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    assert registry.decoders() == {
        "secagg.new:New.read",
        "secagg.new:parse_it",
        "secagg.new:outer.inner",
    }


def test_every_table_and_message_has_a_target_and_an_input() -> None:
    for name in chosen_names(None):
        offering = Offered.named(name).offering
        assert all(role.table in wire.TABLES.values() for role in offering.roles.values())
        assert f"round-{name}" in registry.TARGETS
    for name, table in wire.TABLES.items():
        target = registry.TARGETS[f"messages-{name}"]
        kinds = set()
        for path in inputs(target):
            try:
                envelope = table.decode(Frame.split(wire.joined(path.read_bytes())))
            except DecodeError:
                continue
            kinds.add(type(envelope.message))
        assert kinds == set(table.messages)


@pytest.mark.parametrize("name", native.names())
def test_the_seeds_of_kernels_are_those_that_a_script_makes(name: str) -> None:
    folder = CORPUS / f"native-{name}"
    kept = [path.read_bytes() for path in sorted(folder.glob("seed-*"))]
    assert kept == list(native.seeds(name))


def test_every_kernel_has_a_target_in_c() -> None:
    header = HEADER.read_text()
    public = header[header.index("[cdef begin]") : header.index("[cdef end]")]
    declared = set(re.findall(r"\b(secagg_\w+)\(", re.sub(r"/\*.*?\*/", "", public, flags=re.S)))
    assert len(declared) > 40
    source = "\n".join(path.read_text() for path in native.SOURCES.glob("*.[ch]"))
    of_lanes = {
        f"{name}{n}" for name in re.findall(r"\b(secagg_\w+_u)##n\(", source) for n in LANES
    }
    called = set(re.findall(r"\b(secagg_\w+)\(", source))
    assert sorted(declared - called - of_lanes) == []


LANES = (16, 32, 64)


def test_the_corpus_is_small_and_of_targets_only() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < SMALL
    in_c = {f"native-{name}" for name in native.names()}
    assert {path.parent.name for path in files} == set(registry.TARGETS) | in_c
    assert all(re.match(r"seed-\d\d$|found-[a-z-]+$", path.name) for path in files)


@pytest.mark.parametrize(
    ("decode", "error"),
    [
        (lambda data: data[:1], NotCanonical),
        (lambda data: bytes(int(data)), ValueError),
        (lambda data: [][len(data)], IndexError),
    ],
)
def test_what_is_wrong_is_noticed(decode: Callable[[bytes], bytes], error: type[Exception]) -> None:
    """A decoder that takes two encodings, or raises what it should not."""
    with pytest.raises(error):
        Target("wrong", decode, (), tuple).check(b"two")


def test_what_is_not_canonical_must_at_least_stay_what_it_is() -> None:
    lenient = Target("lenient", lambda data: data.lower(), (), tuple, canonical=False)
    assert lenient.check(b"ABC")
    with pytest.raises(NotCanonical):
        Target("unstable", lambda data: data + b"0", (), tuple, canonical=False).check(b"ABC")


def test_bodies_come_apart_and_together() -> None:
    for data in (b"", b"\1", b"\1\2\0", b"\1\2\0abcd", b"\7\xff\xffabc"):
        first, body, tail = split_body(data)
        again = join_body(first, body, tail)
        assert split_body(again) == (first, body, tail)
        assert body + tail == data[3:]


def test_mutation_changes_values_and_not_only_bytes() -> None:
    """Most of what it makes of a good invitation is still one value of MessagePack."""
    target = registry.TARGETS["invitation"]
    (seed, *_) = target.seeds()
    mutate = mutator(target, lambda data, largest: b"")
    made = [mutate(seed, 4096, number) for number in range(200)]
    packed = [data for data in made if data]
    assert len(packed) > 80
    for data in packed:
        msgspec.msgpack.decode(data)
    assert len(set(packed)) > 60
