"""The trained upscalers at a peer: exact over chunks, and refused where they cannot be.

What needs ONNX Runtime is skipped by name where it is missing; the rest is the gamer's side, and
needs nothing.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from p2c2g.errors import ProcessorError, UsageError
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import NETWORKS, Pipeline
from p2c2g_workers.processors import network, run

EXAMPLES = int(os.environ.get("P2C2G_TEST_EXAMPLES", "60"))

needs_runtime = pytest.mark.skipif(
    network.MISSING, reason="needs onnxruntime: pip install 'p2c2g[ml]'"
)
nets = pytest.mark.parametrize("method", sorted(NETWORKS))


def picture(size: Size, seed: int, kind: str) -> Pixels:
    """Return noise; hard black and white, which asks most of a net; or soft shapes."""
    noise = np.random.default_rng(seed).integers(
        0, 256, (size.height, size.width, 3), dtype=np.uint8
    )
    if kind == "hard":
        return np.where(noise > 127, np.uint8(255), np.uint8(0))
    return np.asarray(cv2.GaussianBlur(noise, (9, 9), 0)) if kind == "soft" else noise


def joined(text: str, pixels: Pixels, grid: Grid) -> tuple[Pixels, Pixels]:
    """Return the whole frame's result and the same put together from chunks."""
    plan = Pipeline.parse(text).resolve(Size.of(pixels))
    whole = run(plan, pixels)
    parts = np.empty_like(whole)
    for chunk in plan_chunks(plan, grid):
        chunk.target.of(parts)[:] = chunk.crop.of(run(plan, cut(pixels, chunk)))
    return whole, parts


@needs_runtime
@given(
    st.sampled_from([f"upscale:2:{name}" for name in NETWORKS]),
    st.sampled_from(["{}", "denoise:0.3,{},sharpen:0.5", "resize:67x43,{}", "upscale:3/2,{}"]),
    st.builds(Size, st.integers(1, 90), st.integers(1, 70)) | st.just(Size(641, 27)),
    st.builds(Grid, st.integers(1, 5), st.integers(1, 4)),
    st.integers(0, 2**31),
    st.sampled_from(["noise", "hard", "soft"]),
)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@example("upscale:2:ml-tiny", "{}", Size(641, 361), Grid(4, 3), 1, "noise")
@example("upscale:2:ml-tiny", "{}", Size(33, 35), Grid(1, 2), 1, "hard")
def test_chunks_are_the_whole(
    text: str, around: str, size: Size, grid: Grid, seed: int, kind: str
) -> None:
    # With a factor of 3/2, OpenCV's bicubic is exact only with IPP.
    assume("3/2" not in around or cv2.ipp.useIPP())
    pipeline = around.format(text)
    try:
        plan_chunks(Pipeline.parse(pipeline).resolve(size), grid)
    except UsageError:
        assume(False)
    whole, parts = joined(pipeline, picture(size, seed, kind), grid)
    np.testing.assert_array_equal(parts, whole)


@needs_runtime
@nets
def test_the_net_looks_just_as_far_as_it_says(method: str) -> None:
    """One pixel changes results within the radius, and none beyond it."""
    stated = NETWORKS[method].radius
    one = picture(Size(64, 64), 3, "hard")
    other = one.copy()
    other[32, 33] ^= 255
    plan = Pipeline.parse(f"upscale:2:{method}").resolve(Size(64, 64))
    rows, columns = np.nonzero(cv2.absdiff(run(plan, one), run(plan, other)).any(axis=2))
    far = max(abs(rows // 2 - 32).max(), abs(columns // 2 - 33).max())
    # Beyond the base's own two, so that it is the net that is seen.
    assert 2 < far <= stated


@needs_runtime
@nets
def test_a_chunk_without_its_halo_would_be_seen(method: str) -> None:
    pixels = picture(Size(64, 64), 5, "hard")
    plan = Pipeline.parse(f"upscale:2:{method}").resolve(Size(64, 64))
    alone = run(plan, np.ascontiguousarray(pixels[:, 32:]))
    assert cv2.absdiff(run(plan, pixels)[:, 64:], alone).max() > 0


@needs_runtime
@nets
def test_other_kernels_and_threads_give_the_same_pixels(method: str) -> None:
    """Sums of integers have no order: another peer's road gives the very same levels."""
    import onnxruntime

    pixels = picture(Size(150, 90), 6, "hard")
    net = network.shipped(method)
    expected = net.correction(pixels)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = files("p2c2g_workers").joinpath("weights", f"{method}.onnx").read_bytes()
    plain = network.Network(model, NETWORKS[method].radius)
    plain._session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    np.testing.assert_array_equal(plain.correction(pixels), expected)
    assert np.ptp(expected) > 20, "the net does nothing here, so this says nothing"


@needs_runtime
@nets
def test_chunks_in_threads_do_not_meet(method: str) -> None:
    plan = Pipeline.parse(f"upscale:2:{method}").resolve(Size(48, 40))
    pictures = [picture(Size(48, 40), seed, "noise") for seed in range(8)]
    expected = [run(plan, one) for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda one: run(plan, one), pictures))
    for found, due in zip(results, expected, strict=True):
        np.testing.assert_array_equal(found, due)


@needs_runtime
@nets
@pytest.mark.parametrize("level", [0, 1, 77, 128, 254, 255])
def test_a_flat_picture_stays_nearly_flat(method: str, level: int) -> None:
    flat = np.full((30, 34, 3), level, np.uint8)
    result = run(Pipeline.parse(f"upscale:2:{method}").resolve(Size(34, 30)), flat)
    assert np.abs(result.astype(int) - level).max() <= 3


@needs_runtime
@nets
def test_the_card_is_of_these_weights(method: str) -> None:
    card = network.card(method)
    model = files("p2c2g_workers").joinpath("weights", f"{method}.onnx").read_bytes()
    assert card["sha256"] == hashlib.sha256(model).hexdigest()
    assert card["bytes"] == len(model)
    assert card["radius"] == NETWORKS[method].radius
    assert card["taught_by"]
    assert card["licence"] == "Apache-2.0"
    for game, found in card["held_out_jpeg85"].items():
        assert game not in card["taught_by"]
        assert found["upscale:2:bicubic"]["gain"] >= 0
        assert found["upscale:2:bicubic,sharpen:0.5"]["gain"] >= 0


@needs_runtime
def test_weights_that_are_not_those_of_the_card_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = network.card("ml-tiny")
    monkeypatch.setattr(network, "card", lambda _method: card | {"sha256": "0" * 64})
    network.shipped.cache_clear()
    try:
        with pytest.raises(ProcessorError, match="not those of their card: install"):
            network.shipped("ml-tiny")
    finally:
        network.shipped.cache_clear()


@needs_runtime
def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ProcessorError, match="The net cannot be read"):
        network.Network(b"not a model", 7)


def test_without_the_runtime_a_peer_says_what_it_has() -> None:
    code = """
import sys
sys.modules["onnxruntime"] = None
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "onnxruntime" else real(name, *rest)
import numpy as np
from p2c2g.errors import ProcessorError
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g_workers.processors import known, run
assert not any("ml-" in name for name in known()), known()
try:
    run(Pipeline.parse("upscale:2:ml-tiny").resolve(Size(8, 8)), np.zeros((8, 8, 3), np.uint8))
except ProcessorError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "no processor for upscale:ml-tiny: it has" in done.stdout


def test_the_runtime_is_loaded_by_the_first_use_only() -> None:
    code = "import p2c2g_workers.processors, sys; print('onnxruntime' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"


@nets
@pytest.mark.parametrize("form", ["upscale:3:{}", "upscale:3/2:{}", "upscale:1:{}",
                                  "resize:64x64:{}"])  # fmt: skip
def test_another_factor_is_refused_with_what_would_be_right(method: str, form: str) -> None:
    with pytest.raises(UsageError, match=rf"cannot be: the net {method} does only upscale:2:"):
        Pipeline.parse(form.format(method))


@nets
def test_its_plan_has_its_halo_and_begins_at_a_cell(method: str) -> None:
    plan = Pipeline.parse(f"upscale:2:{method}").resolve(Size(641, 361))
    assert plan.output == Size(1282, 722)
    assert plan.align == (2, 2)
    assert plan.halo == (NETWORKS[method].radius + 1,) * 2
    # After a doubling, every pixel of the source is a cell.
    after = Pipeline.parse(f"upscale:2:nearest,upscale:2:{method}").resolve(Size(64, 64))
    assert after.align == (1, 1)
    # After a halving, four are.
    less = Pipeline.parse(f"upscale:1/2:nearest,upscale:2:{method}").resolve(Size(64, 64))
    assert less.align == (4, 4)


def test_an_unknown_method_is_told_of_the_nets() -> None:
    with pytest.raises(UsageError, match="lanczos, ml-tiny"):
        Pipeline.parse("upscale:2:ml-huge")


def test_chunks_of_a_real_frame_begin_at_cells() -> None:
    plan = Pipeline.parse("upscale:2:ml-tiny").resolve(Size(640, 360))
    chunks = plan_chunks(plan, Grid(4, 2))
    assert all(chunk.padded.x % 2 == 0 and chunk.padded.y % 2 == 0 for chunk in chunks)
