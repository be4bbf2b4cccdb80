"""The engine for a graphics card: a chunk in, the residual of its wanted part out.

Any number of the worker's threads bring chunks.  What the CPU does well stays on their threads:
reading headers, encoding the residual and, where the card has no JPEG, decoding.  The card's work
is done by one thread a stage, in batches of what waits at that moment.

A chunk for which there is no memory is tried in smaller batches, down to itself alone; then
:class:`~p2c2g_workers.gpu.errors.OutOfMemory` is raised, and another engine does the chunk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic_ns

import numpy as np

from p2c2g.media.cells import cell_of
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Rect, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Pipeline, Step
from p2c2g.media.residual import Residual
from p2c2g_workers import nets
from p2c2g_workers.engine import Done, Kind, Work
from p2c2g_workers.engine.adding import From, check
from p2c2g_workers.engine.decoding import check_size, decoded, luma_of
from p2c2g_workers.gpu import ops
from p2c2g_workers.gpu.adding import Adding, source
from p2c2g_workers.gpu.batching import Batcher
from p2c2g_workers.gpu.codec import NAME, JpegOnDevice, on_device
from p2c2g_workers.gpu.device import Device, Part, as_host, open_device, out_of_memory
from p2c2g_workers.gpu.errors import DeviceError, OutOfMemory
from p2c2g_workers.gpu.memory import Memory, measure
from p2c2g_workers.gpu.stock import Place, Stock
from p2c2g_workers.nets import Weights

logger = logging.getLogger(__name__)

_KINDS: dict[str, Kind] = {"cuda": "cuda", "mps": "metal", "cpu": "cpu"}


@dataclass(frozen=True, slots=True)
class _Key:
    """What chunks of one batch share; the place names the weights found, not those asked for."""

    place: Place
    here: bool  # decoded on the card


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    key: _Key
    weights: tuple[Weights, ...]
    part: Part
    crop: Rect


class TorchEngine:
    """Carries chunks out on one device of PyTorch; several threads may call it."""

    def __init__(
        self,
        device: str = "cuda:0",
        *,
        half: bool = False,
        max_batch: int = 8,
        memory_limit: int | None = None,
        shrunk: Callable[[int], None] = lambda _batch: None,
        jpeg: JpegOnDevice | None = None,
        jpeg_on_device: bool = True,
        compiled: bool = False,
        carrier: Device | None = None,
    ) -> None:
        """Open a device.

        Args:
            device: ``cuda:0``, ``mps`` or ``cpu``.
            half: whether nets run in half precision.
            max_batch: most chunks that the device works on at once.
            memory_limit: bytes of the card that this process may take; all where None.
            shrunk: told the size of batches that is tried from now on, each time that there was
                no memory for more; called on the engine's thread.
            jpeg: the device's decoder of JPEG; found out where None.
            jpeg_on_device: whether it is used.
            compiled: whether ``torch.compile`` is tried on the nets' rounding.
            carrier: the device itself where it is open already; then ``device`` and
                ``memory_limit`` are not looked at.

        Raises:
            UsageError: there is no such device, or a limit that cannot be.
            UnavailableError: it is not here.
        """
        self._device = carrier or open_device(device, memory_limit)
        self._half, self._shrunk = half, shrunk
        self._stock = Stock(self._device, half=half, compiled=compiled)
        if jpeg is None and jpeg_on_device:
            jpeg = on_device(self._device.device)
        self._jpeg = jpeg if jpeg_on_device else None
        self._steps: Batcher[_Job, Part] = Batcher(
            self._carry_out, max_batch, key=lambda job: job.key, name="graphics card"
        )
        self._decoding: Batcher[tuple[bytes, bool], Part | None] | None = None
        if self._jpeg is not None:
            self._decoding = Batcher(
                partial(self._decode, self._jpeg), max_batch, key=lambda job: job[1],
                name="graphics card's decoder",
            )  # fmt: skip

    @property
    def kind(self) -> Kind:
        """Return by which interface it works."""
        return _KINDS[self._device.device.type]

    @property
    def codec_on_device(self) -> bool:
        """Tell whether JPEG is decoded on the card."""
        return self._jpeg is not None

    def can(self, step: Step) -> bool:
        """Tell whether it has the operation, and for a net the weights."""
        return nets.has(step) if step.method in NETWORKS else ops.can(step)

    def enhance(self, work: Work) -> Done:
        """Carry a chunk out.

        Raises:
            OutOfMemory: the card has no memory for it, not even alone.
            DeviceError: the card failed, or too many chunks wait for it.
            ChunkError: the picture is not what was announced, or a step cannot be done.
        """
        try:
            return self._enhance(work)
        except (RuntimeError, MemoryError) as error:  # PyTorch's and the driver's are of these
            kind = OutOfMemory if out_of_memory(error) else DeviceError
            raise kind(f"The graphics card failed: {error}") from error

    def _enhance(self, work: Work) -> Done:
        started = monotonic_ns()
        check(work)
        check_size(work)
        plan, size, form = work.plan, work.size, work.form
        weights = tuple(nets.find(step) for step in plan.steps if step.method in NETWORKS)
        of_luma = source(plan, in_colour=form.in_colour) is From.LUMA
        shape = (size.height, size.width, 1 if of_luma else 3)
        part = None
        if self._decoding is not None and work.codec == NAME:
            part = self._decoding.submit((work.payload, of_luma)).result()
        here = part is not None and part.pixels.shape == shape
        if part is None or not here:
            part = Part(self._device.host(size, shape[2]))
            if of_luma:
                as_host(part.pixels)[:, :, 0] = luma_of(work)
            else:
                decoded(work, as_host(part.pixels))
        begun = monotonic_ns()
        place = Place(
            plan, size, tuple(one.name for one in weights),
            in_colour=form.in_colour, is_narrow=not codec(form.codec).lossless,
        )  # fmt: skip
        found = self._steps.submit(_Job(_Key(place, here), weights, part, work.crop)).result()
        found.wait()  # errors of the card's work are raised here
        processed = monotonic_ns()
        encoded = form.encode(_levels(found, cell_of(plan.scale_x, plan.scale_y)))
        return Done(encoded, (begun - started) // 1000, (processed - begun) // 1000)

    def profile(
        self, pipeline: str, sizes: Sequence[Size], batches: Sequence[int]
    ) -> tuple[Memory, ...]:
        """Return the peak of memory by size of chunk and chunks at once; nothing else may run.

        Raises:
            UsageError: the pipeline cannot be, or not for one of the sizes.
            ProcessorError: a step cannot be done here.
        """
        plans = {size: Pipeline.parse(pipeline).resolve(size) for size in sizes}
        return tuple(measure(self._device, plans, batches, half=self._half))

    def close(self) -> None:
        """Finish what waits and release what is held."""
        for batcher in (self._decoding, self._steps):
            if batcher is not None:
                batcher.close()
        self._stock.clear()

    # -- the stages, each on its thread

    def _decode(
        self, jpeg: JpegOnDevice, jobs: Sequence[tuple[bytes, bool]]
    ) -> Sequence[Part | Exception | None]:
        """Decode payloads, all of them to luma or all to colours."""
        with self._device.stage("decode"):
            pictures = jpeg.decode([payload for payload, _ in jobs], of_luma=jobs[0][1])
            return [None if one is None else self._device.mark(one) for one in pictures]

    def _carry_out(self, jobs: Sequence[_Job]) -> Sequence[Part | Exception]:
        with self._device.stage("steps"):
            plan = self._stock.plan(jobs[0].key.place, jobs[0].weights)
        found: list[Part | Exception] = []
        while len(found) < len(jobs):
            most = min(plan.most or len(jobs), len(jobs) - len(found))
            found += self._fit(plan, jobs[len(found) : len(found) + most])
        return found

    def _fit(self, plan: Adding, jobs: Sequence[_Job]) -> list[Part | Exception]:
        """Run jobs at once, or half of them and then the others where there is no memory."""
        try:
            with self._device.stage("steps"):
                return list(self._run(jobs))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            why = str(error).partition("\n")[0]
        # Only here, after the error and the tensors in its frames have gone, is there to free.
        self._stock.drop_graphs()
        if len(jobs) == 1:
            return [OutOfMemory(f"The graphics card has no memory for one chunk: {why}")]
        half = (len(jobs) + 1) // 2
        plan.most = half
        logger.warning(
            "No memory on the graphics card for %d chunks of %s at once: it is %d from now on.",
            len(jobs), jobs[0].key.place.size, half,
        )  # fmt: skip
        self._shrunk(half)
        return [*self._fit(plan, jobs[:half]), *self._fit(plan, jobs[half:])]

    def _run(self, jobs: Sequence[_Job]) -> Sequence[Part]:
        pixels = self._device.together([job.part for job in jobs])
        result = self._stock.run(jobs[0].key.place, pixels)
        return self._device.down(
            [
                one[job.crop.y : job.crop.bottom, job.crop.x : job.crop.right]
                for one, job in zip(result, jobs, strict=True)
            ]
        )


def _levels(part: Part, cell: Size) -> Residual:
    """Return a residual that came down; 0 where the part that was wanted cuts a cell."""
    levels = np.asarray(part.pixels.numpy(), np.int16)
    height, width = levels.shape[:2]
    levels[height - height % cell.height :] = 0
    levels[:, width - width % cell.width :] = 0
    return levels
