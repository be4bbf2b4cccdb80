"""What a plan adds to the base of a chunk: the residual, computed on the calling thread."""

from __future__ import annotations

from p2c2g.media.base import base
from p2c2g.media.cells import cell_of
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import BASE
from p2c2g.media.operations import Plan
from p2c2g.media.residual import Residual, difference, levelled
from p2c2g_workers.engine import Work
from p2c2g_workers.processors.registry import Registry


def added(registry: Registry, work: Work, pixels: Pixels) -> Residual:
    """Return the wanted part of the residual of a chunk that was checked.

    A processor that knows what it adds, such as a net, is asked for just that: then neither the
    base nor the enhanced picture is made.

    Args:
        registry: the processors.
        work: the chunk.
        pixels: its picture, decoded: ``(height, width, 3)`` uint8, BGR.

    Raises:
        ProcessorError: a step failed.
    """
    plan, crop = work.plan, work.crop
    cell = cell_of(plan.scale_x, plan.scale_y)
    luma = None if work.form.in_colour else registry.luma_added(plan, pixels)
    if luma is not None:
        return levelled(crop.of(luma), cell)
    under = base(pixels, plan.scale_x, plan.scale_y, plan.output_of(Size.of(pixels)))
    if begins_with_base(plan):
        enhanced = registry.carry_out(plan.steps[1:], under)
    else:
        enhanced = registry.carry_out(plan.steps, pixels)
    return difference(crop.of(enhanced), crop.of(under), cell, in_colour=work.form.in_colour)


def begins_with_base(plan: Plan) -> bool:
    """Tell whether the first step makes the base layer of the whole plan."""
    first, *others = plan.steps
    return first.method == BASE and not any(step.method for step in others)
