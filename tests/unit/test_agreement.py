"""Honest answers agree and cheats' do not, on pictures that no limit was fitted to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.agreement import CHEATS, HONEST, VISIBLE, Sample, apart, taken
from p2c2g.media.residual import Residual
from p2c2g.verify.agreement import compare, same_residual

#: Even seeds look at frames that odd ones do not.
SEED = 4


@pytest.fixture(scope="module", params=["jpeg", "webp", "raw", "jpeg in colour"])
def answers(request: pytest.FixtureRequest) -> list[tuple[Sample, Residual]]:
    name, _, colour = str(request.param).partition(" ")
    found = taken(6, name, SEED, in_colour=bool(colour))
    return [(sample, sample.back(sample.work())) for sample in found]


#: A peer is asked for a quality: another one is no rounding, and need not agree.
ROUNDED = [kind for kind in HONEST if kind != "quality less 5"]


@pytest.mark.parametrize("kind", ROUNDED)
def test_answers_that_were_rounded_differently_agree(
    kind: str, answers: list[tuple[Sample, Residual]]
) -> None:
    for sample, honest in answers:
        answer = HONEST[kind](sample)
        if answer is not None:
            where = (sample.chunk.scene, sample.chunk.operations, str(sample.form))
            assert same_residual(honest, answer), where


#: The others have their like among these, and take longer.
LAZY = ["nothing", "plain bicubic", "nearest", "half as strong", "sign flipped", "blurred"]


@pytest.mark.parametrize("kind", LAZY)
def test_lazy_answers_are_told_from_honest_ones_where_they_can_be_seen(
    kind: str, answers: list[tuple[Sample, Residual]]
) -> None:
    seen = found = 0
    for sample, honest in answers:
        answer = CHEATS[kind](sample)
        if answer is not None and apart(answer, honest) >= VISIBLE:
            seen += 1
            found += not same_residual(honest, answer)
    assert seen >= 2
    assert found >= 0.9 * seen


def residual(height: int = 180, width: int = 320, channels: int = 1) -> Residual:
    rows, columns = np.mgrid[0:height, 0:width]
    levels = 20 * np.sin(rows / 3) * np.cos(columns / 4)
    return np.repeat(levels.astype(np.int16)[..., None], channels, axis=2)


def test_a_residual_agrees_with_itself_and_with_none_of_another_shape() -> None:
    one = residual()
    assert same_residual(one, one)
    assert compare(one, one).difference == compare(one, one).change == 0
    assert not same_residual(one, one[:-1])
    assert not same_residual(one, residual(channels=3))


def test_it_does_not_matter_who_is_first() -> None:
    one = residual()
    other = np.asarray(cv2.GaussianBlur(one, (0, 0), 2.0), np.int16).reshape(one.shape)
    assert compare(one, other) == compare(other, one)
    assert not same_residual(one, other)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_part_that_differs_is_found(channels: int) -> None:
    one = residual(720, 1280, channels)
    other = one.copy()
    other[300:400, 600:700] = 0
    assert not same_residual(one, other)


def test_an_old_frame_does_not_agree() -> None:
    one = residual()
    assert not same_residual(one, np.roll(one, 3, axis=1))


def test_values_that_no_level_can_have_are_the_largest_that_can() -> None:
    one = residual()
    wild = np.where(one > 0, np.int16(32_767), np.int16(-32_768))
    assert same_residual(wild, wild)
    assert not same_residual(one, wild)
    assert not same_residual(wild, -np.maximum(wild, -32_767))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 400, 1), (40, 7, 3)])
def test_the_smallest_residuals_can_be_compared(shape: tuple[int, int, int]) -> None:
    one = np.full(shape, 9, np.int16)
    assert same_residual(one, one + 1)
    assert not same_residual(one, np.full(shape, -90, np.int16))
