"""What it costs to seal, open and sign one chunk and its result, at both ends together.

``python -m benchmarks.sealing``, and a part of ``make bench``.  By the same ends as a session and a
worker have, with the header of a real chunk; each figure is the median of many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

from rich.console import Console

from p2c2g.media.frame import Rect, Size
from p2c2g.media.residual import USUAL_FORM
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.sealing.gamer_end import GamerEnd, OpenedResult, Vouched
from p2c2g.sealing.identity import Identity
from p2c2g.sealing.peer_end import PeerEnd
from p2c2g.session.seals import SPOT

T = TypeVar("T")
#: KiB of a chunk and of its result, each.
SIZES = (12, 60)
POOL, GAMER, PEER = "bench", "gamer01", "peer001"


def sealing(count: int = 1000) -> dict[str, dict[str, float]]:
    """Return, for each size in KiB, what each step takes in ms, their sum, and the bytes added.

    Args:
        count: chunks of each size.
    """
    return {str(kib): measured(kib * 1024, count) for kib in SIZES}


def measured(size: int, count: int) -> dict[str, float]:
    """Return the steps' medians of chunks and results of ``size`` bytes."""
    identity = Identity.generate()
    peer, gamer = PeerEnd(POOL, PEER, "instance", identity), GamerEnd(POOL, GAMER)
    gamer.admit(PEER, Vouched(identity.public, "instance", peer.public, peer.signature))
    picture, residual = os.urandom(size), os.urandom(size)
    steps: dict[str, list[float]] = {}

    def timed(step: str, call: Callable[..., T], *given: Any) -> T:
        began = perf_counter()
        result = call(*given)
        steps.setdefault(step, []).append(1e3 * (perf_counter() - began))
        return result

    added = 0
    for number in range(count):
        header = ChunkHeader(
            "0123456789ab", number, 0, 1, "jpeg", USUAL_FORM, "upscale:2:ml", Size(640, 360),
            Rect(0, 0, 640, 184), Rect(0, 0, 1280, 360), 100_000,
        ).pack()  # fmt: skip
        result = ResultHeader(number, 0, 1, PEER, 0, 1, 1, 2, "upscale:2:ml-tiny").pack()
        run = (number, 0, 1)
        sealed = timed("seal", gamer.seal, PEER, run, header, picture)
        opened = timed("open", peer.open, GAMER, header, sealed)
        answer = timed("sign and seal", opened.answer, result, residual)
        back = timed("open result", gamer.open, PEER, run, result, answer)
        assert back is not None
        timed("check signature", _check, back)
        added = len(sealed) - size + len(answer) - size
    medians = {step: median(taken) for step, taken in steps.items()}
    checked = medians["check signature"]
    whole = sum(medians.values()) - checked + checked / SPOT
    return {**medians, "whole": whole, "bytes": added}


def _check(back: OpenedResult) -> None:
    back.answer.check(back.key)


def main() -> None:
    """Measure and print."""
    from benchmarks.tables import sealing as tables
    from benchmarks.tables import view

    for table in tables({"sealing": sealing()}):
        Console().print(view(table))


if __name__ == "__main__":
    main()
