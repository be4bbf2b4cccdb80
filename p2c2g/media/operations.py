"""What is done to a picture: the pipeline string, and what it means for one size of frame.

Geometry only, so that the gamer's side can plan without the libraries that do the work.  All
of it is exact arithmetic on fractions: a chunk's edge has to be the same pixel whether it is
computed from the frame or from the chunk, and a float would round it differently now and then.

A pipeline is operations joined by commas, such as ``upscale:2,sharpen:0.5``::

    upscale:FACTOR[:METHOD]   FACTOR 2, 1.5 or 4/3, at most 8
    upscale:2:NETWORK         by a trained net: ml-tiny, ml-small or ml-large
    upscale:2:ml              by the best net that the peer can run in time
    upscale:2:ml@WEIGHTS      by weights of one's own first: 32 hexadecimal digits each, joined by +
    resize:WxH[:METHOD]       to just this many pixels
    sharpen:AMOUNT            0 to 4; never beyond a pixel's neighbours, so without ringing
    denoise:STRENGTH          above 0, at most 1
    pass                      nothing, for benchmarks

A length ``n`` becomes ``floor(n * scale + 1/2)``.  If ``x * scale`` is whole, then
``f(n - x) == f(n) - x * scale``: cutting at such an ``x`` commutes with scaling, and these
``x`` are the multiples of ``Plan.align``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from p2c2g.errors import UsageError
from p2c2g.media.frame import MAX_EDGE, Size
from p2c2g.media.hashes import DIGITS, is_name
from p2c2g.media.methods import (
    ANY_NETWORK,
    DEFAULT_METHOD,
    LEARNT,
    MAX_WEIGHTS,
    METHODS,
    NETWORKS,
)

#: Largest factor of one ``upscale``.
MAX_FACTOR = 8
#: Largest amount of ``sharpen``.
MAX_SHARPEN = 4
#: The text travels in messages, and a peer parses what a stranger sent.
MAX_TEXT, MAX_STEPS = 256, 8

_ONE = Fraction(1)
_DECIMAL = r"\d{1,3}(?:\.\d{1,6})?"

_FORMS = {
    "upscale": "upscale:FACTOR[:METHOD] with a FACTOR such as 2, 1.5 or 4/3, above 0 and at most "
    f"{MAX_FACTOR}",
    "resize": "resize:WIDTHxHEIGHT[:METHOD], such as resize:1280x720",
    "sharpen": f"sharpen:AMOUNT with an AMOUNT from 0 to {MAX_SHARPEN}, such as sharpen:0.5",
    "denoise": "denoise:STRENGTH with a STRENGTH above 0 and at most 1, such as denoise:0.3",
    "pass": "pass, without a value",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, resolved for one size of frame.

    ``scale_x`` and ``scale_y`` are 1 where the size stays.  ``amount`` is what ``sharpen`` and
    ``denoise`` were given, else 0.  ``radius`` is how many pixels of this step's own input
    around a pixel its result depends on.  ``weights`` names those of one's own for a net.
    """

    name: str
    method: str | None
    scale_x: Fraction
    scale_y: Fraction
    amount: float
    radius: int
    weights: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation as it was asked for: a factor or a size, or neither."""

    name: str
    method: str | None = None
    factor: Fraction = _ONE
    size: Size | None = None
    amount: float = 0.0
    weights: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.name == "pass":
            return "pass"
        if self.name == "upscale":
            own = "@" + "+".join(self.weights) if self.weights else ""
            return f"upscale:{self.factor}:{self.method}{own}"
        if self.name == "resize":
            return f"resize:{self.size}:{self.method}"
        return f"{self.name}:{self.amount:g}"

    def resolve(self, before: Size) -> Step:
        scale_x = scale_y = self.factor
        if self.size is not None:
            scale_x = Fraction(self.size.width, before.width)
            scale_y = Fraction(self.size.height, before.height)
        radius = int(self.name in {"sharpen", "denoise"})
        if self.method in LEARNT:
            radius = LEARNT[self.method].radius
        elif self.method is not None and not scale_x == scale_y == 1:
            reach = METHODS[self.method]
            radius = max(reach(scale_x), reach(scale_y))
        return Step(self.name, self.method, scale_x, scale_y, self.amount, radius, self.weights)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Operations in the order in which they are done; ``text`` spells them out in full."""

    text: str
    operations: tuple[_Operation, ...]

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
        bicubic; anything else has to be just what was asked for.
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

        It is the frame's size that counts, at the peer too: ``resize`` of a chunk alone would
        be another scale.

        Raises:
            UsageError: some step would give a picture of less than one pixel, or of more than
                16384 along an edge.
        """
        return _resolve(self, size)


def _allows(asked: _Operation, done: _Operation) -> bool:
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
    # A net that was named stays; the weights of one's own may be on their way yet.
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
    operations = tuple(_operation(part) for part in parts)
    return Pipeline(",".join(map(str, operations)), operations)


def _operation(part: str) -> _Operation:
    name, *values = part.split(":")
    if name not in _FORMS:
        raise UsageError(
            f"{name!r} is not an operation: those known are {', '.join(_FORMS)}, joined by "
            "commas, such as upscale:2,sharpen:0.5."
        )
    wrong = UsageError(f"{part!r} is not right: the form is {_FORMS[name]}.")
    if name == "pass":
        if values:
            raise wrong
        return _Operation(name)
    scales = name in {"upscale", "resize"}
    if not 1 <= len(values) <= (2 if scales else 1):
        raise wrong
    if scales:
        method, at, own = (values[1] if len(values) == 2 else DEFAULT_METHOD).partition("@")
        if method not in METHODS and method not in LEARNT:
            raise UsageError(
                f"{method!r} in {part!r} is not a method of scaling: those known are "
                f"{', '.join([*METHODS, *LEARNT])}."
            )
        net = LEARNT.get(method)
        weights = tuple(own.split("+")) if at else ()
        if at and not (net and _are_weights(weights)):
            raise UsageError(
                f"{part!r} is not right: after the @ of a net stand 1 to {MAX_WEIGHTS} weights, "
                f"each of {DIGITS} hexadecimal digits, joined by +."
            )
        if net and not (name == "upscale" and _factor(values[0]) == net.factor):
            raise UsageError(
                f"{part!r} cannot be: the net {method} does only upscale:{net.factor}:{method}."
            )
        if name == "resize":
            return _Operation(name, method, size=Size.parse(values[0]))
        factor = _factor(values[0])
        if factor is None:
            raise wrong
        return _Operation(name, method, factor, weights=weights)
    amount = float(values[0]) if re.fullmatch(_DECIMAL, values[0], re.ASCII) else -1.0
    sound = 0 <= amount <= MAX_SHARPEN if name == "sharpen" else 0 < amount <= 1
    if not sound:
        raise wrong
    return _Operation(name, amount=amount)


def _are_weights(weights: tuple[str, ...]) -> bool:
    return len(weights) <= MAX_WEIGHTS and all(map(is_name, weights))


def _factor(text: str) -> Fraction | None:
    if not re.fullmatch(rf"{_DECIMAL}|\d{{1,5}}/[1-9]\d{{0,4}}", text, re.ASCII):
        return None
    # 1.3333 is meant as 4/3, and a denominator is what chunks are aligned to.
    factor = Fraction(text).limit_denominator(100)
    return factor if 0 < factor <= MAX_FACTOR else None


@lru_cache(maxsize=256)
def _resolve(pipeline: Pipeline, source: Size) -> Plan:
    steps: list[Step] = []
    size, scale_x, scale_y = source, _ONE, _ONE
    need_x = need_y = Fraction(0)
    align_x = align_y = 1
    for operation in pipeline.operations:
        step = operation.resolve(size)
        # A radius in this step's pixels is fewer source pixels where earlier steps enlarged.
        cell = LEARNT[operation.method].cell if operation.method in LEARNT else 1
        # The least x at which x * scale is a multiple of the cell.
        align_x = math.lcm(align_x, (scale_x / cell).denominator)
        align_y = math.lcm(align_y, (scale_y / cell).denominator)
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
    halo = (math.ceil(need_x / align_x) * align_x, math.ceil(need_y / align_y) * align_y)
    return Plan(tuple(steps), source, size, scale_x, scale_y, halo, (align_x, align_y))
