"""Messages to nodes and their replies, through any grid of Flower's.

A node has one message at a time: two might be handled at once, by two processes that know nothing
of each other. The rest waits here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

POLL_SECONDS: Final = (0.005, 1.0)
"""How often a grid is asked for replies: at first, and after a while without any."""


class Clock(NamedTuple):
    """The time, and how to let it pass.

    Attributes:
        now: seconds by a monotonic clock.
        sleep: wait for so many seconds.
    """

    now: Callable[[], float]
    sleep: Callable[[float], None]


class Post:
    """The messages of one exchange.

    Attributes:
        given_up: nodes whose message was not answered in time. A late reply is delivered still.
    """

    def __init__(self, grid: Grid, like: Message, clock: Clock) -> None:
        """With messages of the type and group of the strategy's own."""
        self._grid = grid
        self._like = like.metadata
        self._clock = clock
        self._waiting: dict[int, deque[RecordDict]] = {}
        self._sent: dict[str, int] = {}
        self._pause = POLL_SECONDS[0]
        self.given_up: set[int] = set()

    def put(self, node: int, content: RecordDict) -> None:
        """Send it as soon as the node has answered what it was sent before."""
        self._waiting.setdefault(node, deque()).append(content)

    @property
    def waits(self) -> bool:
        """Whether a reply can still come from a node that was not given up."""
        nodes = {*self._sent.values(), *(node for node, queue in self._waiting.items() if queue)}
        return bool(nodes - self.given_up)

    def give_up(self) -> None:
        """Wait no longer for those who have not answered."""
        self.given_up |= set(self._sent.values())

    def exchange(self) -> list[tuple[int, Message]]:
        """Send what can be sent, and take the replies that are there, with their nodes."""
        self._push()
        if not self._sent:
            return []
        replies = []
        for reply in self._grid.pull_messages(list(self._sent)):
            node = self._sent.pop(reply.metadata.reply_to_message_id, None)
            if node is not None:
                self.given_up.discard(node)
                replies.append((node, reply))
        return replies

    def pause(self, at_most: float, *, idle: bool) -> None:
        """Wait a moment; longer ones while nothing comes."""
        self._pause = min(2 * self._pause, POLL_SECONDS[1]) if idle else POLL_SECONDS[0]
        self._clock.sleep(max(0.0, min(self._pause, at_most)))

    def collect(self, timeout: float | None) -> Iterable[tuple[int, Message]]:
        """All replies until none is missing or the time is over; then the rest is given up."""
        until = None if timeout is None else self._clock.now() + timeout
        while True:
            replies = self.exchange()
            yield from replies
            if not self.waits:
                return
            left = POLL_SECONDS[1] if until is None else until - self._clock.now()
            if left <= 0:
                self.give_up()
                return
            self.pause(left, idle=not replies)

    def _push(self) -> None:
        busy = set(self._sent.values())
        ready = [(node, q.popleft()) for node, q in self._waiting.items() if q and node not in busy]
        if not ready:
            return
        messages = [
            Message(
                content,
                dst_node_id=node,
                message_type=self._like.message_type,
                ttl=self._like.ttl,
                group_id=self._like.group_id,
            )
            for node, content in ready
        ]
        ids = list(self._grid.push_messages(messages))
        # A message that could not be sent has no id: its node is one that never answers.
        ids += [""] * (len(ready) - len(ids))
        for (node, _), message_id in zip(ready, ids, strict=True):
            if message_id:
                self._sent[message_id] = node
            else:
                self.given_up.add(node)
