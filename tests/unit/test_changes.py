"""Which chunks have changed: the same, nearly the same as far as is stated, or another picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.media.base import base
from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.session.changes import (
    FAINT,
    FAINT_MOST,
    FAINT_SHARE,
    SMALL,
    Changes,
    Nearness,
    Seen,
    changes_of,
    nearness,
)
from p2c2g.session.config import SessionConfig
from tests import honest
from tests.hard_pictures import picture

SIZE = Size(640, 360)
PLAN = Pipeline.parse("upscale:2:ml-small").resolve(SIZE)
CHUNKS = plan_chunks(PLAN, Grid(2, 1))
NOBODY = (None, None)


@cache
def scene(seed: int = 1) -> Pixels:
    """Return flat parts, edges and some detail, as games have."""
    coarse = np.random.default_rng(seed).integers(0, 200, (18, 32, 3), np.uint8)
    detail = picture(SIZE, seed, "soft") // 4
    return coarse.repeat(20, 0).repeat(20, 1) + detail


def noisy(pixels: Pixels, levels: int, seed: int = 5) -> Pixels:
    random = np.random.default_rng(seed)
    noise = random.integers(-levels, levels + 1, pixels.shape)
    return np.clip(pixels.astype(np.int16) + noise, 0, 255).astype(np.uint8)


def with_pointer(pixels: Pixels, x: int, y: int) -> Pixels:
    """Put a black and white pointer of 12x20 somewhere."""
    pixels = pixels.copy()
    pixels[y : y + 20, x : x + 12] = 0
    pixels[y + 2 : y + 18, x + 2 : x + 10] = 255
    return pixels


class Looker:
    """Looks at frames, and has a residual of what it is told."""

    def __init__(self, frames: int = 6) -> None:
        self.changes = Changes(CHUNKS, frames)
        self.known: list[bytes | None] = [None, None]

    def look(self, pixels: Pixels) -> tuple[Seen, ...]:
        return self.changes.look(pixels, self.known)

    def came(self, seen: tuple[Seen, ...]) -> None:
        self.known = [each.key for each in seen]


def test_what_is_the_same_has_the_same_key_in_each_chunk_and_what_is_not_has_not() -> None:
    looker = Looker()
    first = looker.look(scene())
    assert looker.look(scene().copy()) == first
    other = scene().copy()
    other[-1, -1, 2] ^= 1
    upper, lower = looker.look(other)
    assert upper == first[0], "that is only in the lower chunk"
    assert lower.key != first[1].key
    assert first[0].near is first[1].near is None


def test_a_change_in_the_halo_is_a_change() -> None:
    looker = Looker()
    first = looker.look(scene())
    halo = CHUNKS[0].padded.bottom - 1
    assert halo > CHUNKS[1].rect.y, "it belongs to the other chunk, and to the halo of this"
    other = scene().copy()
    other[halo, 100, 0] ^= 255
    assert looker.look(other)[0].key != first[0].key


def test_a_fourth_channel_is_not_looked_at() -> None:
    looker = Looker()
    first = looker.look(scene())
    for seed in range(2):
        fourth = np.random.default_rng(seed).integers(0, 256, (*scene().shape[:2], 1), np.uint8)
        assert looker.look(np.dstack([scene(), fourth])) == first


def test_a_key_says_nothing_to_another_session() -> None:
    assert Looker().look(scene())[0].key != Looker().look(scene())[0].key
    one, other = (Changes(CHUNKS, 6, seed=7).look(scene(), NOBODY) for _ in range(2))
    assert one == other


def test_noise_and_a_pointer_are_nearly_what_was_there() -> None:
    looker = Looker()
    first = looker.look(scene())
    looker.came(first)
    for seed in range(3):
        for seen, known in zip(looker.look(noisy(scene(), FAINT, seed)), first, strict=True):
            assert (seen.near, seen.how) == (known.key, Nearness.FAINT)
    for x in range(0, 600, 100):
        upper, lower = looker.look(with_pointer(scene(), x, 50))
        assert (upper.near, upper.how) == (first[0].key, Nearness.SMALL)
        assert lower == first[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda pixels: noisy(pixels, 3 * FAINT),
        lambda pixels: np.roll(pixels, 1, axis=1),
        lambda pixels: np.clip(pixels.astype(np.int16) + FAINT + 1, 0, 255).astype(np.uint8),
        lambda _: scene(2),
    ],
    ids=["noise", "scrolled", "lighter", "another"],
)
def test_what_is_further_off_is_another_picture(change: Callable[[Pixels], Pixels]) -> None:
    looker = Looker()
    looker.came(looker.look(scene()))
    assert [each.near for each in looker.look(change(scene()))] == [None, None]


def test_something_that_is_not_small_is_another_picture() -> None:
    looker = Looker()
    looker.came(looker.look(scene()))
    moved = scene().copy()
    moved[20:60, 100:140] = 255 - moved[20:60, 100:140]
    assert SMALL < 40 * 40
    assert looker.look(moved)[0].near is None


def test_small_steps_do_not_add_up() -> None:
    looker = Looker()
    first = looker.look(scene())
    looker.came(first)
    fading = np.clip(scene(), 0, 200)
    nears = []
    for step in range(2 * FAINT):
        seen = looker.look(fading + np.uint8(step) if step else scene())[0]
        nears.append(seen.near)
    # Each is one level from the one before it; but they are compared with the first.
    reference = scene()[CHUNKS[0].padded.y : CHUNKS[0].padded.bottom]
    due = [
        nearness(reference_of(fading + np.uint8(step)), reference) is not None
        for step in range(1, 2 * FAINT)
    ]
    assert [each is not None for each in nears[1:]] == due
    assert not due[-1]


def reference_of(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(CHUNKS[0].padded.of(pixels))


def test_where_the_pixels_of_a_residual_are_gone_nothing_is_near() -> None:
    looker = Looker(frames=2)
    first = looker.look(scene())
    for seed in range(2, 5):
        looker.look(scene(seed))
    looker.came(first)  # so late that nobody remembers what it was made for
    assert looker.look(noisy(scene(), 1))[0].near is None
    assert looker.look(scene()) == first, "and yet the same is the same"


def test_what_a_residual_was_made_for_is_kept_while_it_is_known() -> None:
    looker = Looker(frames=2)
    first = looker.look(scene())
    looker.came(first)
    for _ in range(5):
        assert looker.look(noisy(scene(), 1))[0].near == first[0].key


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6), st.integers(0, 60), st.integers(0, 60), st.integers(0, 99))
def test_nearness_keeps_what_it_states(levels: int, width: int, height: int, seed: int) -> None:
    before = scene()[:180]
    after = noisy(before, levels, seed)
    after[10 : 10 + height, 20 : 20 + width] ^= 255
    how = nearness(after, before)
    apart = np.abs(after.astype(np.int16) - before)
    beyond = int((apart > FAINT).sum())
    if how is Nearness.FAINT:
        assert beyond <= apart.size * FAINT_SHARE
        assert apart.max() <= FAINT_MOST
    elif how is Nearness.SMALL:
        assert beyond <= 3 * SMALL
    else:
        assert beyond


@pytest.mark.parametrize(
    ("change", "least"),
    [
        (lambda pixels: noisy(pixels, FAINT), 49.0),
        (lambda pixels: noisy(pixels, 1), 51.0),
        (lambda pixels: with_pointer(pixels, 300, 80), 60.0),
    ],
    ids=["noise", "faint noise", "pointer"],
)
@pytest.mark.parametrize("text", ["upscale:2:ml-small", "upscale:2:lanczos,sharpen:0.5"])
def test_the_residual_of_nearly_the_same_makes_nearly_the_same_picture(
    text: str, change: Callable[[Pixels], Pixels], least: float
) -> None:
    """The error that is stated in docs/residuals.md, in dB against the picture of its own."""
    plan = Pipeline.parse(text).resolve(SIZE)
    chunk = plan_chunks(plan, Grid(2, 1))[0]
    composition = Composition.of(plan.scale_x, plan.scale_y)
    after = change(scene())
    under = base(after, plan.scale_x, plan.scale_y, plan.output)
    shown = []
    for made_of in (scene(), after):
        told = honest.answer(plan, made_of, chunk)
        residual = honest.EXACT.decode(told, chunk.target.size)
        out = np.empty((chunk.target.height, chunk.target.width, 3), np.uint8)
        composition.part(under, chunk.target, residual, out)
        shown.append(out.astype(np.float64))
    error = np.mean((shown[0] - shown[1]) ** 2)
    assert 10 * np.log10(255**2 / error) >= least


def test_a_session_that_uses_nothing_again_looks_for_no_changes() -> None:
    config = SessionConfig(SIZE, Pipeline.parse("upscale:2"), Grid(2, 1), reuse=False)
    assert changes_of(config) is None
