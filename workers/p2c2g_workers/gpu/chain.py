"""A plan, made ready for pictures of one size on one device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from p2c2g.errors import ProcessorError
from p2c2g.media.frame import Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Plan, Step
from p2c2g_workers.gpu import ops
from p2c2g_workers.gpu.network import TorchNet


class Chain:
    """The steps of a plan one after the other, with the tables and the nets that they need."""

    def __init__(self, plan: Plan, device: torch.device, nets: Sequence[TorchNet] = ()) -> None:
        """Look up what the steps need.

        Args:
            plan: every step names its method.
            device: where the pictures are.
            nets: those of the plan's steps, in their order.

        Raises:
            ProcessorError: a step cannot be done on a card.
        """
        self._held = ops.Tables(device)
        self._steps: list[tuple[Step, TorchNet | None]] = []
        rest = iter(nets)
        for step in plan.steps:
            net = next(rest) if step.method in NETWORKS else None
            if net is None and not ops.can(step):
                wanted = f"{step.name}:{step.method}" if step.method else step.name
                raise ProcessorError(f"The graphics card has no processor for {wanted}.")
            self._steps.append((step, net))
        #: Most pictures for which there was memory; None while there was for all.
        self.most: int | None = None

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return (n, h, w, 3) uint8 after all steps; a new tensor unless there was nothing to do.

        Raises:
            ProcessorError: a step gave a picture of another size than is due.
        """
        return self._run(pixels, prove=False)

    def prove(self, pixels: Tensor) -> None:
        """Let the nets find out which method is exact for pictures of this shape."""
        self._run(pixels, prove=True)

    def _run(self, pixels: Tensor, *, prove: bool) -> Tensor:
        pictures = ops.as_pictures(pixels)
        for step, net in self._steps:
            due = step.output(ops.size_of(pictures))
            if net is None:
                pictures = ops.run(pictures, step, self._held)
            else:
                if prove:
                    net.prove(pictures, self._held)
                pictures = net.double(pictures, self._held)
            if ops.size_of(pictures) != due:
                raise ProcessorError(
                    f"{step.name} gave a picture of {ops.size_of(pictures)} where one of {due} "
                    "is due."
                )
        return ops.as_pixels(pictures)


def output(plan: Plan, size: Size) -> Size:
    """Return what becomes of a picture of a size, an aligned part of the plan's frame."""
    for step in plan.steps:
        size = step.output(size)
    return size
