"""What a result is worth: whether it is believed, shown, and what else follows from it.

Pure.  A result is judged in two steps, since its picture has to be decoded and checked between
them, which is done elsewhere: :meth:`Results.arrived` says what is to be verified, and
:meth:`Results.verified` or :meth:`Results.refused` takes what came of it.
"""

from __future__ import annotations

from typing import Generic

from p2c2g.errors import UsageError, WireError
from p2c2g.media.frame import ChunkKey
from p2c2g.media.operations import Pipeline
from p2c2g.media.recipe import Recipe
from p2c2g.peers.breaker import State
from p2c2g.session.actions import Result, Send, Verify
from p2c2g.session.attempts import Verdict
from p2c2g.session.frame_plan import is_better
from p2c2g.session.frames import FrameInFlight, P, Part, S
from p2c2g.session.runs import Runs
from p2c2g.session.tables import Tables
from p2c2g.verify.examination import BreakerTrial, Compare


class Results(Generic[S, P]):
    """Judges the results of one session.

    Args:
        tables: the session's.
        runs: has chunks run again.
    """

    def __init__(self, tables: Tables[S, P], runs: Runs[S, P]) -> None:
        self._plans = tables.plans
        self._referees = tables.router.referees
        self._trust = tables.trust
        self._observers = tables.observers
        self._book = tables.book
        self._attempts = tables.attempts
        self._measuring = tables.measuring
        self._admission = tables.admission
        self._breakers = tables.breakers
        self._examiner = tables.examiner
        self._frames = tables.frames
        self._throttle = tables.throttle
        self._runs = runs

    def arrived(self, result: Result, now: float) -> list[Send[S] | Verify[S]]:
        """Take a result as its peer tells it; one that is of use is to be verified first."""
        key, peer = result.key, result.peer
        self._throttle.came((*key, result.attempt), result.size, now)
        for observer in self._observers:
            observer.result_arrived(key, peer, result.size)
        self._measuring.arrived(result, now)
        examination = self._examiner.take(peer, key, result.attempt)
        recipe = examination.recipe if examination else self._plans.recipe_of(key[0])
        wrong = self._misfit(result, recipe)
        if examination is not None:
            if wrong:
                self._examiner.failed(examination, now)
                self._examined(Compare(examination, b""), None)
            else:
                self._examiner.answered(examination, result.payload, result.ran)
                self._runs.examined(result, now - examination.sent_at, now)
            return []
        run = self._attempts.run(key, result.attempt)
        straight = result.attempt == 1 and not (run is not None and run.moved_from)
        self._admission.came(key, peer, result.seconds, now, straight=straight)
        trial = self._examiner.take_trial(peer, key)
        if not wrong and trial is None and self._breakers.state(peer, now) is not State.CLOSED:
            wrong = "Untrusted: its breaker is open"
        if wrong:
            return [*self._fail(key, result.attempt, peer, wrong, trial, now)]
        if trial is not None:
            return [Verify(result, trial.source, trial.recipe, now, trial)]
        frame = self._frames.frame(key[0])
        if frame is None and self._may_be_kept(peer, now):
            # Too late for its frame, and not for later ones that show the same.
            frame = self._plans.wanted_by(*key, result.ran)
            if frame is not None and recipe is not None:
                return [Verify(result, frame.source, recipe, now, None)]
        if frame is None or self._attempts.is_done(key):
            self._unused(result, self._runs.succeeded(result, now))
            return []
        return [Verify(result, frame.source, frame.plan.recipe, now, None)]

    def verified(self, verify: Verify[S], residual: P, now: float) -> list[Send[S]]:
        """Take a result that shows its chunk, decoded; it counts from when it arrived."""
        result, arrived, trial = verify.result, verify.arrived, verify.trial
        key, peer = result.key, result.peer
        if trial is not None:
            self._breakers.tried(peer, arrived, good=arrived <= trial.deadline)
        frame = self._frames.frame(key[0])
        part = None
        if frame is not None and not self._attempts.is_done(key):
            try:
                part = self._part(result, residual, verify.recipe, arrived)
            except WireError as error:
                return self._fail(key, result.attempt, peer, f"WireError: {error}", trial, arrived)
        verdict = self._runs.succeeded(result, arrived)
        if verdict is not Verdict.ACCEPTED or frame is None or part is None:
            if verdict is Verdict.LATE:
                self._keep(key, _late(result, residual, verify.recipe, arrived), now)
            self._unused(result, verdict)
            return []
        sends = self._examine(frame, result, arrived)
        if is_better(part, frame.plan, key[1]):
            self._place(frame, key[1], part, now)
        self._keep(key, part, now)
        for observer in self._observers:
            observer.chunk_accepted(key, peer, arrived - part.sent, result.ran)
        return sends

    def refused(self, verify: Verify[S], error: str, now: float) -> list[Send[S]]:
        """Take a result that is no residual of its chunk."""
        result = verify.result
        return self._fail(result.key, result.attempt, result.peer, error, verify.trial, now)

    def failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, now: float
    ) -> list[Send[S]]:
        """Take the news that a run has failed.

        Args:
            key: the chunk.
            attempt: the number of the run, or None where nobody tells.
            peer: whose run it was; empty where nobody knows.
            error: its kind, a colon, and what it says.
            now: seconds of the session's clock.
        """
        examination = self._examiner.take(peer, key, attempt)
        if examination is not None:
            self._examiner.failed(examination, now)
            self._examined(Compare(examination, b""), None)
            return []
        self._admission.failed(key, now)
        trial = self._examiner.take_trial(peer, key)
        return self._fail(key, attempt, peer, error, trial, now)

    def compared(self, compare: Compare, agree: bool | None, now: float) -> None:
        """Take what a comparison said; None where the answer is no residual of its chunk."""
        if agree is None:
            self._examiner.failed(compare.examination, now)
        else:
            self._examiner.concluded(compare.examination, agree=agree, now=now)
        if not agree:
            # Where nobody knows which of two lies, neither is shown any longer.
            for peer in filter(None, (compare.examination.peer, compare.examination.by)):
                self._plans.known.forget(peer)
        self._examined(compare, agree)

    # -- inside ------------------------------------------------------------------------------------

    def _may_be_kept(self, peer: str, now: float) -> bool:
        """Tell whether what comes too late from a peer may be shown later.

        Nobody is examined by that: it has to be somebody who is trusted, or cannot be examined.
        """
        return self._trust.is_trusted(peer) or not self._referees.has_referee(peer, now)

    def _keep(self, key: ChunkKey, part: Part[P], now: float) -> None:
        """Keep a residual for later frames, and give it to those that wait for it."""
        for frame in self._plans.came(*key, part, now):
            self._place(frame, key[1], part, now)

    def _place(self, frame: FrameInFlight[S], index: int, part: Part[P], now: float) -> None:
        self._frames.place(frame.number, index, part)
        if index in frame.missing:
            frame.missing.remove(index)
            if not frame.missing:
                frame.completed_at = now

    def _misfit(self, result: Result, recipe: Recipe | None) -> str:
        """Return in what a result is not what was asked for, or nothing.

        Where nobody remembers by which recipe that was, nobody waits for it either.
        """
        if result.claimed != result.key:
            return "WireError: a result speaks of another chunk than its task."
        if recipe is None:
            return ""
        asked = recipe.operations
        try:
            allowed = asked.allows(Pipeline.parse(result.ran)) if result.ran else not asked.is_open
        except UsageError:
            allowed = False
        return "" if allowed else "WireError: a result was made in another way than asked for."

    def _part(self, result: Result, residual: P, recipe: Recipe, arrived: float) -> Part[P]:
        """Return an accepted result with the spans of its way.

        Raises:
            WireError: its peer claims to have worked for longer than it was away.
        """
        run = self._attempts.run(result.key, result.attempt)
        assert run is not None  # noqa: S101 - the caller has asked whether the chunk is in flight
        queue, back = self._book.known(result.peer).clock.spans(
            run.sent_at, result.started, result.done, arrived
        )
        rest = result.seconds - result.decode - result.process
        return Part(
            payload=result.payload,
            residual=residual,
            recipe=recipe,
            peer=result.peer,
            ran=result.ran,
            sent=run.sent_at,
            queue=queue,
            decode=result.decode,
            process=result.process,
            result=rest + back,
            arrived=arrived,
        )

    def _examine(self, frame: FrameInFlight[S], result: Result, now: float) -> list[Send[S]]:
        """Send an accepted chunk, or an earlier one, to somebody who is to be examined by it."""
        key = result.key
        if not self._runs.has_room(frame, key, now):
            return []
        examination = self._examiner.accepted(
            key, result.peer, frame.payloads[key[1]], result.payload, frame.source,
            frame.plan.recipe, result.ran,
            lambda key, peer: self._attempts.examine(key, peer, now), now,
        )  # fmt: skip
        if examination is None:
            return []
        # As much time as the run had whose answer is compared: nobody can tell it from work.
        run = self._attempts.run(key, result.attempt)
        budget = run.budget if run is not None else 0.0
        picture = examination.picture
        request = self._runs.examine(
            frame, key, examination.attempt, examination.peer, picture, budget, now
        )
        return [Send(frame, (request,), payload=picture)]

    def _fail(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str,
        trial: BreakerTrial | None, now: float,
    ) -> list[Send[S]]:  # fmt: skip
        if trial is not None:
            self._breakers.tried(peer, now, good=False)
        decision, sends = self._runs.failed(key, attempt, peer, now, is_trial=trial is not None)
        if decision is not None:
            for observer in self._observers:
                observer.run_failed(key, attempt, peer, error, decision)
        return sends

    def _unused(self, result: Result, verdict: Verdict) -> None:
        for observer in self._observers:
            observer.result_unused(result.key, result.peer, verdict)

    def _examined(self, compare: Compare, agree: bool | None) -> None:
        for observer in self._observers:
            observer.examination_ended(compare.examination, agreed=agree)


def _late(result: Result, residual: P, recipe: Recipe, arrived: float) -> Part[P]:
    """Return a result that came too late for its frame; of its way nobody wants to know."""
    return Part(
        result.payload, residual, recipe, result.peer, result.ran,
        arrived, 0.0, 0.0, 0.0, 0.0, arrived,
    )  # fmt: skip
