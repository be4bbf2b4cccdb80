"""P2C2G's fast lane: Celery with our transport and our result stream.

Not there yet: this says so and measures nothing.
"""

from __future__ import annotations

from typing import ClassVar

from benchmarks.contenders import Bench, Wait
from p2c2g.errors import UnavailableError

_NOT_YET = "p2c2g is not in this benchmark yet: its fast lane is still being wired."


class P2C2G:
    """The fast lane's place in the table."""

    remote: ClassVar[bool] = True

    def start(self, bench: Bench) -> None:
        """Say that it is not there yet."""
        raise UnavailableError(_NOT_YET)

    def submit(self, payload: bytes) -> Wait:
        """Say that it is not there yet."""
        raise UnavailableError(_NOT_YET)

    def stop(self) -> None:
        """Nothing has been started."""
