"""What a lender sees: one line on the terminal that says what this peer is doing.

On a terminal it is redrawn every second, whatever the log's level; where the output is a file
or a service's journal, there is a line a minute in the log, at INFO.  Celery's two lines
about each chunk are left out of the console, except at DEBUG.
"""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import IO, Any

from celery import bootsteps
from celery.worker import state

from p2c2g.messaging.names import ENHANCE_TASK
from p2c2g.peers.messages import PeerState
from p2c2g.text import plain

logger = logging.getLogger(__name__)

#: Seconds between two looks: on a terminal, and for the log.
EVERY, LOGGED_EVERY = 1.0, 60.0
#: From the line's beginning, and nothing to the right of it.
_CLEAR = "\r\x1b[2K"


@dataclass(frozen=True, slots=True)
class Doing:
    """What a peer is doing at a moment.

    Args:
        name: its id.
        state: as its beats say.
        why: why it is paused, or who has it drained; "" where nobody knows.
        chunks: taken since it started.
        rate: of them a second, lately.
        busy: received and not ended.
    """

    name: str
    state: PeerState
    why: str
    chunks: int
    rate: float
    busy: int

    def __str__(self) -> str:
        done = f"{_counted(self.chunks)} so far"
        match self.state:
            case PeerState.STARTING:
                said = f"waits for the broker; {done}"
            case PeerState.PAUSED:
                said = f"paused: {self.why or 'no reason is given'}; {done}"
            case PeerState.DRAINING:
                who = f", as {self.why} asks" if self.why else ""
                said = f"leaves{who}: {self.busy} to finish; {done}"
            case PeerState.READY if self.busy or self.rate >= 0.05:
                said = f"works, {self.rate:.1f} chunks a second; {done}"
            case PeerState.READY:
                said = f"ready, nobody sends work now; {done}"
        return f"{self.name} {said}"


class Line:
    """A line at a terminal's end, which others who print clear first.

    Args:
        stream: the terminal; where it is none, nothing is drawn.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._shown = False
        self._lock = threading.Lock()

    @property
    def is_shown_to_somebody(self) -> bool:
        """Return whether there is a terminal."""
        return self._stream.isatty()

    def draw(self, text: str) -> None:
        """Show a text in place of the last one, cut off where the terminal ends."""
        width = shutil.get_terminal_size().columns - 1
        self._write(f"{_CLEAR}{plain(text)[:width]}", shown=True)

    def leave(self, text: str) -> None:
        """Let a last text stay."""
        self.draw(text)
        self._write("\n", shown=False)

    def clear(self) -> None:
        """Remove it."""
        if self._shown:
            self._write(_CLEAR, shown=False)

    def _write(self, text: str, *, shown: bool) -> None:
        with self._lock:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                return  # The terminal has been closed.
            self._shown = shown


#: The one at the end of this worker's terminal.
line = Line(sys.stderr)


class Clearing(logging.Handler):
    """An output that stands before the console's: it clears the line before each record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Clear it; the next look draws it again."""
        line.clear()


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Tell whether a record is for the console: not those of Celery about each chunk."""
    about: Any = getattr(record, "data", None)
    return not (
        record.levelno == logging.INFO
        and isinstance(about, dict)
        and about.get("name") == ENHANCE_TASK
        and not logging.getLogger().isEnabledFor(logging.DEBUG)
    )


class StatusStep(bootsteps.StartStopStep):
    """Keeps the line, from the worker's start until it has left."""

    requires = ("p2c2g_workers.enrolment:EnrolmentStep",)

    def __init__(
        self, consumer: Any, clock: Callable[[], float] = monotonic, **kwargs: Any
    ) -> None:
        super().__init__(consumer, **kwargs)
        self._consumer = consumer
        self._clock = clock
        self._ended = threading.Event()
        self._last = (clock(), 0)
        self._thread: threading.Thread | None = None

    def start(self, consumer: Any) -> None:
        """Begin; runs again after a reconnect, when it does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="p2c2g-status", daemon=True)
            self._thread.start()

    def stop(self, consumer: Any) -> None:
        """Go on: the broker may only be away."""

    def shutdown(self, consumer: Any) -> None:
        """Remove the line, and say what was done in all."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            who = f", as {consumer.peer.why} asked" if consumer.peer.why else ""
            end = f"{consumer.hostname} has left{who}; {_counted(_chunks())} in all."
            if line.is_shown_to_somebody:
                line.leave(end)
            else:
                logger.info("%s", end)

    def _run(self) -> None:
        every = EVERY if line.is_shown_to_somebody else LOGGED_EVERY
        told = ""
        while not self._ended.wait(every):
            doing = str(self._look())
            if line.is_shown_to_somebody:
                line.draw(doing)
            elif doing != told:
                logger.info("%s.", doing)
            told = doing

    def _look(self) -> Doing:
        peer = self._consumer.peer
        now, count = self._clock(), _chunks()
        (then, before), self._last = self._last, (now, count)
        return Doing(
            name=self._consumer.hostname,
            state=peer.state,
            why=peer.why,
            chunks=count,
            rate=(count - before) / max(now - then, 1e-3),
            busy=len(state.reserved_requests),
        )


def _counted(chunks: int) -> str:
    return f"{chunks:,} chunk{'' if chunks == 1 else 's'}"


def _chunks() -> int:
    return int(state.total_count[ENHANCE_TASK])
