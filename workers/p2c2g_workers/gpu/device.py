"""How pictures get to a device, and how work there is kept in order.

:class:`Device` is PyTorch's default, for its CPU device and for Metal: one thing after another.
:class:`CudaDevice` does the same on streams, so that a picture goes up and another comes down
while a third is worked on, through memory that the driver can copy from by itself (pinned), and
records work of fixed shapes as graphs, which start as one.

A stage is a part of the work that one thread does (``decode``, ``steps``): each has its stream.
What a stage hands on carries an event, on which the next one waits, on the card.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.frame import Pixels, Size

logger = logging.getLogger(__name__)

#: PyTorch's types leave much of it out.
_cuda: Any = torch.cuda
#: What takes (n, h, w, c) uint8 and gives as many results.
Work = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One picture ``(h, w, c)``, or residual, that is ready when its event has happened."""

    pixels: Tensor
    event: Any = None

    def wait(self) -> None:
        """Wait until it is ready.

        Raises:
            RuntimeError: the work that led to it failed.
        """
        if self.event is not None:
            self.event.synchronize()


class Device:
    """PyTorch's CPU device, or Metal."""

    def __init__(self, device: torch.device) -> None:
        """Take the device as it is."""
        self.device = device

    def __str__(self) -> str:
        return str(self.device)

    @contextmanager
    def stage(self, _name: str) -> Iterator[None]:
        """Do the work inside the ``with`` block on the stream of a stage."""
        with torch.inference_mode():
            yield

    def host(self, size: Size, channels: int) -> Tensor:
        """Return memory of this machine for one picture, from which uploading is fast."""
        return torch.empty((size.height, size.width, channels), dtype=torch.uint8)

    def mark(self, pixels: Tensor) -> Part:
        """Return pixels of this stage, to be handed to another."""
        return Part(pixels)

    def here(self, part: Part) -> Tensor:
        """Return a part of another stage, ready for this one."""
        return part.pixels

    def together(self, parts: Sequence[Part]) -> Tensor:
        """Return pictures, all of this machine or all of the device, as (n, h, w, c) there."""
        return torch.stack([part.pixels.to(self.device) for part in parts])

    def down(self, results: Sequence[Tensor]) -> list[Part]:
        """Begin to bring results down into this machine's memory."""
        return [Part(one.contiguous().cpu()) for one in results]

    def record(self, _work: Work, _example: Tensor) -> Work | None:
        """Return work on just this shape as a graph; None where there are none."""
        return None

    def drain(self) -> None:
        """Wait until nothing is under way."""
        if self.device.type == "mps":
            torch.mps.synchronize()

    def free(self) -> None:
        """Give back memory that is kept for later."""
        if self.device.type == "mps":
            torch.mps.empty_cache()


class CudaDevice(Device):
    """One NVIDIA card; each stage has a stream, and copies have two."""

    def __init__(self, device: torch.device, memory_limit: int | None = None) -> None:
        """Open a card.

        Args:
            device: which.
            memory_limit: bytes that this process may take of it; all where None.

        Raises:
            UnavailableError: PyTorch finds no such card.
            UsageError: the limit is more than the card has.
        """
        if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
            raise UnavailableError(
                f"PyTorch finds no {device} here: install a driver and PyTorch with CUDA, or "
                "leave the queue gpu out."
            )
        device = torch.device("cuda", device.index or 0)
        super().__init__(device)
        if memory_limit is not None:
            total = torch.cuda.get_device_properties(device).total_memory
            if not 0 < memory_limit <= total:
                raise UsageError(
                    f"A limit of {memory_limit} bytes cannot be: the card has {total}."
                )
            torch.cuda.set_per_process_memory_fraction(memory_limit / total, device)
        # Exact for whole numbers of 8 bits (network.py), and several times as fast.
        backends: Any = torch.backends
        backends.cudnn.conv.fp32_precision = "tf32"
        backends.cuda.matmul.fp32_precision = "tf32"
        # Shapes are few and stay: it is worth trying which convolution is fastest.
        backends.cudnn.benchmark = True
        self._streams: dict[str, Any] = {}
        self._opening = threading.Lock()
        self._pool: Any = torch.cuda.graph_pool_handle()
        self._records = True

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Do the work inside the ``with`` block on the stream of a stage."""
        with torch.inference_mode(), torch.cuda.stream(self._stream(name)):
            yield

    def host(self, size: Size, channels: int) -> Tensor:
        """Return pinned memory for one picture; PyTorch keeps and reuses it."""
        shape = (size.height, size.width, channels)
        return torch.empty(shape, dtype=torch.uint8, pin_memory=True)

    def mark(self, pixels: Tensor) -> Part:
        """Return pixels of this stage, to be handed to another."""
        return Part(pixels, self._event())

    def here(self, part: Part) -> Tensor:
        """Return a part of another stage, ready for this one; its memory stays until then."""
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(part.event)
        part.pixels.record_stream(stream)
        return part.pixels

    def together(self, parts: Sequence[Part]) -> Tensor:
        """Return pictures, all of this machine or all of the device, as (n, h, w, c) there."""
        if parts[0].pixels.is_cuda:
            return torch.stack([self.here(part) for part in parts])
        here = torch.cuda.current_stream(self.device)
        up = self._stream("up")
        with torch.cuda.stream(up):
            shape = (len(parts), *parts[0].pixels.shape)
            found = torch.empty(shape, dtype=torch.uint8, device=self.device)
            for place, part in zip(found, parts, strict=True):
                place.copy_(part.pixels, non_blocking=True)
        here.wait_stream(up)
        found.record_stream(here)
        return found

    def down(self, results: Sequence[Tensor]) -> list[Part]:
        """Begin to bring results down into pinned memory."""
        down = self._stream("down")
        down.wait_stream(torch.cuda.current_stream(self.device))
        found = []
        with torch.cuda.stream(down):
            for one in results:
                one.record_stream(down)
                place = torch.empty(one.shape, dtype=one.dtype, pin_memory=True)
                found.append(place.copy_(one, non_blocking=True))
            event = self._event()
        return [Part(place, event) for place in found]

    def record(self, work: Work, example: Tensor) -> Work | None:
        """Return work on just this shape as a graph, or None where that does not work.

        It was run on such an example before, so all that it needs is there.  What goes in and
        comes out has memory outside the graphs' common pool; inside, nothing outlives a replay,
        so graphs may share it as long as they run one after the other.
        """
        if not self._records:
            return None
        given = example.clone()
        due = work(given).clone()
        made = torch.zeros_like(due)
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream(self.device)
        try:
            # Other threads go on meanwhile: only this one's calls are held against the graph.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"
            ):
                made.copy_(work(given))
            graph.replay()
            same = torch.equal(made, due)
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            logger.warning("Work cannot be recorded on %s, and goes on without: %s", self, error)
            self._records = False
            return None
        if not same:
            logger.warning("A recorded graph gives other pixels on %s: none is used.", self)
            self._records = False
            return None

        def replay(pixels: Tensor) -> Tensor:
            given.copy_(pixels)
            graph.replay()
            return made.clone()

        return replay

    def drain(self) -> None:
        """Wait until nothing is under way."""
        torch.cuda.synchronize(self.device)

    def free(self) -> None:
        """Give back memory that is kept for later."""
        torch.cuda.empty_cache()

    def _stream(self, name: str) -> Any:
        with self._opening:
            if name not in self._streams:
                self._streams[name] = _cuda.Stream(self.device)
            return self._streams[name]

    def _event(self) -> Any:
        """Return an event that happens when this stream has come to here; waiting sleeps."""
        event = _cuda.Event(blocking=True)
        event.record(torch.cuda.current_stream(self.device))
        return event


def open_device(name: str, memory_limit: int | None = None) -> Device:
    """Return a device by its name: ``cuda:0``, ``mps`` or ``cpu``.

    Raises:
        UsageError: PyTorch knows no such name, or the limit cannot be.
        UnavailableError: it is not here.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"{name!r} is not a device: give cuda:0, mps or cpu.") from error
    if device.type == "cuda":
        return CudaDevice(device, memory_limit)
    if device.type not in {"mps", "cpu"}:
        raise UsageError(f"{name!r} is not a device that is served: give cuda:0, mps or cpu.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UnavailableError("PyTorch finds no Metal here: it needs a Mac with Apple silicon.")
    if memory_limit is not None and device.type == "cpu":
        raise UsageError("A limit of memory is for graphics cards: leave it out for cpu.")
    if memory_limit is not None:
        share = memory_limit / torch.mps.recommended_max_memory()
        if not 0 < share <= 2:  # PyTorch's own bounds
            raise UsageError(f"A limit of {memory_limit} bytes cannot be on this machine.")
        torch.mps.set_per_process_memory_fraction(share)
    return Device(device)


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of PyTorch's means that there was no memory; few have that class."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "alloc_failed", "can't allocate memory")
    )


def as_host(pixels: Tensor) -> Pixels:
    """Return a picture's memory of this machine as an array, to be filled."""
    return np.asarray(pixels.numpy(), np.uint8)
