"""Logs: for people on the console, for machines as JSON in files, and neither in the way.

Modules log through :mod:`logging`.  What they know of ``session``, ``frame``, ``chunk``,
``attempt`` and ``peer`` they name in ``extra``, or bind to their thread (:func:`bound`).  One
handler at the root sends each record to all outputs.  What it promises:

* a thousand equal warnings a second are one line and a count (``throttle.py``);
* passwords in URLs are never written, whoever logged them;
* files are bounded, and a full disk or a folder that cannot be written costs no more than the
  lines themselves: it is told once, and tried again later.
"""

from __future__ import annotations

import copy
import logging
import logging.handlers
import os
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from p2c2g.settings import LogSettings, load
from p2c2g.throttle import Throttle

logger = logging.getLogger(__name__)

#: What a line says of a chunk, where it is known.
CONTEXT = ("session", "frame", "chunk", "attempt", "peer")
#: Files of ours that a folder keeps, the newest: runs come and go.
MAX_FILES = 32
#: Seconds after which a file that could not be written is tried again.
RETRY_INTERVAL = 30.0

#: Letters of what strangers may have a word in; the rest is cut off.
_MOST_LETTERS = {"event": 2000, **dict.fromkeys(CONTEXT, 100)}
# Not structlog's: binding five names there takes 10 microseconds a task, and this 0.2.
_context: ContextVar[Mapping[str, Any]] = ContextVar(
    "p2c2g_log_context", default=MappingProxyType({})
)
_PASSWORD = re.compile(r"""(?i)(\w://[^\s:/@"']*:)[^\s"']+(?=@)|(password=)[^\s&"']+""")
_FILE_NAME = re.compile(r"[a-z0-9]+-[0-9]+\.jsonl(\.[0-9]+)?")


def configure(settings: LogSettings | None = None, role: str = "p2c2g") -> Outputs:
    """Send this process's logs to standard error and, where a folder is set, to a file.

    May be called again: the last call counts.

    Args:
        settings: from the environment where None.
        role: begins the file's name; lower-case letters and digits.

    Raises:
        UsageError: the environment holds what it may not.
    """
    settings = settings or load().log
    console = logging.StreamHandler()
    console.setLevel(settings.level)
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    console.setFormatter(_formatter(_time_of_day, renderer))
    outputs: list[logging.Handler] = [console]
    if settings.dir is not None:
        outputs.append(json_file(settings.dir, settings, role))
    root = logging.getLogger()
    root.setLevel(min(output.level for output in outputs))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.render_to_log_kwargs,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return install(root, outputs)


@contextmanager
def bound(**context: Any) -> Iterator[None]:
    """Name parts of :data:`CONTEXT` in this thread's lines, inside a ``with`` block."""
    before = _context.set({**_context.get(), **context})
    try:
        yield
    finally:
        _context.reset(before)


def rebind(**context: Any) -> None:
    """Name parts of :data:`CONTEXT` in this thread's lines from now on, and no other parts."""
    _context.set(context)


def install(root: logging.Logger, outputs: Sequence[logging.Handler]) -> Outputs:
    """Make one :class:`Outputs` the only handler of a logger; close an earlier one of ours."""
    handler = Outputs(outputs)
    for before in root.handlers[:]:
        root.removeHandler(before)
        if isinstance(before, Outputs):
            before.close()
    root.addHandler(handler)
    return handler


def json_file(folder: Path, settings: LogSettings, role: str) -> JsonFile:
    """Return the handler that writes JSON lines to a file in ``folder``."""
    handler = JsonFile(
        folder, role, max_bytes=round(settings.megabytes * 2**20), backups=settings.backups
    )
    # Machines read more than people: at least what may be worth knowing afterwards.
    handler.setLevel(min(logging.INFO, logging.getLevelNamesMapping()[settings.level]))
    handler.setFormatter(_formatter(_moment, structlog.processors.JSONRenderer(default=str)))
    return handler


class Outputs(logging.Handler):
    """Sends each record to several handlers; equal warnings once a second, with their count.

    Args:
        outputs: the handlers; closed with this one.
        clock: seconds, monotonic.
    """

    def __init__(
        self, outputs: Sequence[logging.Handler], clock: Callable[[], float] = monotonic
    ) -> None:
        super().__init__()
        self._outputs = tuple(outputs)
        for output in self._outputs:
            output.setFormatter(_Discreet(output.formatter or logging.Formatter()))
        self._clock = clock
        self._throttle: Throttle[Hashable] = Throttle()
        #: The newest record of each kind that the throttle keeps.
        self._newest: dict[Hashable, logging.LogRecord] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, or hold it back; then tell the counts that are due."""
        # Now, since another thread may be the one that tells it.
        for name, value in _context.get().items():
            if name in CONTEXT and not hasattr(record, name):
                setattr(record, name, value)
        if record.levelno < logging.WARNING:
            self._pass(record)
            return
        now, kind = self._clock(), _kind(record)
        held = self._throttle.offer(kind, now)
        self._newest[kind] = record
        if held is not None:
            self._pass(_counted(record, held))
        self._tell(self._throttle.due(now))

    def flush(self) -> None:
        """Flush the outputs."""
        for output in self._outputs:
            output.flush()

    def close(self) -> None:
        """Tell what was held back, and close the outputs."""
        self.acquire()
        try:
            self._tell(self._throttle.rest())
            for output in self._outputs:
                output.close()
        finally:
            self.release()
        super().close()

    def _tell(self, over: Iterable[tuple[Hashable, int]]) -> None:
        for kind, held in over:
            record = self._newest.pop(kind)
            if held:
                self._pass(_counted(record, held))

    def _pass(self, record: logging.LogRecord) -> None:
        for output in self._outputs:
            if record.levelno >= output.level:
                output.handle(record)


class JsonFile(logging.handlers.RotatingFileHandler):
    """A file of JSON lines that rotates, and never raises for its disk.

    ``ROLE-PID.jsonl`` in ``folder`` and at most ``backups`` older ones beside it, each of at
    most ``max_bytes``; of all such files in the folder, the newest :data:`MAX_FILES` stay.
    A line that cannot be written is dropped.

    Args:
        folder: made at the first line where it is not there.
        role: begins the file's name.
        max_bytes: of one file.
        backups: older files of this process.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        folder: Path,
        role: str,
        *,
        max_bytes: int,
        backups: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._folder, self._role, self._clock = folder, role, clock
        self._process = os.getpid()
        self._retry_at: float | None = None
        self._told = False
        #: Lines that could not be written.
        self.dropped = 0
        super().__init__(
            self._path(), maxBytes=max_bytes, backupCount=backups, encoding="utf-8", delay=True
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or drop it."""
        if self._retry_at is not None and self._clock() < self._retry_at:
            self.dropped += 1
            return
        if os.getpid() != self._process:
            # A forked child: two processes would rotate one file under each other.
            self._process = os.getpid()
            self._abandon()
            self.baseFilename = str(self._path().absolute())
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop a line that could not be written; tell it once."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self.dropped += 1
        self._retry_at = self._clock() + RETRY_INTERVAL
        self._abandon()
        if not self._told:
            self._told = True
            # For the other outputs: this one drops it.
            logger.warning("No log is written to %s: %s.", self.baseFilename, error.strerror)

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        path.parent.mkdir(parents=True, exist_ok=True)
        _prune(path.parent)
        stream = super()._open()
        if self._retry_at is not None:
            try:
                stream.write("\n")  # The line that failed may be there in part.
                stream.flush()
            except OSError:
                with suppress(OSError):
                    stream.close()
                raise
            self._retry_at = None
        return stream

    def _abandon(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()

    def _path(self) -> Path:
        return self._folder / f"{self._role}-{self._process}.jsonl"


class _Discreet(logging.Formatter):
    """Another formatter's lines without the passwords in their URLs."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return _PASSWORD.sub(r"\1\2***", self._inner.format(record))


def _formatter(*last: Processor) -> logging.Formatter:
    """Return a formatter of what is known of a record, for the processors that render it."""
    known: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(allow=[*CONTEXT, "repeated"]),
        _printable,
    ]
    first, renderer = last
    json = isinstance(renderer, structlog.processors.JSONRenderer)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=known,
        processors=[
            first,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *([structlog.processors.format_exc_info] if json else []),
            renderer,
        ],
        use_get_message=True,
    )


def _moment(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Add what a machine wants: the time in full, and who speaks."""
    record: logging.LogRecord = event["_record"]
    moment = datetime.fromtimestamp(record.created, UTC)
    return {
        "timestamp": moment.isoformat(timespec="milliseconds"),
        "logger": record.name,
        "process": record.process,
        **event,
    }


def _time_of_day(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Add what a person wants: the time of day here."""
    moment = datetime.fromtimestamp(event["_record"].created).astimezone()
    return {"timestamp": f"{moment:%H:%M:%S}", **event}


def _printable(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Cut and escape strangers' words, which would move the cursor or begin a line."""
    for name, most in _MOST_LETTERS.items():
        value = event.get(name)
        if isinstance(value, str):
            event[name] = "".join(
                each if each.isprintable() else repr(each)[1:-1] for each in value[:most]
            )
    return event


def _kind(record: logging.LogRecord) -> Hashable:
    """Return what records have in common that are told as one."""
    error = record.exc_info[0] if record.exc_info else None
    return (record.name, record.levelno, str(record.msg), error, getattr(record, "peer", None))


def _counted(record: logging.LogRecord, held: int) -> logging.LogRecord:
    """Return a record that tells how many more like it there were."""
    if not held:
        return record
    told = copy.copy(record)
    told.msg, told.args = f"{record.getMessage()} (and {held} more like it)", ()
    told.__dict__["repeated"] = held
    return told


def _prune(folder: Path) -> None:
    """Delete the oldest of our files, so that a new one makes at most :data:`MAX_FILES`."""
    with suppress(OSError):
        ours = [path for path in folder.iterdir() if _FILE_NAME.fullmatch(path.name)]
        ours.sort(key=lambda path: path.stat().st_mtime)
        for path in ours[: max(0, len(ours) - MAX_FILES + 1)]:
            path.unlink()
