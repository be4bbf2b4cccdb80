"""Keeps the quality steady: what is given up where there is too little of something, and when not.

Pure: it is told figures and what time it is.  What can run short is the peers' time, the line to
them and the line back.  Given up is, in this order: better methods, the quality of residuals and
their colour, the quality of what is sent, chunks (always the same ones, so that nothing flickers),
and at last the rate of the enhancement.  A step that does not relieve what is short is passed
over.

**Down** at once, and as far as the figures ask for: where chunks find no room
(:mod:`p2c2g.session.admission`), what comes back is what the peers can do, and a little less than
that is asked for from then on.  That chunks wait is no sign by itself: sessions wait for each
other's bursts.  **Up** step by step, after
seconds of calm, and only where the figures leave room; of the peers' time there are none before it
is tried.  A try that fails is taken back, and the next waits twice as long, so that one that is
only just too much does not come again and again (``session/rate.py`` does the same).

Sessions that share peers all see the queue, also where another one tries a step up.  So where there
is little too much, who has most gives way first: a session waits for longer, the less it has.  It
gives up a smaller part, and tries sooner, too: so shares become alike (additive increase,
multiplicative decrease: Chiu and Jain, 1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from p2c2g.session.levels import Facts, Levels, Resource, fit, needs
from p2c2g.session.resting import Resting

#: Part of what comes back that is asked for where the peers are short of time: with few chunks,
#: and less with all of them.
HEAD, HEAD_LESS = 0.92, 0.08
#: Of what a line takes, as much is used after a step down, and may be used after one up.
FILL, ROOM = 0.95, 0.85
#: Share of chunks that found no room, from which on there is too little of something.
REFUSED = 0.01
#: Share that is given up at once at most where chunks are late: all of them may be by little.
LATE_MOST = 0.5
#: Where at least this part comes back, or no more than so many chunks a frame do not, little is too
#: much: that is borne for so many seconds, fewer after a step up, and for so many more by a session
#: that has nothing, for the others to give way.
LITTLE_CHUNKS = 1.5
LITTLE, GRACE_LEAST, GRACE_AFTER_STEP, GRACE = 0.75, 1.0, 0.2, 1.0
#: Of its part of the peers a session may have so many times.  Up to the other part of it nothing
#: that was too much keeps it from another try, and it waits for so many seconds more for the others
#: to give way.
FAIR, LITTLE_OF_IT, GRACE_OTHERS = 0.93, 0.75, 2.0
#: Seconds without it make up for so many with it.
EASES = 0.25
#: Seconds after a step before the next one down: results of the earlier frames are still coming.
SETTLE = 0.5
#: Seconds for which what is stuck in a line holds everything up: the peers have no part in that;
#: and for which it is rather given fewer bytes than they fewer chunks.
DRAINS, LINGERS = 1.5, 5.0
#: Seconds of calm before a line is asked for more than it is known to take, if what it takes is so
#: many times what is sent; and seconds until that is known.
PROBE_AFTER, SPARE, PROBE = 2.0, 1.05, 2.0
#: Up to one of so many chunks steps up are doublings: there is far to go, and nothing is known to
#: be too much.
FEW = 6
#: Seconds for which one chunk of each frame has to be too much before there are fewer.
LEAST_FOR = 2.0
#: Seconds of calm before a step up: where a line was short, and where the peers' time was, with all
#: chunks; less with fewer.
CALM_OF_LINE, CALM = 1.0, 3.0
#: Seconds for which is remembered what was too much, at first and at most; twice as many after
#: each step up that failed: where there is too little again within so many seconds.
PATIENCE, PATIENCE_MOST, PROOF = 10.0, 60.0, 6.0
#: Part of what was too much that is not.
BELOW = 0.95


class Steady:
    """The controller of one session.

    Args:
        count: chunks of a frame.
        settle: seconds after a step in which the earlier frames' results are still coming.
        carries: whether what is enhanced now and then is carried on between.
    """

    def __init__(self, count: int, settle: float = SETTLE, *, carries: bool = False) -> None:
        self._settle = max(settle, SETTLE)
        self._carries = carries
        self.count = count
        self.levels = Levels(count)
        #: What was short the last time; None where nothing ever was.
        self.short: Resource | None = None
        self._changed_at = self._line_short_at = self._unsettled_at = -inf
        #: The line that was short at last.
        self._line = Resource.UP
        #: Since when the least of each frame is too much.
        self._least_since: float | None = None
        self._resting = Resting()
        self._probed_until = -inf
        self._calm_since: float | None = None
        #: Seconds for which the peers' time was short of late.
        self._pressed = 0.0
        self._looked_at: float | None = None
        self._patience = PATIENCE
        #: What was too much for the peers, and until when that is remembered.
        self._ceiling, self._ceiling_until = inf, -inf
        #: Chunks of a step up: twice as many after each that did not fail.
        self._stride = count
        self._before: Levels | None = None
        self._raised_at = float("-inf")
        #: Steps up that were taken back.
        self.failed = 0

    @property
    def rests_until(self) -> float:
        """Return until when nothing is asked for, in seconds of the session's clock."""
        return self._resting.until

    def renumber(self, residuals: Sequence[int]) -> None:
        """Take over another ladder of residuals: by rung of the one before, which it is now."""
        self.levels = replace(self.levels, residual=residuals[self.levels.residual])
        if self._before is not None:
            self._before = replace(self._before, residual=residuals[self._before.residual])

    def begin(self, chunks: int, now: float) -> None:
        """Begin with fewer chunks than all: there was time for no more at first."""
        if chunks < self.levels.chunks:
            self.levels = replace(self.levels, chunks=max(chunks, 1))
            self.short, self._stride = Resource.WORK, 1
            self._changed_at = now

    def unsettle(self, now: float) -> None:
        """Conclude nothing of the peers for a moment: what was says nothing of what is."""
        self._unsettled_at = now
        self._calm_since, self._pressed = None, 0.0

    def step(self, facts: Facts, now: float) -> Levels:
        """Return how much is asked for from now on; to be called some times a second."""
        self._confine(facts)
        short = self._shortage(facts, now)
        self._press(short, now)
        if self._carries or self.levels.chunks > 1:
            self._resting.forget()
        else:
            # Nobody knows of peers from whom nothing comes.
            self._resting.look(now, flickers=Resource.WORK in short and facts.flows)
        if not short or self.levels.chunks > 1:
            self._least_since = None
        if short:
            self._calm_since = None
            if not self._waits_for_others(facts, short):
                self._go_down(facts, short, now)
        elif not _is_calm(facts):
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= self._wait:
            self._go_up(facts, self._calm_since, now)
        if self._before is not None and now - self._raised_at > PROOF:
            self._before, self._patience = None, PATIENCE
        if now > self._ceiling_until:
            self._ceiling = inf
        return self.levels

    # -- what is short -----------------------------------------------------------------------------

    def _shortage(self, facts: Facts, now: float) -> dict[Resource, float]:
        """Return what is short, and how much of it there is: work, or bytes, a second."""
        need, found = needs(self.levels, facts), dict[Resource, float]()
        since = max(self._changed_at, self._unsettled_at)
        settled = now - since >= self._settle and facts.flows
        for line, most, full in (
            (Resource.UP, facts.up, facts.up_full),
            (Resource.DOWN, facts.down, facts.down_full),
        ):
            probed = now < self._probed_until and not full and line not in facts.fixed
            if need[line] > most and now - self._changed_at >= self._settle and not probed:
                found[line] = most * FILL
            elif full and settled and (facts.queued or facts.late):
                found[line] = min(most, self._returned(facts) * need[line])
        if found:
            self._line_short_at, self._line = now, next(iter(found))
        if now - self._line_short_at < DRAINS or not settled:
            return found
        asked, part = self._asked(facts), FAIR * facts.fair
        lingers = now - self._line_short_at < LINGERS and not facts.taken
        what = self._line if lingers else Resource.WORK
        if facts.taken and asked > part:
            found[Resource.WORK] = need[Resource.WORK] * part / asked
        elif facts.refused > REFUSED:
            found[what] = self._returned(facts) * need[what]
        elif facts.late:
            found[what] = (1 - min(facts.late, LATE_MOST)) * need[what]
        return found

    def _returned(self, facts: Facts) -> float:
        """Return the part of what is asked for that the pool may be asked for."""
        return self._part(facts) * (HEAD - HEAD_LESS * self.levels.chunks / self.count)

    def _part(self, facts: Facts) -> float:
        """Return the part of what is asked for that comes back."""
        asked = self._asked(facts)
        return min(max(facts.done / asked, 1 - facts.refused), 1.0) if asked else 1.0

    def _asked(self, facts: Facts) -> float:
        """Return the chunks a second that are asked for."""
        return self.levels.chunks * facts.fps / self.levels.every * facts.sent

    def _press(self, short: dict[Resource, float], now: float) -> None:
        """Count for how long it presses; what comes and goes counts, too."""
        passed = min(now - self._looked_at, SETTLE) if self._looked_at is not None else 0.0
        self._looked_at = now
        self._pressed += passed if Resource.WORK in short else -EASES * passed
        self._pressed = min(max(self._pressed, 0.0), GRACE_LEAST + GRACE + GRACE_OTHERS)

    def _waits_for_others(self, facts: Facts, short: dict[Resource, float]) -> bool:
        """Tell whether it may be over in a moment, or another session has to give way first."""
        lacking = 1 - self._part(facts)
        much = lacking > 1 - LITTLE and lacking * self.levels.chunks > LITTLE_CHUNKS
        if set(short) != {Resource.WORK} or much or facts.late:
            return False
        # Who has just asked for more is the first to doubt.
        least = GRACE_LEAST if self._before is None else GRACE_AFTER_STEP
        if self._asked(facts) < LITTLE_OF_IT * facts.fair < inf:
            least += GRACE_OTHERS
        return self._pressed < least + GRACE * (1 - self.levels.chunks / self.count)

    # -- down --------------------------------------------------------------------------------------

    def _go_down(self, facts: Facts, short: dict[Resource, float], now: float) -> None:
        present, before = self.levels, self._before
        if Resource.WORK in short:
            self._ceiling = needs(present, facts)[Resource.WORK]
            if before is None:
                self._ceiling = max(self._ceiling * self._part(facts), short[Resource.WORK])
            self._ceiling_until = now + self._patience
        if before is not None and now - self._raised_at <= PROOF:
            # It was too much: back to what was enough.
            self._patience = min(2 * self._patience, PATIENCE_MOST)
            self._ceiling_until = max(self._ceiling_until, now + self._patience)
            self.failed += 1
            self.levels, self._before = before, None
            if any(needs(before, facts)[each] > most for each, most in short.items()
                   if each is not Resource.WORK):  # fmt: skip
                self.levels = fit(before, facts, short)
        else:
            self.levels = fit(present, facts, short)
        self._keep_the_least(present, now)
        self.short = next(iter(short))
        self._stride = 1 if self.short is Resource.WORK else self.count
        if self.levels != present:
            self._changed_at, self._pressed = now, 0.0

    def _keep_the_least(self, present: Levels, now: float) -> None:
        """Leave out frames only where one chunk of each was too much for a while.

        And only where what is enhanced is carried on: else it would flicker with every frame.
        """
        if self._least_since is None:
            self._least_since = now
        if not self._carries or present.chunks > 1 or now - self._least_since < LEAST_FOR:
            self.levels = replace(self.levels, every=min(self.levels.every, present.every))

    # -- up ----------------------------------------------------------------------------------------

    @property
    def _wait(self) -> float:
        """Return the seconds of calm that a step up needs."""
        if self.short is not Resource.WORK:
            return CALM_OF_LINE * self._patience / PATIENCE
        # Who has little tries sooner.
        return max(CALM_OF_LINE, CALM * self.levels.chunks / self.count)

    def _go_up(self, facts: Facts, calm_since: float, now: float) -> None:
        present = self.levels
        need = needs(present, facts)
        # Up to its part there is as much as it lets the others know that it wants.
        part = LITTLE_OF_IT * facts.fair if facts.fair < inf else 0.0
        fair = part * facts.methods[present.method]
        for higher in self._steps_up(facts):
            wanted = needs(higher, facts)
            enough = max(need[Resource.WORK], BELOW * self._ceiling, fair)
            if enough < wanted[Resource.WORK]:
                continue
            lines = ((Resource.UP, facts.up), (Resource.DOWN, facts.down))
            tight = [each for each, most in lines if wanted[each] > max(ROOM * most, need[each])]
            if any(not self._has_spare(each, dict(lines)[each], need, facts) for each in tight):
                continue
            if tight and now - calm_since < PROBE_AFTER * self._patience / PATIENCE:
                return
            if tight:
                self._probed_until = now + PROBE
            self._before, self.levels = present, higher
            self._stride = min(2 * self._stride, self.count)
            self._raised_at = self._changed_at = self._calm_since = now
            return

    @staticmethod
    def _has_spare(line: Resource, most: float, need: dict[Resource, float], facts: Facts) -> bool:
        """Tell whether a line may take more than is known of it.

        Nobody knows of a line more than what it was given, and a little: where that was all right
        for a while, it is given more.
        """
        return line not in facts.fixed and most >= SPARE * need[line]

    def _steps_up(self, facts: Facts) -> list[Levels]:
        """Return what could be asked for next: what was given up last comes first."""
        now, found = self.levels, []
        if now.every > 1:
            found.append(replace(now, every=now.every // 2))
        elif now.chunks < self.count:
            few = now.chunks * FEW <= self.count and self._patience <= PATIENCE
            if few:
                more = now.chunks
            elif self.short is Resource.WORK:
                more = min(self._stride, self.count // 8)
            else:
                more = min(self._stride, now.chunks // 2)
            more = max(1, more)
            found.append(replace(now, chunks=min(now.chunks + more, self.count)))
            if more > 1:
                found.append(replace(now, chunks=now.chunks + 1))
        if now.source > facts.finest.get(Resource.UP, 0):
            found.append(replace(now, source=now.source - 1))
        if now.residual > facts.finest.get(Resource.DOWN, 0):
            found.append(replace(now, residual=now.residual - 1))
        if now.method:
            found.append(replace(now, method=now.method - 1))
        return found

    def _confine(self, facts: Facts) -> None:
        """Keep to the rungs that there are, and that there is the time for."""
        now, finest = self.levels, facts.finest
        residual = max(now.residual, finest.get(Resource.DOWN, 0))
        source = max(now.source, finest.get(Resource.UP, 0))
        self.levels = replace(
            now,
            method=min(now.method, len(facts.methods) - 1),
            residual=min(residual, len(facts.residuals) - 1),
            source=min(source, len(facts.sources) - 1),
        )


def _is_calm(facts: Facts) -> bool:
    return not (facts.refused or facts.late or facts.up_full or facts.down_full)
