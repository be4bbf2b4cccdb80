"""A larger net that begins as a smaller one: wider and deeper, with exactly the same output.

The weights that read new channels are zero, and new convolutions pass on their input: the output
of a ReLU is unchanged by another one.  So the larger net starts where the smaller one is and need
not learn all that again (Net2Net: Chen, Goodfellow, Shlens, ICLR 2016).
"""

from __future__ import annotations

from typing import Any

import torch

from p2c2g.errors import UsageError
from p2c2g_training.nets import Fold, Net, Shape


def grown(small: Net, shape: Shape) -> Net:
    """Return a net of a larger shape that gives what ``small`` gives, up to float rounding.

    Raises:
        UsageError: the shape is narrower or shallower.
    """
    before = small.shape
    if shape.width < before.width or shape.depth < before.depth:
        raise UsageError(
            f"A net of {before.width} channels and {before.depth} convolutions cannot grow to "
            f"{shape.width} and {shape.depth}: give one that is no larger."
        )
    net = Net(shape)
    peaks: Any = net.peaks
    origins = _origins(before.depth, shape.depth)
    with torch.no_grad():
        last = 0
        for index, origin in enumerate(origins):
            fold: Any = net.folds[index]
            if origin is None:
                fold.outer.zero_()
            else:
                _copy(small.folds[origin], fold)
                last = origin
            peaks[index] = small.get_buffer("peaks")[last]
        _copy(small.folds[before.depth], net.folds[shape.depth])
    return net


def _origins(old: int, new: int) -> list[int | None]:
    """Return, for each convolution, the old one that it copies, or None; new ones are spread.

    The first is always an old one, since no other takes cells.
    """
    places = {index * new // old for index in range(old)}
    numbers = iter(range(old))
    return [next(numbers) if index in places else None for index in range(new)]


def _copy(old: Any, new: Any) -> None:
    """Copy an old convolution's numbers into a new one; its further numbers have no effect yet."""
    fed = old.inner.shape[1]
    new.bias.zero_()
    new.bias[: len(old.bias)] = old.bias
    new.get_buffer("same")[: len(old.bias), :fed] = old.get_buffer("same")
    # No weight reads the new channels yet.
    new.inner[:, fed:] = 0
    new.inner[:, :fed] = old.inner
    if isinstance(old, Fold):
        new.outer[: len(old.outer)] = old.outer
