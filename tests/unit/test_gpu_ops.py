"""The operations on tensors give the pixels of the processors, and a chunk those of the whole."""

from __future__ import annotations

import os
from fractions import Fraction
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from p2c2g.errors import ProcessorError, UsageError
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g_workers.processors import run

if find_spec("torch") is None and os.environ.get("CI", "").lower() != "true":
    pytest.skip("needs PyTorch: pip install 'p2c2g[cuda]'", allow_module_level=True)

import torch

from p2c2g_workers.gpu import ops, tables
from p2c2g_workers.gpu.chain import Chain
from tests.effort import examples

EXAMPLES = examples(60)
CPU = torch.device("cpu")

#: To the very pixels, and within ``ops.BICUBIC_TOLERANCE``.
EXACT = [
    "upscale:2:base",
    "upscale:3:base",
    "upscale:3/2:base",
    "upscale:4/3:base",
    "upscale:2/3:base",
    "resize:70x61:base",
    "upscale:2:nearest",
    "upscale:4/3:nearest",
    "upscale:1/3:nearest",
    "upscale:2:bilinear",
    "upscale:7/5:bilinear",
    "upscale:2:bicubic",
    "upscale:2:lanczos",
    "upscale:4/3:lanczos",
    "upscale:1/2:bicubic",
    "upscale:2/3:lanczos",
    "upscale:1/3:bilinear",
    "resize:70x11:bilinear",
    "resize:70x11:lanczos",
    "sharpen:0",
    "sharpen:0.013",
    "sharpen:0.7",
    "sharpen:4",
    "denoise:0.01",
    "denoise:0.5",
    "denoise:1",
    "pass",
    "denoise:0.4,upscale:2:bicubic,sharpen:0.5",
]
NEAR = [
    "upscale:4:bicubic",
    "upscale:8:bicubic",
    "upscale:4/3:bicubic",
    "upscale:3/2:bicubic",
    "upscale:3:bicubic",
    "resize:70x61:bicubic",
]

sizes = st.builds(Size, st.integers(1, 90), st.integers(1, 70)) | st.just(Size(641, 27))
kinds = st.sampled_from(["noise", "hard", "soft"])


def picture(size: Size, seed: int, kind: str) -> Pixels:
    noise = np.random.default_rng(seed).integers(
        0, 256, (size.height, size.width, 3), dtype=np.uint8
    )
    if kind == "hard":
        return np.where(noise > 127, np.uint8(255), np.uint8(0))
    return np.asarray(cv2.GaussianBlur(noise, (9, 9), 0)) if kind == "soft" else noise


def plan_for(text: str, size: Size) -> Plan:
    try:
        return Pipeline.parse(text).resolve(size)
    except UsageError:
        assume(False)
        raise


def on_tensors(plan: Plan, *pictures: Pixels) -> list[Pixels]:
    result = Chain(plan, CPU)(torch.from_numpy(np.stack(pictures)))
    return list(result.numpy())


@given(st.sampled_from(EXACT), sizes, st.integers(0, 2**31), kinds)
@settings(max_examples=3 * EXAMPLES)
@example("upscale:2:bicubic", Size(641, 361), 1, "hard")
@example("sharpen:0.5", Size(1, 1), 1, "noise")
def test_the_very_pixels_of_the_processors(text: str, size: Size, seed: int, kind: str) -> None:
    plan, pixels = plan_for(text, size), picture(size, seed, kind)
    np.testing.assert_array_equal(on_tensors(plan, pixels)[0], run(plan, pixels))


@given(st.sampled_from(NEAR), sizes, st.integers(0, 2**31), kinds)
@settings(max_examples=EXAMPLES)
def test_bicubic_by_any_factor_is_at_most_one_level_off(
    text: str, size: Size, seed: int, kind: str
) -> None:
    plan, pixels = plan_for(text, size), picture(size, seed, kind)
    far = cv2.absdiff(on_tensors(plan, pixels)[0], run(plan, pixels)).max()
    assert far <= ops.BICUBIC_TOLERANCE


@given(
    st.sampled_from([*EXACT, *NEAR]),
    sizes,
    st.builds(Grid, st.integers(1, 5), st.integers(1, 4)),
    st.integers(0, 2**31),
    kinds,
)
@settings(max_examples=3 * EXAMPLES)
def test_chunks_are_the_whole(text: str, size: Size, grid: Grid, seed: int, kind: str) -> None:
    plan, pixels = plan_for(text, size), picture(size, seed, kind)
    try:
        chunks = plan_chunks(plan, grid)
    except UsageError:
        assume(False)
    (whole,) = on_tensors(plan, pixels)
    for chunk in chunks:
        (part,) = on_tensors(plan, cut(pixels, chunk))
        np.testing.assert_array_equal(chunk.crop.of(part), chunk.target.of(whole))


@pytest.mark.parametrize("text", [*EXACT, *NEAR])
def test_a_place_in_a_batch_makes_no_difference(text: str) -> None:
    pictures = [picture(Size(33, 26), seed, "noise") for seed in range(5)]
    plan = plan_for(text, Size(33, 26))
    for alone, among in zip(pictures, on_tensors(plan, *pictures), strict=True):
        np.testing.assert_array_equal(among, on_tensors(plan, alone)[0])


@pytest.mark.parametrize("text", EXACT)
def test_what_goes_in_is_not_changed_nor_is_memory_order_seen(text: str) -> None:
    pixels = picture(Size(33, 26), 2, "noise")
    plan = plan_for(text, Size(33, 26))
    planes = torch.from_numpy(pixels[None]).permute(0, 3, 1, 2).contiguous()
    before = planes.clone()
    result = Chain(plan, CPU)(planes.permute(0, 2, 3, 1))
    np.testing.assert_array_equal(result[0].numpy(), run(plan, pixels))
    assert torch.equal(planes, before)


def test_the_fourth_channel_is_not_read() -> None:
    pixels = picture(Size(20, 10), 3, "noise")
    plan = plan_for("upscale:2:bicubic", Size(20, 10))
    four = np.concatenate([pixels, np.full((10, 20, 1), 77, np.uint8)], axis=2)
    np.testing.assert_array_equal(on_tensors(plan, four)[0], run(plan, pixels))


def test_a_step_that_nobody_does_is_refused() -> None:
    plan = plan_for("upscale:2:ml", Size(8, 8))
    with pytest.raises(ProcessorError, match="no processor for upscale:ml"):
        Chain(plan, CPU)
    assert not ops.can(plan.steps[0])
    assert all(ops.can(plan_for(text, Size(90, 70)).steps[0]) for text in [*EXACT, *NEAR])


@given(st.fractions(1, 8, max_denominator=9), st.integers(1, 60))
def test_weights_are_a_partition_and_repeat_with_the_phase(factor: Fraction, source: int) -> None:
    length = int(source * factor)
    for taps, one in ((tables.cubic(length, factor, source), 1.0),
                      (tables.linear(length, factor, source), 256)):  # fmt: skip
        np.testing.assert_allclose(taps.weight.sum(0), one, atol=1e-6)
        assert taps.index.min() >= 0
        assert taps.index.max() < source
        again = taps.weight[:, factor.numerator :]
        np.testing.assert_array_equal(again, taps.weight[:, : again.shape[1]])


@pytest.mark.parametrize("text", [*EXACT, *NEAR])
def test_luma_alone_is_as_good_as_colours(text: str) -> None:
    pixels = picture(Size(90, 70), 4, "noise")
    plan = plan_for(text, Size(90, 70))
    (blue,) = on_tensors(plan, pixels[:, :, :1])
    np.testing.assert_array_equal(blue, on_tensors(plan, pixels)[0][:, :, :1])
