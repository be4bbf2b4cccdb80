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

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from p2c2g.errors import BrokerUnavailableError, UsageError
from p2c2g.messaging import bounded, names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.messaging.labels import is_name
from p2c2g.messaging.scripts import script
from p2c2g.peers.messages import MAX_BEAT, MAX_ENROLMENT, Beat, Enrolment
from p2c2g.peers.reading import Reader
from p2c2g.peers.versions import MAX_PEERS

#: Intervals after which a beat is gone, and its peer dead.
MISSED = 3
#: Characters of the reason for a ban, and its bytes.
MAX_REASON = 200
REASON_BYTES = 4 * MAX_REASON


@dataclass(frozen=True, slots=True)
class BeatReply:
    """What the registry says to a peer's beat.

    ``enrolled`` is False where the broker has forgotten it: it should enrol again.  ``banned``
    says why it may not take part, or is None.  In an open pool ``drained`` says why it is to leave,
    ``gamers`` whose chunks it is to take, None where nothing is said, and ``wanted`` which version
    it should run, empty where any will do.
    """

    enrolled: bool
    banned: str | None = None
    drained: str | None = None
    gamers: tuple[str, ...] | None = None
    wanted: str = ""


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


class Registry(Reader):
    """The registry, through one client of the broker.

    Every method raises :class:`~p2c2g.errors.BrokerUnavailableError` where the broker does not
    answer.  As safe for threads as the client is.

    Args:
        client: bytes in, bytes out (``decode_responses`` off).
    """

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._enrol = client.register_script(script("why", "whose", "enrol"))
        self._beat = client.register_script(script("why", "beat"))
        self._leave = client.register_script(script("whose", "remove", "leave"))

    # -- what a peer does -----------------------------------------------------------------

    def enrol(self, enrolment: Enrolment, beat: Beat, *, control: bool = False) -> BeatReply:
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
                    lifetime(enrolment),
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
        return BeatReply(enrolled=banned is None, banned=banned)

    def beat(self, enrolment: Enrolment, beat: Beat) -> BeatReply:
        """Tell that a peer lives, in one round trip.

        Nothing is written where its last beat is gone or is another instance's: it has to
        enrol again.
        """
        peer = enrolment.id
        with translated():
            enrolled, reason = self._beat(
                keys=[names.peers(), names.beat(peer), names.banned()],
                args=[peer, enrolment.instance, beat.model_dump_json(), lifetime(enrolment)],
            )
        return BeatReply(enrolled=bool(enrolled), banned=_text(reason))

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
            keys: Any = bounded.members(self._client, names.peers(), MAX_PEERS)
        return frozenset(name for name in map(self.id_of, keys) if name is not None)

    def enrolments(self, ids: Collection[str]) -> dict[str, Enrolment]:
        """Return what these have told of themselves; what cannot be read is left out."""
        with translated():
            rows = bounded.values(self._client, names.peers(), list(ids), MAX_ENROLMENT)
        return self.read_enrolments(rows)

    def beats(self, ids: Sequence[str]) -> dict[str, Pulse]:
        """Return how these are, in one round trip."""
        if not ids:
            return {}
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for peer in ids:
                bounded.text(pipe, names.beat(peer), MAX_BEAT)
            for peer in ids:
                pipe.llen(names.queue_key(names.own_queue(peer)))
            # Each is an error where a stranger has made it something else.
            found = pipe.execute(raise_on_error=False)
        beats, waiting = map(_text_or_none, found[: len(ids)]), found[len(ids) :]
        return {
            peer: Pulse(self.parse(Beat, peer, data), length if isinstance(length, int) else 0)
            for peer, data, length in zip(ids, beats, waiting, strict=True)
        }

    def records(self) -> list[PeerRecord]:
        """Return everything, in order of the ids: for operators and dashboards."""
        enrolments = self.enrolments(self.ids())
        reasons = self.banned()
        ids = sorted(enrolments)
        pulses = self.beats(ids)
        return [
            PeerRecord(enrolments[peer], pulses[peer].beat, pulses[peer].waiting, reasons.get(peer))
            for peer in ids
        ]

    def unread(self, ids: Collection[str]) -> int:
        """Return how many of these, of whom nothing could be read, have told something: all."""
        return len(ids)

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
            rows = bounded.fields(self._client, names.banned(), MAX_PEERS, REASON_BYTES)
        return {key.decode(errors="replace"): _text(reason) or "" for key, reason in rows.items()}

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


def lifetime(enrolment: Enrolment) -> int:
    """Return the milliseconds that a beat lasts."""
    return round(MISSED * enrolment.interval * 1000)


def _text(value: bytes | int | None) -> str | None:
    """Return a ban's reason; one that is too long to be read, whose length is told, is none."""
    if isinstance(value, int):
        return ""
    return None if value is None else value.decode(errors="replace")


def _text_or_none(found: Any) -> bytes | None:
    """Return what a key says; None where it is not there, or is no text.

    Raises:
        BrokerUnavailableError: the broker refuses to tell.
    """
    if isinstance(found, Exception) and not str(found).startswith("WRONGTYPE"):
        raise BrokerUnavailableError(f"The broker does not tell who lives: {found}.")
    return found if isinstance(found, bytes) and found else None
