"""Peers of an open pool with a login that is right, and nothing else that is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import redis

from p2c2g.messaging import envelope, names, open_names
from p2c2g.messaging.client import redis_client
from p2c2g.peers.messages import Beat, Capabilities, Enrolment, PeerState
from p2c2g.peers.open_registry import OpenStandings
from p2c2g.peers.versions import spoken
from p2c2g.settings.membership import Membership
from p2c2g_workers import opening
from tests.open_pool import OpenPool

INSTANCE = "attacker"


class Attacker:
    """A peer that enrols and beats as it should, and attacks with each chunk that it is sent.

    Args:
        pool: of which it is one.
        membership: its own.
        attack: is given the broker, the gamer's name, and a chunk's session and task id; called
            again and again with no chunk where it is ``relentless``.
        relentless: whether it waits for no chunk.
    """

    def __init__(
        self,
        pool: OpenPool,
        membership: Membership,
        attack: Callable[[redis.Redis, str, str, str], None],
        *,
        relentless: bool = False,
    ) -> None:
        self.peer = membership.id
        self._client = redis_client(pool.settings(membership), timeout=5.0)
        self._standings = OpenStandings(self._client)
        self._attack = attack
        self._relentless = relentless
        exchange, signature = opening.opener_for(membership, INSTANCE).told()
        self._enrolment = Enrolment(
            id=self.peer, instance=INSTANCE, slots=4, queues=("cpu",), interval=1.0,
            # Faster than any honest one, by its own word.
            capabilities=Capabilities(speeds={"upscale:2:bicubic": 1e9}, codecs={"raw": 1e9}),
            speaks=spoken(), exchange=exchange, exchange_signature=signature,
        )  # fmt: skip
        self.attacks = 0
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=each, name=f"attacker-{each.__name__}")
            for each in (self._beat, self._work)
        ]

    def __enter__(self) -> Self:
        self._standings.enrol(self._enrolment, self._now())
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._client.close()

    @staticmethod
    def _now() -> Beat:
        return Beat(instance=INSTANCE, state=PeerState.READY)

    def _beat(self) -> None:
        while not self._over.wait(0.5):
            self._standings.beat(self._enrolment, self._now())

    def _work(self) -> None:
        seen = ("", "")
        while not self._over.is_set():
            queues = [
                names.queue_key(open_names.chunks_queue(self.peer, gamer))
                for gamer in self._standings.gamers(self.peer)
            ]
            found: Any = self._client.brpop(queues, timeout=0.05)
            if found is not None:
                task = str(envelope.unpack(found[1])["headers"]["id"])
                gamer = open_names.sender_of(found[0].decode().removeprefix(names.celerys()))
                seen = (gamer, task)
            if seen[1] and (found is not None or self._relentless):
                self.attacks += 1
                with suppress(redis.ResponseError):
                    self._attack(self._client, self.peer, *seen)


def _stream(peer: str, gamer: str, task: str) -> str:
    return open_names.results(peer, gamer, task.split(".")[0])


def _add(client: redis.Redis, key: str, **fields: Any) -> None:
    client.execute_command(
        "XADD", key, "NOMKSTREAM", "*", *(part for each in fields.items() for part in each)
    )


def squat(client: redis.Redis, peer: str, gamer: str, task: str) -> None:
    """Take a chunk, and answer nothing."""


def flood(client: redis.Redis, peer: str, gamer: str, task: str) -> None:
    """Answer what nobody asked for, as much as the line takes."""
    with client.pipeline(transaction=False) as pipe:
        for _ in range(20):
            _add(pipe, _stream(peer, gamer, task), id="x.1.0", payload=os.urandom(50_000))
        pipe.execute(raise_on_error=False)


def fail_others(client: redis.Redis, peer: str, gamer: str, task: str) -> None:
    """Tell that all chunks of the last frames have failed, as if they were its own."""
    session, frame, _ = task.split(".")
    for number in range(max(0, int(frame) - 1), int(frame) + 4):
        for chunk in range(4):
            _add(client, _stream(peer, gamer, task), id=f"{session}.{number}.{chunk}",
                 state="FAILURE", error="CodecError: no", peer="pattic")  # fmt: skip


def forge(client: redis.Redis, peer: str, gamer: str, task: str) -> None:
    """Answer with bytes that no key has sealed."""
    _add(client, _stream(peer, gamer, task), id=task, state="SUCCESS",
         header=os.urandom(60), payload=os.urandom(5000))  # fmt: skip


def babble(client: redis.Redis, peer: str, gamer: str, task: str) -> None:
    """Tell nonsense of itself."""
    client.set(open_names.beat(peer), b"{" * 1_000_000, px=3000)
    client.set(open_names.enrolment(peer), os.urandom(1_000_000))
