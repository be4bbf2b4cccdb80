"""All operations, one row each; the package's docstring says how to add one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from p2c2g.errors import UsageError
from p2c2g.media.frame import Size
from p2c2g.media.hashes import DIGITS, is_name
from p2c2g.media.methods import DEFAULT_METHOD, LEARNT, MAX_WEIGHTS, SCALING

#: Largest factor of one ``upscale``.
MAX_FACTOR = 8
#: Largest amount of ``sharpen``.
MAX_SHARPEN = 4

_ONE = Fraction(1)
_DECIMAL = r"\d{1,3}(?:\.\d{1,6})?"


@dataclass(frozen=True, slots=True)
class Call:
    """An operation with its values, as a pipeline asks for it; values it does not use are unset."""

    name: str
    method: str | None = None
    factor: Fraction = _ONE
    size: Size | None = None
    amount: float = 0.0
    weights: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ":".join([self.name, *OPERATIONS[self.name].values(self)])


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: how it is written, and what it means for a size.

    ``form`` is how it is written and ``limits`` what its values may be: together they end the
    sentence that refuses a wrong one.  ``does`` follows the form in a command's help.
    ``example`` is a valid one; where it scales, ``:METHOD`` may be added to it.

    ``parse`` makes a call of the name and of the texts between the colons; None where they do not
    have the form, and a :class:`~p2c2g.errors.UsageError` where more can be said.  ``values``
    turns a call back into these texts, in full.

    ``scales`` across and down, for pictures of a size; ``radius``, given the scales, and ``cell``
    are those of :class:`Step`.
    """

    name: str
    form: str
    limits: str
    does: str
    example: str
    parse: Callable[[str, list[str]], Call | None]
    values: Callable[[Call], list[str]]
    scales: Callable[[Call, Size], tuple[Fraction, Fraction]] = lambda _call, _size: (_ONE, _ONE)
    radius: Callable[[Call, Fraction, Fraction], int] = lambda _call, _x, _y: 0
    cell: Callable[[Call], int] = lambda _call: 1


def read(part: str) -> Call:
    """Read one operation of a pipeline, such as ``sharpen:0.5``.

    Raises:
        UsageError: the operation, its method or a value is not one of those known.
    """
    name, *values = part.split(":")
    row = OPERATIONS.get(name)
    if row is None:
        raise UsageError(
            f"{name!r} is not an operation: those known are {', '.join(OPERATIONS)}, joined by "
            "commas, such as upscale:2,sharpen:0.5."
        )
    asked = row.parse(name, values)
    if asked is None:
        raise UsageError(f"{part!r} is not right: the form is {row.form}{row.limits}.")
    return asked


# -- the table: what parses, spells and measures, and then a row an operation


def _nothing(name: str, values: list[str]) -> Call | None:
    return None if values else Call(name)


def _number(sound: Callable[[float], bool]) -> Callable[[str, list[str]], Call | None]:
    def parse(name: str, values: list[str]) -> Call | None:
        if len(values) != 1 or not re.fullmatch(_DECIMAL, values[0], re.ASCII):
            return None
        amount = float(values[0])
        return Call(name, amount=amount) if sound(amount) else None

    return parse


def _amount(call: Call) -> list[str]:
    return [f"{call.amount:g}"]


def _by_factor(name: str, values: list[str]) -> Call | None:
    if not 1 <= len(values) <= 2:
        return None
    factor = _factor(values[0])
    method, weights = _method(name, values, factor)
    return None if factor is None else Call(name, method, factor, weights=weights)


def _to_size(name: str, values: list[str]) -> Call | None:
    if not 1 <= len(values) <= 2:
        return None
    method, _ = _method(name, values, None)
    return Call(name, method, size=Size.parse(values[0]))


def _factor(text: str) -> Fraction | None:
    if not re.fullmatch(rf"{_DECIMAL}|\d{{1,5}}/[1-9]\d{{0,4}}", text, re.ASCII):
        return None
    # 1.3333 is meant as 4/3, and a denominator is what chunks are aligned to.
    factor = Fraction(text).limit_denominator(100)
    return factor if 0 < factor <= MAX_FACTOR else None


def _method(name: str, values: list[str], factor: Fraction | None) -> tuple[str, tuple[str, ...]]:
    """Return the method in the second of the values, and the weights that it names."""
    part = ":".join([name, *values])
    method, at, own = (values[1] if len(values) == 2 else DEFAULT_METHOD).partition("@")
    if method not in SCALING:
        raise UsageError(
            f"{method!r} in {part!r} is not a method of scaling: those known are "
            f"{', '.join(SCALING)}."
        )
    net = LEARNT.get(method)
    weights = tuple(own.split("+")) if at else ()
    if at and not (net and len(weights) <= MAX_WEIGHTS and all(map(is_name, weights))):
        raise UsageError(
            f"{part!r} is not right: after the @ of a net come 1 to {MAX_WEIGHTS} weights, "
            f"each of {DIGITS} hexadecimal digits, joined by +."
        )
    if net and factor != net.factor:
        raise UsageError(
            f"{part!r} cannot be: the net {method} does only upscale:{net.factor}:{method}."
        )
    return method, weights


def _factor_and_method(call: Call) -> list[str]:
    own = "@" + "+".join(call.weights) if call.weights else ""
    return [str(call.factor), f"{call.method}{own}"]


def _size_scales(call: Call, before: Size) -> tuple[Fraction, Fraction]:
    size = call.size or before
    return Fraction(size.width, before.width), Fraction(size.height, before.height)


def _method_radius(call: Call, scale_x: Fraction, scale_y: Fraction) -> int:
    if scale_x == scale_y == 1:
        return 0
    way = SCALING[call.method or DEFAULT_METHOD]
    return max(way.reach(scale_x), way.reach(scale_y))


def _method_cell(call: Call) -> int:
    return SCALING[call.method or DEFAULT_METHOD].cell


def _by_name(rows: Iterable[Operation]) -> dict[str, Operation]:
    return {row.name: row for row in rows}


#: Every operation, by name.
OPERATIONS = _by_name(
    (
        Operation(
            "upscale",
            form="upscale:FACTOR[:METHOD]",
            limits=f" with a FACTOR such as 2, 1.5 or 4/3, above 0 and at most {MAX_FACTOR}",
            does="makes the picture larger, or smaller",
            example="upscale:2",
            parse=_by_factor,
            values=_factor_and_method,
            scales=lambda call, _size: (call.factor, call.factor),
            radius=_method_radius,
            cell=_method_cell,
        ),
        Operation(
            "resize",
            form="resize:WIDTHxHEIGHT[:METHOD]",
            limits=", such as resize:1280x720",
            does="scales it to just this many pixels",
            example="resize:1280x720",
            parse=_to_size,
            values=lambda call: [str(call.size), str(call.method)],
            scales=_size_scales,
            radius=_method_radius,
            cell=_method_cell,
        ),
        Operation(
            "sharpen",
            form="sharpen:AMOUNT",
            limits=f" with an AMOUNT from 0 to {MAX_SHARPEN}, such as sharpen:0.5",
            does="steepens edges, never beyond a pixel's neighbours, so without ringing",
            example="sharpen:0.5",
            parse=_number(lambda amount: 0 <= amount <= MAX_SHARPEN),
            values=_amount,
            radius=lambda _call, _x, _y: 1,
        ),
        Operation(
            "denoise",
            form="denoise:STRENGTH",
            limits=" with a STRENGTH above 0 and at most 1, such as denoise:0.3",
            does="removes specks and noise, and leaves edges",
            example="denoise:0.3",
            parse=_number(lambda strength: 0 < strength <= 1),
            values=_amount,
            radius=lambda _call, _x, _y: 1,
        ),
        Operation(
            "pass",
            form="pass",
            limits=", without a value",
            does="does nothing, for benchmarks",
            example="pass",
            parse=_nothing,
            values=lambda _call: [],
        ),
    )
)
