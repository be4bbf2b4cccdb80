"""What a lent machine does, in a file that ``p2c2g peer status``, its page and its keeper read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from p2c2g.errors import UnavailableError
from p2c2g.system.files import write_whole

#: Bytes of the file at most.
_MOST: Final = 65_536
#: Seconds between two of them while the peer runs; after three of these it is an old one.
EVERY: Final = 1.0

Count = Annotated[int, Field(ge=0)]
Moment = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Word(StrEnum):
    """What a peer does, in a word."""

    STARTING = "starting"  # it has not reached the broker yet, or no more
    READY = "ready"  # nobody sends work now
    WORKING = "working"  # chunks came in the last seconds
    PAUSED = "paused"  # its owner's limits, or its owner, let it do nothing now
    DRAINING = "draining"  # it finishes what it has, and leaves
    ENDED = "ended"  # it has left in good order


class State(BaseModel):
    """What a peer does at a moment.  Moments are seconds since 1970.

    Args:
        pid: of its process.
        version: of P2C2G, of that process.
        name: as the pool knows it.
        label: as people call it.
        word: what it does.
        why: why it is paused, leaves or has ended; "" where nobody said.
        since: when ``word`` began.
        started: when the process began.
        written: when this was written.
        chunks: done since it started.
        failed: chunks at which it failed since then.
        last_chunk: when the last one was done; None before the first.
        rate: chunks a second lately.
        total: chunks done since the peer was set up.
        worked: seconds of work in these.
        gamers: whom it worked for in the last minute; None where that cannot be known.
        page: the address of its page, with the token; "" where it has none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: Count
    version: str
    name: str = ""
    label: str = ""
    word: Word = Word.STARTING
    why: str = ""
    since: Moment = 0.0
    started: Moment = 0.0
    written: Moment = 0.0
    chunks: Count = 0
    failed: Count = 0
    last_chunk: Moment | None = None
    rate: Moment = 0.0
    total: Count = 0
    worked: Moment = 0.0
    gamers: Count | None = None
    page: str = ""

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what is in a file; None where it is not there or is none of ours."""
        try:
            with path.open("rb") as file:
                return cls.model_validate_json(file.read(_MOST))
        except (OSError, ValidationError):
            return None

    def write(self, path: Path) -> None:
        """Write it whole, for its owner alone.

        Raises:
            UnavailableError: it cannot be written.
        """
        try:
            write_whole(path, self.model_dump_json(indent=1) + "\n", durable=False, private=True)
        except OSError as error:
            raise UnavailableError(
                f"{path} cannot be written ({error.strerror}): look at its folder's rights and at "
                "the room on the disk."
            ) from error

    def is_fresh(self, now: float) -> bool:
        """Tell whether a peer that still runs must have written it."""
        return self.word is not Word.ENDED and abs(now - self.written) < 3 * EVERY + 2.0
