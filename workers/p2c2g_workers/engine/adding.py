"""What a plan adds to the base of a chunk: the residual, computed on the calling thread.

A residual of luma needs no more than luma, and :class:`From` has the ways that lead to it.  Which
one is taken is part of what a residual means, so every engine asks :func:`source_of`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial

import cv2
import numpy as np

from p2c2g.errors import WireError
from p2c2g.media.base import base
from p2c2g.media.cells import cell_of
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import BASE
from p2c2g.media.operations import Plan, Step
from p2c2g.media.residual import Residual, difference, levelled, luma
from p2c2g_workers.engine import Work
from p2c2g_workers.processors.registry import Adder, Registry

#: Gives the wanted part of a residual of decoded pixels.
Adding = Callable[[Pixels], Residual]


class From(Enum):
    """Of what a residual is computed, the least work first."""

    #: A single step knows what it adds, such as a net: neither base nor enhanced picture is made.
    LEVELS = "levels"
    #: All steps take planes: they are carried out on luma, which is all that is decoded.
    LUMA = "luma"
    #: The first step scales and knows what it adds: the others go on with that and the base's luma.
    FIRST = "first"
    #: All else, and a residual in colour, is the difference of two pictures.
    PICTURES = "pictures"


def source_of(
    plan: Plan,
    *,
    in_colour: bool,
    knows: Callable[[Step], bool],
    takes_planes: Callable[[Step], bool],
) -> From:
    """Decide of what the residual of a plan is computed.

    Args:
        plan: every step names its method.
        in_colour: whether each colour is wanted by itself.
        knows: tells whether a step knows what it adds to the base's luma.
        takes_planes: tells whether a step can be done to luma alone.
    """
    if in_colour:
        return From.PICTURES
    first, *others = plan.steps
    if not others and knows(first):
        return From.LEVELS
    if all(map(takes_planes, plan.steps)):
        return From.LUMA
    if scales_first(plan) and knows(first) and all(map(takes_planes, others)):
        return From.FIRST
    return From.PICTURES


@dataclass(frozen=True, slots=True)
class Way:
    """How a residual is computed: of luma alone, ``(height, width)``, or of colours."""

    of_luma: bool
    add: Adding


def way(registry: Registry, work: Work) -> Way:
    """Return how a chunk's residual is computed.

    Raises:
        ProcessorError: a step cannot be done here.
        WireError: what is wanted cannot be (:func:`check`).
    """
    check(work)
    source = source_of(
        work.plan, in_colour=work.form.in_colour,
        knows=lambda step: registry.adder(step) is not None, takes_planes=registry.takes_planes,
    )  # fmt: skip
    return Way(source is From.LUMA, partial(_HOW[source], registry, work))


def check(work: Work) -> None:
    """Refuse what no residual can be of.

    Raises:
        WireError: what is wanted lies outside the enhanced picture, or begins inside a cell.
    """
    plan, crop = work.plan, work.crop
    whole, cell = plan.output_of(work.size), cell_of(plan.scale_x, plan.scale_y)
    if crop.right > whole.width or crop.bottom > whole.height:
        raise WireError("its crop lies outside its enhanced picture.")
    if crop.x % cell.width or crop.y % cell.height:
        raise WireError(f"its crop begins inside a cell of {cell} pixels.")


def added(registry: Registry, work: Work, pixels: Pixels) -> Residual:
    """Return the wanted part of a residual.

    Args:
        registry: the processors.
        work: the chunk.
        pixels: its picture, ``(height, width, 3)`` uint8, BGR.

    Raises:
        ProcessorError: a step cannot be done here, or failed.
        WireError: what is wanted cannot be (:func:`check`).
    """
    chosen = way(registry, work)
    return chosen.add(np.asarray(luma(cv2.split(pixels))) if chosen.of_luma else pixels)


def scales_first(plan: Plan) -> bool:
    """Tell whether the first step does all the scaling."""
    first = plan.steps[0]
    return (first.scale_x, first.scale_y) == (plan.scale_x, plan.scale_y)


def begins_with_base(plan: Plan) -> bool:
    """Tell whether the first step makes the base layer, which then is not made twice."""
    first, *others = plan.steps
    return first.method == BASE and not any(step.method for step in others)


def _under(plan: Plan, pixels: Pixels) -> Pixels:
    return base(pixels, plan.scale_x, plan.scale_y, plan.output_of(Size.of(pixels)))


def _of_pictures(registry: Registry, work: Work, pixels: Pixels) -> Residual:
    plan, crop = work.plan, work.crop
    enhanced, under = registry.carry_out(plan.steps, pixels), _under(plan, pixels)
    cell = cell_of(plan.scale_x, plan.scale_y)
    return difference(crop.of(enhanced), crop.of(under), cell, in_colour=work.form.in_colour)


def _of_levels(registry: Registry, work: Work, pixels: Pixels) -> Residual:
    plan = work.plan
    levels = _adder(registry, plan)(pixels, plan.steps[0])
    return levelled(work.crop.of(levels), cell_of(plan.scale_x, plan.scale_y))


def _of_luma(registry: Registry, work: Work, plane: Pixels) -> Residual:
    plan, under = work.plan, _under(work.plan, plane)
    if begins_with_base(plan):
        return _between(work, registry.carry_out(plan.steps[1:], under), under)
    return _between(work, registry.carry_out(plan.steps, plane), under)


def _of_first(registry: Registry, work: Work, pixels: Pixels) -> Residual:
    first, *others = work.plan.steps
    adder = _adder(registry, work.plan)
    under = _under(work.plan, np.asarray(luma(cv2.split(pixels)), np.uint8))
    begun = np.clip(under + adder(pixels, first), 0, 255).astype(np.uint8)
    return _between(work, registry.carry_out(others, begun), under)


def _adder(registry: Registry, plan: Plan) -> Adder:
    adder = registry.adder(plan.steps[0])
    assert adder is not None  # noqa: S101 - this way is only taken where there is one
    return adder


def _between(work: Work, enhanced: Pixels, under: Pixels) -> Residual:
    plan, crop = work.plan, work.crop
    change = np.subtract(crop.of(enhanced), crop.of(under), dtype=np.int16)
    return levelled(change, cell_of(plan.scale_x, plan.scale_y))


_HOW: dict[From, Callable[[Registry, Work, Pixels], Residual]] = {
    From.LEVELS: _of_levels,
    From.LUMA: _of_luma,
    From.FIRST: _of_first,
    From.PICTURES: _of_pictures,
}
