"""What the check of results owes: no false alarm for honest peers, and no lie let pass."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import p2c2g_capture
from p2c2g.errors import CheckError, ChunkError, UsageError
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.codecs import CODECS, codec
from p2c2g.media.frame import Chunk, Pixels, Rect, Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.verify import limits
from p2c2g.verify.checks import Checker, Deviation, measure
from p2c2g.verify.limits import limits_for
from p2c2g_capture.sources.pattern import PatternSource
from p2c2g_capture.sources.video import VideoSource
from p2c2g_workers.processors import run
from tests.effort import examples

SIZE = Size(320, 180)
PIPELINES = (
    "upscale:2,sharpen:0.5",
    "upscale:2,sharpen:4",
    "upscale:2:nearest",
    "upscale:2:bilinear",
    "upscale:2:lanczos",
    "upscale:3/2",
    "upscale:4/3,sharpen:1",
    "denoise:1,upscale:2",
    "resize:208x117",
    "upscale:1/3:nearest",
    "upscale:1/2,upscale:4",
    "sharpen:4",
    "pass",
)
LOSSY = sorted(name for name, each in CODECS.items() if not each.lossless)
SPEED = settings(deadline=None, derandomize=True, max_examples=examples(60))


@dataclass(frozen=True)
class Session:
    """What a session and its peers do to a chunk."""

    plan: Plan
    chunks: tuple[Chunk, ...]
    codec: str
    quality: int
    checker: Checker

    def result(self, frame: Pixels, chunk: Chunk) -> Pixels:
        """Return what an honest peer's result decodes to."""
        chosen = codec(self.codec)
        sent = chosen.decode(chosen.encode(cut(frame, chunk), self.quality))
        done = chunk.crop.of(run(self.plan, sent))
        return chosen.decode(chosen.encode(done, self.quality))


def session(
    text: str = "upscale:2,sharpen:0.5",
    name: str = "raw",
    quality: int = 85,
    grid: Grid = Grid(2, 1),  # noqa: B008 - frozen
    size: Size = SIZE,
) -> Session:
    plan = Pipeline.parse(text).resolve(size)
    chunks = plan_chunks(plan, grid)
    return Session(plan, chunks, name, quality, Checker(name, quality, plan))


@pytest.fixture(scope="module")
def game() -> list[Pixels]:
    """Give pictures of the clip, ten frames apart, with something going on."""
    clip = Path(p2c2g_capture.__file__).parent / "clips" / "freedoom.mp4"
    source = VideoSource(clip, SIZE, fps=60.0)
    pictures = [source.grab(number).copy() for number in range(60, 120, 10)]
    source.close()
    return pictures


PATTERN = PatternSource(Size(320, 180))


def text(seed: int) -> Pixels:
    """Return a page in colour: the hardest edges there are."""
    rng = np.random.default_rng(seed)
    page = np.full((SIZE.height, SIZE.width, 3), rng.integers(0, 256), np.uint8)
    for top in range(12, SIZE.height, 14):
        line = "".join(map(chr, rng.integers(33, 127, 60)))
        colour = [int(each) for each in rng.integers(0, 256, 3)]
        cv2.putText(page, line, (4, top), int(rng.integers(0, 8)), 0.5, colour, 1, cv2.LINE_AA)
    return page


def noise(seed: int) -> Pixels:
    shape = (SIZE.height, SIZE.width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# -- honest


@pytest.mark.parametrize("name", sorted(CODECS))
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_honest_results_pass(name: str, pipeline: str, game: list[Pixels]) -> None:
    grid = Grid(1, 1) if "resize" in pipeline else Grid(2, 3)
    here = session(pipeline, name, grid=grid)
    frames = [*game[::3], game[1] // 12, PATTERN.grab(77), text(1), noise(1)]
    for frame in frames:
        for chunk in here.chunks:
            here.checker.check(frame, chunk, here.result(frame, chunk))


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["jpeg", "raw"]),
    st.integers(1, 100),
    st.sampled_from([each for each in PIPELINES if "resize" not in each]),
    st.sampled_from([Grid(1, 1), Grid(2, 1), Grid(4, 5)]),
)
@SPEED
def test_any_page_at_any_quality_passes(
    seed: int, name: str, quality: int, pipeline: str, grid: Grid
) -> None:
    here = session(pipeline, name, quality, grid)
    for frame in (text(seed), noise(seed)):
        chunk = here.chunks[seed % len(here.chunks)]
        here.checker.check(frame, chunk, here.result(frame, chunk))


@pytest.mark.parametrize("name", ["jpeg", "raw"])
@pytest.mark.parametrize("grid", [Grid(64, 64), Grid(64, 1), Grid(1, 64), Grid(33, 29)])
def test_the_smallest_chunks_pass(name: str, grid: Grid, game: list[Pixels]) -> None:
    here = session("upscale:2", name, grid=grid)
    for chunk in here.chunks[:: max(1, len(here.chunks) // 100)]:
        here.checker.check(game[0], chunk, here.result(game[0], chunk))


@pytest.mark.parametrize("size", [Size(1, 1), Size(3, 2), Size(641, 359), Size(97, 1)])
def test_odd_sizes_pass(size: Size) -> None:
    frame = np.asarray(cv2.resize(PATTERN.grab(5), (size.width, size.height)), np.uint8)
    for pipeline in ("upscale:2", "upscale:1.37", "upscale:8:nearest", "pass"):
        here = session(pipeline, size=size, grid=Grid(1, 1))
        here.checker.check(frame, here.chunks[0], here.result(frame, here.chunks[0]))


def test_a_fourth_channel_is_never_read(game: list[Pixels]) -> None:
    here = session()
    screen = np.dstack([game[0], noise(3)[..., 0]])
    chunk = here.chunks[1]
    result = here.result(game[0], chunk)
    here.checker.check(screen, chunk, result)
    cells = here.checker.cells(chunk)
    assert measure(screen, chunk.rect, result, cells) == measure(game[0], chunk.rect, result, cells)


def test_nothing_is_changed_and_views_will_do(game: list[Pixels]) -> None:
    here = session()
    chunk = here.chunks[1]
    canvas = np.zeros((here.plan.output.height, here.plan.output.width, 3), np.uint8)
    out = chunk.target.of(canvas)
    out[:] = here.result(game[0], chunk)
    frame = game[0].copy()
    before = canvas.copy()
    frame.flags.writeable = canvas.flags.writeable = False
    here.checker.check(frame, chunk, chunk.target.of(canvas))
    np.testing.assert_array_equal(frame, game[0])
    np.testing.assert_array_equal(canvas, before)


# -- lies


def moved(result: Pixels, x: int, y: int) -> Pixels:
    """Return a result moved right and down, its edge repeated."""
    rows = np.clip(np.arange(result.shape[0]) - y, 0, result.shape[0] - 1)
    columns = np.clip(np.arange(result.shape[1]) - x, 0, result.shape[1] - 1)
    return result[rows][:, columns]


def lies(here: Session, frames: list[Pixels]) -> dict[str, Pixels]:
    """Return a result for each lie about the first chunk of the last frame."""
    frame, chunk, other = frames[-1], here.chunks[0], here.chunks[1]
    good = here.result(frame, chunk)
    brighter = cv2.add(good, (24, 24, 24, 0))  # type: ignore[call-overload]
    garbled = good.copy()
    height, width = good.shape[0] // 4, good.shape[1] // 4
    garbled[height : 2 * height, width : 2 * width] = noise(5)[:height, :width]
    return {
        "garbage": np.asarray(cv2.resize(noise(4), good.shape[1::-1]), np.uint8),
        "garbage in a part": garbled,
        "black": np.zeros_like(good),
        "white": np.full_like(good, 255),
        "another chunk": here.result(frame, other),
        "an old frame": here.result(frames[0], chunk),
        "2 pixels right": moved(good, 4, 0),
        "2 pixels left": moved(good, -4, 0),
        "2 pixels down": moved(good, 0, 4),
        "2 pixels up": moved(good, 0, -4),
        "far away": moved(good, 40, -30),
        "flipped across": good[:, ::-1],
        "flipped down": good[::-1],
        "brighter": np.asarray(brighter, np.uint8),
        "brighter by a third": np.asarray(cv2.convertScaleAbs(good, alpha=1.33), np.uint8),
        "red for blue": good[..., ::-1],
        "inverted": 255 - good,
    }


@pytest.mark.parametrize("name", sorted(CODECS))
@pytest.mark.parametrize("scene", ["game", "pattern"])
def test_each_lie_is_found(name: str, scene: str, game: list[Pixels]) -> None:
    here = session(name=name)
    frames = game if scene == "game" else [PATTERN.grab(number) for number in (67, 77)]
    passed = []
    for lie, result in lies(here, frames).items():
        try:
            here.checker.check(frames[-1], here.chunks[0], np.ascontiguousarray(result))
        except CheckError:
            continue
        passed.append(lie)
    assert passed == []


@given(st.integers(-12, 12), st.integers(-12, 12), st.integers(0, 1000))
@SPEED
def test_every_shift_by_two_source_pixels_or_more_is_found(x: int, y: int, number: int) -> None:
    assume(max(abs(x), abs(y)) >= 2)
    here = session(name="jpeg")
    frame, chunk = PATTERN.grab(number), here.chunks[number % 2]
    with pytest.raises(CheckError):
        here.checker.check(frame, chunk, moved(here.result(frame, chunk), 2 * x, 2 * y))


def test_a_small_shift_is_measured(game: list[Pixels]) -> None:
    here = session("upscale:2", "raw")
    chunk = here.chunks[0]
    result = moved(here.result(game[0], chunk), 4, -2)
    found = measure(game[0], chunk.rect, result, here.checker.cells(chunk))
    assert found.shift_x == pytest.approx(2, abs=0.5)
    assert found.shift_y == pytest.approx(-1, abs=0.4)


@given(
    st.integers(0, 576), st.integers(0, 116), st.integers(32, 64), st.integers(32, 64), st.data()
)
@SPEED
def test_a_false_square_of_32_pixels_is_found_wherever_it_is(
    x: int, y: int, width: int, height: int, data: st.DataObject
) -> None:
    here = session(name="jpeg")
    frame = np.full((SIZE.height, SIZE.width, 3), 90, np.uint8)
    frame[:] += data.draw(st.integers(0, 60))
    chunk = here.chunks[0]
    result = here.result(frame, chunk)
    part = Rect(x, y, width, height).of(result)
    part[:] = part + np.uint8(data.draw(st.sampled_from([40, 80, 256 - 40])))
    with pytest.raises(CheckError):
        here.checker.check(frame, chunk, result)


def test_where_nothing_moved_an_old_frame_is_no_lie(game: list[Pixels]) -> None:
    here = session(name="jpeg")
    chunk = here.chunks[0]
    here.checker.check(game[0].copy(), chunk, here.result(game[0], chunk))


@given(st.integers(0, 2**32 - 1), st.sampled_from(PIPELINES[:9]), st.sampled_from(LOSSY))
@settings(deadline=None, derandomize=True, max_examples=examples(30))
def test_garbage_is_never_shown(seed: int, pipeline: str, name: str) -> None:
    here = session(pipeline, name, grid=Grid(1, 1))
    chunk = here.chunks[0]
    shape = (chunk.target.height, chunk.target.width, 3)
    garbage = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    with pytest.raises(CheckError):
        here.checker.check(PATTERN.grab(seed), chunk, garbage)


# -- the rest


def test_a_failed_check_may_be_tried_elsewhere() -> None:
    assert issubclass(CheckError, ChunkError)
    assert CheckError.retryable


@pytest.mark.parametrize("shape", [(1, 1, 3), (180, 640, 4), (180, 640)])
def test_another_shape_is_refused(shape: tuple[int, ...], game: list[Pixels]) -> None:
    here = session()
    with pytest.raises(CheckError, match="where a picture of 640x180 is due"):
        here.checker.check(game[0], here.chunks[0], np.zeros(shape, np.uint8))


def test_the_sentence_says_what_was_wrong(game: list[Pixels]) -> None:
    here = session()
    chunk = here.chunks[0]
    good = here.result(game[0], chunk)
    for result, sentence in (
        (np.zeros_like(good), r"it is \d+\.\d times as far off as may be"),
        (moved(good, 4, 0), r"it is moved by \+[12]\.\d, [+-]0\.\d source pixels"),
    ):
        with pytest.raises(CheckError, match=sentence):
            here.checker.check(game[0], chunk, result)


@pytest.mark.parametrize("name", sorted(CODECS))
def test_every_codec_has_limits_and_a_better_quality_is_judged_as_strictly(name: str) -> None:
    found = [limits_for(name, quality) for quality in range(1, 101)]
    for worse, better in pairwise(found):
        assert worse.mean >= better.mean > 0
        assert worse.bias >= better.bias > 0
        assert worse.block >= better.block > 0
        assert worse.shift >= better.shift > 0


def test_a_codec_that_nobody_measured_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="not a codec"):
        limits_for("gif", 85)
    monkeypatch.delitem(limits.LIMITS, "jpeg")
    with pytest.raises(UsageError, match=r"no limits .*/calibrate_checks\.py"):
        session(name="jpeg")


def test_a_pipeline_that_scales_down_is_judged_by_its_smallest_picture() -> None:
    plain, coarse, aliased = map(
        session, ("upscale:2", "upscale:1/2,upscale:4", "upscale:1/2:nearest")
    )
    assert plain.checker.cells(plain.chunks[0]) == Size(80, 22)
    assert coarse.checker.cells(coarse.chunks[0]) == Size(40, 11)
    assert isinstance(plain.checker.most, Deviation)
    assert coarse.checker.most.shift_x == 2 * plain.checker.most.shift_x
    assert aliased.checker.most.shift_x == 8 * plain.checker.most.shift_x
    assert aliased.checker.most.mean == 2 * plain.checker.most.mean


@pytest.mark.parametrize(("name", "more"), [("jpeg", 1.5), ("raw", 3.0)])
def test_a_games_own_net_is_allowed_more_but_no_shift(name: str, more: float) -> None:
    general, own = (
        Checker(name, 85, Pipeline.parse(text).resolve(Size(640, 360))).most
        for text in ("upscale:2:ml", f"upscale:2:ml@{'a' * 32}")
    )
    assert (own.mean, own.bias, own.block) == (
        more * general.mean, more * general.bias, more * general.block
    )  # fmt: skip
    assert (own.shift_x, own.shift_y) == (general.shift_x, general.shift_y)
