"""Which methods a session may ask its peers for, and what each costs them."""

from __future__ import annotations

from p2c2g.media.methods import ANY_NETWORK, DEFAULT_METHOD, WORK
from p2c2g.media.operations import Pipeline


def methods(usual: Pipeline) -> list[tuple[Pipeline, float]]:
    """Return the pipelines that may be asked for, best first, and what each costs the peers.

    A net that was named stays.  Where the choice is the peers', the session may name a cheaper one;
    and the base's own way, where other operations are left that add anything.
    """
    found = [(usual, work_of(usual))]
    if usual.is_open:
        cheap = _named(usual, min(WORK, key=lambda each: (each == DEFAULT_METHOD, WORK[each])))
        found.append((cheap, work_of(cheap)))
        if any(each.name != "upscale" for each in usual.operations):
            plain = _named(usual, DEFAULT_METHOD)
            found.append((plain, work_of(plain)))
    return found


def work_of(pipeline: Pipeline) -> float:
    """Return what a pipeline costs a peer, in parts of the best net's time."""
    return sum(WORK.get(each.method or DEFAULT_METHOD, WORK[DEFAULT_METHOD])
               for each in pipeline.operations)  # fmt: skip


def _named(pipeline: Pipeline, method: str) -> Pipeline:
    for index, each in enumerate(pipeline.operations):
        if each.method == ANY_NETWORK:
            weights = each.weights if method != DEFAULT_METHOD else ()
            pipeline = pipeline.with_method(index, method, weights)
    return pipeline
