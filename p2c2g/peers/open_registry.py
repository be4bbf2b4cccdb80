"""The registry of an open pool: whom the operator vouches for, and what each peer tells of itself.

A peer writes two keys of its own, in one round trip a beat and without a script, and reads what
the operator says to it in the same.  A gamer reads all of them and writes none; who is dead is
swept by the coordinator.  Their names are in :mod:`p2c2g.messaging.open_names`.

An id belongs to the instance that holds its beat: a second worker with the same membership is
refused.  A worker that was away for longer than its beat lasts, asleep perhaps, enrols again and
may find that another has taken its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from time import time
from typing import Any

from pydantic import ValidationError

from p2c2g.errors import BrokerUnavailableError, UsageError, WireError
from p2c2g.messaging import bounded, names, open_names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.peers.messages import MAX_BEAT, MAX_ENROLMENT, Beat, Enrolment
from p2c2g.peers.reading import Reader
from p2c2g.peers.registry import BeatReply, Pulse, lifetime
from p2c2g.peers.standing import (
    MAX_STANDING,
    MAX_VOUCHER,
    PeerStanding,
    Verdict,
    Voucher,
)
from p2c2g.peers.versions import other_version
from p2c2g.settings.principal import is_principal_id

#: Milliseconds for which what a peer told of itself stays after its last beat.
ENROLMENT_MS = 60_000
#: Peers of whom it is asked at once what they told.
SLICE = 256
#: Bytes of a standing in which its verdict stands: it is written first, and then the gamers.
_HEAD = 96
_VERDICT = re.compile(rb'"verdict": ?"([a-z]{1,16})"')


class OpenStandings:
    """What one peer writes and reads.  Belongs to one thread.

    Every method raises :class:`~p2c2g.errors.BrokerUnavailableError` where the broker does not
    answer, or refuses.

    Args:
        client: with the peer's login.
        clock: seconds, of a clock that goes on while the machine sleeps.
    """

    def __init__(self, client: Client, clock: Callable[[], float] = time) -> None:
        self._client = client
        self._clock = clock
        self._beaten_at = float("-inf")

    def enrol(self, enrolment: Enrolment, beat: Beat, *, control: bool = False) -> BeatReply:
        """Write both, so that the peer is known and alive.

        Args:
            enrolment: who it is.
            beat: how it is.
            control: nothing here: nobody may control a stranger's worker.

        Raises:
            UsageError: a living worker of another instance has this membership.
        """
        peer, lasts = enrolment.id, lifetime(enrolment)
        written = beat.model_dump_json()
        with translated():
            fresh = self._client.set(open_names.beat(peer), written, nx=True, px=lasts)
        if not fresh and not self._is_mine(peer, enrolment.instance):
            raise UsageError(
                f"Another worker has the membership of {peer}: each worker needs one of its own; "
                "join again for this one with p2c2g peer run --join."
            )
        return self._tell(
            peer,
            (open_names.beat(peer), written, lasts),
            (open_names.enrolment(peer), enrolment.model_dump_json(), ENROLMENT_MS),
        )

    def beat(self, enrolment: Enrolment, beat: Beat) -> BeatReply:
        """Tell that a peer lives, in one round trip.

        Nothing is written where its last beat is gone: it has to enrol again.
        """
        if self._clock() - self._beaten_at > lifetime(enrolment) / 1000:
            return BeatReply(enrolled=False)
        peer = enrolment.id
        told = (open_names.beat(peer), beat.model_dump_json(), lifetime(enrolment))
        return self._tell(peer, told)

    def leave(self, id: str, queues: Sequence[str], instance: str = "") -> None:  # noqa: A002
        """Delete what the peer told; what waits in its queues is gone in seconds.

        Args:
            id: the peer's.
            queues: nothing here: what was sent to a peer is nobody else's.
            instance: where given, nothing happens if the place is another's by now.
        """
        if not instance or self._is_mine(id, instance):
            with translated():
                self._client.delete(open_names.beat(id), open_names.enrolment(id))

    def gamers(self, peer: str) -> tuple[str, ...]:
        """Return whose chunks a peer is to take, as its operator says now."""
        with translated():
            said = bounded.text(self._client, open_names.standing(peer), MAX_STANDING)
        return _standing(said, enrolled=True).gamers or ()

    def _is_mine(self, peer: str, instance: str) -> bool:
        """Tell whether the beat is this instance's, or nobody's."""
        with translated():
            held = bounded.text(self._client, open_names.beat(peer), MAX_BEAT)
        return not held or f'"instance":"{instance}"'.encode() in held

    def _tell(self, peer: str, *told: tuple[str, str, int]) -> BeatReply:
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for key, text, lasts in told:
                pipe.set(key, text, px=lasts)
            pipe.pexpire(open_names.enrolment(peer), ENROLMENT_MS)
            bounded.text(pipe, open_names.standing(peer), MAX_STANDING)
            *_, known, said = pipe.execute()
        self._beaten_at = self._clock()
        return _standing(said, enrolled=bool(known))


def _standing(said: bytes, *, enrolled: bool) -> BeatReply:
    """Return what the operator says to a peer."""
    if not said:
        # Not yet, or not yet again: a broker that was started again knows nothing.
        return BeatReply(enrolled=enrolled)
    try:
        found = PeerStanding.model_validate_json(said)
    except ValidationError as error:
        raise BrokerUnavailableError(
            f"What the pool's operator says of this peer cannot be read: {error.error_count()} "
            "mistakes."
        ) from error
    reason = found.reason or "no reason is given"
    return BeatReply(
        enrolled=enrolled,
        banned=reason if found.verdict is Verdict.BANNED else None,
        drained=reason if found.verdict is Verdict.DRAINING else None,
        gamers=found.gamers,
        wanted=found.wanted,
    )


class OpenRegistry(Reader):
    """The registry as a gamer reads it, through one client of the broker.

    Every method raises :class:`~p2c2g.errors.BrokerUnavailableError` where the broker does not
    answer.

    Args:
        client: with the gamer's login.
        gamer: whose it is.
        admit: takes a peer's key, by what it told and what the operator vouches for, or raises
            :class:`~p2c2g.errors.WireError`: then the peer is left out.
    """

    def __init__(
        self,
        client: Client,
        gamer: str,
        admit: Callable[[Enrolment, Voucher], None] = lambda *_: None,
    ) -> None:
        super().__init__()
        self._take = admit
        self._client = client
        self._gamer = gamer
        self._vouchers: dict[str, Voucher] = {}
        self._banned: dict[str, str] = {}
        self._others: set[str] = set()
        self._turn = 0

    def ids(self) -> frozenset[str]:
        """Return the ids of all for whom the operator vouches, living or dead."""
        with translated():
            keys: Any = self._client.hkeys(open_names.peers())
        ids = frozenset(each for each in map(_text, keys) if is_principal_id(each))
        for gone in self._vouchers.keys() - ids:
            del self._vouchers[gone]
        self._banned = {peer: why for peer, why in self._banned.items() if peer in ids}
        self._others &= ids
        return ids

    def voucher(self, peer: str) -> Voucher | None:
        """Return what the operator vouched for when this was last asked for; None of who is new."""
        return self._vouchers.get(peer)

    def enrolments(self, ids: Collection[str]) -> dict[str, Enrolment]:
        """Return what these have told of themselves; what cannot be read is left out.

        So is, of more than :data:`SLICE`, all but some, others each time: most of those for whom
        the operator vouches may not be there now.
        """
        asked = sorted(ids)
        if not asked:
            return {}
        if len(asked) > SLICE:
            begin = self._turn % len(asked)
            self._turn = begin + SLICE
            asked = (asked + asked)[begin : begin + SLICE]
        with translated(), self._client.pipeline(transaction=False) as pipe:
            pipe.hmget(open_names.peers(), asked)
            for peer in asked:
                bounded.text(pipe, open_names.enrolment(peer), MAX_ENROLMENT)
            vouched, *told = pipe.execute()
        for peer, data in zip(asked, vouched, strict=True):
            self._admit(peer, data)
        self._others.difference_update(asked)
        self._others.update(
            peer for peer, data in zip(asked, told, strict=True) if data and other_version(data)
        )
        read = self.read_enrolments(
            {
                peer: data or None
                for peer, data in zip(asked, told, strict=True)
                if peer in self._vouchers
            }
        )
        return {peer: each for peer, each in read.items() if self._is_vouched(each)}

    def beats(self, ids: Sequence[str]) -> dict[str, Pulse]:
        """Return how these are, and notice who is banned, in one round trip."""
        if not ids:
            return {}
        with translated(), self._client.pipeline(transaction=False) as pipe:
            for peer in ids:
                bounded.text(pipe, open_names.beat(peer), MAX_BEAT)
                pipe.getrange(open_names.standing(peer), 0, _HEAD)
                pipe.llen(names.queue_key(open_names.chunks_queue(peer, self._gamer)))
            found = pipe.execute()
        pulses = {}
        rows = zip(ids, found[::3], found[1::3], found[2::3], strict=True)
        for peer, beat, said, waiting in rows:
            self._note(peer, said)
            pulses[peer] = Pulse(self.parse(Beat, peer, beat or None), int(waiting))
        return pulses

    def banned(self) -> dict[str, str]:
        """Return who was banned when its beat was last asked for."""
        return dict(self._banned)

    def unread(self, ids: Collection[str]) -> int:
        """Return how many of these are there, of another version."""
        return len(self._others.intersection(ids))

    def sweep(self, ids: Collection[str]) -> list[str]:
        """Sweep nobody: the coordinator does."""
        return []

    def _admit(self, peer: str, data: bytes | None) -> None:
        self._vouchers.pop(peer, None)
        if data is None:
            return
        try:
            if len(data) > MAX_VOUCHER:
                raise ValueError("too long")
            self._vouchers[peer] = Voucher.model_validate_json(data)
        except ValueError as error:
            self.complain("voucher", peer, f"Left out peer {peer}, vouched for wrongly: {error}.")

    def _is_vouched(self, enrolment: Enrolment) -> bool:
        try:
            self._take(enrolment, self._vouchers[enrolment.id])
        except WireError as error:
            self.complain("key", enrolment.id, f"Left out peer {enrolment.id}: {error}")
            return False
        return True

    def _note(self, peer: str, said: bytes) -> None:
        """Note whether a peer is banned; who has no standing has no place here either."""
        found = _VERDICT.search(said)
        if found is not None and found[1].decode() in (Verdict.OK.value, Verdict.DRAINING.value):
            self._banned.pop(peer, None)
        else:
            self._banned[peer] = "its operator says so"


def _text(key: bytes) -> str:
    return key.decode(errors="replace")
