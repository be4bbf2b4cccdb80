"""A session and a worker of an open pool, with nobody between them but a test."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from time import monotonic
from typing import Any

import numpy as np
import pytest

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Frame, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.messaging import open_names
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.dispatcher import Dispatcher, Message, task_id
from p2c2g.messaging.inbox import Arrival
from p2c2g.messaging.results import QUEUE_OF
from p2c2g.peers.messages import Enrolment
from p2c2g.peers.standing import Voucher
from p2c2g.peers.vouching import vouch_for
from p2c2g.routing.router import Facts
from p2c2g.sealing.identity import Identity, text_of
from p2c2g.session.config import SessionConfig
from p2c2g.session.session import Session
from p2c2g.settings import Settings
from p2c2g.settings.membership import Membership
from p2c2g_workers import opening
from p2c2g_workers.tasks import EnhancedChunk, enhance
from tests.honest import EXACT

GAMER, PEER, OTHER = "gamer01", "peer001", "peer002"
SIZE, PIPELINE = Size(64, 48), Pipeline.parse("upscale:2,sharpen:1")
IDENTITY = Identity.generate()
OPERATOR = Identity.generate()
PIXELS = np.random.default_rng(1).integers(0, 256, (SIZE.height, SIZE.width, 3), np.uint8)


def membership(role: str, id: str, identity: Identity = IDENTITY) -> Membership:  # noqa: A002
    return Membership.model_validate({
        "pool": "https://pool.test", "role": role, "id": id, "user": f"{role}-{id}",
        "broker": "rediss://broker.test:6390/0", "password": "x", "signing_key": identity.text(),
        "operator_key": text_of(OPERATOR.public),
    })  # fmt: skip


def admitted(peer: str, operator: Identity = OPERATOR, **changes: str) -> Voucher:
    """Return what an operator vouches for."""
    told = {"key": text_of(IDENTITY.public), "account": "ada", **changes}
    return vouch_for(operator, "p2c2g", peer, Voucher(**told))


class Worker:
    """A worker of a peer, to which a test hands messages."""

    def __init__(self, peer: str = PEER) -> None:
        self.peer = peer
        self.opener = opening.opener_for(membership("peer", peer), "instance")
        exchange, signature = self.opener.told()
        self.enrolment = Enrolment(
            id=peer, instance="instance", exchange=exchange, exchange_signature=signature
        )
        self.voucher = admitted(peer)

    def enhance(self, header: bytes, payload: bytes, gamer: str = GAMER) -> EnhancedChunk:
        queue = open_names.chunks_queue(self.peer, gamer) if gamer else "cpu"
        opening.use(self.opener)
        enhance.push_request(**{QUEUE_OF: queue, "hostname": self.peer})
        try:
            result: EnhancedChunk = enhance.run(header, payload)
        finally:
            enhance.pop_request()
            opening.use(opening.PLAIN)
        return result

    def lie(self, header: bytes, payload: bytes, residual: bytes) -> EnhancedChunk:
        """Answer with another residual, sealed and signed as any."""
        queue = open_names.chunks_queue(self.peer, GAMER)
        opened = self.opener.open(queue, header, payload)
        asked = ChunkHeader.unpack(header)
        result = ResultHeader(asked.frame, asked.chunk, asked.attempt, self.peer, 0, 1, 1, 2)
        packed = result.pack()
        return EnhancedChunk(result, packed, opened.answer(packed, residual))


class Desk:
    """A session that is fed by hand; what it sends is kept."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *workers: Worker, shows: bool = False
    ) -> None:
        self.sent: list[Message] = []
        monkeypatch.setattr(Dispatcher, "is_connected", property(lambda _self: True))
        monkeypatch.setattr(Dispatcher, "send", lambda _s, _n, messages: self.sent.extend(messages))
        plan = SessionConfig(
            SIZE, PIPELINE, Grid(1, 1), codec="png", form=EXACT, deadline=1e6, policy="predictive"
        )
        settings = Settings(membership=membership("gamer", GAMER))
        self.session = Session(
            Broker(settings), plan, lambda _: None, random=Random(1), shows=shows
        )
        for worker in workers:
            self.session._seals.admit(worker.enrolment, worker.voucher)
        with self.session._shell as core:
            core.registry_said(
                [Facts(w.peer, ready=True) for w in workers], frozenset(), monotonic()
            )

    def submit(self) -> Message:
        """Submit a frame that is like no earlier one: all of it is sent."""
        now, number = monotonic(), len(self.sent)
        self.session.submit(Frame(number, np.roll(PIXELS, number, axis=1), now, now))
        return self.sent[-1]

    def take(self, result: EnhancedChunk, peer: str, **changes: Any) -> None:
        told = Arrival(
            task_id("s", result.result.frame, result.result.chunk), True, result.header(),
            result.payload, "", peer,
        )  # fmt: skip
        self.session._collector.take(replace(told, **changes), monotonic())

    @property
    def figures(self) -> dict[str, Any]:
        return self.session.figures()

    @property
    def failed(self) -> int:
        return int(self.figures["results"]["failed"])

    @property
    def accepted(self) -> int:
        return sum(self.figures["attempts"].values())

    def close(self) -> None:
        self.session._inbox._selector.close()
        self.session._inbox._waker.close()
        self.session._inbox._wakee.close()
