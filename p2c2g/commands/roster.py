"""The pool as an operator sees it: who is there, how each is, and what it is worth.

One look gathers what the registry, the shared breakers and the sessions' health know, in six
round trips.  Peers without a beat are swept and not shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from p2c2g.errors import UsageError
from p2c2g.messaging import open_names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.peers.book import PeerBook
from p2c2g.peers.breaker import State, Words
from p2c2g.peers.health import Health, Record
from p2c2g.peers.line_words import DirectionSeen, LineWord, together
from p2c2g.peers.messages import Beat, PeerState
from p2c2g.peers.ranking import Score, merits, score
from p2c2g.peers.registry import PeerRecord, Registry
from p2c2g.peers.shared_breakers import SharedBreakers
from p2c2g.peers.shared_health import SharedHealth
from p2c2g.peers.trust import TrustSnapshot, claimed
from p2c2g.peers.versions import Versions


@dataclass(frozen=True, slots=True)
class Member:
    """One living peer.

    ``operations`` is what sessions have seen of it, by operation, and ``up`` and ``down`` of the
    way to it and back, None where none has; ``in_a_row`` and ``caught``
    are comparisons that agreed since the last that did not, and those that did not.
    """

    record: PeerRecord
    beat: Beat
    breaker: State
    score: Score
    in_a_row: int = 0
    caught: int = 0
    operations: dict[str, Record] = field(default_factory=dict)
    up: DirectionSeen | None = None
    down: DirectionSeen | None = None

    @property
    def id(self) -> str:
        """Return its id."""
        return self.record.enrolment.id

    @property
    def state(self) -> str:
        """Return its state in a word; a ban goes before what it says of itself."""
        return "banned" if self.record.banned is not None else self.beat.state.value

    @property
    def rate(self) -> float:
        """Return the chunks that it ended a second, over its last beat."""
        return self.beat.served / self.record.enrolment.interval

    def row(self) -> dict[str, Any]:
        """Return what a list shows, for JSON; times in milliseconds."""
        enrolment, beat = self.record.enrolment, self.beat
        return {
            "id": self.id,
            "name": enrolment.name,
            "region": enrolment.region,
            "state": self.state,
            "reason": beat.reason if beat.state is PeerState.PAUSED else self.record.banned,
            "queues": list(enrolment.queues),
            "slots": enrolment.slots,
            "in_flight": beat.in_flight,
            "waiting": self.record.waiting,
            "load": beat.load,
            "chunks_per_second": round(self.rate, 3),
            "ms_per_chunk": round(beat.seconds_per_chunk * 1e3, 3),
            "rtt_ms": round(beat.rtt * 1e3, 3),
            "score": round(self.score.value, 1),
            "moved": self.score.moved,
            "breaker": self.breaker.value,
        }

    def details(self) -> dict[str, Any]:
        """Return all that is known of it, for JSON."""
        return {
            **self.row(),
            "factors": {name: round(value, 3) for name, value in self.score.factors.items()},
            "comparisons_in_a_row": self.in_a_row,
            "caught": self.caught,
            "operations": {name: asdict(record) for name, record in self.operations.items()},
            "line": {
                name: None if seen is None else asdict(seen)
                for name, seen in (("to_it", self.up), ("from_it", self.down))
            },
            "beat": self.beat.model_dump(mode="json"),
            "enrolment": self.record.enrolment.model_dump(mode="json"),
        }


@dataclass(frozen=True, slots=True)
class Pool:
    """All living peers in order of their ids, and the bans by id, also of peers that have left.

    ``operation`` is what the scores are of: the pipeline of which most results were seen, or
    empty where none was.  ``other_versions`` is what those speak, by id, that are there and of
    another version: nothing else is known of them.  ``is_open`` says of an empty one that its
    broker is an open pool's, whose peers each have keys of their own.
    """

    members: tuple[Member, ...]
    banned: dict[str, str]
    operation: str = ""
    other_versions: dict[str, str] = field(default_factory=dict)
    is_open: bool = False

    def ranked(self) -> list[Member]:
        """Return the members, the best first."""
        return sorted(self.members, key=lambda member: (-member.score.value, member.id))

    def member(self, peer: str) -> Member:
        """Return one by its id, or by the name that it alone has.

        Raises:
            UsageError: it is not there, or several have the name; the sentence names the ids.
        """
        for member in self.members:
            if member.id == peer:
                return member
        called = [member for member in self.members if member.record.enrolment.name == peer]
        if len(called) == 1:
            return called[0]
        if called:
            ids = ", ".join(member.id for member in called)
            raise UsageError(f"{len(called)} peers are called {peer!r}: give the id, of {ids}.")
        raise unknown(peer, [member.id for member in self.members], "is no peer of this pool")


class Roster:
    """Looks at a pool through one client of its broker.

    Every look raises :class:`~p2c2g.errors.BrokerUnavailableError` where the broker does not
    answer.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.registry = Registry(client)
        self._breakers = SharedBreakers(client)
        self._health = SharedHealth(client)
        self._versions = Versions(client)

    def look(self) -> Pool:
        """Sweep the dead; return the living."""
        records = self.registry.records()
        self.registry.sweep([each.enrolment.id for each in records if each.beat is None])
        banned = self.registry.banned()
        words = self._breakers.sync([])
        heard = self._health.read()
        health = Health(PeerBook())  # of what this one has seen itself: nothing
        health.merge(heard.health)
        operation = _commonest(health)
        return Pool(
            tuple(
                _member(
                    each,
                    each.beat,
                    words,
                    health,
                    heard.trust,
                    [
                        word.lines[each.enrolment.id]
                        for word in heard.health
                        if each.enrolment.id in word.lines
                    ],
                    operation,
                )
                for each in records
                if each.beat is not None
            ),
            banned,
            operation,
            self._versions.others(),
            not records and self._is_open(),
        )

    def _is_open(self) -> bool:
        with translated():
            return bool(self._client.exists(open_names.peers(), open_names.gamers()))


def _member(
    record: PeerRecord,
    beat: Beat,
    words: Words,
    health: Health,
    trust: tuple[TrustSnapshot, ...],
    lines: list[LineWord],
    operation: str,
) -> Member:
    peer = record.enrolment.id
    breaker = State.CLOSED
    if record.banned is not None:
        breaker = State.OPEN
    elif peer in words:
        breaker = State.OPEN if max(words[peer].values()) > 0 else State.HALF_OPEN
    known = {name: health.of(peer, name) for name in health.operations(peer)}
    caught, in_a_row = claimed(trust, peer)
    return Member(
        record=record,
        beat=beat,
        breaker=breaker,
        score=score(merits(known.get(operation), in_a_row, breaker, rtt=beat.rtt or None)),
        in_a_row=in_a_row,
        caught=caught,
        operations={name: each for name, each in known.items() if each is not None},
        up=together(word.up for word in lines),
        down=together(word.down for word in lines),
    )


def _commonest(health: Health) -> str:
    """Return the operation of which most results were seen: speeds of others are no match."""
    counts: dict[str, int] = {}
    for peer in health.peers():
        for operation in health.operations(peer):
            seen = health.of(peer, operation)
            counts[operation] = counts.get(operation, 0) + (seen.count if seen else 0)
    return max(sorted(counts), key=lambda operation: counts[operation], default="")


def unknown(peer: str, known: list[str], what: str) -> UsageError:
    """Return the error that names the ids there are."""
    verb = "is" if len(known) == 1 else "are"
    return UsageError(f"{peer!r} {what}: there {verb} {', '.join(sorted(known)) or 'none'}.")
