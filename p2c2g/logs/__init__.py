"""Logs: for people on the console, for machines as JSON in files; neither slows the work down.

Modules log through :mod:`logging`.  What they know of ``session``, ``frame``, ``chunk``,
``attempt`` and ``peer`` they name in ``extra``, or bind to their thread (:func:`bound`).  One
handler at the root sends each record to all outputs.  What it promises:

* a thousand equal warnings a second are one line and a count (``throttle.py``);
* passwords in URLs, and keys of a coordinator, are never written, whichever module logs them;
* files are bounded, and a full disk or a folder that cannot be written costs no more than the
  lines themselves: it is reported once, and tried again later.
"""

from __future__ import annotations

import copy
import logging
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from p2c2g.logs.file import JsonFile
from p2c2g.logs.throttle import Throttle
from p2c2g.settings import load
from p2c2g.settings.log import LogSettings
from p2c2g.text import plain

logger = logging.getLogger(__name__)

#: What a line says of a chunk, where it is known.
CONTEXT = ("session", "frame", "chunk", "attempt", "peer")
#: Most letters of each field that strangers can influence; the rest is cut off.
_MOST_LETTERS = {"event": 2000, **dict.fromkeys(CONTEXT, 100)}
# Not structlog's: binding five names there takes 10 microseconds a task, and this 0.2.
_context: ContextVar[Mapping[str, Any]] = ContextVar(
    "p2c2g_log_context", default=MappingProxyType({})
)
#: Stands for the end of a line where a record has to be one.
_BETWEEN = " | "
_PASSWORD = re.compile(
    r"""(?i)(\w://[^\s:/@"']*:)[^\s"']+(?=@)|(password=)[^\s&"']+|(p2c2g_\w{12})\w{49}"""
    # A login without a colon is most often a password.
    r"""|(\w://)[^\s/:@"']+(?=@)|((?:redis|sentinel)s?://)(?![^\s:/@"']*:)[^\s"']+(?=@)"""
)


def configure(settings: LogSettings | None = None, role: str = "p2c2g") -> Outputs:
    """Send this process's logs to standard error and, where a folder is set, to a file.

    A further call replaces the earlier settings.

    Args:
        settings: from the environment where None.
        role: begins the file's name; lower-case letters and digits.

    Raises:
        UsageError: the environment holds a setting that is not valid.
    """
    settings = settings or load().log
    console = logging.StreamHandler(console_of(settings))
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
    return install(root, outputs, one_line=settings.one_line)


def console_of(settings: LogSettings) -> TextIO | None:
    """Return where lines for people go; None for standard error, whatever that is by then."""
    return sys.__stdout__ if settings.console == "stdout" else None


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


def install(
    root: logging.Logger, outputs: Sequence[logging.Handler], *, one_line: bool = False
) -> Outputs:
    """Make one :class:`Outputs` the only handler of a logger; close an earlier one of ours."""
    handler = Outputs(outputs, one_line=one_line)
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
    """Sends each record to several handlers; equal warnings only once a second, with a count.

    Args:
        outputs: the handlers; closed with this one.
        clock: seconds, monotonic.
        one_line: whether a record of several lines becomes one.
    """

    def __init__(
        self,
        outputs: Sequence[logging.Handler],
        clock: Callable[[], float] = monotonic,
        *,
        one_line: bool = False,
    ) -> None:
        super().__init__()
        self._outputs = tuple(outputs)
        for output in self._outputs:
            inner = output.formatter or logging.Formatter()
            output.setFormatter(_Discreet(inner, one_line=one_line))
        self._clock = clock
        self._throttle: Throttle[Hashable] = Throttle()
        #: The newest record of each kind that the throttle keeps.
        self._newest: dict[Hashable, logging.LogRecord] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, or hold it back; then write the counts that are due."""
        # Now, since another thread may be the one that writes it.
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
        self._write_counts(self._throttle.due(now))

    def flush(self) -> None:
        """Flush the outputs."""
        for output in self._outputs:
            output.flush()

    def close(self) -> None:
        """Write the counts of what was held back, and close the outputs."""
        self.acquire()
        try:
            self._write_counts(self._throttle.rest())
            for output in self._outputs:
                output.close()
        finally:
            self.release()
        super().close()

    def _write_counts(self, over: Iterable[tuple[Hashable, int]]) -> None:
        for kind, held in over:
            record = self._newest.pop(kind)
            if held:
                self._pass(_counted(record, held))

    def _pass(self, record: logging.LogRecord) -> None:
        for output in self._outputs:
            if record.levelno >= output.level:
                output.handle(record)


class _Discreet(logging.Formatter):
    """Another formatter's lines without the passwords in their URLs; in one line, if need be."""

    def __init__(self, inner: logging.Formatter, *, one_line: bool = False) -> None:
        super().__init__()
        self._inner = inner
        self._one_line = one_line

    def format(self, record: logging.LogRecord) -> str:
        text = without_secrets(self._inner.format(record))
        return _BETWEEN.join(text.splitlines()) if self._one_line else text


def without_secrets(text: str) -> str:
    """Return a text without the passwords and keys that stand in it."""
    return _PASSWORD.sub(r"\1\2\3\4\5***", text)


def _formatter(*last: Processor) -> logging.Formatter:
    """Return a formatter of what is known about a record, for the processors that render it."""
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
    """Add what a machine wants: the time in full, and which logger and process."""
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
    """Cut and escape strangers' text, which could move the cursor or begin a new line."""
    for name, most in _MOST_LETTERS.items():
        value = event.get(name)
        if isinstance(value, str):
            event[name] = plain(value, most)
    return event


def _kind(record: logging.LogRecord) -> Hashable:
    """Return the key that is the same for records that are counted together."""
    error = record.exc_info[0] if record.exc_info else None
    return (record.name, record.levelno, str(record.msg), error, getattr(record, "peer", None))


def _counted(record: logging.LogRecord, held: int) -> logging.LogRecord:
    """Return a record that says how many more like it there were."""
    if not held:
        return record
    counted = copy.copy(record)
    counted.msg, counted.args = f"{record.getMessage()} (and {held} more like it)", ()
    counted.__dict__["repeated"] = held
    return counted
