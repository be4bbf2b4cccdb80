"""The nets on a card are ONNX Runtime's nets, byte for byte; PyTorch's CPU device stands in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from p2c2g.errors import UsageError
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Pipeline, Plan
from p2c2g_workers import nets
from p2c2g_workers.processors import run

if os.environ.get("CI", "").lower() != "true":
    for _name, _extra in (("torch", "cuda"), ("onnx", "ml"), ("onnxruntime", "ml")):
        if find_spec(_name) is None:
            pytest.skip(f"needs {_name}: pip install 'p2c2g[{_extra}]'", allow_module_level=True)

import torch

from p2c2g_workers.gpu import network, ops
from p2c2g_workers.gpu.chain import Chain
from p2c2g_workers.gpu.network import HALF_TOLERANCE, HALF_WORST, TorchNet
from tests.effort import examples
from tests.unit.test_gpu_ops import picture

EXAMPLES = examples(60)
CPU = torch.device("cpu")
SHIPPED = [method for method in NETWORKS if nets.is_shipped(method)]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small convolutions in many threads take longer, and the machine is others' too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def strange(method: str, seed: int) -> nets.Weights:
    """Return weights that nobody trained, with sums as large as they may be."""
    rng = np.random.default_rng(seed)
    width, depth = nets.SHAPES[method]
    layers, before, scale_in = [], nets.CELL_IN, nets.LEVEL
    for index in range(depth + 1):
        last = index == depth
        after, kernel = (nets.CELL_OUT, 1) if last else (width, 3)
        weight = rng.integers(-63, 64, (after, before, kernel, kernel), dtype=np.int8)
        weight[0] = 63  # the largest sum there is
        bias = rng.integers(-40_000, 40_000, after, dtype=np.int32)
        scale_out = nets.LEVEL if last else float(np.float32(rng.uniform(0.002, 0.02)))
        scale = rng.uniform(0.2, 2, after) * scale_out / scale_in / (63 * np.sqrt(9 * before))
        layers.append(
            nets.Layer(weight, bias, scale.astype(np.float32), scale_in, scale_out,
                       nets.NOTHING if last else 0)
        )  # fmt: skip
        before, scale_in = after, scale_out
    return nets.read(nets.write(layers))


def doubled(net: TorchNet, *pictures: Pixels) -> list[Pixels]:
    given = ops.as_pictures(torch.from_numpy(np.stack(pictures)))
    return list(ops.as_pixels(net.double(given, ops.Tables(CPU))).numpy())


def plan_of(weights: nets.Weights, size: Size) -> Plan:
    nets.hold(weights)
    return Pipeline.parse(f"upscale:2:{weights.method}@{weights.name}").resolve(size)


@given(
    st.sampled_from(SHIPPED),
    st.builds(Size, st.integers(1, 70), st.integers(1, 50)),
    st.integers(0, 2**31),
    st.sampled_from(["noise", "hard", "soft"]),
)
@settings(max_examples=EXAMPLES)
@example("ml-tiny", Size(160, 90), 1, "hard")
def test_the_shipped_nets_give_the_cpus_bytes(
    method: str, size: Size, seed: int, kind: str
) -> None:
    pixels = picture(size, seed, kind)
    plan = Pipeline.parse(f"upscale:2:{method}").resolve(size)
    net = TorchNet(nets.shipped(method), CPU)
    np.testing.assert_array_equal(doubled(net, pixels)[0], run(plan, pixels))


@pytest.mark.parametrize("method", sorted(NETWORKS))
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("size", [Size(41, 33), Size(16, 16), Size(1, 3)])
def test_any_net_of_any_shape_gives_the_cpus_bytes(method: str, seed: int, size: Size) -> None:
    weights = strange(method, seed)
    pixels = picture(size, seed, "hard" if seed == 1 else "noise")
    expected = run(plan_of(weights, size), pixels)
    net = TorchNet(weights, CPU)
    np.testing.assert_array_equal(doubled(net, pixels)[0], expected)
    base = run(Pipeline.parse("upscale:2").resolve(size), pixels)
    assert np.ptp(expected.astype(int) - base) > 20, "the net does nothing here"


@pytest.mark.parametrize("method", sorted(NETWORKS))
def test_products_of_matrices_give_the_same(method: str) -> None:
    """The road for devices whose convolutions are not plain sums."""
    weights = strange(method, 3)
    pixels = np.stack([picture(Size(70, 81), seed, "noise") for seed in (1, 2)])
    given, held = ops.as_pictures(torch.from_numpy(pixels)), ops.Tables(CPU)
    net = TorchNet(weights, CPU)
    assert torch.equal(net._added(given, held, True), net.added(given, held))
    assert net.prove(given, held)


def test_a_device_that_convolves_otherwise_is_found_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    weights = strange("ml-tiny", 4)
    pixels = picture(Size(30, 22), 1, "noise")
    expected = run(plan_of(weights, Size(30, 22)), pixels)
    plain = network.functional.conv2d

    def otherwise(*args: torch.Tensor) -> torch.Tensor:
        return plain(*args) * (1 + 1e-3)

    monkeypatch.setattr(network.functional, "conv2d", otherwise)
    net = TorchNet(weights, CPU)
    assert (doubled(net, pixels)[0] != expected).any()
    given, held = ops.as_pictures(torch.from_numpy(pixels[None])), ops.Tables(CPU)
    assert not net.prove(given, held)
    assert "not exact" in caplog.text
    np.testing.assert_array_equal(doubled(net, pixels)[0], expected)


@given(
    st.sampled_from(SHIPPED),
    st.builds(Size, st.integers(1, 90), st.integers(1, 70)),
    st.builds(Grid, st.integers(1, 5), st.integers(1, 4)),
    st.integers(0, 2**31),
    st.booleans(),
)
@settings(max_examples=EXAMPLES)
def test_chunks_are_the_whole(method: str, size: Size, grid: Grid, seed: int, half: bool) -> None:
    """In half precision too: a sum is rounded once, whatever the shape."""
    plan = Pipeline.parse(f"upscale:2:{method}").resolve(size)
    try:
        chunks = plan_chunks(plan, grid)
    except UsageError:
        assume(False)
    pixels = picture(size, seed, "noise")
    net = TorchNet(nets.shipped(method), CPU, half=half)
    whole = Chain(plan, CPU, [net])(torch.from_numpy(pixels[None]))[0].numpy()
    for chunk in chunks:
        part = doubled(net, cut(pixels, chunk))[0]
        far = np.abs(chunk.crop.of(part).astype(int) - chunk.target.of(whole)).max()
        assert far == 0


@pytest.mark.parametrize("method", SHIPPED)
@pytest.mark.parametrize("kind", ["noise", "hard", "soft"])
def test_half_precision_is_within_its_tolerance(method: str, kind: str) -> None:
    pixels = picture(Size(120, 80), 5, kind)
    whole = doubled(TorchNet(nets.shipped(method), CPU), pixels)[0].astype(int)
    half = doubled(TorchNet(nets.shipped(method), CPU, half=True), pixels)[0]
    far = np.abs(half - whole)
    assert 0 < far.max() <= HALF_WORST
    assert (far > HALF_TOLERANCE).mean() < 1 / 200
    assert far.mean() < 0.5
