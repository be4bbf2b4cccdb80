"""The steps of a plan, made ready for pictures of one size on one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from p2c2g.errors import ProcessorError
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Plan, Step
from p2c2g_workers.gpu import base as _base  # registers its own on import
from p2c2g_workers.gpu import ops
from p2c2g_workers.gpu.network import TorchNet

del _base


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
        """Return (n, 3, h, w) uint8 after all steps.

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

    def luma_added(self, pictures: Tensor, *, prove: bool = False) -> Tensor | None:
        """Return what is added to the base's luma, where that is known without a picture.

        Args:
            pictures: as for :meth:`pictures`, as is ``prove``.

        Returns:
            (n, h, w) int16 of the result's size; None where there are several steps, or one that
            does not know.
        """
        if len(self._steps) != 1 or not hasattr(self._steps[0][1], "added"):
            return None
        return self.first_added(pictures, prove=prove)

    @property
    def has_net(self) -> bool:
        """Tell whether some step needs colours; all others take one plane as well."""
        return any(isinstance(work, TorchNet) for _, work in self._steps)

    @property
    def begins_with_net(self) -> bool:
        """Tell whether the first step is a net, and no other."""
        nets = [isinstance(work, TorchNet) for _, work in self._steps]
        return nets[0] and not any(nets[1:])

    def first_added(self, pictures: Tensor, *, prove: bool = False) -> Tensor:
        """Return what the first step adds, which has to know that; as :meth:`luma_added`."""
        step, work = self._steps[0]
        known: Callable[..., Tensor] = getattr(work, "added")  # noqa: B009 - no Protocol has it
        if isinstance(work, TorchNet):
            if prove:
                work.prove(pictures, self._held)
            return known(pictures, self._held)
        return known(pictures, step, self._held)
