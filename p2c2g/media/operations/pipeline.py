"""A pipeline of operations, and its plan for one size of frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from p2c2g.errors import UsageError
from p2c2g.media.base import reach
from p2c2g.media.frame import MAX_EDGE, Size
from p2c2g.media.methods import ANY_NETWORK, DEFAULT_METHOD, METHODS, NETWORKS
from p2c2g.media.operations.table import OPERATIONS, Call, read

#: Most letters and operations: the text is sent in messages, and a peer parses a stranger's.
MAX_TEXT, MAX_STEPS = 256, 8

_ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, resolved for one size of frame.

    ``scale_x`` and ``scale_y`` are 1 where the size stays.  ``amount`` is 0 for an operation that
    has none.  ``radius`` is on how many pixels around a pixel of this step's own input its result
    depends.  ``weights`` names a gamer's own for a net.  A step takes its input in cells of
    ``cell`` pixels across and down, so a chunk has to begin at one.
    """

    name: str
    method: str | None
    scale_x: Fraction
    scale_y: Fraction
    amount: float
    radius: int
    weights: tuple[str, ...] = ()
    cell: int = 1

    @property
    def processor(self) -> str:
        """Return the name of its processor: ``operation`` or ``operation:method``."""
        return f"{self.name}:{self.method}" if self.method else self.name

    @property
    def leaves_out(self) -> bool:
        """Tell whether its result does not depend on some pixels of its input at all."""
        kernel = METHODS.get(self.method or "")
        return kernel is not None and kernel.leaves_out and min(self.scale_x, self.scale_y) < 1

    def output(self, size: Size) -> Size:
        """Return the size that a picture, or an aligned part of one, has after this step."""
        return Size(scaled(size.width, self.scale_x), scaled(size.height, self.scale_y))


@dataclass(frozen=True, slots=True)
class Plan:
    """A pipeline, resolved for one size of frame.

    ``scale_x`` and ``scale_y`` are the whole pipeline's.  ``halo`` is how many source pixels to
    each side, across and down, a chunk needs around it; ``align`` is the multiples of source
    pixels at which every step's input and output begins on a whole pixel.  The halo is a
    multiple of ``align``.
    """

    steps: tuple[Step, ...]
    source: Size
    output: Size
    scale_x: Fraction
    scale_y: Fraction
    halo: tuple[int, int]
    align: tuple[int, int]

    def output_of(self, size: Size) -> Size:
        """Return the size that an aligned part of the frame has after all steps."""
        for step in self.steps:
            size = step.output(size)
        return size


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Operations in the order in which they are done; ``text`` writes them in full."""

    text: str
    operations: tuple[Call, ...]

    @staticmethod
    def parse(text: str) -> Pipeline:
        """Read a pipeline such as ``upscale:2,sharpen:0.5``.

        Raises:
            UsageError: an operation, a method or a value is not one of those known.
        """
        return _parse(text)

    @property
    def is_open(self) -> bool:
        """Tell whether it leaves a choice to the peer."""
        return any(operation.method == ANY_NETWORK for operation in self.operations)

    def allows(self, done: Pipeline) -> bool:
        """Tell whether a peer that was asked for this may have done ``done``.

        Where the choice is the peer's, that is any net that was named, any of the pool's, or
        the base; anything else has to be exactly what was asked for.
        """
        return len(done.operations) == len(self.operations) and all(
            map(_allows, self.operations, done.operations)
        )

    def with_method(self, index: int, method: str, weights: tuple[str, ...] = ()) -> Pipeline:
        """Return this pipeline with another method, and weights, in operation ``index``."""
        operations = list(self.operations)
        operations[index] = replace(operations[index], method=method, weights=weights)
        return Pipeline(",".join(map(str, operations)), tuple(operations))

    def resolve(self, size: Size) -> Plan:
        """Return what this means for frames of ``size``.

        The frame's size counts, at the peer too: ``resize`` of a chunk alone would have another
        scale.

        Raises:
            UsageError: some step would give a picture of less than one pixel, or of more than
                16384 along an edge.
        """
        return _resolve(self, size)


def _allows(asked: Call, done: Call) -> bool:
    if asked == done:
        return True
    same = asked == replace(done, method=asked.method, weights=asked.weights)
    own = set(done.weights) <= set(asked.weights)
    if asked.method == ANY_NETWORK:
        return (
            same
            and own
            and (
                done.method in NETWORKS or done == replace(asked, method=DEFAULT_METHOD, weights=())
            )
        )
    # A net that was named stays; the gamer's own weights may still be being fetched.
    return same and own and done.method == asked.method in NETWORKS


def scaled(length: int, scale: Fraction) -> int:
    """Return ``floor(length * scale + 1/2)``, in pixels and exactly."""
    return (2 * length * scale.numerator + scale.denominator) // (2 * scale.denominator)


@lru_cache(maxsize=64)
def _parse(text: str) -> Pipeline:
    parts = [part.strip() for part in text.split(",")]
    if len(text) > MAX_TEXT or len(parts) > MAX_STEPS:
        raise UsageError(
            f"A pipeline of {len(parts)} operations in {len(text)} letters is too long: "
            f"give at most {MAX_STEPS} in {MAX_TEXT}."
        )
    operations = tuple(map(read, parts))
    return Pipeline(",".join(map(str, operations)), operations)


def _step(asked: Call, before: Size) -> Step:
    row = OPERATIONS[asked.name]
    x, y = row.scales(asked, before)
    radius, cell = row.radius(asked, x, y), row.cell(asked)
    return Step(asked.name, asked.method, x, y, asked.amount, radius, asked.weights, cell)


@lru_cache(maxsize=256)
def _resolve(pipeline: Pipeline, source: Size) -> Plan:
    steps: list[Step] = []
    size, scale_x, scale_y = source, _ONE, _ONE
    need_x = need_y = Fraction(0)
    align_x = align_y = 1
    for operation in pipeline.operations:
        step = _step(operation, size)
        # A radius in this step's pixels is fewer source pixels where earlier steps enlarged.
        # The least x at which x * scale is a multiple of the cell.
        align_x = math.lcm(align_x, (scale_x / step.cell).denominator)
        align_y = math.lcm(align_y, (scale_y / step.cell).denominator)
        need_x, need_y = need_x + step.radius / scale_x, need_y + step.radius / scale_y
        scale_x, scale_y = scale_x * step.scale_x, scale_y * step.scale_y
        align_x = math.lcm(align_x, scale_x.denominator)
        align_y = math.lcm(align_y, scale_y.denominator)
        size = step.output(size)
        if not (1 <= size.width <= MAX_EDGE and 1 <= size.height <= MAX_EDGE):
            raise UsageError(
                f"{str(operation)!r} would make a picture of {size} from a frame of {source}: "
                f"choose one that stays from 1x1 to {MAX_EDGE}x{MAX_EDGE}."
            )
        steps.append(step)
    # The base of what it is added to is made at the peer, too.
    need_x = max(need_x, Fraction(reach(scale_x)))
    need_y = max(need_y, Fraction(reach(scale_y)))
    halo = (math.ceil(need_x / align_x) * align_x, math.ceil(need_y / align_y) * align_y)
    return Plan(tuple(steps), source, size, scale_x, scale_y, halo, (align_x, align_y))
