"""The one table of what is in flight, and the one count of each chunk's runs.

Pure: it reads no clock and sends nothing.  Whatever ended a run - an exception, a peer that
died or went silent, a result that was no picture - the next one is granted here or nowhere,
and never a fourth (:data:`MAX_ATTEMPTS`).  A hedge is a run like the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from p2c2g.media.frame import ChunkKey

#: Runs of one chunk at most.  Celery's ``max_retries=3`` would mean four.
MAX_ATTEMPTS = 3


class Verdict(Enum):
    """What a result is worth."""

    ACCEPTED = "accepted"  # the first good one: show it
    DUPLICATE = "duplicate"  # its chunk has one already
    LATE = "late"  # its frame has been shown


class Decision(Enum):
    """What follows a failed or silent run."""

    RETRY = "retry"  # run it again, now
    WAIT = "wait"  # another run is still out
    GIVE_UP = "give up"  # it has had its runs: the base layer stands in
    IGNORE = "ignore"  # nobody waits for it, or it was told before


class RunState(Enum):
    """Where one run stands."""

    OUT = "out"  # its result is waited for
    SILENT = "silent"  # given up; should its result come first after all, it is welcome
    FAILED = "failed"  # it was told, or came as no picture


@dataclass(frozen=True, slots=True)
class Run:
    """One run: when it was sent (seconds of the session's clock), to whom, and why.

    ``peer`` is empty where any peer of the capability queue may have taken it; ``moved_from``
    is the peer from whose own queue it was asked to be taken.  ``is_back`` is whether it no
    longer counts as with its peer.  ``budget`` is what it was sent with: the seconds for which
    its result is of use.
    """

    sent_at: float
    peer: str = ""
    hedge: bool = False
    state: RunState = RunState.OUT
    moved_from: str = ""
    is_back: bool = False
    budget: float = 0.0


@dataclass(slots=True)
class _Chunk:
    runs: list[Run] = field(default_factory=list)  # those granted so far, oldest first
    done: bool = False  # a good result has come
    exhausted: bool = False

    def is_out(self) -> bool:
        return any(run.state is RunState.OUT for run in self.runs)

    def end(self, number: int, state: RunState) -> None:
        self.runs[number - 1] = replace(self.runs[number - 1], state=state)


class Attempts:
    """The table.  A key is ``(frame number, chunk index)``.

    Every result and every failure that it is told of adds one to exactly one of
    ``accepted``, ``duplicate``, ``late`` and ``failed``.  It is as long as the chunks that
    are open: who opens one closes it.

    Args:
        max_attempts: runs of one chunk at most, 1 or more.

    Raises:
        ValueError: fewer than one run.
    """

    def __init__(self, max_attempts: int = MAX_ATTEMPTS) -> None:
        if max_attempts < 1:
            raise ValueError(f"max_attempts={max_attempts} cannot be: give 1 or more")
        #: Runs of one chunk at most.
        self.most = max_attempts
        self._chunks: dict[ChunkKey, _Chunk] = {}
        #: Accepted chunks by the number of the run that brought them.
        self.accepted: Counter[int] = Counter()
        #: Told after the chunk was closed.
        self.late = 0
        #: Results of a chunk that has one, and failures told twice.
        self.duplicate = 0
        #: Runs that failed.
        self.failed = 0
        #: Chunks all of whose runs failed.
        self.exhausted = 0
        #: Runs given up since nothing was heard of them, and what came of those after all.
        self.silent = 0
        self.revived = 0
        #: Runs granted as hedges, and accepted chunks that a hedge brought.
        self.hedges = 0
        self.hedges_won = 0

    def __len__(self) -> int:
        return len(self._chunks)

    def open(self, key: ChunkKey, now: float = 0.0) -> int:
        """Note a chunk's first run, sent at ``now``; return its number, 1.

        Raises:
            KeyError: the chunk is in flight already.
        """
        if key in self._chunks:
            raise KeyError(f"chunk {key} is in flight already")
        self._chunks[key] = _Chunk([Run(now)])
        return 1

    def succeed(self, key: ChunkKey, attempt: int) -> Verdict:
        """Judge a good result; the first one of any run of a chunk is accepted.

        A stranger told us the number of the run: one that was never granted counts as the
        newest.
        """
        chunk = self._chunks.get(key)
        if chunk is None:
            self.late += 1
            return Verdict.LATE
        number = min(max(attempt, 1), len(chunk.runs))
        run = chunk.runs[number - 1]
        self.revived += run.state is RunState.SILENT
        if chunk.done:
            self.duplicate += 1
            return Verdict.DUPLICATE
        chunk.done = True
        self.accepted[number] += 1
        self.hedges_won += run.hedge
        return Verdict.ACCEPTED

    def fail(
        self, key: ChunkKey, attempt: int, now: float = 0.0, *, may_rerun: bool = True
    ) -> Decision:
        """Judge a failed run; RETRY has counted the run that it grants, sent at ``now``.

        Args:
            key: the chunk.
            attempt: the number of the run, as a stranger told it.
            now: seconds of the session's clock.
            may_rerun: whether another run could still come in time.
        """
        chunk = self._chunks.get(key)
        if chunk is None:
            self.late += 1
            return Decision.IGNORE
        granted = len(chunk.runs)
        if attempt < 1 or (attempt <= granted and chunk.runs[attempt - 1].state is RunState.FAILED):
            self.duplicate += 1
            return Decision.IGNORE
        self.failed += 1
        if attempt > granted:
            return Decision.IGNORE  # A run that was never granted grants none.
        chunk.end(attempt, RunState.FAILED)
        return self._next(chunk, now, may_rerun=may_rerun)

    def give_up(self, key: ChunkKey, attempt: int, now: float) -> Decision:
        """Judge a run of which nothing was heard for too long; RETRY as in :meth:`fail`."""
        chunk = self._chunks.get(key)
        if chunk is None or not 1 <= attempt <= len(chunk.runs):
            return Decision.IGNORE
        run = chunk.runs[attempt - 1]
        if chunk.done or run.state is not RunState.OUT:
            return Decision.IGNORE
        chunk.end(attempt, RunState.SILENT)
        self.silent += 1
        return self._next(chunk, now, may_rerun=True)

    def _next(self, chunk: _Chunk, now: float, *, may_rerun: bool) -> Decision:
        if chunk.done:
            return Decision.IGNORE
        if chunk.is_out():
            return Decision.WAIT
        if len(chunk.runs) < self.most and may_rerun:
            chunk.runs.append(Run(now))
            return Decision.RETRY
        if not chunk.exhausted and all(run.state is RunState.FAILED for run in chunk.runs):
            chunk.exhausted = True
            self.exhausted += 1
        return Decision.GIVE_UP

    def add(self, key: ChunkKey, peer: str, now: float, *, hedge: bool = True) -> int | None:
        """Grant one more run beside those that are out, to go to ``peer``.

        Args:
            key: the chunk.
            peer: who is to run it.
            now: seconds of the session's clock.
            hedge: whether it is a hedge; else it probes the peer.

        Returns:
            Its number, or None where the chunk is done, not in flight, or has had its runs.
        """
        chunk = self._chunks.get(key)
        if chunk is None or chunk.done or len(chunk.runs) >= self.most:
            return None
        chunk.runs.append(Run(now, peer, hedge=hedge))
        self.hedges += hedge
        return len(chunk.runs)

    def examine(self, key: ChunkKey, peer: str, now: float) -> int | None:
        """Grant one more run of a chunk that may have its result, to examine ``peer``.

        Returns:
            Its number, or None where the chunk is not in flight, or has had its runs.
        """
        chunk = self._chunks.get(key)
        if chunk is None or len(chunk.runs) >= self.most:
            return None
        chunk.runs.append(Run(now, peer))
        return len(chunk.runs)

    def assign(self, key: ChunkKey, number: int, peer: str, budget: float) -> None:
        """Note to whom a granted run goes, and for how long its result is of use there."""
        runs = self._chunks[key].runs
        runs[number - 1] = replace(runs[number - 1], peer=peer, budget=budget)

    def move(self, key: ChunkKey, source: str, to: str) -> int:
        """Note that a chunk's runs which are out at ``source`` go to ``to``; return how many."""
        runs = self._chunks[key].runs
        moved = 0
        for place, run in enumerate(runs):
            if run.peer == source and run.state is RunState.OUT:
                runs[place] = replace(run, peer=to, moved_from=source)
                moved += 1
        return moved

    def returned(self, key: ChunkKey, number: int) -> str:
        """Note that a run is with its peer no longer.

        Returns:
            That peer, or "" where it was noted before, or nobody knows who has it.
        """
        runs = self._chunks[key].runs
        run = runs[number - 1]
        if run.is_back or not run.peer:
            return ""
        runs[number - 1] = replace(run, is_back=True)
        return run.peer

    def out(self) -> Iterator[tuple[ChunkKey, int, Run]]:
        """Give the runs that are out, of chunks without a result, with their numbers."""
        for key, chunk in self._chunks.items():
            if not chunk.done:
                for number, run in enumerate(chunk.runs, 1):
                    if run.state is RunState.OUT:
                        yield key, number, run

    def out_at(self, peer: str) -> list[tuple[ChunkKey, int]]:
        """Return the runs that are out at one peer, of chunks without a result."""
        return [(key, number) for key, number, run in self.out() if run.peer == peer]

    def runs(self, key: ChunkKey) -> Sequence[Run]:
        """Return a chunk's runs, oldest first; none where it is not in flight."""
        chunk = self._chunks.get(key)
        return chunk.runs if chunk is not None else ()

    def run(self, key: ChunkKey, attempt: int) -> Run | None:
        """Return the run that a stranger calls ``attempt``; None where the chunk is not in flight.

        A number that was never granted is taken for the nearest one.
        """
        runs = self.runs(key)
        return runs[min(max(attempt, 1), len(runs)) - 1] if runs else None

    def run_of(self, key: ChunkKey, peer: str) -> int:
        """Return the number of the run whose failure ``peer`` tells without naming it.

        It is the one that was sent to that peer, else the oldest that is out and that any
        peer may have taken, else the newest; 0 where the chunk is not in flight.
        """
        runs = self.runs(key)
        for wanted in (peer, ""):
            for number, run in enumerate(runs, 1):
                if run.peer == wanted and run.state is RunState.OUT:
                    return number
        return len(runs)

    def is_done(self, key: ChunkKey) -> bool:
        """Tell whether nobody waits for a chunk: it has a result, or is not in flight."""
        chunk = self._chunks.get(key)
        return chunk is None or chunk.done

    def close(self, key: ChunkKey) -> None:
        """Forget a chunk: its frame has been shown or dropped."""
        self._chunks.pop(key, None)
