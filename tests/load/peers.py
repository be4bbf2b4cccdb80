"""A process with many light peers: ``python -m tests.load.peers``, for :mod:`tests.load.trial`.

Its first order has them join; at the second they finish what they have, and leave.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

from benchmarks.child import Parent
from p2c2g.celery import create_app
from p2c2g.peers.messages import Capabilities
from p2c2g.settings import load
from tests.load.peer import LightPeer
from tests.load.terms import Terms, honest_answers

#: Seconds that all of them together have to leave.
LEAVE_TIMEOUT = 60.0


def node_name(index: int) -> str:
    """Return the id of the peer of a number."""
    return f"peer{index}@load"


def capabilities_of(terms: Terms, seconds_per_chunk: float) -> Capabilities:
    """Return what a probe would have measured of a peer that needs so many seconds a chunk."""
    plan = terms.plan()
    steps = [
        f"{step.name}:{step.method}" if step.method else step.name
        for step in plan.operations.resolve(plan.size).steps
    ]
    megapixels = sum(plan.megapixels) / len(plan.megapixels)
    # The time of a chunk in equal parts, for each step and the codec.
    speed = (len(steps) + 1) * megapixels / seconds_per_chunk
    return Capabilities(
        cores=1,
        speeds=dict.fromkeys(steps, speed),
        codecs={plan.codec: speed},
        queues=(plan.queue,),
    )


def join(terms: Terms, indices: Sequence[int]) -> list[LightPeer]:
    """Have these peers join; return them."""
    settings = load()
    app = create_app(settings)
    app.loader.import_default_modules()
    answers = honest_answers(app, terms)
    peers = [
        LightPeer(
            app, settings, node_name(index), terms.plan().queue, seconds_per_chunk, answers,
            capabilities_of(terms, seconds_per_chunk),
        )
        for index in indices
        for seconds_per_chunk in [terms.seconds_per_chunk(index)]
    ]  # fmt: skip
    # As in a worker: what is loaded by now stays, and is not looked through again.
    gc.collect()
    gc.freeze()
    for peer in peers:
        peer.start()
    return peers


def leave(peers: Sequence[LightPeer]) -> dict[str, Any]:
    """Have them leave; return what they did."""
    for peer in peers:
        peer.end()
    for peer in peers:
        peer.join(LEAVE_TIMEOUT)
    return {
        "served": sum(peer.served for peer in peers),
        "strange": sum(peer.strange for peer in peers),
        "failures": [peer.failure for peer in peers if peer.failure],
    }


def _obey() -> None:
    parent = Parent()
    peers: list[LightPeer] = []
    for order in parent.orders():
        if order == "leave":
            parent.answer(leave(peers))
            return
        terms = Terms.read(order["terms"])
        peers = join(terms, range(order["first"], order["first"] + order["count"]))
        parent.answer("joining")


if __name__ == "__main__":
    _obey()
