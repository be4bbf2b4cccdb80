"""What a session is asked to do to every frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from p2c2g.errors import UsageError
from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Chunk, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import USUAL_FORM, Form
from p2c2g.routing.policies import POLICIES

#: Where operations are done: by peers, on this machine, or on this one where it takes a moment.
Where = Literal["auto", "here", "peers"]


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What a session does to every frame; checked when it is made.

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
        policy: who gets a chunk: a name of :data:`p2c2g.routing.policies.POLICIES`.

    Raises:
        UsageError: the codec or the policy is unknown, or the grid does not fit the frame.
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
    policy: str = "capability"

    def __post_init__(self) -> None:
        if not self.deadline > 0:
            raise UsageError(f"A deadline of {self.deadline:g} s cannot be: give more than 0.")
        codec(self.codec)
        if self.policy not in POLICIES:
            raise UsageError(f"{self.policy!r} is no policy: there are {', '.join(POLICIES)}.")
        plan_chunks(self.operations.resolve(self.size), self.grid)

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
    def answer_settings(self) -> str:
        """Return whatever a result depends on beside its chunk."""
        picture = f"{self.codec} {self.quality} {self.size} {self.grid}"
        return f"{picture} {self.operations.text} {self.form}"
