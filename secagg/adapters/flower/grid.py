"""The server's side: a grid that gives a strategy means where it would have been given updates.

A strategy sends train and evaluate messages through `SecureGrid.send_and_receive`. Every client
does its work and keeps the results; a session of a protocol adds them up; and the strategy gets
replies of the form that it expects, each with the weighted mean of all clients in the sum.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from secagg import enrolment, protocols
from secagg.adapters.flower import words
from secagg.adapters.flower.decryptor import DecryptorLink
from secagg.adapters.flower.exchange import Exchange, Exchanges
from secagg.adapters.flower.node import roster_bytes
from secagg.adapters.flower.post import Clock
from secagg.adapters.flower.settings import Settings, require_messages_alone
from secagg.errors import LocalProtocolError, ParameterError
from secagg.protocol import Level, Roster
from secagg.types import Role


class SecureGrid(Grid):
    """Around any grid of Flower's Message API."""

    def __init__(
        self,
        grid: Grid,
        protocol: str = "secagg",
        level: Level | str = Level.CURIOUS,
        *,
        settings: Settings | None = None,
        roster: str | None = None,
        authority: bytes | None = None,
        decryptor: DecryptorLink | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Nothing is sent before the strategy sends something.

        Args:
            grid: that knows the nodes.
            protocol: its name.
            level: the server that clients withstand.
            settings: how results are encoded, what is demanded, how long is waited.
            roster: at level `malicious`, the signed roster in base64, as clients have it in the
                app's configuration.
            authority: the public key that signed it.
            decryptor: for `bfv` and `ckks`: where the key is.
            clock: by default the system's.

        Raises:
            ParameterError: the protocol is not offered so, or something that it needs is missing.
            RosterRefused: as `enrolment.verify`.
        """
        chosen, level = protocols.get(protocol), Level(level)
        verified = _verified(level, roster, authority)
        roles = chosen.at(level).roles
        require_messages_alone(chosen, level)
        if (Role.DECRYPTOR in roles) != (decryptor is not None):
            needed = "needs a decryptor" if decryptor is None else "has no decryptor"
            raise ParameterError(f"{protocol} {needed}: SecureGrid(decryptor=...)")
        self._grid = grid
        self._exchanges = Exchanges(
            *(grid, chosen, level, settings or Settings(), verified, decryptor),
            clock or Clock(time.monotonic, time.sleep),
        )

    @property
    def last(self) -> Exchange | None:
        """What came of the last protected exchange; None before the first."""
        return self._exchanges.last

    # What a strategy calls.

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Train and evaluate messages under protection, any others as they are.

        The replies to protected messages carry the mean of all clients in the sum, with the
        examples shared out among them, so that whatever averages replies gets that mean. A client
        that is not in the sum has an error for a reply, which says why.

        Args:
            messages: to different nodes; those that are protected alike but for the node.
            timeout: seconds for the clients' own work. A session's phases have `phase_seconds`.

        Raises:
            RoundFailed: there is no sum, unless failed rounds are skipped.
            ParameterError: no safe parameters for so many clients.
            InputError: messages that differ.
        """
        protected: list[Message] = []
        others: list[Message] = []
        for message in messages:
            kind = message.metadata.message_type.split(".")[0]
            (protected if kind in words.PROTECTED else others).append(message)
        replies = list(self._grid.send_and_receive(others, timeout=timeout)) if others else []
        return replies + (self._exchanges.hold(protected, timeout) if protected else [])

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """As the grid does, but for messages that are to be protected.

        Raises:
            LocalProtocolError: there is one among them: `send_and_receive`.
        """
        chosen = list(messages)
        for message in chosen:
            kind = message.metadata.message_type
            if kind.split(".")[0] in words.PROTECTED:
                raise LocalProtocolError(
                    f"a {kind!r} message is protected in send_and_receive only: a reply to one that"
                    " is pushed would be in the clear"
                )
        return self._grid.push_messages(chosen)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """As the grid does."""
        return self._grid.pull_messages(message_ids)

    def set_run(self, run: Any) -> None:
        """As the grid does."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        """As the grid's."""
        return self._grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """As the grid does."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """As the grid does."""
        return self._grid.get_node_ids()

    def get_nodes(self) -> Iterable[Any]:
        """As the grid does."""
        return self._grid.get_nodes()


def _verified(level: Level, roster: str | None, authority: bytes | None) -> Roster | None:
    if level is not Level.MALICIOUS:
        if roster is not None or authority is not None:
            raise ParameterError(f"a roster is for level {Level.MALICIOUS} only")
        return None
    if authority is None:
        raise ParameterError("level malicious needs the public key of the roster's authority")
    data = roster_bytes(roster)
    return enrolment.verify(data, authority, at=int(time.time()))
