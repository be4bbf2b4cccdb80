"""The witness: honest pictures pass, and each kind of lie is seen in the pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from p2c2g.media.base import base as base_layer
from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState
from p2c2g.media.residual import USUAL_FORM
from p2c2g_capture.sources import open_source, shipped_clip
from tests.chaos.witness import Witness
from tests.honest import shown
from tests.pictures import shown_picture

SIZE = Size(320, 180)
PLAN = Pipeline.parse("upscale:2,sharpen:0.5").resolve(SIZE)
CHUNKS = plan_chunks(PLAN, Grid(2, 1))
RECTS = [(c.target.x, c.target.y, c.target.width, c.target.height) for c in CHUNKS]
NUMBER = 30


def source_frames(spec: str) -> list[Pixels]:
    """The picture of :data:`NUMBER`, and one of a second later."""
    with open_source(spec, SIZE, 30.0) as source:
        return [np.ascontiguousarray(source.grab(n)[..., :3]) for n in (NUMBER, NUMBER + 30)]


def honest(frame: Pixels) -> Pixels:
    """What is made of a frame with the help of peers: JPEG there and back."""
    return shown(PLAN, frame, CHUNKS, USUAL_FORM, "jpeg")


def base(frame: Pixels) -> Pixels:
    return base_layer(frame, PLAN.scale_x, PLAN.scale_y, PLAN.output)


def verdict(source: Pixels, pixels: Pixels, *, numbered: bool) -> dict[int, str]:
    witness = Witness(PLAN, RECTS, numbered=numbered)
    witness.start()
    witness.captured(NUMBER, source)
    witness(shown_picture(NUMBER, pixels, FrameState.DEGRADED))
    witness.close()
    assert witness.crash is None
    return witness.wrong


@pytest.fixture(scope="module", params=["pattern", "clip"])
def frames(request: pytest.FixtureRequest) -> tuple[bool, list[Pixels]]:
    clip = request.param == "clip"
    return not clip, source_frames(f"video:{shipped_clip()}" if clip else "pattern")


@pytest.mark.parametrize("paint", [honest, base])
def test_honest_pictures_pass(
    frames: tuple[bool, list[Pixels]], paint: Callable[[Pixels], Pixels]
) -> None:
    numbered, (now, _) = frames
    assert verdict(now, paint(now), numbered=numbered) == {}


def shifted(now: Pixels, _: Pixels) -> Pixels:
    return np.roll(honest(now), (7, 4), axis=(1, 0))


def another_frame(_: Pixels, other: Pixels) -> Pixels:
    return honest(other)


def chunks_exchanged(now: Pixels, _: Pixels) -> Pixels:
    picture = honest(now)
    exchanged = np.empty_like(picture)
    for chunk, other in zip(CHUNKS, reversed(CHUNKS), strict=True):
        chunk.target.of(exchanged)[:] = other.target.of(picture)
    return exchanged


def black(now: Pixels, _: Pixels) -> Pixels:
    picture = honest(now)
    CHUNKS[1].target.of(picture)[:] = 0
    return picture


@pytest.mark.parametrize("lie", [shifted, another_frame, chunks_exchanged, black])
def test_lies_are_seen(
    frames: tuple[bool, list[Pixels]], lie: Callable[[Pixels, Pixels], Pixels]
) -> None:
    numbered, (now, other) = frames
    # By the pixels alone, and on the pattern by its numbers too.
    assert verdict(now, lie(now, other), numbered=False).keys() == {NUMBER}
    assert verdict(now, lie(now, other), numbered=numbered).keys() == {NUMBER}


def test_a_picture_that_nobody_captured_is_wrong() -> None:
    witness = Witness(PLAN, RECTS, numbered=True)
    witness.start()
    frame = np.zeros((PLAN.output.height, PLAN.output.width, 3), np.uint8)
    witness(shown_picture(5, frame, FrameState.DEGRADED))
    witness.close()
    assert witness.wrong == {5: "nobody captured it"}
