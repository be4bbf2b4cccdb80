"""From a trained net to a file that a peer can run, and the gate before it.

The file is ONNX, integers throughout; the card beside it says what the net was trained on, under
which licence it may be used, and its figures on held-out frames.  A general net that is worse on
them than what costs nothing (bicubic, or bicubic and a clamped sharpening) is not written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.system.files import write_together
from p2c2g_training.measure import psnr
from p2c2g_training.pairs import Pair, doubled, pair
from p2c2g_workers.nets import LEVEL, NOTHING, Layer, Weights, read, write
from p2c2g_workers.processors.network import Network

if TYPE_CHECKING:  # PyTorch's: a net that came from the pool is judged without.
    from p2c2g_training.nets import Net

#: Pipelines that a net has to beat on the mean of each game's held-out frames, at JPEG 85.
RIVALS = ("upscale:2:bicubic", "upscale:2:bicubic,sharpen:0.5")
#: Quality of the JPEG through which the small pictures pass when nets are judged.
QUALITY = 85


def layers(net: Net) -> tuple[Layer, ...]:
    """Return a net in whole numbers, as the peer runs it."""
    found = []
    in_scale = LEVEL
    learnt = net.layers()
    for index, layer in enumerate(learnt):
        last = index == len(learnt) - 1
        out_scale = LEVEL if last else float(np.float32(layer.out_scale))
        zero_out = NOTHING if last else 0
        found.append(Layer(layer.weight, layer.bias, layer.scale, in_scale, out_scale, zero_out))
        in_scale = out_scale
    return tuple(found)


def weights(net: Net) -> Weights:
    """Return a net as weights with which every engine gives the same result.

    Raises:
        ProcessorError: peers do not know its shape.
    """
    return read(write(layers(net)))


def figures(
    network: Network, frames: Sequence[Pixels], quality: int | None = QUALITY
) -> dict[str, Any]:
    """Return a net's mean dB on frames, and its gain over each rival, mean and worst."""
    pairs = [pair(one, quality) for one in frames]
    ours = decibels(network, pairs)
    found: dict[str, Any] = {"frames": len(pairs), "db": round(float(ours.mean()), 2)}
    for text in RIVALS:
        rival = np.array([psnr(doubled(one.small, text), one.large) for one in pairs])
        found[text] = {
            "db": round(float(rival.mean()), 2),
            "gain": round(float((ours - rival).mean()), 2),
            "worst": round(float((ours - rival).min()), 2),
        }
    return found


def decibels(network: Network, pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the PSNR of what a peer's own processor makes of each pair's small picture."""
    step = Pipeline.parse("upscale:2:ml-tiny").resolve(Size(2, 2)).steps[0]
    return np.array([psnr(network.double(one.small, step), one.large) for one in pairs])


def check_gate(by_game: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a net that is worse than a rival on some game.

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
        about: further entries of the card: data, licences, seed, steps.

    Raises:
        UsageError: the net does not pass the gate.
    """
    made = weights(net)
    network = Network(made)
    by_game = {game: figures(network, frames) for game, frames in held.items()}
    check_gate(by_game)
    card = {**described(name, made), **about, "held_out_jpeg85": by_game}
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(card, indent=1) + "\n"
    write_together({folder / f"{name}.onnx": made.model, folder / f"{name}.json": text})
    return card


def described(name: str, made: Weights) -> dict[str, Any]:
    """Return the card's entries about the file itself."""
    return {
        "name": name,
        "sha256": hashlib.sha256(made.model).hexdigest(),
        "bytes": len(made.model),
        "width": made.layers[0].weight.shape[0],
        "depth": len(made.layers) - 1,
        "radius": made.radius,
        "weights": sum(layer.weight.size for layer in made.layers),
        "licence": "Apache-2.0",
    }
