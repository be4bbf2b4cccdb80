"""Only changes travel: pictures that stand, shake, come back and get better, on a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from time import monotonic

import numpy as np
import pytest

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture
from p2c2g.media.residual import Form
from p2c2g.session.config import SessionConfig
from tests import honest
from tests.honest import EXACT
from tests.pool import LASTING, Pool
from tests.sessions import PATIENCE, Player

SIZE, GRID = Size(320, 180), Grid(2, 1)
PIPELINE = Pipeline.parse("upscale:2,sharpen:0.5")
PLAN = PIPELINE.resolve(SIZE)
CONFIG = SessionConfig(
    size=SIZE, operations=PIPELINE, grid=GRID, codec="raw", form=EXACT, deadline=PATIENCE,
    paced=False,  # Else a picture is shown when its time has come.
    steady=False,  # What is sent, and how, is said here.
)  # fmt: skip
#: Chunks that may be sent though they are known: so that examinations go on.
TRICKLE = 2


def scene(seed: int) -> Pixels:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 200, (18, 32, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    return coarse + random.integers(0, 40, coarse.shape, np.uint8)


def decibels(pixels: Pixels, due: Pixels) -> float:
    error = np.mean((pixels.astype(np.float64) - due) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


class Playing(Player):
    """A session that counts what it sends."""

    @property
    def known(self) -> dict[str, int]:
        known: dict[str, int] = self.session.figures()["known"]
        return known

    @property
    def asked(self) -> int:
        """Return how many chunks went to peers."""
        known = self.known
        return known["sent"] + known["refreshed"] + known["trickled"]

    def play_until_it_is(self, pixels: Pixels, due: Pixels) -> Picture:
        """Show the same until all of it is enhanced as it should be."""
        begun = monotonic()
        while True:
            picture = self.play(pixels)
            if np.array_equal(picture.pixels, due):
                return picture
            assert monotonic() - begun < PATIENCE, "it does not get better"


@pytest.fixture
def playing(pool: Pool) -> Iterator[Playing]:
    pool.worker("one", more=LASTING)
    with Playing(pool.settings(), CONFIG) as player:
        yield player


def test_of_a_picture_that_stands_next_to_nothing_travels(playing: Playing) -> None:
    due = honest.shown(PLAN, scene(1))
    for _ in range(100):
        picture = playing.play(scene(1))
        assert picture.state is FrameState.COMPLETE
        np.testing.assert_array_equal(picture.pixels, due)
    tally = playing.session.tally
    up, down = tally.up, tally.down
    assert playing.known["unchanged"] == 2 * 99
    assert playing.asked <= 2 + TRICKLE
    before = playing.asked
    for number in range(100):
        assert playing.play(scene(10 + number)).state is FrameState.COMPLETE
    assert playing.asked - before == 200
    # Its own first frame is among them.
    assert up <= 0.03 * (tally.up - up)
    assert down <= 0.03 * (tally.down - down)


def test_two_pictures_in_turn_come_from_the_cache(playing: Playing) -> None:
    due = [honest.shown(PLAN, scene(seed)) for seed in (1, 2)]
    for number in range(40):
        picture = playing.play(scene(1 + number % 2))
        np.testing.assert_array_equal(picture.pixels, due[number % 2])
    assert playing.known["cached"] == 2 * 38
    assert playing.asked <= 4 + TRICKLE


def test_noise_and_a_pointer_are_shown_with_what_is_there(playing: Playing) -> None:
    random = np.random.default_rng(3)
    playing.play(scene(1))
    for number in range(40):
        pixels = scene(1)
        if number % 2:
            noise = random.integers(-1, 2, pixels.shape)
            pixels = np.clip(pixels.astype(np.int16) + noise, 0, 255).astype(np.uint8)
        else:
            pixels[20:36, 7 * number : 7 * number + 10] = 255
        picture = playing.play(pixels)
        assert picture.state is FrameState.COMPLETE
        assert decibels(picture.pixels, honest.shown(PLAN, pixels)) > 42
    known = playing.known
    assert known["near"] > 20
    assert known["sent"] <= 4


def test_a_picture_that_stands_outlives_its_peers_and_moves_on_with_others(pool: Pool) -> None:
    pool.worker("one")
    due = honest.shown(PLAN, scene(1))
    with Playing(pool.settings(), CONFIG) as playing:
        playing.play_until_it_is(scene(1), due)
        pool.workers["one"].kill()
        session = playing.session
        begun = monotonic()
        while not session.tables.presence.is_alone(monotonic()):
            np.testing.assert_array_equal(playing.play(scene(1)).pixels, due)
            assert monotonic() - begun < PATIENCE, "the registry does not notice"
        assert playing.play(scene(1)).state is FrameState.COMPLETE
        assert playing.play(scene(2)).state is FrameState.DEGRADED, "nobody is there"
        pool.worker("two")
        for seed in count(3):
            if playing.play(scene(seed)).state is FrameState.COMPLETE:
                break
            assert monotonic() - begun < 3 * PATIENCE, "the newcomer gets nothing"


def test_a_lesser_picture_gets_better_while_it_stands(playing: Playing) -> None:
    plans = playing.session.tables.plans
    usual = plans.setting
    lesser = replace(usual.recipe, form=Form("jpeg", 10), rank=3)
    plans.setting = replace(usual, recipe=lesser)
    picture = playing.play(scene(1))
    assert picture.state is FrameState.COMPLETE
    assert [tile.form for tile in picture.tiles] == [lesser.form] * 2
    due = honest.shown(PLAN, scene(1))
    assert not np.array_equal(picture.pixels, due)
    plans.setting = usual
    picture = playing.play_until_it_is(scene(1), due)
    assert [tile.form for tile in picture.tiles] == [EXACT] * 2
    assert playing.known["refreshed"] + playing.known["trickled"] >= 2
    assert playing.session.tally.states[FrameState.DEGRADED] == 0, "nothing flickered"


def test_a_peer_remembers_what_a_session_asks_for_again(pool: Pool) -> None:
    pool.worker("one", more={**LASTING, "P2C2G_WORKER_REMEMBERED_MB": "32"})
    due = honest.shown(PLAN, scene(1))
    for _ in range(2):  # Each session has to ask for itself.
        with Playing(pool.settings(), replace(CONFIG, reuse=False)) as player:
            for _ in range(5):
                picture = player.play(scene(1))
                np.testing.assert_array_equal(picture.pixels, due)
            known = player.known
        assert known["sent"] == 10
        assert known["by_peers"] >= 8
