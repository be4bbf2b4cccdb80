"""The decision core of a session: what is sent to whom, what is believed, what is shown when.

Pure: no thread, socket, lock or pixel in it, and every call is told what time it is.  It owns
the tables (attempts and runs, admission, playout, frames in the making, examinations) and what
is known of the peers (breakers, health, trust, the router).  Its verbs say what happened and
return what is to be done (:mod:`p2c2g.session.actions`), in order; a shell carries that out: the
session's threads (:mod:`p2c2g.session.shell`), the simulator's gamer, and a property test.

    a frame was captured        submit, not_sent
    a result arrived            arrived, then verified or refused; failed
    time passed                 look (:meth:`Core.next_look`), release (:meth:`Core.next_release`)
    the registry said           registry_said
    an answer was compared      compared
    sessions told each other    take_changes, put_back, shared, broker_came_back, words, heard

Frames' pixels (``S``) and decoded results (``P``) are handed on unopened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, Generic

from p2c2g.media.frame import ChunkKey
from p2c2g.peers.breaker import Change
from p2c2g.peers.health import Snapshot
from p2c2g.peers.shared_health import OtherSessions
from p2c2g.peers.trust import TrustSnapshot
from p2c2g.routing.router import Facts
from p2c2g.session.actions import Result, Send, Steal, Verify
from p2c2g.session.config import SessionConfig
from p2c2g.session.frames import TOLERANCE, FrameInFlight, P, S, Shown
from p2c2g.session.hedging import Hedging
from p2c2g.session.observer import Observer
from p2c2g.session.results import Results
from p2c2g.session.runs import Runs
from p2c2g.session.showing import Showing
from p2c2g.session.tables import Tables
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
    ) -> None:
        self.tables: Tables[S, P] = Tables.of(session, config, random, observers, hedging)
        self.runs = Runs(self.tables, stealing=stealing)
        self._results = Results(self.tables, self.runs)
        self._showing = Showing(self.tables, self.runs)
        self._notice = ""
        self._notice_at = float("-inf")

    @property
    def frames_in_flight(self) -> int:
        """Return how many frames have not been shown."""
        return len(self.tables.frames)

    @property
    def delay(self) -> float:
        """Return the playout delay in seconds."""
        return self.tables.playout.delay if self.tables.config.paced else 0.0

    @property
    def every(self) -> int:
        """Return of how many ticks of the source one is to be captured."""
        return self.tables.rate.every

    # -- a frame was captured ---------------------------------------------------------------------

    def submit(
        self, number: int, source: S, payloads: tuple[bytes, ...], captured_at: float,
        grabbed_at: float, now: float, *, connected: bool,
    ) -> list[Send[S]]:  # fmt: skip
        """Take a frame, which will be shown, in order, by its deadline.

        Where nobody is there to enhance it, or its deadline is over, it is shown at once.

        Args:
            number: the frame's, above all earlier ones.
            source: its pixels.
            payloads: its chunks as they are sent, by index.
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
        count = len(payloads)
        alone = tables.presence.is_alone(now)
        deadline = captured_at + tables.config.deadline
        due = now if alone else captured_at + self.delay
        send = (
            connected
            and not alone
            and now < deadline
            and tables.admission.admit(number, range(count), now)
        )
        frame = FrameInFlight(
            number, source, payloads, captured_at, grabbed_at, due, deadline, send, count
        )
        # Nothing will come for one that is not sent.
        ends = deadline if send else due
        tables.frames.open(number, frame, count, ends, due, deadline + TOLERANCE)
        for observer in tables.observers:
            observer.frame_submitted(number, sent=send)
        if not send:
            return []
        tables.examiner.sent(count)
        requests = self.runs.open(frame, now)
        trial = tables.examiner.trial(
            (number, count - 1), source, deadline,
            lambda key, peer: tables.attempts.add(key, peer, now, hedge=False), now,
        )  # fmt: skip
        if trial is not None:
            requests.append(self.runs.examine(
                trial.key, trial.attempt, trial.peer, payloads[-1], requests[-1].budget, now
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
        self.runs.close(number, None)
        tables.admission.forget(number)
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

    def look(self, now: float) -> list[Send[S] | Steal]:
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
        for peer in sorted(self.tables.router.learn(facts, now)):
            for observer in self.tables.observers:
                observer.peer_gone(peer)
            sends += self.runs.gone(peer, now)
        return sends

    def take_changes(self) -> list[Change]:
        """Take the breakers that this session has opened and closed since the last time."""
        changes = self.tables.breakers.take_changes()
        for change in changes:
            for observer in self.tables.observers:
                observer.breaker_changed(change.peer, change.seconds)
        return changes

    def put_back(self, changes: list[Change]) -> None:
        """Take back changes that could not be told."""
        self.tables.breakers.put_back(changes)

    def shared(self, left: dict[str, float], now: float) -> None:
        """Take over which breakers all sessions have open, and for how many seconds yet."""
        self.tables.breakers.share(left, now)

    def broker_came_back(self, now: float) -> None:
        """Have everything told again: the broker may have lost what was shared."""
        self.tables.breakers.forget_shared(now)

    def words(self) -> tuple[Snapshot, TrustSnapshot]:
        """Return what this session tells others of its peers."""
        return self.tables.health.snapshot(), self.tables.trust.snapshot()

    def heard(self, others: OtherSessions) -> None:
        """Take what other sessions tell, in place of what they told before."""
        self.tables.health.merge(others.health)
        self.tables.trust.merge(others.trust)

    # -- inside ------------------------------------------------------------------------------------

    def _say(self, now: float, *, connected: bool) -> None:
        """Tell now and then what those who watch should know."""
        if now - self._notice_at < _NOTICE_EVERY:
            return
        self._notice_at = now
        tables = self.tables
        said = (tables.rate.sentence(), tables.presence.sentence(now, connected=connected))
        notice = ". ".join(filter(None, said))
        if notice != self._notice:
            self._notice = notice
            for observer in tables.observers:
                observer.noticed(notice, now)

    # -- for reports -------------------------------------------------------------------------------

    def breaker_states(self, now: float) -> dict[str, dict[str, Any]]:
        """Return the state of each peer's breaker, and how often this session opened it."""
        return {
            peer: {"state": state.value, "opened": opened}
            for peer, (state, opened) in sorted(self.tables.breakers.states(now).items())
        }

    def routing(self) -> dict[str, Any]:
        """Return who is in the session's pool and how they stand, and what became of moves."""
        tables, examiner = self.tables, self.tables.examiner
        return {
            "policy": tables.config.policy,
            "pool": {
                peer: {
                    "score": round(candidate.score, 1),
                    "ms_per_megapixel": round(candidate.seconds_per_megapixel * 1e3, 2),
                    "rtt_ms": round(candidate.rtt * 1e3, 2),
                    "in_a_row": tables.trust.in_a_row(peer),
                }
                for peer, candidate in tables.router.pool.items()
            },
            "stolen": self.runs.stolen,
            "examinations": {
                "begun": examiner.begun,
                "canaries": examiner.canaries,
                "agreed": examiner.agreed,
                "differed": examiner.differed,
                "incomparable": examiner.incomparable,
            },
        }
