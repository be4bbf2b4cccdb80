"""What a run leaves, however it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from p2c2g.commands.options import stopping_at_signals
from p2c2g.display.recorder import Recorder
from p2c2g.session.report import build_report, write_report
from p2c2g_capture.comparing import Comparer
from p2c2g_capture.terminal import summary
from p2c2g_capture.where import AnySession


class Ending:
    """What a run leaves, however it ended: a finished recording, the report, and the summary.

    The methods are called in the order in which they stand here; one that raises keeps none of
    the others from being called.
    """

    def __init__(
        self,
        console: Console,
        session: AnySession,
        *,
        record: str | None,
        report: str | None,
        settings: Mapping[str, object],
        played: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._console = console
        self._record, self._to = record, report
        self._session = session
        self._settings = settings
        self._played = played
        self._notes: list[str] = []
        self._compared: dict[str, Any] | None = None

    @cached_property
    def _report(self) -> dict[str, Any]:
        report = build_report(self._session, self._settings)
        return report if self._played is None else {**report, "input": self._played()}

    def finish(self, recorder: Recorder) -> None:
        """Finish the recording.

        Raises:
            UnavailableError: it broke off.
        """
        recorder.close()
        note = f"Recorded {recorder.written} frames in {self._record}"
        if recorder.dropped:
            note += f"; {recorder.dropped} more were left out, since the encoder was behind"
        self._notes.append(note)

    def compare(self, comparer: Comparer) -> None:
        """Compare what still waits, and take the measure that takes long; a signal ends that.

        Raises:
            UnavailableError: the report cannot be written.
        """
        comparer.finish()
        self._compared = comparer.figures()
        if comparer.to_score:
            # First: what ends us may not wait for so long.
            self._write()
            self._tell(f"SSIMULACRA2 of {comparer.to_score} frames; Ctrl-C leaves it out")
            with stopping_at_signals(comparer.stop):
                comparer.score()
            self._compared = comparer.figures()

    def write_report(self) -> None:
        """Write the report, where one was asked for.

        Raises:
            UnavailableError: it cannot be written.
        """
        self._write()
        if self._to:
            self._notes.append(f"The figures are in {self._to}")

    def print_summary(self) -> None:
        """Print the figures, and where files are."""
        self._tell(summary(self._whole_report()), *self._notes)

    def _write(self) -> None:
        if self._to:
            write_report(Path(self._to), self._whole_report())

    def _whole_report(self) -> dict[str, Any]:
        compared = {} if self._compared is None else {"compare": self._compared}
        return {**self._report, **compared}

    def _tell(self, *told: str | Table) -> None:
        with suppress(OSError):  # The terminal may have been closed.
            self._console.print(*told, sep="\n")
