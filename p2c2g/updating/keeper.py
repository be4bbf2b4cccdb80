"""Keeps a lent machine's worker running, and its version the one that its pool's operator wants.

The keeper is what the system's service starts.  It asks its coordinator now and then, makes an
environment of a new version beside the one that is used, and has that version's keeper and worker
work under its own eyes; where they do, it becomes the new version itself.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable
from functools import partial
from threading import Event, Thread
from time import monotonic, time
from typing import Any, Final

from p2c2g.errors import P2C2GError, PoolUnavailableError, UnavailableError, UpdateError
from p2c2g.lending.home import KEEP, Home
from p2c2g.lending.state import State
from p2c2g.timing.pauses import Pauses
from p2c2g.updating.acceptance import Decision, Own, Trusted, decide
from p2c2g.updating.course import Course, Keeping
from p2c2g.updating.fetching import Source
from p2c2g.updating.journal import Journal
from p2c2g.updating.manifest import Manifest
from p2c2g.updating.trial import THERE, Judged, Patience, Verdict, judge
from p2c2g.updating.venvs import Venvs
from p2c2g.updating.worker import DRAIN, Worker

logger = logging.getLogger(__name__)

#: Seconds between two looks at the worker.
TICK: Final = 0.25
#: Seconds before a worker that ended is started again, at first and at most, and of how much
#: longer it has to work than the last of these for that to begin anew.
_FIRST, _LONGEST, _HELD = 1.0, 300.0, 2.0
#: Times the usual pause, after which what could not be tried is tried again, at most.
_RARELY: Final = 36.0


class Trials(Venvs):
    """A machine whose versions can be tried out: environments, and the worker.

    Args:
        worker: the one that is kept.
        patience: how long a new version is watched.
        more: those of :class:`Venvs`.
    """

    def __init__(self, *more: Any, worker: Worker, patience: Patience, **named: Any) -> None:
        super().__init__(*more, **named)
        self.worker = worker
        self._patience = patience

    def try_out(self, version: str) -> Judged:
        """End the old worker in good order, and have the new version's keeper start its own.

        What cannot be told apart from a pool that is away is no failure: where the new version does
        not come to work and the old one then does not either, nothing is said.
        """
        self.worker.stop()
        tried = Worker(self._home)
        try:
            tried.start(version, (*KEEP, "--trial"))
            judged = self._watch(tried, version)
        finally:
            tried.stop(DRAIN + 10.0)
        if judged.verdict is Verdict.GOOD:
            return judged
        if not self._ending.is_set():
            self.worker.start()
        if judged.verdict is Verdict.FAILED and not self._works(self.current()):
            return Judged(Verdict.UNCLEAR, f"{judged.why[:-1]}; nor does the old version work now.")
        return judged

    def _watch(self, tried: Worker, version: str) -> Judged:
        began, at = monotonic(), time()
        there_since: float | None = None
        while True:
            now, state = monotonic(), self._state(version, at)
            if there_since is None and state is not None and state.word in THERE:
                there_since = now
            there = 0.0 if there_since is None else now - there_since
            judged = judge(now - began, there, tried.ended, state, self._patience)
            if judged is not None:
                return judged
            if self._ending.wait(TICK):
                return Judged(Verdict.UNCLEAR, "this machine's keeper was ended.")

    def _works(self, version: str) -> bool:
        """Tell whether the old version comes to work as long as the new one had."""
        until, at = monotonic() + self._patience.start, time()
        while monotonic() < until and self.worker.ended is None:
            state = self._state(version, at)
            if state is not None and state.word in THERE:
                return True
            if self._ending.wait(TICK):
                break
        return False

    def _state(self, version: str, since: float) -> State | None:
        """Return what a version's worker, started since a moment, says of itself now."""
        state = State.read(self._home.state)
        if state is None or state.version != version or state.started < since - 1.0:
            return None
        return state if state.is_fresh(time()) else None


class Keeper:
    """Keeps one machine.

    Args:
        home: the machine's.
        machine: does what an update needs.
        keeping: remembers what was tried.
        source: what is offered.
        automatic: whether a release is installed without its owner asking for it.
        every: seconds between two looks.
        ending: set where this process is to end.
    """

    def __init__(
        self,
        home: Home,
        machine: Trials,
        keeping: Keeping,
        source: Source,
        automatic: Callable[[], bool],
        every: float,
        ending: Event,
    ) -> None:
        self._home = home
        self._machine = machine
        self._keeping = keeping
        self._course = Course(machine, keeping)
        self._source = source
        self._automatic = automatic
        self._every = every
        self._ending = ending
        self._pauses = Pauses(_FIRST, _LONGEST, held=_HELD)
        self._rest = Pauses(every, _RARELY * every)
        self._next = monotonic() + min(every, 5.0)
        self._asking: Thread | None = None
        self._ready: Manifest | None = None

    def run(self) -> bool:
        """Keep until it is to end, or another version is used; return whether that is so.

        Raises:
            UnavailableError: what was tried cannot be noted, or no version is used.
        """
        if self._course.start():
            return True
        worker = self._machine.worker
        worker.start()
        self._pauses.well(monotonic())
        try:
            while not self._ending.wait(TICK):
                if self._look_at_worker() or self._look_at_releases():
                    return True
            return False
        finally:
            worker.stop()
            if self._asking is not None:
                self._ending.set()
                self._asking.join()

    def update(self, say: Callable[[str], None]) -> bool:
        """Look at once, and update where there is something; return whether another is used."""
        self._course.start()
        decision = self.look(again=True)
        say(decision.why)
        if decision.manifest is None or not decision.wanted:
            return False
        if not self._course.prepare(decision.manifest):
            say(self._keeping.journal.said)
            return False
        say("It is tried out now.")
        try:
            done = self._course.try_out(decision.manifest)
        finally:
            self._machine.worker.stop()
        say(self._keeping.journal.said)
        self._deliver()
        return done

    def look(self, *, again: bool = False) -> Decision:
        """Ask what is offered, and remember what follows for the next time.

        Args:
            again: whether what did not work here is wanted again.

        Raises:
            UpdateError: it must not be believed, or nobody offers anything.
            PoolUnavailableError: the coordinator does not answer.
        """
        member, trusted = self._source.member(), self._keeping.journal.trusted
        if member is None or not member.key:
            raise UpdateError(
                "Nobody offers this machine releases: its pool's operator signs none, or it is in "
                "a pool of its owner's own. Install a newer version by install.sh or pip."
            )
        if trusted is None or trusted.pinned != member.key:
            # It has joined for the first time, or another pool.
            trusted = Trusted.at_first(member.key)
        now, failed = self._keeping.clock(), self._keeping.journal.failed
        own = Own(
            member.id,
            self._machine.current(),
            platform.python_version(),
            frozenset() if again else frozenset(failed),
        )
        decision = decide(self._source.offer(), trusted, own, now)
        self._keeping.change(
            lambda old: old.model_copy(update={"trusted": decision.trusted, "checked": now})
        )
        return decision

    # -- inside -------------------------------------------------------------------------------

    def _look_at_worker(self) -> bool:
        """Start a worker that has ended again; return whether its version is left for that."""
        worker, now = self._machine.worker, monotonic()
        if worker.is_there and worker.ended is not None:
            code = worker.ended
            logger.warning("The worker has ended with %s.", code)
            worker.stop()
            pause = self._pauses.failed(now)
            # One that was asked to leave has not fallen over.
            if code != 0 and self._course.fell():
                return True
            logger.info("It is started again in %.0f s.", pause)
        if not worker.is_there and self._pauses.over(now):
            worker.start()
            self._pauses.well(now)
        return False

    def _look_at_releases(self) -> bool:
        """Update where something is ready; return whether another version is used."""
        if self._asking is not None:
            if self._asking.is_alive():
                return False
            self._asking = None
        ready, self._ready = self._ready, None
        if ready is not None:
            if self._course.try_out(ready):
                return True
            self._pauses.well(monotonic())
            self._wait_longer()
        asked = self._home.wanted.exists()
        if asked or monotonic() >= self._next:
            self._home.wanted.unlink(missing_ok=True)
            self._next = monotonic() + self._every
            # Off the path of the worker: an installation takes minutes.
            self._asking = Thread(target=self._ask, args=(asked,), name="p2c2g-releases")
            self._asking.start()
        return False

    def _ask(self, asked: bool) -> None:
        """Have a release that is wanted ready to be tried."""
        try:
            self._deliver()
            decision = self.look(again=asked)
            if asked or not decision.wanted:
                self._note(decision.why, asked=asked)
            if decision.manifest is None or not decision.wanted:
                return
            if not (asked or self._automatic()):
                self._note(f"{decision.manifest.version} can be had: p2c2g peer update.")
            elif self._course.prepare(decision.manifest):
                self._ready = decision.manifest
            else:
                self._wait_longer()
        except PoolUnavailableError as error:
            logger.info("Releases are asked for later: %s", error)
            if asked:
                self._note(str(error), asked=asked)
        except P2C2GError as error:
            logger.warning("Releases: %s", error)
            self._note(str(error), asked=asked)

    def _wait_longer(self) -> None:
        """Try what could not be tried after growing pauses."""
        now = monotonic()
        self._next = now + self._rest.failed(now)

    def _note(self, said: str, *, asked: bool = False) -> None:
        """Say something to this machine's owner, where it is new or was asked for."""
        if asked or said != self._keeping.journal.said:
            try:
                self._keeping.change(lambda old: old.noted(said, self._keeping.clock()))
            except UnavailableError as error:
                logger.warning("%s", error)

    def _deliver(self) -> None:
        """Tell the coordinator what it has still to be told."""
        for report in self._keeping.journal.reports:
            try:
                self._source.report(report)
            except PoolUnavailableError as error:
                if error.retryable:
                    return
                logger.info("A report is not taken: %s", error)
            self._keeping.change(partial(Journal.delivered, report=report))
