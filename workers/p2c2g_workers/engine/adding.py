"""What a plan adds to the base of a chunk: the residual, computed on the calling thread."""

from __future__ import annotations

from p2c2g.errors import WireError
from p2c2g.media.base import base
from p2c2g.media.cells import cell_of
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import BASE
from p2c2g.media.residual import Residual, difference, levelled
from p2c2g_workers.engine import Work
from p2c2g_workers.processors.registry import Registry


def added(registry: Registry, work: Work, pixels: Pixels) -> Residual:
    """Return the wanted part of the residual of a chunk.

    A processor that knows what it adds, such as a net, is asked for just that: then neither the
    base nor the enhanced picture is made.

    Args:
        registry: the processors.
        work: the chunk.
        pixels: its picture, decoded: ``(height, width, 3)`` uint8, BGR.

    Raises:
        ProcessorError: a step failed.
        WireError: what is wanted lies outside the enhanced picture.
    """
    plan, crop = work.plan, work.crop
    enhanced_size = plan.output_of(Size.of(pixels))
    if crop.right > enhanced_size.width or crop.bottom > enhanced_size.height:
        raise WireError("its crop lies outside its enhanced picture.")
    cell = cell_of(plan.scale_x, plan.scale_y)
    luma = None if work.form.in_colour else registry.luma_added(plan, pixels)
    if luma is not None:
        return levelled(crop.of(luma), cell)
    under = base(pixels, plan.scale_x, plan.scale_y, enhanced_size)
    first, *others = plan.steps
    if (
        first.method == BASE
        and first.output(Size.of(pixels)) == enhanced_size
        and not any(step.method for step in others)
    ):
        # What follows the base layer begins with what was just made.
        enhanced = registry.carry_out(others, under)
    else:
        enhanced = registry.carry_out(plan.steps, pixels)
    return difference(crop.of(enhanced), crop.of(under), cell, in_colour=work.form.in_colour)
