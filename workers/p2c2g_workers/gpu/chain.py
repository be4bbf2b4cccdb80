"""The steps of a plan, made ready for pictures of one size on one device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from p2c2g.errors import ProcessorError
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Plan, Step
from p2c2g_workers.gpu import ops
from p2c2g_workers.gpu.base import Nothing
from p2c2g_workers.gpu.network import TorchNet


class Chain:
    """The steps one after the other, with the tables and the nets that they need."""

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
        self._steps: list[tuple[Step, TorchNet | ops.Processor]] = []
        rest = iter(nets)
        for step in plan.steps:
            work = next(rest) if step.method in NETWORKS else ops.processor(step)
            self._steps.append((step, work))

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return (n, h, w, 3) uint8 after all steps; a new tensor unless there was nothing to do.

        Raises:
            ProcessorError: a step gave a picture of another size than is due.
        """
        return ops.as_pixels(self.pictures(ops.as_pictures(pixels)))

    def pictures(self, pictures: Tensor, *, skip: int = 0, prove: bool = False) -> Tensor:
        """Return (n, c, h, w) uint8 after all steps; nets take three colours.

        Args:
            pictures: of the same kind.
            skip: so many steps have been done to them already.
            prove: whether the nets are to find out which method is exact for such pictures.

        Raises:
            ProcessorError: a step gave a picture of another size than is due.
        """
        for step, work in self._steps[skip:]:
            due = step.output(ops.size_of(pictures))
            if isinstance(work, TorchNet):
                if prove:
                    work.prove(pictures, self._held)
                pictures = work.double(pictures, self._held)
            else:
                pictures = work(pictures, step, self._held)
            if ops.size_of(pictures) != due:
                raise ProcessorError(
                    f"{step.name} gave a picture of {ops.size_of(pictures)} where one of {due} "
                    "is due."
                )
        return pictures

    def levels(self, pictures: Tensor, *, prove: bool = False) -> Tensor:
        """Return what the first step adds to the base's luma, (n, 1, h, w) int16.

        Args:
            pictures: (n, 3, h, w) uint8.
            prove: as for :meth:`pictures`.

        Raises:
            ProcessorError: the step does not know (:func:`knows`).
        """
        step, work = self._steps[0]
        if isinstance(work, TorchNet):
            if prove:
                work.prove(pictures, self._held)
            return work.added(pictures, self._held)
        if isinstance(work, Nothing):
            return work.added(pictures, step)
        raise ProcessorError(f"{step.processor} does not know what it adds.")


def knows(step: Step) -> bool:
    """Tell whether a step knows what it adds to the base's luma."""
    return step.method in NETWORKS or isinstance(ops.FUNCTIONS.find(step), Nothing)


def takes_planes(step: Step) -> bool:
    """Tell whether a step can be done to luma alone."""
    return step.method not in NETWORKS
