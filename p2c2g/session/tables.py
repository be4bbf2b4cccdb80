"""What a session knows: the tables that its decisions are made from, and change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Generic

from p2c2g.peers.book import PeerBook
from p2c2g.peers.breaker import Breakers
from p2c2g.peers.health import Health
from p2c2g.peers.trust import Trust
from p2c2g.routing.policies import make
from p2c2g.routing.router import Router
from p2c2g.session.admission import Admission
from p2c2g.session.attempts import Attempts
from p2c2g.session.config import SessionConfig
from p2c2g.session.frames import FrameInFlight, P, Part, S
from p2c2g.session.hedging import Hedging
from p2c2g.session.observer import Observer
from p2c2g.session.playout import Playout
from p2c2g.session.presence import Presence
from p2c2g.session.rate import Rate
from p2c2g.session.reassembler import Reassembler
from p2c2g.verify.examiner import Examiner


@dataclass(frozen=True, slots=True)
class Tables(Generic[S, P]):
    """The tables of one session, and who hears what becomes of them."""

    config: SessionConfig
    observers: Sequence[Observer]
    #: The chunks in flight and their runs.
    attempts: Attempts
    #: How many frames may be with the peers.
    admission: Admission
    #: When a chunk is run again, and how often.
    hedging: Hedging
    #: What is known of each peer: which get work, how they do, how far they are believed, and
    #: who gets a chunk.
    book: PeerBook
    breakers: Breakers
    health: Health
    trust: Trust
    router: Router
    #: Which peers are put to the test.
    examiner: Examiner
    #: The frames in the making, and how long after its capture one is shown.
    frames: Reassembler[FrameInFlight[S], Part[P]]
    playout: Playout
    #: Whether anybody is there, and how many of the source's frames this machine takes on.
    presence: Presence
    rate: Rate

    @classmethod
    def of(
        cls,
        session: str,
        config: SessionConfig,
        random: Random,
        observers: Sequence[Observer],
        hedging: Hedging | None = None,
    ) -> Tables[S, P]:
        """Return the tables of a session that begins.

        Args:
            session: its id.
            config: what is done to every frame.
            random: where its chance comes from.
            observers: hear what is decided.
            hedging: when there are second runs; the usual policy where None.
        """
        book = PeerBook()
        presence = Presence(config.queue, config.deadline)
        breakers, health, trust = Breakers(book), Health(book), Trust(random, book)
        router = Router(
            make(config.policy, random),
            session=session,
            operation=config.operations.text,
            megapixels=config.megapixels,
            need=config.fps * sum(config.megapixels),
            deadline=config.deadline,
            book=book,
            health=health,
            trust=trust,
            breakers=breakers,
        )
        return cls(
            config=config,
            observers=(presence, *observers),
            attempts=Attempts(),
            admission=Admission(ceil(config.deadline * config.fps) + 1, config.deadline),
            hedging=hedging or Hedging(config.deadline),
            book=book,
            breakers=breakers,
            health=health,
            trust=trust,
            router=router,
            examiner=Examiner(config.answer_settings, breakers, trust, router, random),
            frames=Reassembler(),
            playout=Playout(config.deadline),
            presence=presence,
            rate=Rate(config.fps),
        )
