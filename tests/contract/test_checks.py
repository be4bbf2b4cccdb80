"""What the check of residuals owes: no false alarm for honest peers, and lies found."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import p2c2g_capture
from p2c2g.errors import CheckError, ChunkError, UsageError
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.codecs import CODECS, codec, source_codec
from p2c2g.media.frame import Chunk, Pixels, Rect, Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.media.residual import Form, Residual
from p2c2g.verify import limits
from p2c2g.verify.checks import Checker, Deviation, measure
from p2c2g.verify.limits import limits_for
from p2c2g_capture.sources.pattern import PatternSource
from p2c2g_capture.sources.video import VideoSource
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.adding import added
from p2c2g_workers.processors import CPU, run
from tests import hard_pictures
from tests.effort import examples

SIZE = Size(320, 180)
PIPELINES = (
    "upscale:2,sharpen:0.5",
    "upscale:2,sharpen:4",
    "upscale:2:nearest",
    "upscale:2:bilinear",
    "upscale:2:lanczos",
    "upscale:2:ml-tiny",
    "upscale:3:nearest",
    "upscale:3/2:bicubic",
    "upscale:4/3,sharpen:1",
    "upscale:1.37:bicubic",
    "denoise:1,upscale:2",
    "resize:208x117:lanczos",
    "upscale:1/3:nearest",
    "upscale:1/2:bicubic,upscale:4:bicubic",
    "sharpen:4",
    "pass",
)
SPEED = settings(deadline=None, derandomize=True, max_examples=examples(60))
#: Qualities of the way up, by JPEG; 0 stands for no loss.
uplinks = st.sampled_from([30, 50, 80, 100, 0])


@dataclass(frozen=True)
class Session:
    """What a session and its peers do to a chunk."""

    plan: Plan
    chunks: tuple[Chunk, ...]
    form: Form
    checker: Checker

    def true(self, frame: Pixels, chunk: Chunk, uplink: int = 80) -> Residual:
        """Return what an honest peer adds, as it is before it is encoded."""
        sent = cut(frame, chunk)
        if uplink:
            sent = codec("jpeg").decode(source_codec("jpeg").encode(sent, uplink))
        form = Form("raw", 100, in_colour=self.form.in_colour)
        return added(CPU, Work(self.plan, "raw", b"", chunk.padded.size, chunk.crop, form), sent)

    def through(self, residual: Residual) -> Residual:
        """Return a residual as it arrives."""
        size = Size(residual.shape[1], residual.shape[0])
        return self.form.decode(self.form.encode(residual), size)

    def result(self, frame: Pixels, chunk: Chunk, uplink: int = 80) -> Residual:
        """Return what an honest peer's result decodes to."""
        return self.through(self.true(frame, chunk, uplink))


def session(
    text: str = "upscale:2,sharpen:1",
    name: str = "jpeg",
    quality: int = 75,
    grid: Grid = Grid(2, 1),  # noqa: B008 - frozen
    size: Size = SIZE,
    *,
    in_colour: bool = False,
) -> Session:
    plan = Pipeline.parse(text).resolve(size)
    form = Form(name, quality, in_colour=in_colour)
    return Session(plan, plan_chunks(plan, grid), form, Checker(form, plan))


def clip(size: Size) -> list[Pixels]:
    """Return pictures of the clip, ten frames apart, with something going on."""
    path = Path(p2c2g_capture.__file__).parent / "clips" / "freedoom.mp4"
    source = VideoSource(path, size, fps=60.0)
    pictures = [source.grab(number).copy() for number in range(60, 120, 10)]
    source.close()
    return pictures


@pytest.fixture(scope="module")
def game() -> list[Pixels]:
    """Give small pictures of the clip."""
    return clip(SIZE)


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Pixels]]:
    """Give what a session shows: an old frame, and one that is known to be another."""
    pages = [np.asarray(cv2.resize(text(seed), (640, 360)), np.uint8) for seed in (1, 7)]
    return {"game": clip(Size(640, 360)), "text": pages}


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


def noise(seed: int, size: Size = SIZE) -> Pixels:
    shape = (size.height, size.width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def is_whole(pipeline: str) -> bool:
    """Tell whether a ratio is not simple, so that there is no place to cut."""
    return "resize" in pipeline or "1.37" in pipeline


# -- honest


@pytest.mark.parametrize("in_colour", [False, True])
@pytest.mark.parametrize("name", sorted(CODECS))
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_honest_residuals_pass(
    name: str, pipeline: str, in_colour: bool, game: list[Pixels]
) -> None:
    grid = Grid(1, 1) if is_whole(pipeline) else Grid(2, 3)
    here = session(pipeline, name, grid=grid, in_colour=in_colour)
    frames = [*game[::3], game[1] // 12, PATTERN.grab(77), text(1), noise(1)]
    for number, frame in enumerate(frames):
        for chunk in here.chunks[number % 2 :: 2] or here.chunks:
            uplink = (30, 80, 0)[(number + chunk.index) % 3]
            here.checker.check(frame, chunk, here.result(frame, chunk, uplink))


@given(
    st.integers(0, 2**32 - 1),
    hard_pictures.kinds | st.just("text"),
    st.sampled_from(["jpeg", "raw"]),
    st.integers(1, 100),
    uplinks,
    st.sampled_from([each for each in PIPELINES if not is_whole(each)]),
    st.sampled_from([Grid(1, 1), Grid(2, 1), Grid(4, 5)]),
)
@SPEED
def test_any_picture_at_any_quality_passes(
    seed: int, kind: str, name: str, quality: int, uplink: int, pipeline: str, grid: Grid
) -> None:
    here = session(pipeline, name, quality, grid)
    frame = text(seed) if kind == "text" else hard_pictures.picture(SIZE, seed, kind)
    chunk = here.chunks[seed % len(here.chunks)]
    here.checker.check(frame, chunk, here.result(frame, chunk, uplink))


@pytest.mark.parametrize("name", ["jpeg", "raw"])
@pytest.mark.parametrize("grid", [Grid(64, 64), Grid(64, 1), Grid(1, 64), Grid(33, 29)])
def test_the_smallest_chunks_pass(name: str, grid: Grid, game: list[Pixels]) -> None:
    here = session("upscale:2,sharpen:4", name, grid=grid)
    for chunk in here.chunks[:: max(1, len(here.chunks) // 100)]:
        here.checker.check(game[0], chunk, here.result(game[0], chunk))


@pytest.mark.parametrize("size", [Size(1, 1), Size(3, 2), Size(641, 359), Size(97, 1)])
def test_odd_sizes_pass(size: Size) -> None:
    frame = np.asarray(cv2.resize(PATTERN.grab(5), (size.width, size.height)), np.uint8)
    for pipeline in ("upscale:2", "upscale:1.37", "upscale:8:nearest", "sharpen:4", "pass"):
        here = session(pipeline, size=size, grid=Grid(1, 1))
        here.checker.check(frame, here.chunks[0], here.result(frame, here.chunks[0]))


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_nothing_is_what_a_peer_adds_that_had_no_time(pipeline: str, game: list[Pixels]) -> None:
    grid = Grid(1, 1) if is_whole(pipeline) else Grid(2, 1)
    for name in CODECS:
        here = session(pipeline, name, grid=grid)
        for frame in (*game[:2], PATTERN.grab(3), text(3), noise(3)):
            for chunk in here.chunks:
                shape = (chunk.target.height, chunk.target.width, 1)
                nothing = here.through(np.zeros(shape, np.int16))
                here.checker.check(frame, chunk, nothing)


@pytest.mark.parametrize("in_colour", [False, True])
def test_a_fourth_channel_is_never_read(in_colour: bool, game: list[Pixels]) -> None:
    here = session(in_colour=in_colour)
    screen = np.dstack([game[0], noise(3)[..., 0]])
    chunk = here.chunks[1]
    residual = here.result(game[0], chunk)
    here.checker.check(screen, chunk, residual)
    cells = here.checker.cells(chunk)
    found = measure(game[0], chunk.rect, residual, cells)
    assert measure(screen, chunk.rect, residual, cells) == found


def test_nothing_is_changed_and_views_will_do(game: list[Pixels]) -> None:
    here = session()
    chunk = here.chunks[1]
    canvas = np.zeros((here.plan.output.height, here.plan.output.width, 1), np.int16)
    chunk.target.of(canvas)[:] = here.result(game[0], chunk)  # type: ignore[arg-type]
    frame = game[0].copy()
    before = canvas.copy()
    frame.flags.writeable = canvas.flags.writeable = False
    here.checker.check(frame, chunk, chunk.target.of(canvas))  # type: ignore[arg-type]
    np.testing.assert_array_equal(frame, game[0])
    np.testing.assert_array_equal(canvas, before)


# -- lies


def moved(residual: Residual, x: int, y: int) -> Residual:
    """Return a residual moved right and down, its edge repeated."""
    rows = np.clip(np.arange(residual.shape[0]) - y, 0, residual.shape[0] - 1)
    columns = np.clip(np.arange(residual.shape[1]) - x, 0, residual.shape[1] - 1)
    return residual[rows][:, columns]


def lies(here: Session, frames: list[Pixels], index: int) -> dict[str, Residual]:
    """Return a residual for each lie about one of two chunks of the last frame."""
    frame, chunk, other = frames[-1], here.chunks[index], here.chunks[1 - index]
    good = here.true(frame, chunk)
    random = np.random.default_rng(4)
    white = random.integers(-127, 128, good.shape, np.int16)
    part = good.copy()
    height, width = good.shape[0] // 4, good.shape[1] // 4
    part[height : 2 * height, width : 2 * width] = white[:height, :width]
    picture = cv2.cvtColor(chunk.crop.of(run(here.plan, cut(frame, chunk))), cv2.COLOR_BGR2GRAY)
    return {
        "noise": white,
        "faint noise": random.normal(0, 8, good.shape).astype(np.int16),
        "noise in a part": part,
        "black": np.full_like(good, -128),
        "white": np.full_like(good, 127),
        "constant": np.full_like(good, 12),
        "a picture": picture.astype(np.int16)[:, :, None] - 128,
        "another chunk": here.true(frame, other),
        "an old frame": here.true(frames[0], chunk),
        "turned by half": good[::-1, ::-1],
    }


@pytest.mark.parametrize("name", sorted(CODECS))
@pytest.mark.parametrize("scene", ["game", "text"])
def test_each_lie_is_found(name: str, scene: str, scenes: dict[str, list[Pixels]]) -> None:
    here = session("upscale:2:ml-tiny", name, size=Size(640, 360))
    frames = scenes[scene]
    # Where nothing moves, such as a game's status bar, an old frame is the new one: a liar is
    # found by its other chunks.
    assert passing(here, frames, 0) & passing(here, frames, 1) == set()


def passing(here: Session, frames: list[Pixels], index: int) -> set[str]:
    """Return the lies that pass."""
    passed = set()
    for lie, residual in lies(here, frames, index).items():
        try:
            arrived = here.through(np.ascontiguousarray(residual))
            here.checker.check(frames[-1], here.chunks[index], arrived)
        except CheckError:
            continue
        passed.add(lie)
    return passed


#: By how many new pixels; text is much the same a cell along its lines or above.
ALONG, ACROSS = [(8, 0), (-8, 0), (0, -8)], [(0, 8), (-30, 22)]


@pytest.mark.parametrize("name", ["jpeg", "raw"])
@pytest.mark.parametrize(
    ("scene", "by"),
    [*(("game", by) for by in ALONG + ACROSS), *(("text", by) for by in ACROSS)],
)
def test_what_is_moved_by_a_cell_or_more_is_found(
    name: str, scene: str, by: tuple[int, int], scenes: dict[str, list[Pixels]]
) -> None:
    here = session("upscale:2:ml-tiny", name, size=Size(640, 360))
    frame, chunk = scenes[scene][-1], here.chunks[1]
    lie = here.through(np.ascontiguousarray(moved(here.true(frame, chunk), *by)))
    with pytest.raises(CheckError):
        here.checker.check(frame, chunk, lie)


@given(
    st.integers(0, 576), st.integers(0, 116), st.integers(32, 64), st.integers(32, 64), st.data()
)
@SPEED
def test_noise_in_a_flat_part_is_found_wherever_it_is(
    x: int, y: int, width: int, height: int, data: st.DataObject
) -> None:
    here = session()
    frame = np.full((SIZE.height, SIZE.width, 3), 90, np.uint8)
    frame[:] += data.draw(st.integers(0, 60))
    chunk = here.chunks[0]
    residual = here.result(frame, chunk)
    part = Rect(x, y, width, height).of(residual)  # type: ignore[arg-type]
    seed, most = data.draw(st.integers(0, 99)), data.draw(st.sampled_from([16, 60, 128]))
    part[:] = np.random.default_rng(seed).integers(-most, most, part.shape)
    with pytest.raises(CheckError):
        here.checker.check(frame, chunk, residual)


def test_where_nothing_moved_an_old_frame_is_no_lie(game: list[Pixels]) -> None:
    here = session()
    chunk = here.chunks[0]
    here.checker.check(game[0].copy(), chunk, here.result(game[0], chunk))


def test_signs_and_amounts_are_for_examinations(scenes: dict[str, list[Pixels]]) -> None:
    """What the check does not see, and the composition bounds."""
    here = session("upscale:2:ml-tiny", size=Size(640, 360))
    frame, chunk = scenes["game"][0], here.chunks[0]
    good = here.true(frame, chunk)
    for lie in (-good, good // 2):
        here.checker.check(frame, chunk, here.through(lie))


@given(st.integers(0, 2**32 - 1), st.sampled_from([*PIPELINES[:9], "sharpen:4"]), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=examples(30))
def test_values_that_no_level_can_have_cost_no_more_and_are_refused(
    seed: int, pipeline: str, in_colour: bool
) -> None:
    grid = Grid(1, 1) if is_whole(pipeline) else Grid(2, 1)
    here = session(pipeline, "raw", grid=grid, in_colour=in_colour)
    chunk, random = here.chunks[0], np.random.default_rng(seed)
    shape = (chunk.target.height, chunk.target.width, 3 if in_colour else 1)
    full = random.integers(-32_768, 32_768, shape, np.int16)
    for wild in (full, np.full(shape, -32_768, np.int16), np.full(shape, 32_767, np.int16)):
        with pytest.raises(CheckError):
            here.checker.check(PATTERN.grab(seed), chunk, wild)


# -- the rest


def test_a_failed_check_may_be_tried_elsewhere() -> None:
    assert issubclass(CheckError, ChunkError)
    assert CheckError.retryable


@pytest.mark.parametrize("shape", [(1, 1, 1), (180, 640, 3), (180, 640)])
def test_another_shape_is_refused(shape: tuple[int, ...], game: list[Pixels]) -> None:
    here = session()
    with pytest.raises(CheckError, match="where one of 640x180 in luma is due"):
        here.checker.check(game[0], here.chunks[0], np.zeros(shape, np.int16))


def test_the_sentence_says_what_was_wrong(scenes: dict[str, list[Pixels]]) -> None:
    here = session("upscale:2:ml-tiny", size=Size(640, 360))
    frame, chunk = scenes["game"][-1], here.chunks[1]
    good = here.true(frame, chunk)
    for residual, sentence in (
        (np.full_like(good, -128), r"it changes \d+\.\d times as much as may be"),
        (moved(good, -30, 22), "it does not lie where there is something to enhance"),
        (moved(good, 8, 0), "it is moved aside"),
    ):
        with pytest.raises(CheckError, match=sentence):
            here.checker.check(frame, chunk, here.through(np.ascontiguousarray(residual)))


@pytest.mark.parametrize("in_colour", [False, True])
@pytest.mark.parametrize("name", sorted(CODECS))
def test_every_form_has_limits_and_a_better_quality_is_judged_as_strictly(
    name: str, in_colour: bool
) -> None:
    found = [limits_for(Form(name, quality, 1, in_colour)) for quality in range(1, 101)]
    for worse, better in pairwise(found):
        assert worse.energy >= better.energy > 0
        assert worse.bias >= better.bias > 0
        assert worse.block >= better.block > 0
        assert worse.place <= better.place < 1
        assert 1 > worse.beside >= better.beside > 0


def test_a_codec_that_nobody_measured_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(limits.LIMITS, ("jpeg", False))
    with pytest.raises(UsageError, match=r"no limits .*/calibrate_checks\.py"):
        session()


def test_a_pipeline_that_scales_down_is_judged_by_its_smallest_picture() -> None:
    plain, coarse, aliased = map(
        session, ("upscale:2", "upscale:1/2,upscale:4", "upscale:1/2:nearest")
    )
    assert plain.checker.cells(plain.chunks[0]) == Size(80, 22)
    assert coarse.checker.cells(coarse.chunks[0]) == Size(40, 11)
    assert isinstance(plain.checker.most, Deviation)
    assert aliased.checker.most.energy > plain.checker.most.energy


@pytest.mark.parametrize(("name", "more"), [("jpeg", 1.5), ("raw", 3.0)])
def test_a_games_own_net_may_do_more_but_not_elsewhere(name: str, more: float) -> None:
    general, own = (
        Checker(Form(name, 85), Pipeline.parse(text).resolve(Size(640, 360))).most
        for text in ("upscale:2:ml", f"upscale:2:ml@{'a' * 32}")
    )
    assert (own.energy, own.bias, own.block) == (
        more * general.energy, more * general.bias, more * general.block
    )  # fmt: skip
    assert (own.place, own.beside) == (general.place, general.beside)
