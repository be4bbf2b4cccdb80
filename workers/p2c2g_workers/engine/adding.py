"""What a plan adds to the base of a chunk: the residual, computed on the calling thread.

A residual of luma needs no more than luma.  Three ways lead to it, the least work first:

a single step that knows what it adds, such as a net
    is asked for just that: neither base nor enhanced picture is made;
a first step that scales and knows what it adds, then steps that take planes
    go on with the luma of the base and that;
steps that all take planes
    are carried out on luma, which is all that is decoded.

All else, and a residual in colour, is the difference of two pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from p2c2g.media.base import base
from p2c2g.media.cells import cell_of
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import BASE
from p2c2g.media.operations import Plan
from p2c2g.media.residual import Residual, difference, levelled, luma
from p2c2g_workers.engine import Work
from p2c2g_workers.processors.registry import Registry

#: Gives the wanted part of a residual of decoded pixels.
Adding = Callable[[Pixels], Residual]


@dataclass(frozen=True, slots=True)
class Way:
    """How a residual is computed: of luma alone, ``(height, width)``, or of colours."""

    of_luma: bool
    add: Adding


def way(registry: Registry, work: Work) -> Way:
    """Return how the residual of a chunk that was checked is computed.

    Raises:
        ProcessorError: a step cannot be done here.
    """
    plan, crop = work.plan, work.crop
    if work.form.in_colour:
        return Way(False, partial(_of_pictures, registry, work))
    first, *others = plan.steps
    adder = registry.adder(first)
    if adder is not None and not others:
        cell = cell_of(plan.scale_x, plan.scale_y)
        return Way(False, lambda pixels: levelled(crop.of(adder(pixels, first)), cell))
    if all(map(registry.takes_planes, plan.steps)):
        return Way(True, partial(_of_planes, registry, work))
    if adder is not None and first_scales(plan) and all(map(registry.takes_planes, others)):
        return Way(False, partial(_of_first, registry, work))
    return Way(False, partial(_of_pictures, registry, work))


def added(registry: Registry, work: Work, pixels: Pixels) -> Residual:
    """Return the wanted part of a residual.

    Args:
        registry: the processors.
        work: the chunk.
        pixels: its picture, ``(height, width, 3)`` uint8, BGR.

    Raises:
        ProcessorError: a step cannot be done here, or failed.
    """
    chosen = way(registry, work)
    return chosen.add(np.asarray(luma(cv2.split(pixels))) if chosen.of_luma else pixels)


def first_scales(plan: Plan) -> bool:
    """Tell whether the first step does all the scaling."""
    return not any(step.method for step in plan.steps[1:])


def begins_with_base(plan: Plan) -> bool:
    """Tell whether the first step makes the base layer of the whole plan."""
    return plan.steps[0].method == BASE and first_scales(plan)


def _under(plan: Plan, pixels: Pixels) -> Pixels:
    return base(pixels, plan.scale_x, plan.scale_y, plan.output_of(Size.of(pixels)))


def _of_pictures(registry: Registry, work: Work, pixels: Pixels) -> Residual:
    plan, crop = work.plan, work.crop
    enhanced, under = registry.carry_out(plan.steps, pixels), _under(plan, pixels)
    cell = cell_of(plan.scale_x, plan.scale_y)
    return difference(crop.of(enhanced), crop.of(under), cell, in_colour=work.form.in_colour)


def _of_planes(registry: Registry, work: Work, plane: Pixels) -> Residual:
    plan, under = work.plan, _under(work.plan, plane)
    if begins_with_base(plan):  # What was just made is not made again.
        return _between(work, registry.carry_out(plan.steps[1:], under), under)
    return _between(work, registry.carry_out(plan.steps, plane), under)


def _of_first(registry: Registry, work: Work, pixels: Pixels) -> Residual:
    first, *others = work.plan.steps
    adder = registry.adder(first)
    assert adder is not None  # noqa: S101 - this way is only taken where there is one
    under = _under(work.plan, np.asarray(luma(cv2.split(pixels)), np.uint8))
    begun = np.clip(under + adder(pixels, first), 0, 255).astype(np.uint8)
    return _between(work, registry.carry_out(others, begun), under)


def _between(work: Work, enhanced: Pixels, under: Pixels) -> Residual:
    plan, crop = work.plan, work.crop
    change = np.subtract(crop.of(enhanced), crop.of(under), dtype=np.int16)
    return levelled(change, cell_of(plan.scale_x, plan.scale_y))
