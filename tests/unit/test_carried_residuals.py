"""The newest residuals on frames that do not wait for their own."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from p2c2g.display import message
from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.frame import Frame, Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture
from p2c2g.media.recipe import Recipe
from p2c2g.media.residual import Residual
from p2c2g.session.at_once import AtOnce
from p2c2g.session.carried_residuals import Carrier
from p2c2g.session.config import SessionConfig
from p2c2g.session.frames import FrameInFlight, FramePlan, Part, Shown, Way
from tests.honest import EXACT

SIZE, OUTPUT = Size(96, 64), Size(192, 128)
PIPELINE = Pipeline.parse("upscale:2")
CHUNKS = plan_chunks(PIPELINE.resolve(SIZE), Grid(2, 1))
TWO = (Fraction(2), Fraction(2))


def a_frame(seed: int = 0) -> Pixels:
    noise = np.random.default_rng(seed)
    return noise.integers(0, 256, (SIZE.height, SIZE.width, 3)).astype(np.uint8)


def residuals(seed: int = 0, strength: int = 20) -> dict[int, Residual]:
    """Return one a chunk, without means of cells."""
    noise, found = np.random.default_rng(seed), {}
    for chunk in CHUNKS:
        rows = chunk.target.height // 2
        signs = noise.choice(np.array([-strength, strength], np.int16), (rows, OUTPUT.width))
        found[chunk.index] = np.stack([signs, -signs], 1).reshape(2 * rows, OUTPUT.width, 1)
    return found


class Still:
    """A carrier of a picture that stands still, frame by frame."""

    def __init__(self) -> None:
        self.carrier = Carrier(CHUNKS, OUTPUT, TWO)
        self.number = 0

    def next(self, came: dict[int, Residual], frame: Pixels | None = None) -> dict[int, Residual]:
        """Show a frame, and then take what came for it; return what was shown."""
        pixels = a_frame() if frame is None else frame
        at = self.number / 60
        shown = dict(self.carrier.carry(self.number, at, pixels).residuals)
        self.carrier.learn(self.number, at, pixels, came)
        self.number += 1
        return shown


def apart(one: Residual, other: Residual) -> float:
    return float(np.abs(one.astype(np.int32) - other).mean())


def test_nothing_is_shown_before_anything_came_nor_before_it_proved_right() -> None:
    film = Still()
    assert film.next(residuals()) == {}
    assert film.next(residuals()) == {}


def test_what_stands_still_keeps_its_residual() -> None:
    film = Still()
    shown: dict[int, Residual] = {}
    for _ in range(3):
        shown = film.next(residuals())
    assert sorted(shown) == [0, 1]
    for at, came in residuals().items():
        assert apart(shown[at], came) < 0.5


def test_a_chunk_whose_residuals_do_not_hold_is_left_to_the_base() -> None:
    film = Still()
    shown: dict[int, Residual] = {}
    for seed in range(6):
        # Of the upper chunk each is another; of the lower one all are the same.
        shown = film.next({0: residuals(seed)[0], 1: residuals()[1]})
    assert sorted(shown) == [1]
    assert film.carrier.share(0) < 0.25
    assert film.carrier.share(1) == pytest.approx(1, abs=0.02)


def test_what_holds_in_part_is_shown_in_part_and_is_nearer_than_nothing() -> None:
    film, common = Still(), residuals(99)
    shown: dict[int, Residual] = {}
    came: dict[int, Residual] = {}
    for seed in range(12):
        other = residuals(seed)
        came = {at: common[at] + other[at] for at in common}
        shown = film.next(came)
    for at in came:
        assert 0.3 < film.carrier.share(at) < 0.7
        assert _energy(came[at] - shown[at]) < _energy(came[at])


def test_at_another_scene_nothing_of_the_old_one_is_seen() -> None:
    film = Still()
    for _ in range(4):
        film.next(residuals())
    cut = film.next(residuals(5), a_frame(1))
    assert all(np.abs(each).mean() < 3 for each in cut.values())


def test_a_chunk_that_did_not_come_keeps_what_it_had_for_half_a_second() -> None:
    film = Still()
    for _ in range(3):
        film.next(residuals())
    later = [sorted(film.next({1: residuals()[1]})) for _ in range(60)]
    assert later[0] == [0, 1]
    assert later[20] == [0, 1]
    assert later[-1] == [1]


def test_however_many_frames_wait_for_their_own_what_is_kept_is_bounded() -> None:
    film = Still()
    film.next(residuals())
    for number in range(1, 100):
        assert film.carrier.carry(number, 0.1, a_frame()).residuals == {}
    assert len(film.carrier._waiting) == 16


def test_it_is_looked_back_on_though_nobody_asked_in_time_and_then_on_one_of_eight() -> None:
    carrier, made = Carrier(CHUNKS, OUTPUT, TWO), []
    for number in range(40):
        carried = carrier.carry(number, number / 60, a_frame())
        carrier.learn(number, number / 60, a_frame(), residuals())
        made.append(carried.is_made)
    assert carrier.share(0) == pytest.approx(1, abs=0.02)
    assert made.count(True) == 5
    # Who looks at it later has it as it was decided then.
    assert sorted(carried.residuals) == [0, 1]


def test_what_was_known_of_an_unchanged_chunk_is_no_proof() -> None:
    film, known = Still(), residuals()
    for _ in range(9):
        film.next({**residuals(), 1: known[1]})
    assert film.carrier.share(0) == pytest.approx(1, abs=0.02)
    assert film.carrier.share(1) == 0


def test_a_residual_in_luma_serves_where_others_are_in_colour() -> None:
    film = Still()
    colour = {at: np.repeat(each, 3, 2) for at, each in residuals().items()}
    for _ in range(3):
        film.next({0: residuals()[0], 1: colour[1].copy()})
    shown = film.next(colour)
    assert [each.shape[2] for each in shown.values()] == [3, 3]
    assert apart(shown[0], colour[0]) < 0.5


def test_who_asks_for_it_has_it_made_once() -> None:
    film = Still()
    for _ in range(3):
        film.next(residuals())
    carried = film.carrier.carry(film.number, film.number / 60, a_frame())
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(carried.residuals)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each is found[0] for each in found)


def test_each_frame_is_shown_when_it_is_submitted() -> None:
    config = SessionConfig(SIZE, PIPELINE, Grid(2, 1), form=EXACT, at_once=True)
    pictures: list[Picture] = []
    shows = AtOnce(config, pictures.append, lambda: 7.0)
    for number in range(4):
        shows.show(Frame(number, a_frame(), number / 60, number / 60), {})
        assert pictures[-1].number == number
        assert pictures[-1].pixels.shape == (OUTPUT.height, OUTPUT.width, 3)
        shows.learn(_came(config, number))
    assert [each.state for each in pictures] == [FrameState.DEGRADED] * 2 + [
        FrameState.COMPLETE
    ] * 2
    first, last = pictures[0], pictures[-1]
    assert [tile.residual for tile in first.tiles] == [None, None]
    np.testing.assert_array_equal(first.pixels, first.base)
    # What a browser gets is what is composed here.
    for tile in last.tiles:
        assert tile.residual is not None
        sent = tile.form.decode(tile.residual, tile.chunk.target.size)
        assert apart(sent, residuals()[tile.chunk.index]) < 0.5
    assert (last.pixels != last.base).any()
    # And so it is packed for one.
    parts = message.residuals(last)
    packed = message.drawn_message(last, b"own", message.RGBA, parts)
    assert packed.payloads == (b"own", *parts)
    assert last.ready_at == 7.0
    assert shows.live() == {"carried_ms": pytest.approx(16.7)}
    assert shows.figures() == {
        "frames": 4, "known": 0.0, "carried": 0.5, "age_ms": pytest.approx(16.7),
    }  # fmt: skip


def test_what_is_known_of_a_frame_is_shown_as_it_is_and_nothing_is_carried_beside() -> None:
    config = SessionConfig(SIZE, PIPELINE, Grid(2, 1), form=EXACT, at_once=True)
    pictures: list[Picture] = []
    shows = AtOnce(config, pictures.append, lambda: 7.0)
    came = _came(config, 0)
    shows.learn(came)
    shows.show(Frame(1, a_frame(), 0.1, 0.1), came.parts)
    shows.show(Frame(2, a_frame(), 0.2, 0.2), {1: came.parts[1]})
    both, lower = pictures
    assert both.state is FrameState.COMPLETE
    assert [tile.residual for tile in both.tiles] == [b"known"] * 2
    assert (both.pixels != both.base).any()
    assert not shows._carrier._waiting[1].is_made
    # Of the upper chunk nothing has proved right so far.
    assert lower.state is FrameState.DEGRADED
    assert [tile.residual for tile in lower.tiles] == [None, b"known"]
    shown, under = lower.pixels.astype(np.int16), lower.base
    upper = CHUNKS[0].target.height
    np.testing.assert_array_equal(shown[:upper], under[:upper])
    assert (shown[upper:] != under[upper:]).any()
    assert shows.figures()["known"] == 0.75


def _came(config: SessionConfig, number: int) -> Shown[Pixels, Residual]:
    recipe: Recipe = config.recipe
    plan = FramePlan(recipe, (Way.SENT,) * len(CHUNKS))
    frame: FrameInFlight[Pixels] = FrameInFlight(
        number, a_frame(), {}, plan, number / 60, number / 60, 0.0, 1.0, was_sent=True,
        missing=set(),
    )  # fmt: skip
    parts = {
        at: Part(
            payload=b"known",
            residual=each,
            recipe=recipe,
            peer="",
            ran="",
            sent=0.0,
            queue=0.0,
            decode=0.0,
            process=0.0,
            result=0.0,
            arrived=0.0,
        )
        for at, each in residuals().items()
    }
    return Shown(frame, parts, True, 0.0, 0.0, None)


def _energy(values: NDArray[np.int16]) -> float:
    return float((values.astype(np.float64) ** 2).sum())
