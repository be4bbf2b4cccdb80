"""A real chunk, done by an engine and by the CPU: whether a graphics card can be trusted.

That a driver lists a card says little: its library may be missing, of another version or
without code for this card, and a fault may show as wrong pixels instead of an error.  What is
compared is residuals, so the chunk has hard edges: a soft one gives hardly any, and a card that
adds nothing would pass.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import islice

import numpy as np

from p2c2g.media.codecs import codec, source_codec
from p2c2g.media.frame import Pixels
from p2c2g.media.methods import NETWORKS
from p2c2g_workers.engine import Done, Engine, Work
from p2c2g_workers.probe.speeds import QUALITY, SIZE, chunk

#: Most levels that a residual may differ from the CPU's where the codec is lossless: OpenCL's
#: bicubic is 1 level off, which sharpening makes 3, and a net in half precision was 1.
LEVELS = 5
#: Most levels that residuals may differ on average after a lossy codec, whose decoders differ too:
#: half of what the trial's are, and twice what came of one level of noise in the chunk.
MEAN = 1.5
#: What is run without loss, and the first of them with it.
PIPELINES = ("denoise:1,upscale:2,sharpen:1", "upscale:2:bicubic,sharpen:0.5")
#: Pixels along the edge of the chunk's squares.
_EDGE = 4


def works(engine: Engine) -> list[Work]:
    """Return the chunks of the trial: operations with both kinds of codec, and the best net."""
    nets = (_work(f"upscale:2:{method}", "raw") for method in reversed(NETWORKS))
    best = (net for net in nets if all(map(engine.can, net.plan.steps)))
    without_loss = [_work(text, "raw") for text in PIPELINES]
    return [*without_loss, _work(PIPELINES[0], "jpeg"), *islice(best, 1)]


def try_out(engine: Engine, spare: Engine) -> str | None:
    """Return what is wrong with an engine, None where its residuals match the CPU's.

    Raises:
        Exception: anything that the engine raises.
    """
    for work in works(engine):
        problem = differs(work, engine.enhance(work), spare.enhance(work))
        if problem is not None:
            return problem
    return None


def differs(work: Work, got: Done, due: Done) -> str | None:
    """Return how a residual differs from what is due, None where it is within the tolerance.

    Raises:
        CodecError: a result is no residual of that size.
    """
    ours = work.form.decode(got.payload, work.crop.size)
    theirs = work.form.decode(due.payload, work.crop.size)
    apart = np.abs(ours - theirs)
    if codec(work.form.codec).lossless and apart.max() > LEVELS:
        return f"its residual is up to {apart.max()} levels off, where {LEVELS} are the most"
    if apart.mean() > MEAN:
        return f"its residual is {apart.mean():.1f} levels off on average, where {MEAN:g} are most"
    return None


def _work(pipeline: str, name: str) -> Work:
    return replace(chunk(pipeline, name), payload=source_codec(name).encode(_picture(), QUALITY))


@lru_cache(maxsize=1)
def _picture() -> Pixels:
    """Return squares of greys, with little colour: of that, decoders make different edges."""
    random = np.random.default_rng(1)
    rows, columns = SIZE.height // _EDGE, SIZE.width // _EDGE
    greys = random.integers(0, 232, (rows, columns, 1), dtype=np.uint8)
    squares = greys.repeat(3, 2).repeat(_EDGE, 0).repeat(_EDGE, 1)
    squares[..., 0] += np.linspace(0, 23, SIZE.width).astype(np.uint8)
    return squares
