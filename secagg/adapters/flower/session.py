"""The server's side of one session, over a post: who says what to whom, until there is a mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flwr.app import Message

from secagg.adapters.flower import words
from secagg.adapters.flower.decryptor import DecryptorLink
from secagg.adapters.flower.post import POLL_SECONDS, Clock, Post
from secagg.endpoint import Invitation, Mean, Outgoing, ServerEndpoint
from secagg.errors import DecodeError, ParameterError
from secagg.protocol import Roster
from secagg.types import DECRYPTOR, SERVER, PartyId


@dataclass
class Conduct:
    """One session.

    Attributes:
        invitation: to it.
        nodes: of its clients.
        post: to them.
        clock: whose seconds are waited.
        phase_seconds: the deadline of each phase.
        roster: signed, at level `malicious`.
        decryptor: where the protocol has one.
        reasons: why a node fell out, as far as it said.
    """

    invitation: Invitation
    nodes: Mapping[PartyId, int]
    post: Post
    clock: Clock
    phase_seconds: float
    roster: Roster | None
    decryptor: DecryptorLink | None
    reasons: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._server = ServerEndpoint(
            self.invitation, deadlines=self.phase_seconds, roster=self.roster
        )
        self._parties = {node: party for party, node in self.nodes.items()}
        self._skipped = 0.0
        self._queued: dict[int, list[bytes]] = {}

    def run(self) -> Mean:
        """Drive it to its end.

        Raises:
            SecaggError: as `ServerEndpoint.result`, or the decryptor is lost.
        """
        server, data = self._server, self.invitation.encoded
        self._carry_out(server.start(self._now()))
        if self.decryptor is not None:
            for said in self.decryptor.begin(data):
                self._carry_out(server.receive(DECRYPTOR, said, self._now()))
        # The first message to a client invites it, whether it brings anything or not.
        for node in self.nodes.values():
            self._send(node, self._queued.pop(node, []))
        while not server.done:
            replies = self.post.exchange()
            for node, reply in replies:
                for said in self._said(node, reply):
                    self._carry_out(server.receive(self._parties[node], said, self._now()))
            for node in list(self._queued):
                self._send(node, self._queued.pop(node))
            if not server.done:
                self._wait(idle=not replies)
        return server.result()

    def _wait(self, *, idle: bool) -> None:
        """Let time pass. If nobody is left who could answer, the rest of the phase is skipped."""
        left = self._server.wait(self._now())
        left = POLL_SECONDS[1] if left is None else left
        if self.post.waits and left > 0:
            self.post.pause(left, idle=idle)
            left = self._server.wait(self._now()) or 0.0
            if left > 0:
                return
        else:
            self._skipped += left
        self.post.give_up()
        self._carry_out(self._server.tick(self._now()))

    def _carry_out(self, outgoing: list[Outgoing]) -> None:
        server = self._server
        while outgoing or (not server.done and server.wait(self._now()) == 0):
            for to, data in outgoing:
                if to == DECRYPTOR and self.decryptor is not None:
                    for said in self.decryptor.receive(data):
                        self._carry_out(server.receive(DECRYPTOR, said, self._now()))
                else:
                    self._queued.setdefault(self.nodes[to], []).append(data)
            outgoing = [] if server.done else server.tick(self._now())

    def _send(self, node: int, frames: list[bytes]) -> None:
        if node not in self.reasons:
            number = self._parties[node].number
            word = words.Step(self.invitation.job, number, self.invitation.encoded)
            self.post.put(node, words.pack(word, frames))

    def _said(self, node: int, reply: Message) -> list[bytes]:
        """The messages in a reply; none, and the reason noted, if it is not one."""
        if reply.has_error():
            self.reasons[node] = reply.error.reason or f"error {reply.error.code}"
            return []
        try:
            word, frames = words.unpack(reply.content)
        except (DecodeError, ParameterError) as error:
            self.reasons[node] = str(error)
            return []
        if not isinstance(word, words.Stepped):
            self.reasons[node] = f"expected {words.Stepped.__name__}, got {type(word).__name__}"
            return []
        return frames

    def _now(self) -> float:
        return self.clock.now() + self._skipped

    @property
    def refusals(self) -> dict[int, str]:
        """What the session's server refused, by the node that sent it; the last word of each."""
        return {
            self.nodes[refusal.sender]: f"{type(refusal.error).__name__}: {refusal.error}"
            for refusal in self._server.refusals
            if refusal.sender in self.nodes and refusal.sender != SERVER
        }
