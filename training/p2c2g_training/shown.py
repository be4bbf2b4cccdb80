"""What a training shows: a progress bar on a terminal, else lines."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

#: Lines in all where there is no bar.
_LINES = 10


class Shown:
    """Progress from 0 to 1, with a remark that changes."""

    def __init__(self, console: Console, what: str) -> None:
        self._console = console
        self._what = what
        self._line = -1
        self._task: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[remark]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task(self._what, total=1.0, remark="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def at(self, part: float, remark: str) -> None:
        """Show how far it is."""
        if self._task is not None:
            self._progress.update(self._task, completed=part, remark=remark)
        if not self._console.is_terminal and (line := int(part * _LINES)) > self._line:
            self._line = line
            self._console.print(f"{self._what}: {100 * part:.0f} %, {remark}")
