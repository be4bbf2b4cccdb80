"""The decision core of a session: what is sent to whom, what is believed, what is shown when.

Pure: no thread, socket, lock or pixel in it, and every call is told what time it is.  It owns
the tables (attempts and runs, admission, playout, frames in the making, examinations) and what
is known of the peers (breakers, health, trust, the router).  Its verbs say what happened and
return what is to be done (:mod:`p2c2g.session.actions`), in order; a shell carries that out: the
session's threads (:mod:`p2c2g.session.shell`), the simulator's gamer, and a property test.

    a frame was captured        plan, then submit; not_sent
    a result arrived            arrived, then verified or refused; failed
    time passed                 look (:meth:`Core.next_look`), release (:meth:`Core.next_release`)
    the registry said           registry_said
    an answer was compared      compared
    sessions told each other    take_changes, put_back, shared, broker_came_back, words, heard

Frames' pixels (``S``) and decoded results (``P``) are handed on unopened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from random import Random
from typing import Generic

from p2c2g.media.frame import ChunkKey
from p2c2g.peers.breaker import Change, Words
from p2c2g.peers.health_words import Snapshot
from p2c2g.peers.shared_health import OtherSessions
from p2c2g.peers.trust import TrustSnapshot
from p2c2g.routing.router import Facts
from p2c2g.session.actions import Result, Send, Steal, Verify
from p2c2g.session.changes import Seen
from p2c2g.session.config import SessionConfig
from p2c2g.session.frames import TOLERANCE, FrameInFlight, FramePlan, P, Part, S, Shown
from p2c2g.session.hedging import Hedging
from p2c2g.session.observer import Observer
from p2c2g.session.results import Results
from p2c2g.session.runs import Runs
from p2c2g.session.showing import Showing
from p2c2g.session.tables import Tables
from p2c2g.session.telling_lines import line_words
from p2c2g.verify.examination import Compare

#: Seconds between two looks at what there is to say.
_NOTICE_EVERY = 0.5


class Core(Generic[S, P]):
    """The decisions of one session.  Not thread-safe: a shell holds the one lock.

    Args:
        session: the session's id.
        config: what is done to every frame.
        random: where its chance comes from; peers must not be able to predict it.
        observers: hear what is decided.
        hedging: when there are second runs; the usual policy where None.
        stealing: whether the broker can move what waits in one peer's own queue.
        has_shared_queue: whether there is a queue that any peer reads: an open pool has none.
        reads: megapixels a second of residuals that this machine reads, by codec.
    """

    def __init__(
        self,
        session: str,
        config: SessionConfig,
        random: Random,
        observers: Sequence[Observer] = (),
        *,
        hedging: Hedging | None = None,
        stealing: bool = True,
        has_shared_queue: bool = True,
        reads: Mapping[str, float] | None = None,
    ) -> None:
        self.tables: Tables[S, P] = Tables.of(
            session, config, random, observers, hedging,
            has_shared_queue=has_shared_queue, reads=reads,
        )  # fmt: skip
        self.runs = Runs(self.tables, stealing=stealing)
        self._results = Results(self.tables, self.runs)
        self._showing = Showing(self.tables, self.runs)
        self._megapixels = config.megapixels
        self._has_newcomers = False
        self._notice = ""
        self._notice_at = float("-inf")

    @property
    def frames_in_flight(self) -> int:
        """Return how many frames have not been shown."""
        return len(self.tables.frames)

    @property
    def delay(self) -> float:
        """Return the playout delay in seconds."""
        config = self.tables.config
        return self.tables.playout.delay if config.paced and not config.at_once else 0.0

    @property
    def every(self) -> int:
        """Return of how many ticks of the source one is to be captured."""
        return self.tables.rate.every

    # -- a frame was captured ---------------------------------------------------------------------

    def known(self) -> tuple[bytes | None, ...]:
        """Return by chunk for which content a residual is there: its key (:class:`Changes`)."""
        return self.tables.plans.known.keys()

    def plan(self, number: int, seen: Sequence[Seen], now: float) -> FramePlan:
        """Return what is done with each chunk of a frame: which are to be encoded, and how.

        Args:
            number: the frame's, above all earlier ones.
            seen: by chunk, what it shows; empty where nobody has looked.
            now: seconds of the session's clock.
        """
        tables = self.tables
        is_examining = self._has_newcomers or tables.breakers.has_trial(now)
        return tables.plans.plan(number, seen, now, is_examining=is_examining)

    def revived(self, index: int, part: Part[P], residual: P) -> Part[P]:
        """Take what a known part was decoded to; return it with that."""
        return self.tables.plans.known.revive(index, part, residual)

    def submit(
        self, number: int, source: S, payloads: Mapping[int, bytes], plan: FramePlan,
        captured_at: float, grabbed_at: float, now: float, *, connected: bool,
    ) -> list[Send[S]]:  # fmt: skip
        """Take a frame, which will be shown, in order, by its deadline.

        Where nobody is there to enhance it, or its deadline is over, it is shown at once; where
        nothing of it is to be sent, when it is due.

        Args:
            number: the frame's, above all earlier ones.
            source: its pixels.
            payloads: those of its chunks that are sent, by index: as the plan says.
            plan: what is done with each chunk.
            captured_at: when it was captured, in seconds of the session's clock.
            grabbed_at: when its pixels were there.
            now: the same clock.
            connected: whether anything can be sent at all.
        """
        tables = self.tables
        # Also where the player is held up: what waits for it must not grow.
        self._showing.pass_over(now)
        tables.rate.captured(number, now - captured_at, now)
        self._say(now, connected=connected)
        alone = tables.presence.is_alone(now)
        deadline = captured_at + tables.config.deadline
        due = now if alone else captured_at + self.delay
        may_send = connected and not alone and now < deadline
        wanted = sum(map(self._megapixels.__getitem__, plan.sent))
        if may_send:
            plan = tables.steering.admit(plan, tables.rate.every, now)
            payloads = {index: payloads[index] for index in plan.sent}
            if tables.throttle.is_on:
                payloads = tables.throttle.grant_all(number, payloads, plan.recipe.form, now)
                plan = plan.without(set(plan.sent) - payloads.keys())
        count, sent, awaited = len(plan.ways), plan.sent, plan.awaited
        send = bool(sent) and may_send
        if not send and plan.shared:
            # What would have been sent never comes, and what was sent earlier does.
            awaited = plan.shared
        frame = FrameInFlight(
            number, source, payloads, plan, captured_at, grabbed_at, due, deadline, send,
            set(awaited), None if awaited else now,
        )  # fmt: skip
        # Nothing will come for one that waits for nothing.
        waits = not alone and (send or bool(plan.shared))
        ends = deadline - self._showing.lead if waits else due
        tables.frames.open(
            number, frame, count, ends, due, deadline + TOLERANCE,
            awaited=awaited, known=plan.known,
        )  # fmt: skip
        tables.plans.opened(frame, now)
        # Also what finds no room: more peers would have some.
        tables.router.wants(wanted, tables.config.fps, now)
        for observer in tables.observers:
            observer.frame_submitted(number, sent=send)
            observer.frame_planned(number, plan)
        if not send:
            return []
        requests = self.runs.open(frame, now)
        if not requests:
            self.not_sent(number, "NoPeer: none may have its chunks now")
            return []
        for index in sent:
            tables.admission.sent((number, index), now)
        tables.examiner.sent(len(sent))
        tables.examiner.trickled(len(plan.trickled))
        last = sent[-1]
        trial = None
        if tables.throttle.fits(len(payloads[last]), plan.recipe.form, now):
            trial = tables.examiner.trial(
                (number, last), source, plan.recipe, deadline,
                lambda key, peer: tables.attempts.add(key, peer, now, hedge=False), now,
            )  # fmt: skip
        if trial is not None:
            requests.append(self.runs.examine(
                frame, trial.key, trial.attempt, trial.peer, payloads[last], requests[-1].budget,
                now,
            ))  # fmt: skip
        lost = tables.admission.is_lost
        return [Send(frame, tuple(requests), is_first=True, nothing_returns=lost)]

    def not_sent(self, number: int, error: str) -> None:
        """Show a frame when it is due, since its first runs could not be sent."""
        tables = self.tables
        frame = tables.frames.frame(number)
        if frame is None:
            return
        frame.was_sent = False
        tables.examiner.withdraw(number)
        tables.throttle.withdraw_all(number, frame.payloads)
        self.runs.close(frame, None)
        for index in frame.payloads:
            tables.admission.forget((number, index))
        tables.plans.closed(frame)
        tables.frames.hasten(number, frame.due)
        for observer in tables.observers:
            observer.frame_not_sent(number, error)

    # -- a result arrived, an answer was compared -----------------------------------------------

    def arrived(self, result: Result, now: float) -> list[Send[S] | Verify[S]]:
        """Take a result as its peer tells it; one that is of use is to be verified first."""
        return self._results.arrived(result, now)

    def verified(self, verify: Verify[S], residual: P, now: float) -> list[Send[S]]:
        """Take a result that shows its chunk, decoded; it counts from when it arrived."""
        return self._results.verified(verify, residual, now)

    def refused(self, verify: Verify[S], error: str, now: float) -> list[Send[S]]:
        """Take a result that is no residual of its chunk: the error's kind, a colon, and why."""
        return self._results.refused(verify, error, now)

    def failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, now: float
    ) -> list[Send[S]]:
        """Take the news that a run has failed; see :meth:`Results.failed`."""
        return self._results.failed(key, attempt, peer, error, now)

    def take_answers(self) -> list[Compare]:
        """Take the answers to examinations that are to be compared, when there is time."""
        return self.tables.examiner.take_answers()

    def compared(self, compare: Compare, agree: bool | None, now: float) -> None:
        """Take what a comparison said; None where the answer is no residual of its chunk."""
        self._results.compared(compare, agree, now)

    # -- time passed ------------------------------------------------------------------------------

    def next_look(self) -> float | None:
        """Return when :meth:`look` is due, or None."""
        return self.runs.next_look()

    def look(self, now: float) -> list[Send[S] | Steal[S]]:
        """Look at what has not come back: move it, or run it beside or again."""
        return self.runs.look(now)

    def next_release(self) -> float | None:
        """Return when :meth:`release` is due, as things stand, or None."""
        return self.tables.frames.next_release

    def release(self, now: float) -> Shown[S, P] | None:
        """Let the next frame go whose time has come, or None; ask again once it is shown.

        One whose deadline is over is passed over where a newer one may be shown: it counts as
        dropped.
        """
        return self._showing.release(now)

    # -- the registry said, sessions told each other ---------------------------------------------

    def registry_said(
        self, facts: Iterable[Facts], banned: frozenset[str], now: float, *, unread: int = 0
    ) -> list[Send[S]]:
        """Take over who is there and who is banned; others run what the dead had.

        ``unread`` counts those of another version, whom nothing is sent to.
        """
        self.tables.breakers.ban(banned)
        facts = tuple(facts)
        self.tables.presence.learn(facts, unread)
        if self.tables.presence.is_alone(now):
            self.tables.frames.hasten_all(now)
        sends: list[Send[S]] = []
        for peer in sorted(self.tables.router.learn(facts, now, is_mixed=unread > 0)):
            for observer in self.tables.observers:
                observer.peer_gone(peer)
            sends += self.runs.gone(peer, now)
        self._has_newcomers = self.tables.router.referees.has_newcomers(now)
        return sends

    def take_changes(self) -> list[Change]:
        """Take the breakers that this session has opened and closed since the last time."""
        changes = self.tables.breakers.take_changes()
        for change in changes:
            if change.seconds:
                self.tables.plans.known.forget(change.peer)
            for observer in self.tables.observers:
                observer.breaker_changed(change.peer, change.seconds)
        return changes

    def put_back(self, changes: list[Change]) -> None:
        """Take back changes that could not be told."""
        self.tables.breakers.put_back(changes)

    def shared(self, words: Words, now: float) -> None:
        """Take what other sessions say of which breakers they have open."""
        self.tables.breakers.share(words, now)

    def broker_came_back(self, now: float) -> None:
        """Have everything told again: the broker may have lost what was shared."""
        self.tables.breakers.forget_shared(now)

    def broker_refuses(self, sentence: str, now: float) -> None:
        """Wait for nobody while the broker refuses this session; an empty sentence ends that."""
        self.tables.presence.refused(sentence)
        if sentence:
            self.tables.frames.hasten_all(now)

    def words(self) -> tuple[Snapshot, TrustSnapshot]:
        """Return what this session tells others of its peers."""
        health = self.tables.health.snapshot().model_copy(
            update={"lines": line_words(self.tables.lines)}
        )
        return health, self.tables.trust.snapshot()

    def heard(self, others: OtherSessions) -> None:
        """Take what other sessions tell, in place of what they told before."""
        believed = self.tables.trust.merge(others.trust)
        self.tables.health.merge(compress(others.health, believed))

    # -- inside ------------------------------------------------------------------------------------

    def _why_not_all(self, now: float, *, connected: bool) -> str:
        setting, presence = self.tables.plans.setting, self.tables.presence
        # Where nothing is asked for, peers are not to blame that nothing comes.
        asks = bool(setting.chunks)
        return (asks and presence.sentence(now, connected=connected)) or setting.sentence

    def _say(self, now: float, *, connected: bool) -> None:
        """Tell now and then what those who watch should know."""
        if now - self._notice_at < _NOTICE_EVERY:
            return
        self._notice_at = now
        tables = self.tables
        said = (
            tables.rate.sentence(),
            self._why_not_all(now, connected=connected),
            tables.throttle.sentence(now),
        )
        notice = ". ".join(filter(None, said))
        if notice != self._notice:
            self._notice = notice
            for observer in tables.observers:
                observer.noticed(notice, now)
