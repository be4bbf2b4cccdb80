"""What a session is asked to do to every frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from p2c2g.errors import UsageError
from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Chunk, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.recipe import Recipe
from p2c2g.media.residual import USUAL_FORM, Form
from p2c2g.messaging.limits import MAX_BODY
from p2c2g.routing.policies import POLICIES
from p2c2g.session.limits import NO_LIMITS, Limits

#: Where operations are done: by peers, on this machine, or on this one where it takes a moment.
Where = Literal["auto", "here", "peers"]
#: When frames are shown: on a schedule that leaves time for what peers add, or at once.
Latency = Literal["paced", "none"]


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What a session does to every frame; checked when it is made.

    Codec, quality, form and operations are the usual ones (:class:`~p2c2g.media.recipe.Recipe`):
    a frame may have lesser ones, where there is too little of something.

    Args:
        size: of the source's frames.
        operations: the pipeline that the peers run.
        grid: how a frame is cut.
        codec: name of the codec in which chunks are sent.
        quality: of a lossy codec, 1 to 100.
        form: how the residuals that come back are written.
        queue: the capability queue.
        deadline: seconds after its capture at which a frame is shown, whatever came back; the
            budget of the playout delay.
        fps: frames a second that the source is asked for; bounds what is outstanding.
        paced: whether frames are shown on a schedule; else each as soon as it is complete, for
            measuring how fast that can be.
        reuse: whether residuals that are known are shown again; else each chunk of every frame is
            sent, for measuring.
        at_once: whether frames are shown when they are submitted, with what peers made of earlier
            ones; that they are paced means nothing then.
        policy: who gets a chunk: a name of :data:`p2c2g.routing.policies.POLICIES`.
        steady: whether queues are kept short, and something is given up where there is too little
            of anything; else all of it is asked for, whatever comes of that.
        limits: how much of the gamer's line it may use.

    Raises:
        UsageError: the codec or the policy is unknown, the grid does not fit the frame, or a chunk
            without loss has more bytes than can be sent.
    """

    size: Size
    operations: Pipeline
    grid: Grid
    codec: str = "jpeg"
    quality: int = 80
    form: Form = USUAL_FORM
    queue: str = "cpu"
    deadline: float = 0.1
    fps: float = 30.0
    paced: bool = True
    reuse: bool = True
    at_once: bool = False
    policy: str = "capability"
    steady: bool = True
    limits: Limits = NO_LIMITS

    def __post_init__(self) -> None:
        if not self.deadline > 0:
            raise UsageError(f"A deadline of {self.deadline:g} s cannot be: give more than 0.")
        codec(self.codec)
        if self.policy not in POLICIES:
            raise UsageError(f"{self.policy!r} is no policy: there are {', '.join(POLICIES)}.")
        for chunk in self.chunks:
            _check_length("chunk", self.codec, chunk.padded.size, channels=3)
            channels = 3 if self.form.in_colour else 1
            _check_length("residual", self.form.codec, chunk.target.size, channels=channels)

    @property
    def output(self) -> Size:
        """Return the size of the enhanced frames."""
        return self.operations.resolve(self.size).output

    @property
    def megapixels(self) -> tuple[float, ...]:
        """Return the megapixels of each chunk's result."""
        return tuple(chunk.target.width * chunk.target.height / 1e6 for chunk in self.chunks)

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """Return the chunks of every frame."""
        return plan_chunks(self.operations.resolve(self.size), self.grid)

    @property
    def recipe(self) -> Recipe:
        """Return the usual recipe, which is the best one."""
        return Recipe(self.codec, self.quality, self.form, self.operations)


def _check_length(what: str, name: str, size: Size, *, channels: int) -> None:
    """Refuse what may not fit a message, by a codec that cannot make it smaller where it has to."""
    length = size.width * size.height * channels
    if codec(name).lossless and length > MAX_BODY:
        raise UsageError(
            f"A {what} of {size} may have {length} bytes as {name}, where at most {MAX_BODY} can "
            "be sent: cut frames into more chunks, or give a codec with loss."
        )
