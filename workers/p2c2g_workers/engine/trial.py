"""A real chunk, done by an engine and by the CPU: whether a graphics card can be trusted.

That a driver lists a card says little: its library may be missing, of another version or
without code for this card, and a fault may show as wrong pixels instead of an error.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from p2c2g.media.codecs import codec
from p2c2g.media.methods import NETWORKS
from p2c2g_workers.engine import Done, Engine, Work
from p2c2g_workers.probe.speeds import chunk

#: Most levels that a pixel may differ from the CPU's where the codec is lossless: a net in half
#: precision was up to 4 levels off.
LEVELS = 5
#: Most levels that pixels may differ on average after a lossy codec, whose encoders and decoders
#: differ too.
MEAN = 3.0
#: The pipeline that is run with every codec of the trial.
PIPELINE = "upscale:2:bicubic,sharpen:0.5"


def works(engine: Engine) -> list[Work]:
    """Return the chunks of the trial: operations with both kinds of codec, and the best net."""
    nets = (chunk(f"upscale:2:{method}", "raw") for method in reversed(NETWORKS))
    best = (net for net in nets if all(map(engine.can, net.plan.steps)))
    return [chunk(PIPELINE, "raw"), chunk(PIPELINE, "jpeg"), *islice(best, 1)]


def try_out(engine: Engine, spare: Engine) -> str | None:
    """Return what is wrong with an engine, None where its results match the CPU's.

    Raises:
        Exception: anything that the engine raises.
    """
    for work in works(engine):
        problem = differs(work, engine.enhance(work), spare.enhance(work))
        if problem is not None:
            return problem
    return None


def differs(work: Work, got: Done, due: Done) -> str | None:
    """Return how a result differs from what is due, None where it is within the tolerance.

    Raises:
        CodecError: a result is no residual of that size.
    """
    ours = work.form.decode(got.payload, work.crop.size)
    theirs = work.form.decode(due.payload, work.crop.size)
    apart = np.abs(ours - theirs)
    if codec(work.form.codec).lossless and apart.max() > LEVELS:
        return f"its levels are up to {apart.max()} levels off, where {LEVELS} are the most"
    if apart.mean() > MEAN:
        return f"its levels are {apart.mean():.1f} levels off on average, where {MEAN:g} are most"
    return None
