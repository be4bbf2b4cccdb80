"""What the decision core decides: things for a shell to do, in order.

Frozen, and plain values but for the frame that some of them are about.  A shell sends, moves,
verifies, compares and shows; the core does none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple

from p2c2g.media.frame import ChunkKey
from p2c2g.media.recipe import Recipe
from p2c2g.routing.stealing import Move
from p2c2g.session.frames import FrameInFlight, S
from p2c2g.verify.examination import BreakerTrial


class RunRequest(NamedTuple):
    """One run to be sent.

    ``chunk`` is its index, ``attempt`` the run's number, ``peer`` who gets it (any peer of the
    capability queue where empty), and ``budget`` the seconds for which its result is of use once
    the peer has it.
    """

    chunk: int
    attempt: int
    peer: str
    budget: float


@dataclass(frozen=True, slots=True)
class Send(Generic[S]):
    """Send runs of one frame, in one write.

    ``payload`` is sent in place of the frame's own chunks where it is given.  ``is_first`` tells
    the frame's first runs: where they cannot be sent, :meth:`Core.not_sent` is told.
    ``nothing_returns`` says that older messages of the capability queue wait for nobody.
    """

    frame: FrameInFlight[S]
    requests: tuple[RunRequest, ...]
    payload: bytes | None = None
    is_first: bool = False
    nothing_returns: bool = False


@dataclass(frozen=True, slots=True)
class Steal(Generic[S]):
    """Move what still waits in one peer's own queue to another's.

    Where the broker cannot do that, in an open pool, ``sends`` has for each move what is to be sent
    once the chunk has been taken back; None of what is no longer wanted.
    """

    moves: tuple[Move[ChunkKey], ...]
    sends: tuple[Send[S] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """A result as it arrived: what its peer tells of it, not yet believed.

    ``key`` is the chunk of the task that it answers and ``claimed`` the one that its header
    speaks of.  ``started`` and ``done`` are seconds of the peer's clock, ``decode`` and
    ``process`` spans; so are ``waited``, for which its peer had the chunk before that, and
    ``idle``, for which the slot had done nothing by then.  ``is_prompt`` is whether somebody here
    waited for it, so that it arrived when it was taken; ``ran`` is the pipeline that was run, empty
    for the one that was asked for;
    ``size`` is the payload's bytes.
    """

    key: ChunkKey
    claimed: ChunkKey
    attempt: int
    peer: str
    ran: str
    payload: bytes
    size: int
    started: float
    done: float
    decode: float
    process: float
    waited: float = 0.0
    idle: float = 0.0
    is_prompt: bool = True

    @property
    def seconds(self) -> float:
        """Return the seconds of work on it, as the peer tells them."""
        return self.done - self.started

    @property
    def was_known(self) -> bool:
        """Tell whether the peer did not have to work for it: it knew it, as it tells."""
        return not self.decode and not self.process


@dataclass(frozen=True, slots=True)
class Verify(Generic[S]):
    """Decode a result and check it against its source; then tell :meth:`Core.verified`.

    ``source`` is the frame's, and ``recipe`` that by which it was sent.  ``trial`` is the trial
    that it answers, if any.
    """

    result: Result
    source: S
    recipe: Recipe
    arrived: float
    trial: BreakerTrial | None
