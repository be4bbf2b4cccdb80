"""From a trained net to a file that a peer can run, and the gate before it.

The file is ONNX with the operators of opset 17, integers throughout; the card beside it says
what the net was taught, what it may be used for, and its figures on frames held back.  A net
that is worse than what costs nothing (bicubic, or bicubic and a clamped sharpening) on those
frames is not written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g_workers.processors.network import Network
from training.measure import psnr
from training.nets import CELL_IN, CELL_OUT, LEVEL, Layer, Net
from training.pairs import doubled, pair

#: What a net has to beat on the mean of the held-out frames of each game, at JPEG 85.
RIVALS = ("upscale:2:bicubic", "upscale:2:bicubic,sharpen:0.5")


def model(layers: Sequence[Layer]) -> bytes:
    """Return a net in whole numbers as an ONNX file.

    It takes ``cells`` (1, h, w, 12) uint8 and gives ``added`` (1, h', w', 48) uint8, where 128
    is nothing to add.
    """
    consts = [
        numpy_helper.from_array(np.asarray(LEVEL, np.float32), "scale0"),
        numpy_helper.from_array(np.asarray(0, np.uint8), "zero"),
        numpy_helper.from_array(np.asarray(128, np.uint8), "middle"),
        numpy_helper.from_array(np.asarray(0, np.int8), "weight_zero"),
    ]
    nodes = [helper.make_node("Transpose", ["cells"], ["x0"], perm=[0, 3, 1, 2])]
    for index, layer in enumerate(layers):
        last = index == len(layers) - 1
        for name, value in (
            (f"weight{index}", layer.weight),
            (f"weight_scale{index}", layer.scale),
            (f"scale{index + 1}", np.float32(layer.out_scale)),
            (f"bias{index}", layer.bias),
        ):
            consts.append(numpy_helper.from_array(np.asarray(value), name))
        inputs = [f"x{index}", f"scale{index}", "zero", f"weight{index}", f"weight_scale{index}"]
        # What would be below 0 is cut off there, which is the ReLU.
        inputs += ["weight_zero", f"scale{index + 1}", "middle" if last else "zero", f"bias{index}"]
        nodes.append(helper.make_node("QLinearConv", inputs, [f"x{index + 1}"]))
    nodes.append(helper.make_node("Transpose", [f"x{len(layers)}"], ["added"], perm=[0, 2, 3, 1]))
    graph = helper.make_graph(
        nodes,
        "p2c2g-upscaler",
        [helper.make_tensor_value_info("cells", TensorProto.UINT8, [1, "h", "w", CELL_IN])],
        [helper.make_tensor_value_info("added", TensorProto.UINT8, [1, "h2", "w2", CELL_OUT])],
        consts,
    )
    whole = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="p2c2g"
    )
    onnx.checker.check_model(whole, full_check=True)
    return bytes(whole.SerializeToString())


def figures(network: Network, frames: Sequence[Pixels], quality: int | None = 85) -> dict[str, Any]:
    """Return a net's mean dB on frames, and its gain over each rival, mean and worst."""
    step = Pipeline.parse("upscale:2:ml-tiny").resolve(Size(2, 2)).steps[0]
    pairs = [pair(one, quality) for one in frames]
    ours = np.array([psnr(network.double(one.small, step), one.large) for one in pairs])
    found: dict[str, Any] = {"frames": len(pairs), "db": round(float(ours.mean()), 2)}
    for text in RIVALS:
        rival = np.array([psnr(doubled(one.small, text), one.large) for one in pairs])
        found[text] = {
            "db": round(float(rival.mean()), 2),
            "gain": round(float((ours - rival).mean()), 2),
            "worst": round(float((ours - rival).min()), 2),
        }
    return found


def judge(by_game: Mapping[str, Mapping[str, Any]]) -> None:
    """Let a net pass that is nowhere worse than its rivals.

    Raises:
        UsageError: on the mean of some game's held-out frames, a rival is better.
    """
    for game, found in by_game.items():
        for text in RIVALS:
            if found[text]["gain"] < 0:
                raise UsageError(
                    f"The net is {-found[text]['gain']:.2f} dB worse than {text} on {game}: "
                    "train it longer or on more games; it is not written."
                )


def export(net: Net, folder: Path, name: str, held: Mapping[str, Sequence[Pixels]],
           about: Mapping[str, Any]) -> dict[str, Any]:  # fmt: skip
    """Write ``name.onnx`` and its card ``name.json``; returns the card.

    Args:
        net: the trained net.
        folder: where to.
        name: the method's name, or the game's.
        held: large frames by game that the net never saw.
        about: what else belongs on the card: data, licences, seed, steps.

    Raises:
        UsageError: the net does not pass the gate.
    """
    data = model(net.layers())
    network = Network(data, net.shape.radius)
    by_game = {game: figures(network, frames) for game, frames in held.items()}
    judge(by_game)
    card = {
        "name": name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "width": net.shape.width,
        "depth": net.shape.depth,
        "radius": net.shape.radius,
        "weights": sum(layer.weight.size for layer in net.layers()),
        "licence": "Apache-2.0",
        **about,
        "held_out_jpeg85": by_game,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.onnx").write_bytes(data)
    (folder / f"{name}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card
