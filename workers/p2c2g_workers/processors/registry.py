"""The interface between a plan and what carries it out: a registry of processors for each device.

A processor is any function of pixels and a step.  It has to give a result of exactly
``step.output(size)``, read no further than ``step.radius`` pixels, and give the same pixels for a
chunk as for the whole frame, since chunks are shown side by side.  Those of the CPU are exact in
that; those of another device may be off by a few levels, which its module states.

One that is registered for planes also takes luma alone, ``(height, width)``, which is all that a
residual of luma needs.  One that knows what it adds to the luma of the base layer, such as a net,
has ``added`` besides: it takes colours, and gives whole levels, ``(height, width)`` int16, of its
result's size.  Its result is the base and that, added to each colour.

One whose work depends on more than operation and method, such as a net on its weights, has a
``check`` besides: it takes the step and raises ProcessorError where it cannot be done now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from p2c2g.errors import ProcessorError
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Plan, Step

#: Takes ``(height, width, 3)`` BGR, or a plane where it is for planes, which it must not change,
#: and gives a new array of the same kind, or the very same array where there is nothing to do.
Processor = Callable[[Pixels, Step], Pixels]
#: Takes the same, and gives what is added to the base's luma.
Adder = Callable[[Pixels, Step], NDArray[np.int16]]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Registered(Generic[Function]):
    """A function, and whether it takes one plane as well as colours."""

    function: Function
    for_planes: bool = False


class Functions(Generic[Function]):
    """One device's functions, each for an operation or for one of its methods."""

    def __init__(self) -> None:
        self._processors: dict[str, Registered[Function]] = {}

    def register(
        self, name: str, *methods: str, planes: bool = False
    ) -> Callable[[Function], Function]:
        """Register the decorated function for an operation, under each method where it has them.

        A later function replaces an earlier one.

        Args:
            name: the operation's.
            methods: its methods.
            planes: whether it takes one plane as well as colours.
        """

        def add(function: Function) -> Function:
            for each in [f"{name}:{method}" for method in methods] or [name]:
                self._processors[each] = Registered(function, planes)
            return function

        return add

    def known(self) -> tuple[str, ...]:
        """Return what can be done, as :attr:`Step.processor` has it, sorted."""
        return tuple(sorted(self._processors))

    def find(self, step: Step) -> Function | None:
        """Return the function for a step; None where the device has none."""
        found = self._processors.get(step.processor)
        return None if found is None else found.function


class Registry(Functions[Processor]):
    """The processors of one device.

    Args:
        spare: the registry to which a step goes that this one has no processor for.
    """

    def __init__(self, spare: Registry | None = None) -> None:
        super().__init__()
        self._spare = spare

    def known(self) -> tuple[str, ...]:
        """Return what can be done, by the spare too."""
        spare = self._spare.known() if self._spare else ()
        return tuple(sorted({*super().known(), *spare}))

    def processor(self, step: Step) -> Processor:
        """Return the function for a step.

        Raises:
            ProcessorError: this peer has none; another may.
        """
        found = self.find(step)
        if found is None:
            if self._spare is not None:
                return self._spare.processor(step)
            raise ProcessorError(
                f"This peer has no processor for {step.processor}: it has "
                f"{', '.join(self.known())}."
            )
        check: Callable[[Step], None] | None = getattr(found, "check", None)
        if check is not None:
            check(step)
        return found

    def run(self, plan: Plan, pixels: Pixels) -> Pixels:
        """Carry out a plan on a frame or on the padded part of a chunk.

        Args:
            plan: the plan of the whole frame.
            pixels: ``(height, width, 3 or 4)`` uint8, BGR; a view will do.  It is not changed.

        Returns:
            ``(height, width, 3)`` uint8, BGR; ``pixels`` itself where nothing was to be done.

        Raises:
            ProcessorError: a step failed, or gave something else than a picture of its size.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
            raise ProcessorError(
                f"Pixels of {pixels.dtype} in the shape {pixels.shape} cannot be processed: give "
                "uint8 in the shape (height, width, 3 or 4)."
            )
        if pixels.shape[2] == 4:
            pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR), np.uint8)
        return self.carry_out(plan.steps, pixels)

    def carry_out(self, steps: Iterable[Step], pixels: Pixels) -> Pixels:
        """Carry out steps, one after the other; as :meth:`run`, with three channels or a plane."""
        for step in steps:
            pixels = self._step(step, pixels)
        return pixels

    def takes_planes(self, step: Step) -> bool:
        """Tell whether a step can be done to luma alone."""
        found = self._processors.get(step.processor)
        if found is None:
            return self._spare is not None and self._spare.takes_planes(step)
        return found.for_planes

    def adder(self, step: Step) -> Adder | None:
        """Return what tells what a step adds to the base's luma; None where that is not known.

        Raises:
            ProcessorError: this peer cannot do the step.
        """
        work: Adder | None = getattr(self.processor(step), "added", None)
        if work is None:
            return None

        def added(pixels: Pixels, step: Step) -> NDArray[np.int16]:
            try:
                return work(pixels, step)
            except ProcessorError:
                raise
            except Exception as error:
                raise ProcessorError(f"{step.name} failed: {error}") from error

        return added

    def _step(self, step: Step, pixels: Pixels) -> Pixels:
        due, channels = step.output(Size.of(pixels)), pixels.shape[2:]
        work = self.processor(step)
        try:
            pixels = work(pixels, step)
        except ProcessorError:
            raise
        except Exception as error:
            raise ProcessorError(f"{step.name} failed: {error}") from error
        if pixels.shape != (due.height, due.width, *channels) or pixels.dtype != np.uint8:
            raise ProcessorError(
                f"{step.name} gave {pixels.dtype} in the shape {pixels.shape} where a picture of "
                f"{due} is due."
            )
        return pixels


#: The processors that are always there.
CPU = Registry()

register = CPU.register
known = CPU.known
processor = CPU.processor
run = CPU.run
