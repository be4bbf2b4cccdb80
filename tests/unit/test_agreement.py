"""Honest answers agree and cheats' do not, on pictures that no limit was fitted to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.agreement import CHEATS, HONEST, VISIBLE, Sample, apart, samples
from p2c2g.media.frame import Pixels
from p2c2g.verify.agreement import compare, same_picture

#: Even seeds look at frames that odd ones do not.
SEED = 4


@pytest.fixture(scope="module", params=["jpeg", "webp", "raw"])
def taken(request: pytest.FixtureRequest) -> list[tuple[Sample, Pixels]]:
    found = list(samples(4, request.param, SEED))
    return [(sample, sample.back(sample.work())) for sample in found]


#: A peer is asked for a quality: another one is no rounding, and need not agree.
ROUNDED = [kind for kind in HONEST if kind != "quality less 5"]


@pytest.mark.parametrize("kind", ROUNDED)
def test_answers_that_were_rounded_differently_agree(
    kind: str, taken: list[tuple[Sample, Pixels]]
) -> None:
    for sample, honest in taken:
        answer = HONEST[kind](sample)
        if answer is not None:
            assert same_picture(honest, answer), (sample.scene, sample.operations, sample.quality)


@pytest.mark.parametrize("kind", CHEATS)
def test_lazy_answers_are_told_from_honest_ones_where_they_can_be_seen(
    kind: str, taken: list[tuple[Sample, Pixels]]
) -> None:
    seen = found = 0
    for sample, honest in taken:
        answer = CHEATS[kind](sample)
        if answer is not None and apart(answer, honest) >= VISIBLE:
            seen += 1
            found += not same_picture(honest, answer)
    assert seen >= 2
    assert found >= 0.9 * seen


def picture(height: int = 180, width: int = 320) -> Pixels:
    rows, columns = np.mgrid[0:height, 0:width]
    grey = 128 + 60 * np.sin(rows / 3) * np.cos(columns / 4)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def test_a_picture_agrees_with_itself_and_with_none_of_another_size() -> None:
    one = picture()
    assert same_picture(one, one)
    assert compare(one, one).difference == compare(one, one).change == 0
    assert not same_picture(one, one[:-1])


def test_it_does_not_matter_who_is_first() -> None:
    one = picture()
    other = np.asarray(cv2.GaussianBlur(one, (0, 0), 1.0), np.uint8)
    assert compare(one, other) == compare(other, one)
    assert not same_picture(one, other)


def test_a_small_part_that_differs_is_found() -> None:
    one = picture(720, 1280)
    other = one.copy()
    other[300:400, 600:700] = cv2.GaussianBlur(other[300:400, 600:700], (0, 0), 2.0)
    assert not same_picture(one, other)


def test_an_old_frame_does_not_agree() -> None:
    one = picture()
    assert not same_picture(one, np.roll(one, 3, axis=1))


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 400, 3), (40, 7, 3)])
def test_the_smallest_pictures_can_be_compared(shape: tuple[int, int, int]) -> None:
    one = np.full(shape, 90, np.uint8)
    assert same_picture(one, one + 1)
    assert not same_picture(one, np.full(shape, 190, np.uint8))
