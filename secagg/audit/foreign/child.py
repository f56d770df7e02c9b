"""The process of an adapter: it loads a class by name and answers until its parent hangs up.

    python -m secagg.audit.foreign.child MODULE:CLASS

Its standard input is the channel. The adapter gets another one, and its output goes nowhere.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final, NoReturn

from secagg.audit.foreign import channel
from secagg.audit.foreign.interface import ForeignImplementation
from secagg.audit.policy import CLAIMS, word_of
from secagg.errors import AdapterFailed, CannotTell

EXIT_GONE: Final = 0


def main() -> NoReturn:
    """Serve the class named by the only argument."""
    port = os.dup(0)
    os.set_inheritable(port, False)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    try:
        target = _load(sys.argv[1])
        _say(port, _ready(target))
    except BaseException as error:
        _say(port, channel.Broken(_words(error)))
        os._exit(EXIT_GONE)
    while True:
        asked = channel.read_ask(lambda count: _exactly(port, count))
        _say(port, _answer(target, asked))


def _load(name: str) -> ForeignImplementation:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise AdapterFailed(f"expected module:Class, got {name!r}")
    found = getattr(importlib.import_module(module), attribute)
    if not (isinstance(found, type) and issubclass(found, ForeignImplementation)):
        raise AdapterFailed(f"{name} is no subclass of ForeignImplementation")
    return found()


def _ready(target: ForeignImplementation) -> channel.Ready:
    promised = target.guarantees
    words = {field: word_of(getattr(promised, field)) for field in CLAIMS} if promised else None
    return channel.Ready(str(target.name), str(target.title), words)


def _answer(target: ForeignImplementation, asked: channel.Ask) -> channel.Reply:
    try:
        return _asked(target, asked)
    except AdapterFailed as error:
        return channel.Broken(_words(error))
    except CannotTell as error:
        return channel.Refused(_words(error))
    except BaseException as error:  # whatever an adapter does, it is answered for
        return channel.Broken(_words(error))


def _asked(target: ForeignImplementation, asked: channel.Ask) -> channel.Reply:
    match asked:
        case channel.Hold():
            return channel.held(target.session(channel.request_of(asked)))
        case channel.Smallest(clients=clients):
            return channel.Number(int(target.smallest_sum(clients)))
        case channel.Streams(count=count, length=length, bits=bits, seed=seed):
            return channel.Rows(channel.array(target.streams(count, length, bits, seed)))
        case channel.Answers(clients=clients):
            given = target.answers(clients, channel.questions_of(asked))
            return channel.Given(
                tuple(
                    None if one is None else tuple((int(who), kind) for who, kind in one)  # type: ignore[misc]
                    for one in given
                )
            )
        case channel.Seeds():
            found = target.seed_bits()
            return channel.Bits({str(name): int(bits) for name, bits in found.items()})
        case channel.Samples(count=count):
            shown = target.seeds(count)
            return channel.Sampled({str(name): tuple(map(bytes, of)) for name, of in shown.items()})
        case channel.Believes(lie=lie):
            return channel.Truth(_yes(target.believes(lie)))
        case channel.NotANumber():
            return channel.Truth(_yes(target.takes_not_a_number()))


def _yes(answer: bool) -> bool:
    if not isinstance(answer, bool):
        raise TypeError(f"expected yes or no, got {type(answer).__name__}")
    return answer


def _words(error: BaseException) -> str:
    text = str(error)
    named = text if isinstance(error, CannotTell) else f"{type(error).__name__}: {text}"
    return named[: channel.MAX_REASON]


def _say(port: int, message: channel.Reply) -> None:
    try:
        rest = memoryview(channel.frame(message))
    except AdapterFailed as error:
        rest = memoryview(channel.frame(channel.Broken(_words(error))))
    try:
        while rest:
            rest = rest[os.write(port, rest) :]
    except OSError:
        os._exit(EXIT_GONE)


def _exactly(port: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            got = os.read(port, min(count - len(data), 1 << 20))
        except OSError:
            os._exit(EXIT_GONE)
        if not got:
            os._exit(EXIT_GONE)
        data += got
    return data


if __name__ == "__main__":
    main()
