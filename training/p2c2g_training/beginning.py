"""A net that begins with shipped weights, to be trained further.

The package ships whole numbers and no state of training.  So a kernel is the value of the shipped
one, ``weight * scale``, held fixed, and beside it a path whose last factor is zero: the net
begins as exactly what is shipped, and what is learnt is the difference (as in LoRA, Hu et al.,
2021, here of full rank, so that every kernel can be reached).
"""

from __future__ import annotations

from typing import Any

import torch

from p2c2g.errors import UsageError
from p2c2g_training.nets import SHAPES, Fold, Last, Net
from p2c2g_workers.nets import Weights

#: The learning rate from there: the path whose last factor begins at zero learns slowly at first.
#: With nets that gave whole pictures, dB over bicubic after 1,000 steps on supertux2: 1.21 at
#: 0.25e-3, 1.50 at 0.5e-3, 1.72 at 1e-3, 1.76 at 2e-3, 1.90 at 3e-3, 1.80 at 5e-3; from a state of
#: training, 1.73 at 0.5e-3.
BEGUN_RATE = 3e-3


def begun(weights: Weights) -> Net:
    """Return a net to be trained whose output is that of ``weights``.

    Raises:
        UsageError: no net of ours has this shape.
    """
    shape = SHAPES.get(weights.method)
    if shape is None or len(weights.layers) != shape.depth + 1:
        raise UsageError(
            f"{weights.method} is no size that can be trained: those are {', '.join(SHAPES)}."
        )
    net = Net(shape)
    peaks: Any = net.peaks
    with torch.no_grad():
        for index, (fold, layer) in enumerate(zip(net.folds, weights.layers, strict=True)):
            assert isinstance(fold, Fold | Last)
            scale = torch.from_numpy(layer.scale.copy())
            kernel = torch.from_numpy(layer.weight.copy()).float() * scale[:, None, None, None]
            (fold.outer if isinstance(fold, Fold) else fold.inner).zero_()
            fold.get_buffer("same").copy_(kernel)
            bias = torch.from_numpy(layer.bias.copy()).float()
            fold.bias.copy_(bias * scale * layer.in_scale)
            if index < shape.depth:
                peaks[index] = layer.out_scale * 255
    return net
