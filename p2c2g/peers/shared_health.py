"""What sessions tell each other of their peers' health, through the broker.

Each session writes one key of its own, ``p2c2g.health.<session>``, every few seconds: what it has
seen itself, as JSON.  It is gone :data:`LIFETIME` seconds after it was written last, so that a new
session also learns from those that have ended.  The set ``p2c2g.health`` names the sessions, so
that nobody has to search the broker; a reader removes a name without a key.  Where there are more
than :data:`MAX_SESSIONS`, a reader asks that many of them, drawn by the broker.

What is longer than allowed, or not what it should be, is left out and logged.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from p2c2g.messaging import bounded, names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.messaging.labels import MAX_NAME
from p2c2g.peers import versions
from p2c2g.peers.health_words import Snapshot
from p2c2g.peers.trust import TrustSnapshot

logger = logging.getLogger(__name__)

#: Seconds after which what a session told is forgotten, and in which it tells it again.
LIFETIME = 600
INTERVAL = 5.0
#: Sessions that a reader heeds, and bytes of one: 32 KB hold a hundred peers or so.
MAX_SESSIONS = 16
MAX_BYTES = 32_768


class SessionSnapshot(BaseModel):
    """What one session tells."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    health: Snapshot = Snapshot()
    trust: TrustSnapshot = TrustSnapshot()


@dataclass(frozen=True, slots=True)
class OtherSessions:
    """What the other sessions told: to be merged into this one's health and trust."""

    health: tuple[Snapshot, ...]
    trust: tuple[TrustSnapshot, ...]


class SharedHealth:
    """One session's view of it.  Belongs to one thread.

    Args:
        client: a client of the broker, bytes in and bytes out.
        session: this session's name, whose word is not heard again; empty for who only reads.
    """

    def __init__(self, client: Client, session: str = "") -> None:
        self._client = client
        self._session = session

    def sync(self, health: Snapshot, trust: TrustSnapshot) -> OtherSessions:
        """Tell what this session has seen, and hear the others.  Two round trips.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        return self._exchange(packed(health, trust))

    def read(self) -> OtherSessions:
        """Hear the sessions and tell nothing.  Two round trips.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        return self._exchange(None)

    def _exchange(self, word: bytes | None) -> OtherSessions:
        sessions = names.sessions()
        with translated(), self._client.pipeline(transaction=False) as pipe:
            if word is not None and self._session:
                pipe.set(names.health(self._session), word, ex=LIFETIME)
                pipe.sadd(sessions, self._session)
                pipe.expire(sessions, LIFETIME)
                pipe.set(names.spoken(), versions.spoken(), ex=versions.LIFETIME)
            bounded.members(pipe, sessions, MAX_SESSIONS + 1)
            *_, found = pipe.execute()
            others = sorted(name for name in map(_text, found) if name != self._session)
            others = others[:MAX_SESSIONS]
            for name in others:
                bounded.text(pipe, names.health(name), MAX_BYTES)
            answers: list[Any] = pipe.execute(raise_on_error=False) if others else []
            if gone := [n for n, a in zip(others, answers, strict=True) if a == b""]:
                self._client.srem(sessions, *gone)
        words = [unpacked(name, answer) for name, answer in zip(others, answers, strict=True)]
        heard = [each for each in words if each is not None]
        return OtherSessions(tuple(w.health for w in heard), tuple(w.trust for w in heard))


def packed(health: Snapshot, trust: TrustSnapshot) -> bytes:
    """Write what a session tells; peers that were heard of least lately are left out for room."""
    while True:
        data = (
            SessionSnapshot(health=health, trust=trust)
            .model_dump_json(exclude_defaults=True)
            .encode()
        )
        if len(data) <= MAX_BYTES:
            return data
        # Both name the peer heard of last first.
        share = MAX_BYTES / len(data) * 0.95
        health = Snapshot(
            operations={
                operation: dict(list(peers.items())[: int(len(peers) * share)])
                for operation, peers in health.operations.items()
            },
            lines=dict(list(health.lines.items())[: int(len(health.lines) * share)]),
        )
        trust = TrustSnapshot(
            peers=dict(list(trust.peers.items())[: int(len(trust.peers) * share)])
        )


def unpacked(name: str, answer: Any) -> SessionSnapshot | None:
    """Read what a session told, or return None; what is no word of a session is logged."""
    if answer == b"":
        return None
    problem = "it is no text"
    if isinstance(answer, bytes) and len(answer) > MAX_BYTES:
        problem = f"it has more than {MAX_BYTES} bytes"
    elif isinstance(answer, bytes):
        try:
            return SessionSnapshot.model_validate_json(answer)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    logger.warning("What session %r tells of its peers cannot be read: %s.", name, problem)
    return None


def _text(name: bytes) -> str:
    return name.decode(errors="replace")[:MAX_NAME]
