"""From a trained net to a file that a peer can run, and the gate before it.

The file is ONNX, integers throughout; the card beside it says what the net was trained on, under
which licence it may be used, and its figures on held-out frames.  A general net that is worse on
them, through the codecs, than the best of what costs nothing is not written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g.system.files import write_together
from p2c2g_training.pairs import Pair
from p2c2g_training.rivals import decibels, free, judged
from p2c2g_workers.nets import LEVEL, NOTHING, Layer, Weights, read, write
from p2c2g_workers.processors.network import Network

if TYPE_CHECKING:  # PyTorch's: a net that came from the pool is judged without.
    from p2c2g_training.nets import Net


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


def figures(network: Network, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return a net's mean dB on pairs, and its gain over each rival, mean and worst.

    ``best`` names the rival with the highest mean, and ``gain`` is the net's over that one.
    """
    ours = decibels(network, pairs)
    rivals = free(pairs)
    best = max(rivals, key=lambda name: float(rivals[name].mean()))
    return {
        "frames": len(pairs),
        "db": round(float(ours.mean()), 2),
        "best": best,
        "gain": round(float((ours - rivals[best]).mean()), 2),
        "over": {
            name: {
                "db": round(float(rival.mean()), 2),
                "gain": round(float((ours - rival).mean()), 2),
                "worst": round(float((ours - rival).min()), 2),
            }
            for name, rival in rivals.items()
        },
    }


def check_gate(by_game: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a net that is worse than what costs nothing on some game.

    Raises:
        UsageError: on the mean of some game's held-out frames, a rival is better.
    """
    for game, found in by_game.items():
        if found["gain"] < 0:
            raise UsageError(
                f"The net is {-found['gain']:.2f} dB worse than {found['best']} on {game}: "
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
    by_game = {game: figures(network, judged(frames)) for game, frames in held.items()}
    check_gate(by_game)
    card = {**described(name, made), **about, "held_out": by_game}
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
