"""The engine that every machine has: decode, run and encode on the calling thread."""

from __future__ import annotations

from time import monotonic_ns

from p2c2g.errors import ProcessorError
from p2c2g.media.operations import Step
from p2c2g_workers.engine import Done, Kind, Work
from p2c2g_workers.engine.adding import way
from p2c2g_workers.engine.decoding import decoded, luma_of
from p2c2g_workers.processors import CPU
from p2c2g_workers.processors.registry import Registry


class CpuEngine:
    """Runs the processors of ``registry``; holds nothing."""

    kind: Kind = "cpu"
    registry: Registry = CPU

    def can(self, step: Step) -> bool:
        """Tell whether there is a processor for a step."""
        try:
            self.registry.processor(step)
        except ProcessorError:
            return False
        return True

    def enhance(self, work: Work) -> Done:
        """Process a chunk.

        Raises:
            ChunkError: the picture is not what its header says, or a step failed.
        """
        started = monotonic_ns()
        chosen = way(self.registry, work)
        pixels = luma_of(work) if chosen.of_luma else decoded(work)
        begun = monotonic_ns()
        residual = chosen.add(pixels)
        processed = monotonic_ns()
        encoded = work.form.encode(residual)
        return Done(encoded, (begun - started) // 1000, (processed - begun) // 1000)

    def close(self) -> None:
        """Do nothing: it holds nothing."""
