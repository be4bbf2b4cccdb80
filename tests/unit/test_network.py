"""The trained upscalers at a peer: exact over chunks, and refused where they cannot be.

What needs ONNX Runtime is skipped by name where it is missing; the rest is the gamer's side, and
needs nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from p2c2g.errors import ProcessorError, UsageError
from p2c2g.media.base import base, reach
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Pipeline
from p2c2g_workers import nets
from p2c2g_workers.processors import CPU, network, processor, run
from tests.effort import examples
from tests.nets import model, nudged

EXAMPLES = examples(60)

needs_runtime = pytest.mark.skipif(
    network.MISSING, reason="needs onnxruntime: pip install 'p2c2g[ml]'"
)
every = pytest.mark.parametrize("method", sorted(NETWORKS))
#: Those whose weights are in the package.
SHIPPED = [name for name in NETWORKS if nets.is_shipped(name)]
shipped = pytest.mark.parametrize("method", SHIPPED)


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
    st.sampled_from([f"upscale:2:{name}" for name in SHIPPED]),
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
@shipped
def test_the_net_looks_just_as_far_as_it_says(method: str) -> None:
    """One pixel changes results within the radius, and none beyond it."""
    stated = NETWORKS[method].radius
    one = picture(Size(64, 64), 3, "hard")
    other = one.copy()
    other[32, 33] ^= 255
    plan = Pipeline.parse(f"upscale:2:{method}").resolve(Size(64, 64))
    rows, columns = np.nonzero(cv2.absdiff(run(plan, one), run(plan, other)).any(axis=2))
    far = max(abs(rows // 2 - 32).max(), abs(columns // 2 - 33).max())
    # Beyond the base's own reach, so that it is the net that is seen.
    assert reach(Fraction(2)) < far <= stated


@needs_runtime
@shipped
def test_a_chunk_without_its_halo_would_be_seen(method: str) -> None:
    pixels = picture(Size(64, 64), 5, "hard")
    plan = Pipeline.parse(f"upscale:2:{method}").resolve(Size(64, 64))
    alone = run(plan, np.ascontiguousarray(pixels[:, 32:]))
    assert cv2.absdiff(run(plan, pixels)[:, 64:], alone).max() > 0


@needs_runtime
@shipped
def test_other_kernels_and_threads_give_the_same_pixels(method: str) -> None:
    """Sums of integers have no order: another peer's road gives the very same levels."""
    import onnxruntime

    pixels = picture(Size(150, 90), 6, "hard")
    weights = nets.shipped(method)
    expected = network.Network(weights).added(pixels)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = network.Network(weights)
    plain._session = onnxruntime.InferenceSession(
        weights.model, options, providers=["CPUExecutionProvider"]
    )
    np.testing.assert_array_equal(plain.added(pixels), expected)
    assert np.ptp(expected) > 20, "the net does nothing here, so this says nothing"


@needs_runtime
@shipped
def test_chunks_in_threads_do_not_meet(method: str) -> None:
    plan = Pipeline.parse(f"upscale:2:{method}").resolve(Size(48, 40))
    pictures = [picture(Size(48, 40), seed, "noise") for seed in range(8)]
    expected = [run(plan, one) for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda one: run(plan, one), pictures))
    for found, due in zip(results, expected, strict=True):
        np.testing.assert_array_equal(found, due)


@needs_runtime
@shipped
@pytest.mark.parametrize("level", [0, 1, 77, 128, 254, 255])
def test_a_flat_picture_stays_nearly_flat(method: str, level: int) -> None:
    flat = np.full((30, 34, 3), level, np.uint8)
    result = run(Pipeline.parse(f"upscale:2:{method}").resolve(Size(34, 30)), flat)
    assert np.abs(result.astype(int) - level).max() <= 3


@needs_runtime
@shipped
def test_the_card_is_of_these_weights(method: str) -> None:
    card = nets.card(method)
    file = files("p2c2g_workers").joinpath("weights", f"{method}.onnx").read_bytes()
    assert card["sha256"] == hashlib.sha256(file).hexdigest()
    assert card["bytes"] == len(file)
    assert card["radius"] == NETWORKS[method].radius
    assert card["taught_by"]
    assert card["licence"] == "Apache-2.0"
    for game, found in card["held_out"].items():
        assert game not in card["taught_by"]
        assert found["gain"] >= 0
        assert all(found["gain"] <= rival["gain"] for rival in found["over"].values())


@needs_runtime
@every
def test_what_a_net_adds_is_asked_for_alone(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its picture is the base and that, added to each colour within 0 to 255."""
    monkeypatch.setattr(nets, "_held", nets.Held())
    own = nets.read(model(method, seed=8))
    nets.hold(own)
    size = Size(41, 30)
    pixels = picture(size, 4, "hard")
    plan = Pipeline.parse(f"upscale:2:{method}@{own.name}").resolve(size)
    work = CPU.adder(plan.steps[0])
    assert work is not None
    levels = work(pixels, plan.steps[0])
    assert levels.dtype == np.int16
    assert levels.shape == (60, 82)
    assert np.ptp(levels) > 20, "the net does nothing here, so this says nothing"
    under = base(pixels, Fraction(2), Fraction(2), Size(82, 60)).astype(int)
    np.testing.assert_array_equal(
        run(plan, pixels), np.clip(under + levels[:, :, None], 0, 255).astype(np.uint8)
    )


@needs_runtime
@shipped
def test_what_a_shipped_net_adds_has_hardly_any_means(method: str) -> None:
    """They would be taken out by anyone who shows it, and cost bytes until then."""
    levels = network.Network(nets.shipped(method)).added(picture(Size(60, 40), 2, "noise"))
    means = levels.reshape(40, 2, 60, 2).mean((1, 3))
    assert np.abs(levels).mean() > 4 * np.abs(means).mean()


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Stand in for the package's folder, and forget afterwards what was read from it."""

    def forget() -> None:
        nets.shipped.cache_clear()
        nets.is_shipped.cache_clear()

    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(nets, "files", lambda _package: tmp_path)
    forget()
    yield tmp_path / "weights"
    forget()


def put(package: Path, method: str, file: bytes, sha256: str = "") -> None:
    """Put weights into the stand-in, with the least card."""
    (package / f"{method}.onnx").write_bytes(file)
    card = {"sha256": sha256 or hashlib.sha256(file).hexdigest()}
    (package / f"{method}.json").write_text(json.dumps(card))


@needs_runtime
def test_weights_that_are_not_those_of_the_card_are_refused(package: Path) -> None:
    put(package, "ml-tiny", model(), "0" * 64)
    with pytest.raises(ProcessorError, match="not those of their card: install"):
        nets.shipped("ml-tiny")
    put(package, "ml-small", model("ml-tiny"))
    with pytest.raises(ProcessorError, match="ml-small are not those of their card"):
        nets.shipped("ml-small")


@needs_runtime
@every
def test_a_net_without_weights_is_refused_and_said_to_be_missing(
    package: Path, method: str
) -> None:
    other = "ml-small" if method == "ml-tiny" else "ml-tiny"
    put(package, other, model(other))
    step = Pipeline.parse(f"upscale:2:{method}").resolve(Size(8, 8)).steps[0]
    assert not nets.has(step)
    with pytest.raises(
        ProcessorError, match=f"no weights of {method}: the package has those of {other}"
    ):
        processor(step)
    with pytest.raises(ProcessorError, match=f"no weights for {method}"):
        nets.card(method)


@needs_runtime
@every
def test_a_net_runs_with_the_weights_that_the_step_names(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nets, "_held", nets.Held())
    own = nets.read(model(method, seed=8))
    pixels = picture(Size(40, 30), 4, "soft")
    plan = Pipeline.parse(f"upscale:2:{method}@{own.name}").resolve(Size(40, 30))
    assert not nets.has(plan.steps[0])
    with pytest.raises(ProcessorError, match=f"none of the weights {own.name} of {method}"):
        run(plan, pixels)
    nets.hold(own)
    assert nets.has(plan.steps[0])
    result = run(plan, pixels)
    np.testing.assert_array_equal(result, network.Network(own).double(pixels, plan.steps[0]))
    other = nets.read(nudged(own.model))
    nets.hold(other)
    step = Pipeline.parse(f"upscale:2:{method}@{other.name}").resolve(Size(40, 30))
    assert cv2.absdiff(run(step, pixels), result).max() > 0


@needs_runtime
@settings(max_examples=EXAMPLES // 3, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(NETWORKS)),
    st.integers(0, 99),
    st.builds(Size, st.integers(1, 70), st.integers(1, 60)),
    st.builds(Grid, st.integers(1, 3), st.integers(1, 3)),
)
def test_chunks_are_the_whole_whatever_the_weights(
    method: str, seed: int, size: Size, grid: Grid
) -> None:
    own = nets.read(model(method, seed))
    nets.hold(own)
    pipeline = f"upscale:2:{method}@{own.name}"
    try:
        plan_chunks(Pipeline.parse(pipeline).resolve(size), grid)
    except UsageError:
        assume(False)
    whole, parts = joined(pipeline, picture(size, seed, "hard"), grid)
    np.testing.assert_array_equal(parts, whole)


@needs_runtime
def test_running_a_net_leaves_nothing_on_the_disk_and_tells_nobody(tmp_path: Path) -> None:
    """ONNX Runtime would make a file with a name for this machine, and write down what it sends."""
    code = """
import numpy as np
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g_workers.processors import run
run(Pipeline.parse("upscale:2:ml-tiny").resolve(Size(8, 8)), np.zeros((8, 8, 3), np.uint8))
"""
    places = ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME",
              "TMPDIR")  # fmt: skip
    # It keeps quiet where CI=true by itself.
    quiet = ("CI", "ORT_DISABLE_TELEMETRY", "TF_BUILD", "GITHUB_ACTIONS")
    inherited = {name: value for name, value in os.environ.items() if name not in quiet}
    subprocess.run(
        [sys.executable, "-c", code], timeout=60, check=True,
        env={**inherited, **dict.fromkeys(places, str(tmp_path))},
    )  # fmt: skip
    assert list(tmp_path.rglob("*")) == []


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


@every
@pytest.mark.parametrize("form", ["upscale:3:{}", "upscale:3/2:{}", "upscale:1:{}",
                                  "resize:64x64:{}"])  # fmt: skip
def test_another_factor_is_refused_with_what_would_be_right(method: str, form: str) -> None:
    with pytest.raises(UsageError, match=rf"cannot be: the net {method} does only upscale:2:"):
        Pipeline.parse(form.format(method))


@every
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
