"""The engine that every machine has: decode, run, crop and encode on the calling thread."""

from __future__ import annotations

from time import monotonic_ns

from p2c2g.errors import ProcessorError, WireError
from p2c2g.media.codecs import codec
from p2c2g.media.operations import Step
from p2c2g_workers.engine import Done, Kind, Work
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
        chosen = codec(work.codec)
        size = chosen.size_of(work.payload)
        if size != work.size:
            raise WireError(f"its picture is {size} where its header says {work.size}.")
        pixels = chosen.decode(work.payload, limit=work.size)
        decoded = monotonic_ns()
        enhanced = self.registry.run(work.plan, pixels)
        crop = work.crop
        if crop.right > enhanced.shape[1] or crop.bottom > enhanced.shape[0]:
            raise WireError("its crop lies outside its enhanced picture.")
        wanted = crop.of(enhanced)
        processed = monotonic_ns()
        encoded = chosen.encode(wanted, work.quality)
        return Done(encoded, (decoded - started) // 1000, (processed - decoded) // 1000)

    def close(self) -> None:
        """Do nothing: it holds nothing."""
