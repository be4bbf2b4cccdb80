"""What one run is to do, and what all its processes have to know alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from celery import Celery

from p2c2g.media.chunker import Grid, cut
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging.names import ENHANCE_TASK
from p2c2g.session.config import SessionConfig
from p2c2g_capture.sources import Source
from p2c2g_capture.sources.pattern import PatternSource

#: Source frames, played in turn, and the steps of the pattern between two of them.
REEL, STEP = 8, 5


@dataclass(frozen=True, slots=True)
class Terms:
    """One run.  Texts are as the command line has them.

    A peer's pretended service time is from ``fastest_ms`` to ``slowest_ms``: the first peer has
    the one, the last the other, and those between them lie at equal ratios.
    """

    peers: int = 100
    policy: str = "capability"
    seconds: float = 20.0
    fps: float = 30.0
    size: str = "640x360"
    grid: str = "2x2"
    ops: str = "upscale:2,sharpen:0.5"
    codec: str = "jpeg"
    deadline_ms: float = 100.0
    paced: bool = True
    fastest_ms: float = 10.0
    slowest_ms: float = 40.0

    def plan(self) -> SessionConfig:
        """Return the session's plan.

        Raises:
            UsageError: a text cannot be read, or they do not fit each other.
        """
        return SessionConfig(
            size=Size.parse(self.size),
            operations=Pipeline.parse(self.ops),
            grid=Grid.parse(self.grid),
            codec=self.codec,
            deadline=self.deadline_ms / 1e3,
            fps=self.fps,
            paced=self.paced,
            reuse=False,  # The reel goes round.
            steady=False,  # All of it is asked for, whatever comes of that.
            policy=self.policy,
        )

    def seconds_per_chunk(self, index: int) -> float:
        """Return the seconds that the peer of a number, from 0, pretends to work on a chunk."""
        share = index / (self.peers - 1) if self.peers > 1 else 0.0
        return float(self.fastest_ms * (self.slowest_ms / self.fastest_ms) ** share) / 1e3

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`read` takes."""
        return asdict(self)

    @classmethod
    def read(cls, told: dict[str, Any]) -> Self:
        """Read what another process was told."""
        return cls(**told)


class Reel(Source):
    """A source that has its few pictures ready, and shows them in turn."""

    def __init__(self, size: Size) -> None:
        with PatternSource(size) as pattern:
            self.pictures = [pattern.grab(number * STEP) for number in range(REEL)]
        self.size = size
        self.name = "reel"

    def grab(self, number: int) -> Pixels:
        """Return the picture of a tick: (height, width, 3)."""
        return self.pictures[number % REEL]

    def close(self) -> None:
        """Hold nothing, so give nothing back."""


def honest_answers(app: Celery, terms: Terms) -> dict[bytes, bytes]:
    """Return the real result of every chunk that the session can send, by its payload.

    The task itself makes them, once: the codecs are deterministic, so what the session encodes
    is found here again, byte for byte.  A canary of the session's is a chunk of another frame,
    which its header does not tell; its payload does.
    """
    plan = terms.plan()
    enhance = app.tasks[ENHANCE_TASK]
    answers: dict[bytes, bytes] = {}
    for number, pixels in enumerate(Reel(plan.size).pictures):
        for chunk in plan.chunks:
            payload = plan.recipe.encode(cut(pixels, chunk))
            header = ChunkHeader(
                session="load",
                frame=number,
                chunk=chunk.index,
                attempt=1,
                codec=plan.codec,
                form=plan.form,
                operations=plan.operations.text,
                frame_size=plan.size,
                padded=chunk.padded,
                crop=chunk.crop,
                budget_us=100_000,
            )
            answers[payload] = enhance(header.pack(), payload).payload
    return answers
