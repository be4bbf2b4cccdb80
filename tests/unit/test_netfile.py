"""A net's file: one form goes in and out, and everything else is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2c2g.errors import ProcessorError
from p2c2g.media.hashes import name_of
from p2c2g.media.methods import NETWORKS
from p2c2g_workers import netfile, nets
from p2c2g_workers.netfile import SHAPES, SUM_LIMIT, WEIGHT_LIMIT, Layer, read, write
from p2c2g_workers.processors import network
from tests.effort import examples
from tests.nets import computed, layers, model, nudged

pytestmark = pytest.mark.skipif(network.MISSING, reason="needs onnx: pip install 'p2c2g[ml]'")

EXAMPLES = examples(60)
SOUND = b"" if network.MISSING else model()


@pytest.mark.parametrize("method", SHAPES)
def test_what_was_written_is_read(method: str) -> None:
    made = layers(method)
    found = read(write(made))
    assert found.method == method
    assert found.radius == NETWORKS[method].radius
    assert found.name == name_of(found.model)
    assert len(found.layers) == len(made)
    for one, other in zip(found.layers, made, strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)
        np.testing.assert_array_equal(one.bias, other.bias)
        np.testing.assert_array_equal(one.scale, other.scale)
        assert (one.in_scale, one.out_scale, one.zero_out) == (
            other.in_scale, other.out_scale, other.zero_out
        )  # fmt: skip
    assert write(found.layers) == found.model
    assert len(found.model) < netfile.MAX_MODEL


@pytest.mark.parametrize("method", [name for name in NETWORKS if nets.is_shipped(name)])
def test_the_weights_of_the_package_are_in_this_form(method: str) -> None:
    weights = nets.shipped(method)
    assert weights.method == method
    assert write(weights.layers) == weights.model


@pytest.mark.parametrize("method", SHAPES)
def test_it_reckons_as_is_stated(method: str) -> None:
    """Every engine may rely on what a layer says of itself."""
    weights = read(model(method, seed=4))
    pixels = np.random.default_rng(2).integers(0, 256, (24, 30, 3), np.uint8)
    border = weights.radius // 2 * 2
    filled = np.pad(pixels, ((border, border), (border, border), (0, 0)), "edge")
    tall, wide = filled.shape[0] // 2, filled.shape[1] // 2
    cells = filled.reshape(tall, 2, wide, 2, 3).transpose(0, 2, 1, 3, 4).reshape(tall, wide, 12)
    large = computed(weights.layers, cells)
    tall, wide = large.shape[:2]
    due = large.reshape(tall, wide, 4, 4).transpose(0, 2, 1, 3).reshape(48, 60).astype(int) - 128
    np.testing.assert_array_equal(network.Network(weights).added(pixels), due)
    assert np.ptp(due) > 40, "the net does nothing here, so this says nothing"


def test_a_nudged_net_adds_more() -> None:
    """What other tests rely on."""
    weights, more = read(SOUND), read(nudged(SOUND, 5))
    cells = np.full((9, 9, 12), 80, np.uint8)
    one, other = computed(weights.layers, cells), computed(more.layers, cells)
    inside = (one > 0) & (one < 250)
    assert inside.any()
    assert (other[inside].astype(int) - one[inside] == 5).all()


def test_sums_below_the_limit_are_exact_in_float32_in_any_order() -> None:
    random = np.random.default_rng(5)
    weight = random.integers(-WEIGHT_LIMIT, WEIGHT_LIMIT + 1, 576)
    value = np.where(weight > 0, 255, 0)  # the largest sum that these weights can have
    exact = int((weight * value).sum())
    products = (weight * value).astype(np.float32)
    for _ in range(20):
        random.shuffle(products)
        total = np.float32(0)
        for product in products:
            total += product
        assert int(total) == exact
    assert exact < SUM_LIMIT


def _changed(change: Callable[[Any], None]) -> bytes:
    import onnx

    whole = onnx.ModelProto.FromString(SOUND)
    change(whole)
    return bytes(whole.SerializeToString())


def _tensor(whole: Any, name: str) -> Any:
    return next(each for each in whole.graph.initializer if each.name == name)


def _external(whole: Any) -> None:
    import onnx

    tensor = _tensor(whole, "weight1")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def _metadata(whole: Any) -> None:
    whole.metadata_props.add(key="a", value="b")


def _another_operator(whole: Any) -> None:
    whole.graph.node[2].op_type = "Conv"


def _another_domain(whole: Any) -> None:
    whole.graph.node[2].domain = "com.microsoft"


def _padded(whole: Any) -> None:
    import onnx

    pads = whole.graph.node[2].attribute.add(name="pads", type=onnx.AttributeProto.INTS)
    pads.ints.extend([1, 1, 1, 1])


def _turned(whole: Any) -> None:
    whole.graph.node[0].attribute[0].ints[:] = [0, 3, 2, 1]


def _crossed(whole: Any) -> None:
    whole.graph.node[3].input[0] = "x1"


def _twice(whole: Any) -> None:
    whole.graph.initializer.append(_tensor(whole, "bias1"))


def _one_more(whole: Any) -> None:
    spare = whole.graph.initializer.add()
    spare.CopyFrom(_tensor(whole, "bias1"))
    spare.name = "spare"


def _renamed(whole: Any) -> None:
    _tensor(whole, "bias1").name = "bias9"


def _as_list(whole: Any) -> None:
    _tensor(whole, "bias1").int32_data.extend([1] * 32)


def _other_dims(whole: Any) -> None:
    _tensor(whole, "weight1").dims[:] = [32, 96, 3, 1]


def _shorter(whole: Any) -> None:
    tensor = _tensor(whole, "weight1")
    tensor.raw_data = tensor.raw_data[:-1]


def _other_kind(whole: Any) -> None:
    import onnx

    _tensor(whole, "weight1").data_type = onnx.TensorProto.UINT8


def _other_zero(whole: Any) -> None:
    _tensor(whole, "middle").raw_data = b"\x7f"


def _newer(whole: Any) -> None:
    whole.opset_import[0].version = 21


def _larger_in(whole: Any) -> None:
    whole.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 13


def _a_function(whole: Any) -> None:
    whole.functions.add(name="more")


ANOTHER_FORM = [
    _metadata, _another_operator, _another_domain, _padded, _turned, _crossed, _twice, _one_more,
    _as_list, _other_dims, _other_kind, _other_zero, _newer, _larger_in, _a_function, _external,
]  # fmt: skip


@pytest.mark.parametrize("change", ANOTHER_FORM, ids=lambda change: change.__name__.strip("_"))
def test_another_form_is_refused(change: Callable[[Any], None]) -> None:
    with pytest.raises(ProcessorError, match="not of the one form that p2c2g train writes"):
        read(_changed(change))


def _with(index: int, **changes: Any) -> bytes:
    made = layers()
    made[index] = replace(made[index], **changes)
    return write(made)


def _scale(value: float) -> bytes:
    return _with(1, scale=np.full(32, value, np.float32))


def _of_width(width: int, out: int = netfile.CELL_OUT) -> bytes:
    """Return a net of three convolutions, as wide as asked for, that gives so many numbers."""
    made, before = [], 12
    for after, kernel in ((width, 3), (width, 3), (width, 3), (out, 1)):
        zeros = np.zeros((after, before, kernel, kernel), np.int8)
        made.append(
            Layer(
                zeros, np.zeros(after, np.int32), np.ones(after, np.float32), netfile.LEVEL,
                netfile.LEVEL, 0 if kernel == 3 else netfile.NOTHING,
            )
        )  # fmt: skip
        before = after
    return write(made)


WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", r"it has no 'bias0'"),
    "no model": (lambda: b"not a model", "cannot be read: "),
    "cut off": (lambda: SOUND[:-700], "cannot be read: "),
    "too long": (lambda: SOUND + bytes(netfile.MAX_MODEL), f"more than {netfile.MAX_MODEL}"),
    "renamed": (lambda: _changed(_renamed), "it has no 'bias1'"),
    "shorter": (lambda: _changed(_shorter), "'weight1' has 9215 bytes where 9216 are due"),
    "whole pictures": (
        lambda: _of_width(32, 48),
        "made for an earlier version, whose nets gave whole pictures: train it again with p2c2g",
    ),
    "another number of results": (lambda: _of_width(32, 20), "'weight3' has 640 bytes where 512"),
    "another shape": (lambda: _of_width(33), "33 channels wide for 3 convolutions"),
    "too many layers": (lambda: write([*layers(), layers()[-1]]), "32 channels wide for 4"),
    "weights of eight bits": (
        lambda: _with(0, weight=np.full((32, 12, 3, 3), -64, np.int8)),
        "convolution 0 has weights beyond 63",
    ),
    "the lowest weight": (
        lambda: _with(0, weight=np.full((32, 12, 3, 3), -128, np.int8)), "beyond 63",
    ),
    "a sum too large": (
        lambda: _with(2, bias=np.full(32, SUM_LIMIT - 1, np.int32)),
        f"convolution 2 may reach the sum .* where {SUM_LIMIT} is too much",
    ),
    "the lowest bias": (
        lambda: _with(2, bias=np.full(32, -(2**31), np.int32)), "may reach the sum",
    ),
    "no scale": (lambda: _scale(0.0), "convolution 1 has scales that are not from"),
    "a negative scale": (lambda: _scale(-1.0), "has scales that are not from"),
    "an endless scale": (lambda: _scale(float("inf")), "has scales that are not from"),
    "a scale that is no number": (lambda: _scale(float("nan")), "has scales that are not from"),
    "an outgoing scale of nothing": (lambda: _with(0, out_scale=0.0), "scales that are not from"),
    "not in levels": (lambda: _with(3, out_scale=0.5), "its result is not in whole levels"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_wrong_numbers_are_refused_with_a_sentence(
    make: Callable[[], bytes], sentence: str
) -> None:
    with pytest.raises(ProcessorError, match=sentence):
        read(make())


def check_promises(found: nets.Weights) -> None:
    assert (len(found.layers[0].bias), len(found.layers) - 1) == SHAPES[found.method]
    for layer in found.layers:
        assert np.abs(layer.weight.astype(int)).max() <= WEIGHT_LIMIT
        sums = np.abs(layer.weight.astype(int)).sum((1, 2, 3)) * 255
        assert (sums + np.abs(layer.bias.astype(int))).max() < SUM_LIMIT
        factor = np.float32(layer.in_scale) * layer.scale / np.float32(layer.out_scale)
        assert np.isfinite(factor).all()
        assert (factor > 0).all()


@given(
    st.lists(st.tuples(st.integers(0, len(SOUND) or 1), st.integers(0, 255)), max_size=6),
    st.binary(max_size=40),
    st.integers(0, 400),
    st.integers(0, len(SOUND) or 1),
    st.integers(0, 300),
)
@settings(max_examples=10 * EXAMPLES)
def test_a_damaged_file_is_refused_or_is_a_net(
    flips: list[tuple[int, int]], more: bytes, cut: int, hole: int, wide: int
) -> None:
    """Whatever is read keeps the promises; whatever is not is refused by an error of ours."""
    data = bytearray(SOUND)
    for place, value in flips:
        data[place % len(data)] = value
    del data[hole : hole + wide]
    try:
        found = read(bytes(data[: len(data) - cut]) + more)
    except ProcessorError:
        return
    check_promises(found)


@given(st.binary(max_size=400))
@settings(max_examples=5 * EXAMPLES)
def test_noise_is_no_net(data: bytes) -> None:
    with pytest.raises(ProcessorError, match="The net cannot be read: "):
        read(data)


def test_many_small_parts_are_refused_before_they_are_looked_through() -> None:
    """Empty nodes take two bytes each in a file and far more in memory."""
    import onnx

    whole = onnx.ModelProto.FromString(SOUND)
    for _ in range(100_000):
        whole.graph.node.add()
    with pytest.raises(ProcessorError, match="32 channels wide for 100003 convolutions"):
        read(bytes(whole.SerializeToString()))
