"""What a session knows: the tables that its decisions are made from, and change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic

from p2c2g.lines.line import Lines
from p2c2g.peers.book import PeerBook
from p2c2g.peers.breaker import Breakers
from p2c2g.peers.candidate import Candidate
from p2c2g.peers.health import Health
from p2c2g.peers.trust import Trust
from p2c2g.routing.policies import make
from p2c2g.routing.router import Router
from p2c2g.session.admission import Admission
from p2c2g.session.attempts import Attempts
from p2c2g.session.beginning import Beginning
from p2c2g.session.config import SessionConfig
from p2c2g.session.frame_plan import Plans
from p2c2g.session.frames import FrameInFlight, P, Part, S
from p2c2g.session.hedging import Hedging
from p2c2g.session.limits import Throttle
from p2c2g.session.line_facts import line_facts
from p2c2g.session.measuring import Measuring
from p2c2g.session.observer import Observer
from p2c2g.session.playout import Playout
from p2c2g.session.presence import Presence
from p2c2g.session.rate import Rate
from p2c2g.session.reassembler import Reassembler
from p2c2g.session.steering import Steering
from p2c2g.verify.examiner import Examiner


@dataclass(frozen=True, slots=True)
class Tables(Generic[S, P]):
    """The tables of one session, and who hears what becomes of them."""

    config: SessionConfig
    observers: Sequence[Observer]
    #: What is done with each chunk of a frame.
    plans: Plans[S, P]
    #: The chunks in flight and their runs.
    attempts: Attempts
    #: How many chunks may be with the peers, and what is given up where there is too little.
    admission: Admission
    steering: Steering
    #: When a chunk is run again, and how often.
    hedging: Hedging
    #: What is known of each peer: which get work, how they do, how far they are believed, and
    #: who gets a chunk.
    book: PeerBook
    breakers: Breakers
    health: Health
    trust: Trust
    router: Router
    #: What the network gives, and who tells that what runs and results show of it.
    lines: Lines
    measuring: Measuring
    #: Which peers are put to the test.
    examiner: Examiner
    #: The frames in the making, and how long after its capture one is shown.
    frames: Reassembler[FrameInFlight[S], Part[P]]
    playout: Playout
    #: Whether anybody is there, and how many of the source's frames this machine takes on.
    presence: Presence
    rate: Rate
    #: How much of the line may be used, and whether there is room for a run.
    throttle: Throttle

    @classmethod
    def of(
        cls,
        session: str,
        config: SessionConfig,
        random: Random,
        observers: Sequence[Observer],
        hedging: Hedging | None = None,
        *,
        has_shared_queue: bool = True,
        reads: Mapping[str, float] | None = None,
    ) -> Tables[S, P]:
        """Return the tables of a session that begins.

        Args:
            session: its id.
            config: what is done to every frame.
            random: where its chance comes from.
            observers: hear what is decided.
            hedging: when there are second runs; the usual policy where None.
            has_shared_queue: whether there is a queue that any peer reads.
            reads: megapixels a second of residuals that this machine reads, by codec.
        """
        book = PeerBook()
        presence = Presence(config.queue, config.deadline)
        lines = Lines()
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
            has_shared_queue=has_shared_queue,
        )
        plans: Plans[S, P] = Plans(config.recipe, len(config.megapixels), config.deadline)
        beginning = Beginning(
            config.fps, config.deadline, lambda: len(router.pool), router.slots,
            gently=config.steady,
        )  # fmt: skip
        admission = Admission(config.fps, config.deadline, short=config.steady, beginning=beginning)
        throttle = Throttle(config.limits, 1 / config.fps)
        steering = Steering(
            config, plans, admission,
            lambda: line_facts(lines, router.pool, throttle.targets),
            lambda: who_may_work(config, book, router), reads,
        )  # fmt: skip
        return cls(
            config=config,
            observers=(presence, steering, *observers),
            plans=plans,
            attempts=Attempts(),
            admission=admission,
            steering=steering,
            hedging=hedging or Hedging(config.deadline),
            book=book,
            breakers=breakers,
            health=health,
            trust=trust,
            router=router,
            lines=lines,
            measuring=Measuring(lines),
            examiner=Examiner(breakers, trust, router.referees, random),
            frames=Reassembler(),
            playout=Playout(config.deadline),
            presence=presence,
            rate=Rate(config.fps),
            throttle=throttle,
        )


def who_may_work(config: SessionConfig, book: PeerBook, router: Router) -> Iterator[Candidate]:
    """Give the peers that may have a session's chunks: its pool, or all that read the queue."""
    if config.policy != "capability":
        yield from router.pool.values()
        return
    for known in book.registered:
        if known.is_ready and known.candidate is not None:
            yield known.candidate
