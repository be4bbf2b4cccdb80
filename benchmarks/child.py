"""A process that obeys: one JSON line in is an order, one JSON line out its answer.

It ends when its input does, so it outlives no parent, however that one ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self, cast

from p2c2g.errors import UnavailableError
from tests.pool import environment

#: Seconds that one has to end once its input has ended.
END_TIMEOUT = 20.0
#: Letters of a log that are told when one has ended by itself.
TOLD = 2000


def last_words(log: IO[bytes]) -> str:
    """Return the end of what was logged; more than a line, since libraries have the last one."""
    log.seek(0)
    return log.read().decode(errors="replace").strip()[-TOLD:] or "(none)"


class Child:
    """A child as its parent sees it; a context manager.

    Args:
        module: what it runs, or the path of its file.
        url: of the broker.
        log: takes what it logs.
        more: of its environment.
        whole: its environment, in place of a pool's.
    """

    def __init__(
        self,
        module: str | Path,
        url: str,
        log: IO[bytes],
        more: Mapping[str, str] | None = None,
        *,
        whole: Mapping[str, str] | None = None,
    ) -> None:
        self._module = module
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, "-P", *(("-m", module) if isinstance(module, str) else (module,))],
            env=whole or environment(url, more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for the parent, which then closes it
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                cast("IO[str]", pipe).close()
        try:
            self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def say(self, order: object) -> None:
        """Give an order; :meth:`answer` waits for what comes of it."""
        pipe = cast("IO[str]", self._process.stdin)
        with suppress(BrokenPipeError):  # answer() tells of it
            pipe.write(json.dumps(order) + "\n")
            pipe.flush()

    def answer(self) -> Any:
        """Wait for its next answer.

        Raises:
            UnavailableError: it has ended.
        """
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise UnavailableError(f"{self._module} ended. Its last words: {last_words(self._log)}")
        return json.loads(line)

    def ask(self, order: object) -> Any:
        """Give an order and wait for its answer."""
        self.say(order)
        return self.answer()


class Parent:
    """The parent as its child sees it."""

    def __init__(self) -> None:
        self._answers = sys.stdout
        sys.stdout = sys.stderr  # Nobody else speaks on that pipe.

    def orders(self) -> Iterator[Any]:
        """Give each order, until the parent has no more."""
        while (order := self.order()) is not None:
            yield order

    def order(self) -> Any:
        """Wait for one order; return None where there is none any more."""
        line = sys.stdin.readline()
        return json.loads(line) if line else None

    def answer(self, word: object) -> None:
        """Answer the last order."""
        self._answers.write(json.dumps(word) + "\n")
        self._answers.flush()
