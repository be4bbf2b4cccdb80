"""What gamers of an open pool tell each other of peers: each writes keys of its own.

What a word is worth is decided by who hears it (:meth:`p2c2g.peers.breaker.Breakers.share`, and
where health and trust are merged).
A reader asks :data:`MAX_GAMERS` of the pool's gamers, drawn by chance and drawn again now and then,
so that nobody can count on being heard.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from random import Random, SystemRandom
from time import monotonic
from typing import Any

from p2c2g.messaging import bounded, open_names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.peers.book import MAX_TOLD
from p2c2g.peers.breaker import COOLDOWN_MOST, Change
from p2c2g.peers.health_words import Snapshot
from p2c2g.peers.shared_health import MAX_BYTES, OtherSessions, packed, unpacked
from p2c2g.peers.trust import TrustSnapshot
from p2c2g.settings.principal import account_mark, is_principal_id

#: Gamers who are heard, and seconds for which it is the same ones.
MAX_GAMERS = 16
DRAW_EVERY = 30.0
#: Seconds after which what a gamer told is forgotten.
HEALTH_LIFETIME = 600
BREAKERS_LIFETIME = 3600
#: Seconds after which a word is no news, and that clocks may be apart beside what is known of them.
STALE = 600
_SLACK = 5.0
#: Bytes of what one gamer tells of breakers.
MAX_BREAKERS = 64 * MAX_TOLD


class OtherGamers:
    """Which other gamers are heard.  Belongs to one thread.

    Args:
        client: with the gamer's login.
        gamer: who hears.
        clock: seconds, monotonic.
        random: draws.
    """

    def __init__(
        self,
        client: Client,
        gamer: str,
        clock: Callable[[], float] = monotonic,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._gamer = gamer
        self._clock = clock
        self._random = random or SystemRandom()
        self._drawn: list[str] = []
        self._drawn_at = float("-inf")

    def heard(self) -> list[str]:
        """Return their ids.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        now = self._clock()
        if now - self._drawn_at > DRAW_EVERY:
            with translated():
                told: Any = self._client.smembers(open_names.gamers())
            names = (each.decode(errors="replace") for each in told)
            found = sorted(each for each in names if is_principal_id(each))
            # One of each account, and none of one's own: sessions of one are no quorum.
            self._random.shuffle(found)
            accounts = {account_mark(each): each for each in found}
            accounts.pop(account_mark(self._gamer), None)
            others = sorted(accounts.values())
            self._drawn = self._random.sample(others, min(MAX_GAMERS, len(others)))
            self._drawn_at = now
        return self._drawn


class OpenBreakers:
    """One session's view of breakers.  Belongs to one thread.

    Args:
        client: with the gamer's login.
        gamer: whose word it writes; all its sessions share one.
        others: who is heard.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        client: Client,
        gamer: str,
        others: OtherGamers,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._client = client
        self._gamer = gamer
        self._key = open_names.breakers(gamer)
        self._others = others
        self._clock = clock
        self._ahead: float | None = None  # how far the broker's clock is ahead of ours
        self._own: dict[str, float] = {}

    def sync(self, changes: Sequence[Change]) -> dict[str, dict[str, float]]:
        """Tell changes; return the seconds until a peer may be tried, by peer and gamer.

        This gamer's word is among them: that of all its sessions.

        One round trip, and one or two more the first time.

        Raises:
            BrokerUnavailableError: the broker does not answer; nobody can tell whether the
                changes have arrived.
        """
        others = self._others.heard()
        if self._ahead is None:
            with translated():
                self._note(self._client.time())
        own = self._changed(changes)
        with translated(), self._client.pipeline(transaction=False) as pipe:
            if changes:
                pipe.set(self._key, json.dumps(own), ex=BREAKERS_LIFETIME)
            pipe.time()
            for key in (self._key, *map(open_names.breakers, others)):
                bounded.text(pipe, key, MAX_BREAKERS)
            found = pipe.execute(raise_on_error=False)
        said = 1 + len(others)
        time, words = found[-said - 1], [read(each) for each in found[-said:]]
        if isinstance(time, Exception):
            with translated():
                raise time
        self._note(time)
        self._own = words[0]
        now = self._now()
        said_of: dict[str, dict[str, float]] = {}
        for gamer, word in zip((self._gamer, *others), words, strict=True):
            for peer, until in word.items():
                left = until - now
                if -STALE <= left <= COOLDOWN_MOST + _SLACK:  # No session writes another.
                    said_of.setdefault(peer, {})[gamer] = min(left, COOLDOWN_MOST)
        return said_of

    def _changed(self, changes: Sequence[Change]) -> dict[str, float]:
        now = self._now()
        own = {peer: until for peer, until in self._own.items() if until > now - STALE}
        for change in changes:
            if change.seconds:
                own[change.peer] = max(own.get(change.peer, 0.0), now + change.seconds)
            else:
                own.pop(change.peer, None)
        return dict(sorted(own.items(), key=lambda each: -each[1])[:MAX_TOLD])

    def _note(self, time: Any) -> None:
        seconds, micros = time
        self._ahead = seconds + micros / 1e6 - self._clock()

    def _now(self) -> float:
        return self._clock() + (self._ahead or 0.0)


def read(word: Any) -> dict[str, float]:
    """Return what one gamer said of breakers: nothing where it cannot be read."""
    if not isinstance(word, bytes) or not 0 < len(word) <= MAX_BREAKERS:
        return {}
    try:
        told = json.loads(word)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {
        peer: float(moment)
        for peer, moment in list(told.items())[:MAX_TOLD]
        if is_principal_id(peer)
        and isinstance(moment, int | float)
        and math.isfinite(moment)
        and abs(moment) < 1e12
    }


class OpenHealth:
    """One session's view of what gamers have seen of peers.  Belongs to one thread.

    Args:
        client: with the gamer's login.
        gamer: whose word it writes.
        others: who is heard.
    """

    def __init__(self, client: Client, gamer: str, others: OtherGamers) -> None:
        self._client = client
        self._key = open_names.health(gamer)
        self._others = others

    def sync(self, health: Snapshot, trust: TrustSnapshot) -> OtherSessions:
        """Tell what this session has seen, and hear the others.  A round trip, or two.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        others = self._others.heard()
        with translated(), self._client.pipeline(transaction=False) as pipe:
            pipe.set(self._key, packed(health, trust), ex=HEALTH_LIFETIME)
            for gamer in others:
                bounded.text(pipe, open_names.health(gamer), MAX_BYTES)
            written, *answers = pipe.execute(raise_on_error=False)
            if isinstance(written, Exception):
                raise written
        words = [unpacked(name, each) for name, each in zip(others, answers, strict=True)]
        heard = [each for each in words if each is not None]
        return OtherSessions(tuple(w.health for w in heard), tuple(w.trust for w in heard))
