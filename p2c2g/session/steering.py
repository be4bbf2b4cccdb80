"""Steers one session by its controller: what is known goes in, how frames are enhanced comes out.

Pure.  It hears what happens as an observer, asks the tables, has :mod:`p2c2g.session.steady`
decide, and puts what follows into the plans (:class:`p2c2g.session.frame_plan.Setting`): by which
recipe, and which chunks.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from p2c2g.media.frame import ChunkKey
from p2c2g.media.operations import Pipeline
from p2c2g.media.recipe import Recipe
from p2c2g.peers.candidate import Candidate
from p2c2g.session import recipes
from p2c2g.session.able_codecs import AbleCodecs
from p2c2g.session.admission import Admission
from p2c2g.session.asked_methods import methods, work_of
from p2c2g.session.chosen_chunks import ChosenChunks
from p2c2g.session.config import SessionConfig
from p2c2g.session.fair_share import FairShare
from p2c2g.session.frame_plan import Plans, Setting
from p2c2g.session.frames import FramePlan
from p2c2g.session.haste import Haste
from p2c2g.session.lateness import Lateness
from p2c2g.session.levels import Facts, Levels, Resource
from p2c2g.session.line_facts import LineFacts
from p2c2g.session.observer import Observer
from p2c2g.session.recipes import Rung, Rungs
from p2c2g.session.shortage import NOTHING, Shortage, word_of
from p2c2g.session.steady import Steady

#: Seconds between two decisions, and over which is counted what found no room.
LOOK_EVERY = 0.1
COUNTED = 0.5
#: Seconds without a flow of results from which on that is no mere hiccup.
STILL = 0.4
#: Part of the time for which peers work, from which on all of it is taken; and much of it.
TAKEN, MUCH = 0.9, 0.75
#: Chunks of late of which is known how they were made.
_KEEP = 128


class Steering(Observer):
    """The steering of one session.

    Args:
        config: the session's.
        plans: what is decided goes there.
        admission: what found no room, and what comes back.
        lines: what the lines give.
        pool: returns the peers that may have its chunks.
        reads: megapixels a second of residuals that this machine reads, by codec.
    """

    def __init__(
        self,
        config: SessionConfig,
        plans: Plans[Any, Any],
        admission: Admission,
        lines: Callable[[], LineFacts] = LineFacts,
        pool: Callable[[], Iterable[Candidate]] = tuple,
        reads: Mapping[str, float] | None = None,
    ) -> None:
        self._config = config
        self._plans = plans
        self._admission = admission
        self._lines = lines
        usual = config.recipe
        self._count = len(config.megapixels)
        settle = admission.delivery.window
        self.steady = Steady(self._count, settle, carries=config.at_once)
        self._counted = max(COUNTED, settle)
        self._beginning = admission.beginning
        self._still_since: float | None = None
        self.chosen = ChosenChunks(config.chunks, config.size)
        self.lateness, self.haste = Lateness(), Haste(config.deadline)
        self._methods = methods(usual.operations)
        self._sources, self._residuals = _rungs(config)
        self._pool = pool
        self._able = AbleCodecs(config, reads or {})
        self._fair = FairShare(config.megapixels)
        #: The rungs of residuals for which both ends have the time.
        self._ladder = self._residuals.ladder()
        self._ran: deque[str] = deque(maxlen=_KEEP)
        self._counts: deque[tuple[float, int, int]] = deque()
        self._sent = 1.0
        self._looked_at = float("-inf")
        self._shortage = Shortage(self._count)
        #: Decisions that changed anything.
        self.changes = 0

    @property
    def writes(self) -> Rung:
        """Return how residuals are written now."""
        return self._ladder[self.steady.levels.residual]

    # -- what happens ------------------------------------------------------------------------------

    def frame_planned(self, number: int, plan: FramePlan) -> None:
        """Note what is done with a frame: of its chosen chunks some are known already."""
        chosen = len(self._plans.setting.chunks)
        if plan.sent or plan.known:
            part = min(len(plan.sent) / chosen, 1.0) if chosen else 1.0
            # More at once, less by and by: what does not move now may in a moment.
            self._sent = max(part, self._sent + (part - self._sent) / 64)

    def run_sent(self, key: ChunkKey, attempt: int, peer: str, size: int) -> None:
        """Learn how many bytes chunks take as they are sent."""
        recipe = self._plans.recipe_of(key[0])
        if recipe is not None and attempt == 1:
            rung = self._sources.find(recipe.codec, recipe.quality)
            if rung is not None:
                self._sources.seen(rung, 1, size)

    def result_arrived(self, key: ChunkKey, peer: str, size: int) -> None:
        """Learn how many bytes residuals take."""
        recipe = self._plans.recipe_of(key[0])
        if recipe is not None:
            form = recipe.form
            rung = self._residuals.find(form.codec, form.quality, in_colour=form.in_colour)
            if rung is not None:
                self._residuals.seen(rung, 1, size)

    def chunk_accepted(self, key: ChunkKey, peer: str, seconds: float, ran: str) -> None:
        """Learn which methods peers take where the choice is theirs, and that one is in time."""
        self._beginning.was_in_time()
        if ran:
            self._ran.append(ran)

    def admit(self, plan: FramePlan, every: int, now: float) -> FramePlan:
        """Return a plan without the chunks for which there is no room: what matters least goes.

        Args:
            plan: of a frame that may be sent.
            every: of how many ticks of the source one is captured.
            now: seconds of the session's clock.
        """
        if self._config.steady:
            self.look(every, now)
        sent = frozenset(plan.sent)
        # Of what was planned before that was decided, what is given up now is not sent either.
        wanted = sent & self._plans.setting.chunks
        order = [index for index in self.chosen.order if index in wanted]
        left_out = sent - self._admission.admit(order, now)
        return plan.without(left_out) if left_out else plan

    # -- what follows ------------------------------------------------------------------------------

    def look(self, every: int, now: float) -> None:
        """Decide how frames are enhanced from now on, some times a second.

        Args:
            every: of how many ticks of the source one is captured.
            now: seconds of the session's clock.
        """
        if now - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = now
        if now < self.steady.rests_until:
            # Nothing is asked for, so nothing is learnt.
            self._still_since = None
            self.lateness.forget()
            self._counts.clear()
            return
        self._look_at_the_codecs(self._config.fps / every, now)
        facts = self._facts(self._config.fps / every, now)
        if facts.flows:
            self._still_since = None
        elif self._still_since is None:
            self._still_since = now
        if self._still_since is not None and now - self._still_since >= STILL:
            # Peers that stand still, or have gone: not those that are too slow.
            self._beginning.again(now)
        if self._beginning.is_cold(now):
            self.lateness.forget()
            self.haste.forget()
            self._counts.clear()
            self.steady.unsettle(now)
        elif (few := self._beginning.end()) is not None and few < self._count:
            self.steady.begin(few, now)
        before, levels = self.steady.levels, self.steady.step(facts, now)
        if levels != before:
            # What was late by then says nothing of what is asked for from now on.
            self.lateness.forget()
        setting = self._setting(levels, now)
        if setting != self._plans.setting:
            self.changes += setting.chunks != self._plans.setting.chunks
            self._plans.setting = setting

    def _look_at_the_codecs(self, fps: float, now: float) -> None:
        """Take over the rungs for which there is the time now."""
        able = self._able.look(fps, self._pool(), now, busy=self._lines().busy)
        before, self._ladder = self._ladder, self._residuals.ladder(able)
        if self._ladder != before:
            self.steady.renumber([recipes.nearest(self._ladder, each) for each in before])

    def _facts(self, fps: float, now: float) -> Facts:
        delivery, lines = self._admission.delivery, self._lines()
        is_cold = self._beginning.is_cold(now)
        if is_cold and self._beginning.is_gentle:
            lines = lines.allowed
        residuals = [self._residuals.expects(each) for each in self._ladder]
        sources = [self._sources.expects(each) for each in self._sources.ladder()]
        return Facts(
            fps=fps,
            sent=self._sent,
            done=delivery.rate(now),
            flows=delivery.flows(now),
            queued=delivery.risen(now),
            refused=0.0 if is_cold else self._refused(now),
            late=self.lateness.share(now),
            methods=self._works(),
            residuals=residuals,
            sources=sources,
            finest=self._finest(lines, sources[0], residuals[0]),
            up=lines.up,
            down=lines.down,
            up_full=lines.up_full,
            down_full=lines.down_full,
            fixed=lines.limited,
            fair=self._fair.look(self._pool(), now),
            taken=lines.busy >= TAKEN,
        )

    def _finest(self, lines: LineFacts, source: float, residual: float) -> dict[Resource, int]:
        """Return the best rungs that there is the time for, by the bytes of a chunk each way."""
        if lines.busy >= MUCH:
            return {}  # It is the peers who take the time.
        chunks = self.steady.levels.chunks
        found = {Resource.UP: self.haste.saves(chunks * source, lines.up_burst)}
        if all(one.codec in recipes.ALWAYS for one in self._ladder):
            # Others would take more time than their bytes save.
            found[Resource.DOWN] = self.haste.saves(chunks * residual, lines.down_burst)
        return found

    def _refused(self, now: float) -> float:
        """Return the share of chunks that found no room of late."""
        counts, admission = self._counts, self._admission
        counts.append((now, admission.asked, admission.refused))
        while len(counts) > 1 and counts[1][0] <= now - self._counted:
            counts.popleft()
        asked = admission.asked - counts[0][1]
        return (admission.refused - counts[0][2]) / asked if asked else 0.0

    def _works(self) -> list[float]:
        """Return what the methods cost the peers; the first, where the choice is theirs, as run."""
        works = [work for _, work in self._methods]
        if len(works) > 1 and self._ran:
            ran = Counter(self._ran)
            works[0] = sum(work_of(Pipeline.parse(each)) * n for each, n in ran.items())
            works[0] /= ran.total()
        return works

    def _setting(self, levels: Levels, now: float) -> Setting:
        source, residual = self._sources.ladder()[levels.source], self._ladder[levels.residual]
        operations, _ = self._methods[levels.method]
        recipe = Recipe(
            source.codec,
            source.quality,
            residual.form(self._config.form.gain),
            operations,
            rank=levels.source + levels.residual + levels.method,
        )
        if now < self.steady.rests_until:
            return Setting(recipe, self.chosen.choose(0), levels.every, *NOTHING)
        told = self._shortage.told(levels, self.steady.short, self._lines().limited, now)
        return Setting(recipe, self.chosen.choose(levels.chunks), levels.every, *told)


def _rungs(config: SessionConfig) -> tuple[Rungs, Rungs]:
    """Return the ladders of what is sent and of what comes back."""
    form, chunks = config.form, config.chunks
    sent = sum(each.padded.width * each.padded.height for each in chunks) / len(chunks)
    back = sum(each.target.width * each.target.height for each in chunks) / len(chunks)
    return (
        Rungs(
            recipes.SOURCES,
            recipes.rung(recipes.SOURCES, config.codec, config.quality),
            recipes.SOURCE_BYTES * sent,
        ),
        Rungs(
            recipes.RESIDUALS,
            recipes.rung(recipes.RESIDUALS, form.codec, form.quality, in_colour=form.in_colour),
            recipes.RESIDUAL_BYTES * back,
        ),
    )


def live(steering: Steering) -> dict[str, Any]:
    """Return what is given up now, for a readout."""
    levels, count = steering.steady.levels, steering.steady.count
    return {"state": word_of(levels, count), "chunks": levels.chunks, "of": count}


def figures(steering: Steering) -> dict[str, Any]:
    """Return what stands in the report: what was given up at the end, and how often it changed."""
    levels = steering.steady.levels
    return {
        **live(steering),
        "method": levels.method,
        "residual": levels.residual,
        "residuals": str(steering.writes),
        "source": levels.source,
        "every": levels.every,
        "changes": steering.changes,
        "failed": steering.steady.failed,
    }
