"""The registry of peers at the broker: one read model for sessions, operators and dashboards.

===========================  ==========================================================
key                          what it holds
===========================  ==========================================================
``p2c2g.peers``              hash: a peer's id → its enrolment
``p2c2g.beat.<id>``          its latest beat; gone three intervals after it was written
``p2c2g.banned``             hash: a peer's id → why
``p2c2g.spoken``             what a session speaks (:mod:`p2c2g.peers.versions`)
===========================  ==========================================================

The broker's own clock ends a peer's beat, so nobody's clock has to be trusted: a peer that is
enrolled and has no beat is dead, and anybody who sees that may sweep it.  A peer writes its
own keys only, in one round trip a beat.

A name belongs to the instance that holds its beat.  So a beat is only ever *followed* by one of
the same instance: who was away for longer than that, asleep perhaps, is told that it is not
enrolled, and enrols again unless somebody else has the name by now.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from p2c2g.errors import BrokerUnavailableError, UsageError, WireError
from p2c2g.messaging import names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.messaging.labels import is_name
from p2c2g.messaging.scripts import script
from p2c2g.peers.messages import Beat, Enrolment, parse
from p2c2g.peers.versions import left_out, other_version

logger = logging.getLogger(__name__)

#: Intervals after which a beat is gone, and its peer dead.
MISSED = 3
#: Characters of the reason for a ban.
MAX_REASON = 200
#: Peers whose nonsense has been logged; a further one is logged again and again.
MAX_COMPLAINTS = 1_000

T = TypeVar("T", Enrolment, Beat)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the registry says to a peer's beat.

    ``enrolled`` is False where the broker has forgotten it: it should enrol again.  ``banned``
    says why it may not take part, or is None.
    """

    enrolled: bool
    banned: str | None = None


@dataclass(frozen=True, slots=True)
class Pulse:
    """A peer's latest beat, None of one that is dead, and the chunks in its own queue."""

    beat: Beat | None
    waiting: int


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """All that is known of one peer at the broker."""

    enrolment: Enrolment
    beat: Beat | None
    waiting: int
    banned: str | None


class Registry:
    """The registry, through one client of the broker.

    Every method raises :class:`~p2c2g.errors.BrokerUnavailableError` where the broker does not
    answer.  As safe for threads as the client is.

    Args:
        client: bytes in, bytes out (``decode_responses`` off).
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._enrol = client.register_script(script("whose", "enrol"))
        self._beat = client.register_script(script("beat"))
        self._leave = client.register_script(script("whose", "remove", "leave"))
        self._complaints: set[tuple[str, str]] = set()

    # -- what a peer does -----------------------------------------------------------------

    def enrol(self, enrolment: Enrolment, beat: Beat, *, control: bool = False) -> Standing:
        """Write both, so that the peer is known and alive; a banned one is only told so.

        Args:
            enrolment: who it is.
            beat: how it is.
            control: whether it listens to Celery's remote control, to which a sweep may have
                made it deaf meanwhile.

        Raises:
            UsageError: a living peer of another instance has this id.
        """
        peer = enrolment.id
        with translated():
            taken, reason = self._enrol(
                keys=[
                    names.peers(),
                    names.beat(peer),
                    names.banned(),
                    *([names.control_bindings()] if control else []),
                ],
                args=[
                    peer,
                    enrolment.instance,
                    beat.model_dump_json(),
                    _lifetime(enrolment),
                    enrolment.model_dump_json(),
                    names.control_binding(peer),
                ],
            )
        if taken:
            raise UsageError(
                f"Another peer is called {peer}: give this worker a name of its own with -n, or "
                "p2c2g peer run with --name."
            )
        banned = _text(reason)
        return Standing(enrolled=banned is None, banned=banned)

    def beat(self, enrolment: Enrolment, beat: Beat) -> Standing:
        """Tell that a peer lives, in one round trip.

        Nothing is written where its last beat is gone or is another instance's: it has to
        enrol again.
        """
        peer = enrolment.id
        with translated():
            enrolled, reason = self._beat(
                keys=[names.peers(), names.beat(peer), names.banned()],
                args=[peer, enrolment.instance, beat.model_dump_json(), _lifetime(enrolment)],
            )
        return Standing(enrolled=bool(enrolled), banned=_text(reason))

    def leave(self, id: str, queues: Sequence[str], instance: str = "") -> None:  # noqa: A002
        """Deregister; what waits in its own queue goes to ``queues[0]``, to be read next.

        Args:
            id: the peer's.
            queues: those that it served, the capability queue first; where there is none,
                what waits is dropped.
            instance: where given, nothing happens if the name belongs to another by now.
        """
        with translated():
            self._leave(
                keys=self._traces(id, queues), args=[id, instance, names.control_binding(id)]
            )

    # -- what others see ------------------------------------------------------------------

    def ids(self) -> frozenset[str]:
        """Return the ids of all that are enrolled, living or dead."""
        with translated():
            keys: Any = self._client.hkeys(names.peers())
        return frozenset(name for name in map(self._id, keys) if name is not None)

    def enrolments(self, ids: Collection[str]) -> dict[str, Enrolment]:
        """Return what these have told of themselves; what cannot be read is left out."""
        if not ids:
            return {}
        with translated():
            rows: Any = self._client.hmget(names.peers(), list(ids))
        return self._read_enrolments(dict(zip(ids, rows, strict=True)))

    def beats(self, ids: Sequence[str]) -> dict[str, Pulse]:
        """Return how these are, in one round trip."""
        if not ids:
            return {}
        with translated(), self._client.pipeline(transaction=False) as pipe:
            pipe.mget([names.beat(peer) for peer in ids])
            for peer in ids:
                pipe.llen(names.queue_key(names.own_queue(peer)))
            # A list's length is an error where a stranger has made it something else.
            beats, *waiting = pipe.execute(raise_on_error=False)
        if isinstance(beats, Exception):
            raise BrokerUnavailableError(f"The broker does not tell who lives: {beats}.")
        return {
            peer: Pulse(self._parse(Beat, peer, data), length if isinstance(length, int) else 0)
            for peer, data, length in zip(ids, beats, waiting, strict=True)
        }

    def records(self) -> list[PeerRecord]:
        """Return everything, in order of the ids: for operators and dashboards."""
        with translated(), self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(names.peers())
            pipe.hgetall(names.banned())
            peers, banned = pipe.execute()
        named = {self._id(key): data for key, data in peers.items()}
        enrolments = self._read_enrolments(
            {peer: data for peer, data in named.items() if peer is not None}
        )
        reasons = _reasons(banned)
        ids = sorted(enrolments)
        pulses = self.beats(ids)
        return [
            PeerRecord(enrolments[peer], pulses[peer].beat, pulses[peer].waiting, reasons.get(peer))
            for peer in ids
        ]

    # -- what an operator does, and who sees that a peer is dead ------------------------------

    def sweep(self, ids: Collection[str]) -> list[str]:
        """Remove those of these that are enrolled and have no beat; return their ids.

        Gone are the enrolment, the own queue with what waits there (it is older than a beat's
        three intervals, and who sent it has long had it run elsewhere), Celery's control queue
        and its binding.  Whether a beat is there is asked again in the same step, so that one
        who has just come back stays.
        """
        if not ids:
            return []
        sweep = script("remove", "sweep")
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for peer in ids:
                traces = self._traces(peer, ())
                pipe.eval(sweep, len(traces), *traces, peer, "", names.control_binding(peer))
            swept = pipe.execute(raise_on_error=False)
        for result in swept:
            if isinstance(result, Exception):
                raise BrokerUnavailableError(f"The broker refuses to sweep: {result}.")
        return [peer for peer, result in zip(ids, swept, strict=True) if result]

    def ban(self, id: str, reason: str) -> None:  # noqa: A002
        """Shut a peer out; it ends itself at its next beat.

        Raises:
            UsageError: no peer can have that id.
        """
        if not is_name(id):
            raise UsageError(f"{id!r} is no peer's id: give one such as cpu1@host.")
        with translated():
            self._client.hset(names.banned(), id, reason.strip()[:MAX_REASON])

    def unban(self, id: str) -> None:  # noqa: A002
        """Let a peer back in; nothing happens where it is not banned."""
        with translated():
            self._client.hdel(names.banned(), id)

    def banned(self) -> dict[str, str]:
        """Return the reason of each ban, by the peer's id."""
        with translated():
            rows: Any = self._client.hgetall(names.banned())
        return _reasons(rows)

    # -- reading what strangers wrote ---------------------------------------------------------

    def _read_enrolments(self, rows: dict[str, bytes | None]) -> dict[str, Enrolment]:
        read: dict[str, Enrolment] = {}
        for peer, data in rows.items():
            if version := other_version(data or b""):
                self._complain("version", peer, left_out(peer, version))
                continue
            enrolment = self._parse(Enrolment, peer, data)
            if enrolment is None:
                continue
            if enrolment.id != peer:
                self._complain(
                    "enrolment", peer,
                    f"Left out the enrolment of peer {peer}: it is called {enrolment.id} inside.",
                )  # fmt: skip
                continue
            read[peer] = enrolment
        return read

    def _parse(self, kind: type[T], peer: str, data: bytes | None) -> T | None:
        if data is None:
            return None
        try:
            return parse(kind, data)
        except WireError as error:
            what = kind.__name__.lower()
            self._complain(what, peer, f"Left out the {what} of peer {peer}: {error}")
            return None

    def _id(self, key: bytes) -> str | None:
        try:
            name = key.decode()
        except UnicodeDecodeError:
            name = ""
        if is_name(name):
            return name
        shown = repr(key[:MAX_REASON])
        self._complain("id", shown, f"Left out the id of peer {shown}: it is no name.")
        return None

    def _complain(self, what: str, peer: str, sentence: str) -> None:
        # Sessions look every second: once is enough.
        if (what, peer) in self._complaints:
            return
        if len(self._complaints) < MAX_COMPLAINTS:
            self._complaints.add((what, peer))
        logger.warning("%s", sentence)

    @staticmethod
    def _traces(peer: str, heirs: Sequence[str]) -> list[str]:
        """Return the keys that a peer has at the broker, and the queue that inherits, if any."""
        queues = (names.own_queue(peer), names.control_queue(peer))
        return [
            names.peers(),
            names.beat(peer),
            *map(names.queue_key, queues),
            names.control_bindings(),
            *map(names.queue_key, heirs[:1]),
        ]


def _lifetime(enrolment: Enrolment) -> int:
    """Return the milliseconds that a beat lasts."""
    return round(MISSED * enrolment.interval * 1000)


def _reasons(rows: dict[bytes, bytes]) -> dict[str, str]:
    return {
        key.decode(errors="replace"): value.decode(errors="replace") for key, value in rows.items()
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
