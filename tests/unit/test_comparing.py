"""The comparison with the original: what is refused, what is kept, and figures that are right."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from threading import Event

import cv2
import numpy as np
import pytest

from p2c2g.display.hub import Hub
from p2c2g.errors import UsageError
from p2c2g.media.base import base
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState
from p2c2g.session.config import SessionConfig
from p2c2g_capture import comparing
from p2c2g_capture.comparing import (
    EQUAL_DB,
    OWN,
    PICTURES,
    QUEUE,
    SCORED,
    Comparer,
    Original,
    alone,
    lines,
    psnr,
    small_size,
)
from p2c2g_capture.sources import Source
from tests.pictures import shown_picture

LARGE, SMALL = Size(96, 64), Size(48, 32)
DOUBLE = Pipeline.parse("upscale:2")
CONFIG = SessionConfig(SMALL, DOUBLE, Grid(2, 1), fps=10.0, deadline=0.1)


class Film(Source):
    """Smooth pictures that differ; each is given twice, as a film of half the rate does."""

    def __init__(self, size: Size = LARGE) -> None:
        self.size, self.name = size, "video:film.mp4"
        self.is_closed = False
        self._pictures: dict[int, Pixels] = {}

    def grab(self, number: int) -> Pixels:
        if number // 2 not in self._pictures:
            random = np.random.default_rng(number // 2)
            rough = random.integers(0, 256, (8, 12, 3), np.uint8)
            size = (self.size.width, self.size.height)
            picture = cv2.resize(rough, size, interpolation=cv2.INTER_CUBIC)
            self._pictures[number // 2] = np.asarray(picture, np.uint8)
        return self._pictures[number // 2]

    def close(self) -> None:
        self.is_closed = True


def played(
    frames: int, score: object = None, *, lost: tuple[int, ...] = ()
) -> tuple[Comparer, Film]:
    """Return a comparison of the film with itself, each picture a little brighter by its number.

    They are so few that all can wait.
    """
    assert frames <= QUEUE
    film = Film()
    original = Original(film, DOUBLE)
    comparer = Comparer(original, CONFIG, score)  # type: ignore[arg-type]
    hub = Hub()
    comparer.start(hub)
    for number in range(frames):
        original.grab(number)
        if number in lost:
            continue
        pixels = cv2.add(film.grab(number), np.array([number + 1.0] * 4))
        complete = FrameState.DEGRADED if number % 3 == 2 else FrameState.COMPLETE
        hub.publish(shown_picture(number, np.asarray(pixels, np.uint8), complete, SMALL))
    hub.close()
    comparer.finish()
    return comparer, film


@pytest.mark.parametrize(
    ("large", "ops", "small"),
    [
        (Size(1280, 720), "upscale:2", Size(640, 360)),
        (Size(1920, 1080), "upscale:3,sharpen:0.5", Size(640, 360)),
        (Size(1920, 1080), "upscale:1.5", Size(1280, 720)),
        (Size(1280, 720), "upscale:2:ml", Size(640, 360)),
        (Size(1280, 720), "upscale:2,upscale:2", Size(320, 180)),
    ],
    ids=str,
)
def test_the_small_size_is_the_one_that_becomes_the_large_one(
    large: Size, ops: str, small: Size
) -> None:
    pipeline = Pipeline.parse(ops)
    assert small_size(large, pipeline) == small
    assert pipeline.resolve(small).output == large


@pytest.mark.parametrize(
    ("large", "ops", "sentence"),
    [
        (Size(641, 360), "upscale:2", r"The film is 641x360.*such as --size 320x180"),
        (Size(1280, 721), "upscale:2", r"such as --size 640x360"),
        (Size(1280, 720), "upscale:1.7", "no frame of whole pixels becomes that"),
        (Size(1280, 720), "sharpen:0.5", "does not enlarge"),
        (Size(1280, 720), "pass", "does not enlarge"),
        (Size(1280, 720), "resize:1280x720", "give --size too"),
    ],
    ids=str,
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(
    large: Size, ops: str, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        small_size(large, Pipeline.parse(ops))


def test_with_a_size_the_film_is_scaled_to_what_that_becomes() -> None:
    original = Original(Film(Size(101, 71)), DOUBLE, SMALL)
    assert (original.size, original.large) == (SMALL, LARGE)
    assert Size.of(original.grab(0)) == SMALL
    pair = original.take(0)
    assert pair is not None
    assert Size.of(pair[0]) == LARGE
    with pytest.raises(UsageError, match="too small for an original of 96x64"):
        Original(Film(Size(95, 64)), DOUBLE, SMALL)
    resize = Pipeline.parse("resize:96x64")
    assert Original(Film(), resize, SMALL).large == LARGE


def test_small_pictures_are_averages_of_the_large_ones() -> None:
    film = Film()
    original = Original(film, DOUBLE)
    small = original.grab(4)
    large = film.grab(4).astype(float)
    means = large.reshape(32, 2, 48, 2, 3).mean((1, 3))
    assert np.abs(small - means).max() <= 0.5
    assert original.grab(5) is small  # The film repeats its picture.
    original.close()
    assert film.is_closed


def test_originals_are_kept_until_they_are_compared_and_no_longer() -> None:
    original = Original(Film(), DOUBLE)
    original.most = 4
    for number in range(0, 20, 2):
        original.grab(number)
    assert original.take(10) is None  # Too long ago.
    pair = original.take(16)
    assert pair is not None
    np.testing.assert_array_equal(pair[0], Film().grab(16))
    assert original.take(16) is None
    assert original.take(12) is None  # Passed over.
    assert original.take(18) is not None


def test_figures_are_those_of_the_pictures() -> None:
    comparer, film = played(6)
    figures = comparer.figures()
    assert (figures["frames"], figures["complete"], figures["left_out"]) == (6, 4, 0)
    rows = figures["by_frame"]["rows"]
    assert figures["by_frame"]["columns"] == ["number", "complete", *PICTURES]
    assert [row[:2] for row in rows] == [[0, 1], [1, 1], [2, 0], [3, 1], [4, 1], [5, 0]]
    original = Original(film, DOUBLE)
    for number, row in enumerate(rows):
        large, small = film.grab(number), original.grab(number)
        made = alone(small, LARGE)
        made["base"] = base(small, Fraction(2), Fraction(2), LARGE)
        made["enhanced"] = np.asarray(cv2.add(large, np.array([number + 1.0] * 4)), np.uint8)
        assert row[2:] == pytest.approx([psnr(made[name], large) for name in PICTURES], abs=1e-3)
    for index, name in enumerate(PICTURES, 2):
        mean = np.mean([row[index] for row in rows])
        assert figures["psnr_db"][name] == pytest.approx(mean, abs=1e-2)
    best = max(figures["psnr_db"][name] for name in OWN)
    assert figures["gain_db"] == pytest.approx(figures["psnr_db"]["enhanced"] - best, abs=2e-3)
    assert figures["ssimulacra2"] is None


def test_equal_pictures_have_an_end() -> None:
    picture = Film().grab(0)
    assert psnr(picture, picture) == EQUAL_DB
    assert psnr(cv2.bitwise_not(picture), picture) < 20


def test_the_slow_measure_is_taken_of_a_few_frames_at_the_end() -> None:
    taken: list[Pixels] = []

    def score(original: Pixels, pixels: Pixels) -> float:
        taken.append(original)
        return 100.0 - psnr(pixels, original)

    comparer, _ = played(2 * SCORED, score)
    assert comparer.figures()["ssimulacra2"] is None
    assert not taken
    assert comparer.to_score == SCORED
    comparer.score()
    scores = comparer.figures()["ssimulacra2"]
    assert scores["frames"] == SCORED
    assert len(taken) == SCORED * len(PICTURES)
    assert set(scores) == {"frames", *PICTURES}


def test_the_slow_measure_can_be_stopped() -> None:
    comparer, _ = played(3, lambda original, pixels: comparer.stop() or 1.0)
    comparer.score()
    assert comparer.figures()["ssimulacra2"] is None


def test_what_there_is_no_time_for_is_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, go_on = Event(), Event()

    def slow(pixels: Pixels, original: Pixels) -> float:
        started.set()
        go_on.wait(60)
        return 1.0

    monkeypatch.setattr(comparing, "psnr", slow)
    film = Film()
    original = Original(film, DOUBLE)
    comparer = Comparer(original, CONFIG, None)
    hub = Hub()
    comparer.start(hub)
    most = 3 * QUEUE
    for number in range(most):
        original.grab(number)
        hub.publish(shown_picture(number, film.grab(number), source=SMALL))
        if not number:
            assert started.wait(60)
    go_on.set()
    hub.close()
    comparer.finish()
    figures = comparer.figures()
    numbers = [row[0] for row in figures["by_frame"]["rows"]]
    assert numbers == [0, *range(most - QUEUE, most)]
    assert figures["frames"] + figures["left_out"] == most


def test_a_frame_that_was_never_shown_is_no_frame() -> None:
    comparer, _ = played(6, lost=(1, 4))
    figures = comparer.figures()
    assert [row[0] for row in figures["by_frame"]["rows"]] == [0, 2, 3, 5]
    assert figures["left_out"] == 0


def test_a_comparison_that_dies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Iterator[object]:
        raise MemoryError

    monkeypatch.setattr(comparing, "alone", broken)
    original, hub = Original(Film(), DOUBLE), Hub()
    comparer = Comparer(original, CONFIG, None)
    comparer.start(hub)
    hub.publish(shown_picture(0, original.grab(0), source=SMALL))
    hub.publish(shown_picture(1, Film().grab(1), source=SMALL))
    hub.close()
    with pytest.raises(RuntimeError, match="comparer has died"):
        comparer.finish()


def test_the_lines_say_what_the_pool_is_worth() -> None:
    comparer, _ = played(3)
    told = dict(lines(comparer.figures()))
    assert told["compared"] == "3 frames, 2 of them complete; the original is 96x64"
    assert told["the pool"].endswith("than the best that this machine does alone")
    assert list(told) == [
        "compared", "own, bicubic", "own, Lanczos", "base layer", "enhanced", "the pool"
    ]  # fmt: skip
    nothing = Comparer(Original(Film(), DOUBLE), CONFIG, None).figures()
    assert lines(nothing) == [
        ("compared", "no frame was shown in time to be compared with the original")
    ]
