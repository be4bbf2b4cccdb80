"""The simulation's registry and what its sessions tell each other, as a session asks for them.

The real `session/registry_follower.py` reads this registry: same enrolments, same beats, of the
same age.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from p2c2g.peers.health_words import Snapshot
from p2c2g.peers.messages import Beat, Capabilities, Enrolment
from p2c2g.peers.registry import Pulse
from p2c2g.peers.shared_health import MAX_SESSIONS, OtherSessions
from p2c2g.peers.trust import TrustSnapshot
from p2c2g.session.config import SessionConfig
from p2c2g.session.recipes import ENCODING
from p2c2g.simulator.broker import Broker
from p2c2g.simulator.engine import Engine
from p2c2g.simulator.peers import BEAT, BEATS_MISSED, Peer


class SimulatedRegistry:
    """What `peers/registry.py` answers to a session's maintenance.

    Args:
        engine: the clock.
        broker: who is there.
        config: what peers have been probed for.
        gamer_rtt: seconds of who asks, to the broker and back; the maintenance measures it while
            it waits, which takes no time here.
    """

    def __init__(
        self, engine: Engine, broker: Broker, config: SessionConfig, gamer_rtt: float
    ) -> None:
        self._engine = engine
        self._peers = broker.peers
        self._broker = broker
        self._config = config
        self._names = [step.processor for step in config.operations.resolve(config.size).steps]
        self._gamer_rtt = gamer_rtt

    def ids(self) -> frozenset[str]:
        """Return who is enrolled."""
        return frozenset(self._peers)

    def enrolments(self, ids: Collection[str]) -> dict[str, Enrolment]:
        """Return what these have enrolled with."""
        return {peer: self._enrolment(self._peers[peer]) for peer in ids if peer in self._peers}

    def beats(self, ids: Sequence[str]) -> dict[str, Pulse]:
        """Return the latest beats of these; None for one that missed three."""
        oldest = self._engine.now - BEATS_MISSED * BEAT
        pulses = {}
        for name in ids:
            peer = self._peers.get(name)
            if peer is None or peer.beat_at < oldest:
                pulses[name] = Pulse(None, 0 if peer is None else len(peer.own))
                continue
            # What we make ourselves needs no check, which would cost most of the run.
            beat = Beat.model_construct(
                instance=name,
                state=peer.beat_state,
                in_flight=peer.beat_in_flight,
                sessions=peer.beat_sessions,
                rtt=peer.machine.rtt + self._gamer_rtt,
            )
            pulses[name] = Pulse(beat, len(peer.own))
        return pulses

    def banned(self) -> dict[str, str]:
        """Return who is banned: nobody."""
        return {}

    def unread(self, ids: Collection[str]) -> int:
        """Return how many of these, of whom nothing could be read, have told something: all."""
        return len(ids)

    def sweep(self, ids: Collection[str]) -> list[str]:
        """Remove the dead; what waits in their queues goes to the others."""
        oldest = self._engine.now - BEATS_MISSED * BEAT
        return [
            name
            for name in ids
            if (peer := self._peers.get(name)) is not None
            and peer.beat_at < oldest
            and self._broker.remove(peer)
        ]

    def _enrolment(self, peer: Peer) -> Enrolment:
        # Each step and the codec promise their part of the whole.
        part = (len(self._names) + 1) / peer.machine.seconds_per_megapixel
        # Of what a probe measures, writing is the larger part.
        webp = {"webp": ENCODING["webp"] * peer.machine.webp} if peer.machine.webp else {}
        capabilities = Capabilities.model_construct(
            speeds=dict.fromkeys(self._names, part),
            codecs={self._config.codec: part, **webp},
            up=peer.machine.up,
            down=peer.machine.down,
            rtt=peer.machine.rtt,
        )
        return Enrolment.model_construct(
            id=peer.id,
            instance=peer.id,
            slots=peer.machine.slots,
            queues=(self._config.queue,),
            interval=BEAT,
            capabilities=capabilities,
        )


class Notices:
    """What sessions tell each other of their peers, as `peers/shared_health.py` carries it."""

    def __init__(self) -> None:
        self._words: dict[str, tuple[Snapshot, TrustSnapshot]] = {}

    def sync(self, session: str, health: Snapshot, trust: TrustSnapshot) -> OtherSessions:
        """Tell what a session has seen, and hear what others have."""
        self._words[session] = (health, trust)
        names = [name for name in self._words if name != session]
        # The broker draws them; here those that follow it in line, which is as even.
        place = list(self._words).index(session)
        heard = (names[place:] + names[:place])[:MAX_SESSIONS]
        words = [self._words[name] for name in heard]
        return OtherSessions(tuple(word for word, _ in words), tuple(word for _, word in words))
