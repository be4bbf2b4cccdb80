"""A net's file: ONNX in one form, read strictly, since a stranger may have written it.

A net is a few convolutions over cells of 2x2 pixels, in whole numbers, and its file is ONNX in
exactly the form that :func:`write` gives it.  Anything else is refused before a library that
runs nets has seen a byte of it: what runs is written again from what was read.

Weights have 7 bits and activations 8, and no sum of a layer can reach 2**24.  Such sums are
exact in 32-bit integers and in float32 alike, in any order, so every engine gives the same
bytes.

Needs the package ``onnx``, of the extra ``ml``.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2c2g.errors import ProcessorError
from p2c2g.media.hashes import name_of
from p2c2g.media.methods import NETWORKS

#: True where the package that reads nets is not installed.
MISSING = importlib.util.find_spec("onnx") is None
#: By method: channels of the 3x3 convolutions, and how many there are; a 1x1 follows them.
SHAPES = {"ml-tiny": (32, 3), "ml-small": (48, 6), "ml-large": (64, 10)}
#: Numbers in a cell: of 2x2 pixels in three colours going in, the luma of 4x4 pixels coming out.
CELL_IN, CELL_OUT = 12, 16
#: What to do about a net of an earlier version.
AGAIN = "train it again with p2c2g train"
#: What came out of nets that gave whole pictures: 4x4 pixels in three colours.
_COLOURS_OUT = 48
#: One level of the picture, where black is 0 and white 1; in a net's result, what is added.
LEVEL = float(np.float32(1 / 255))
#: In a net's result, this stands for "nothing to add".
NOTHING = 128
#: Largest size of a weight: with 8-bit activations, two products fit 16 bits.
WEIGHT_LIMIT = 63
#: No sum of a layer reaches this; whole numbers below it are exact in float32.
SUM_LIMIT = 1 << 24
#: Bytes of a net's file at most; the largest shape takes 360,000.
MAX_MODEL = 512 * 1024
#: No trained net has scales beyond these, and their products would exceed float32.
_SCALES = 1e-13, 1e6


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Layer:
    """One convolution in whole numbers, which adds no border.

    ``weight`` is ``(out, in, k, k)`` int8, ``bias`` ``(out,)`` int32, ``scale`` ``(out,)``
    float32.  With ``s`` the sum of products and the bias, the result is
    ``round(s * in_scale * scale / out_scale) + zero_out``, half to even, clipped to 0 to 255.
    """

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    scale: NDArray[np.float32]
    in_scale: float
    out_scale: float
    zero_out: int


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Weights:
    """One net: ``name`` is the hash of its file ``model``, ``method`` what its shape says."""

    name: str
    method: str
    layers: tuple[Layer, ...]
    model: bytes
    radius: int

    def __repr__(self) -> str:
        return f"<{self.method} {self.name}>"


def products(method: str) -> float:
    """Return the products that a net computes for each input pixel; four of these make a cell."""
    width, depth = SHAPES[method]
    return (9 * width * (CELL_IN + (depth - 1) * width) + width * CELL_OUT) / 4


def read(model: bytes) -> Weights:
    """Read a net's file.

    Raises:
        ProcessorError: :func:`write` could not have written it; the sentence says what differs.
    """
    if MISSING:
        raise ProcessorError("No net can be read without onnx: pip install 'p2c2g[ml]'.")
    if len(model) > MAX_MODEL:
        raise ProcessorError(
            f"The net cannot be read: its {len(model)} bytes are more than {MAX_MODEL}."
        )
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    whole = onnx.ModelProto()
    try:
        whole.ParseFromString(model)
        method, layers = _layers(whole.graph)
        same = whole == _message(layers)
    except (DecodeError, UnicodeDecodeError) as error:
        raise ProcessorError(f"The net cannot be read: {error}.") from error
    if not same:
        raise ProcessorError(
            "The net cannot be read: it is not of the one form that p2c2g train writes."
        )
    return Weights(name_of(model), method, layers, model, NETWORKS[method].radius)


def write(layers: Sequence[Layer]) -> bytes:
    """Return a net as an ONNX file, with the operators of opset 17.

    It takes ``cells`` ``(1, h, w, 12)`` uint8 and gives ``added`` ``(1, h', w', 16)`` uint8.
    Nothing is checked here; :func:`read` does that.
    """
    return bytes(_message(layers).SerializeToString(deterministic=True))


def _layers(graph: Any) -> tuple[str, tuple[Layer, ...]]:
    """Return what a file's graph holds; every number that the arithmetic needs is checked.

    Raises:
        ProcessorError: a number is missing, or a net of ours could not have it.
    """
    depth = len(graph.node) - 3
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    width = len(_raw(tensors, "bias0")) // 4
    method = next((name for name, shape in SHAPES.items() if shape == (width, depth)), None)
    if method is None:
        known = ", ".join(f"{wide} for {deep}" for wide, deep in SHAPES.values())
        raise ProcessorError(
            f"The net cannot be read: it is {width} channels wide for {depth} convolutions, "
            f"which is none of {known}."
        )
    if len(_raw(tensors, f"bias{depth}")) == 4 * _COLOURS_OUT:
        raise ProcessorError(
            f"The net was made for an earlier version, whose nets gave whole pictures: {AGAIN}."
        )
    layers = []
    before, in_scale = CELL_IN, LEVEL
    for index in range(depth + 1):
        last = index == depth
        after, kernel = (CELL_OUT, 1) if last else (width, 3)
        shape = after, before, kernel, kernel
        weight = _array(tensors, f"weight{index}", "i1", shape)
        bias = _array(tensors, f"bias{index}", "<i4", (after,))
        scale = _array(tensors, f"weight_scale{index}", "<f4", (after,))
        out_scale = float(_array(tensors, f"scale{index + 1}", "<f4", ()))
        _check(index, weight, bias, np.append(scale, np.float32(out_scale)))
        if last and out_scale != LEVEL:
            raise ProcessorError("The net cannot be read: its result is not in whole levels.")
        layers.append(
            Layer(weight, bias, scale, in_scale, out_scale, NOTHING if last else 0)
        )  # fmt: skip
        before, in_scale = after, out_scale
    return method, tuple(layers)


def _check(
    index: int, weight: NDArray[Any], bias: NDArray[Any], scales: NDArray[np.float32]
) -> None:
    """Refuse numbers with which engines could compute different results."""
    sums = np.abs(weight.astype(np.int64)).sum((1, 2, 3)) * 255 + np.abs(bias.astype(np.int64))
    wrong = None
    if np.abs(weight.astype(np.int16)).max() > WEIGHT_LIMIT:
        wrong = f"has weights beyond {WEIGHT_LIMIT}"
    elif sums.max() >= SUM_LIMIT:
        wrong = f"may reach the sum {sums.max()}, where {SUM_LIMIT} is too much"
    elif not (np.isfinite(scales) & (scales >= _SCALES[0]) & (scales <= _SCALES[1])).all():
        wrong = f"has scales that are not from {_SCALES[0]:g} to {_SCALES[1]:g}"
    if wrong:
        raise ProcessorError(f"The net cannot be read: its convolution {index} {wrong}.")


def _raw(tensors: dict[str, Any], name: str) -> bytes:
    if name not in tensors:
        raise ProcessorError(f"The net cannot be read: it has no {name!r}.")
    data: bytes = tensors[name].raw_data
    return data


def _array(
    tensors: dict[str, Any], name: str, kind: str, shape: tuple[int, ...]
) -> NDArray[Any]:  # fmt: skip
    data = _raw(tensors, name)
    due = math.prod(shape) * np.dtype(kind).itemsize
    if len(data) != due:
        raise ProcessorError(
            f"The net cannot be read: its {name!r} has {len(data)} bytes where {due} are due."
        )
    return np.frombuffer(data, kind).reshape(shape)


def _message(layers: Sequence[Layer]) -> Any:
    """Return a net as onnx's message, field by field, without helpers that add fields."""
    import onnx

    def node(kind: str, inputs: list[str], output: str, perm: Sequence[int] = ()) -> Any:
        made = onnx.NodeProto(op_type=kind, input=inputs, output=[output])
        if perm:
            made.attribute.add(name="perm", type=onnx.AttributeProto.INTS, ints=perm)
        return made

    def tensor(name: str, value: Any, kind: str) -> Any:
        array = np.asarray(value, kind)
        types = {"<f4": onnx.TensorProto.FLOAT, "u1": onnx.TensorProto.UINT8,
                 "i1": onnx.TensorProto.INT8, "<i4": onnx.TensorProto.INT32}  # fmt: skip
        return onnx.TensorProto(
            name=name, data_type=types[kind], dims=array.shape, raw_data=array.tobytes()
        )

    def side(name: str, shape: Sequence[int | str]) -> Any:
        made = onnx.ValueInfoProto(name=name)
        made.type.tensor_type.elem_type = onnx.TensorProto.UINT8
        for length in shape:
            named = isinstance(length, str)
            made.type.tensor_type.shape.dim.add(**{"dim_param" if named else "dim_value": length})
        return made

    tensors = [
        tensor("scale0", LEVEL, "<f4"),
        tensor("zero", 0, "u1"),
        tensor("middle", NOTHING, "u1"),
        tensor("weight_zero", 0, "i1"),
    ]
    nodes = [node("Transpose", ["cells"], "x0", (0, 3, 1, 2))]
    for index, layer in enumerate(layers):
        tensors += [
            tensor(f"weight{index}", layer.weight, "i1"),
            tensor(f"weight_scale{index}", layer.scale, "<f4"),
            tensor(f"scale{index + 1}", layer.out_scale, "<f4"),
            tensor(f"bias{index}", layer.bias, "<i4"),
        ]
        inputs = [f"x{index}", f"scale{index}", "zero", f"weight{index}", f"weight_scale{index}"]
        # What would be below 0 is cut off there, which is the ReLU.
        zero = "middle" if layer.zero_out else "zero"
        inputs += ["weight_zero", f"scale{index + 1}", zero, f"bias{index}"]
        nodes.append(node("QLinearConv", inputs, f"x{index + 1}"))
    nodes.append(node("Transpose", [f"x{len(layers)}"], "added", (0, 2, 3, 1)))
    graph = onnx.GraphProto(
        name="p2c2g-upscaler",
        node=nodes,
        initializer=tensors,
        input=[side("cells", (1, "h", "w", CELL_IN))],
        output=[side("added", (1, "h2", "w2", CELL_OUT))],
    )
    return onnx.ModelProto(
        ir_version=8,
        producer_name="p2c2g",
        opset_import=[onnx.OperatorSetIdProto(domain="", version=17)],
        graph=graph,
    )
