"""The peer's task: one chunk in, its enhanced part out.

A peer reads what it was sent and writes its own result; it opens no file and calls nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic_ns
from typing import Any

import cv2
from celery import Task, shared_task, signals

from p2c2g.errors import ChunkError, UsageError, WireError
from p2c2g.logs import rebind
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.memory import keep_freed_memory
from p2c2g.settings import load
from p2c2g_workers import logs as _logs  # takes over Celery's loggers on import
from p2c2g_workers.processors import run

del _logs

#: Most pixels of a picture that a peer makes on its way: a frame of 8192x8192, 200 MB.
MAX_PIXELS = 1 << 26


@dataclass(frozen=True, slots=True, repr=False)
class EnhancedChunk:
    """What a task returns; the result backend asks it for header and payload."""

    result: ResultHeader
    payload: bytes

    def header(self) -> bytes:
        """Return the packed header."""
        return self.result.pack()

    def __repr__(self) -> str:
        # Celery writes a result's repr into logs, events and Flower.
        return f"<frame {self.result.frame} chunk {self.result.chunk}: {len(self.payload)} B>"


@signals.worker_init.connect
def _set_up(**_: Any) -> None:
    cv2.setNumThreads(load().worker.opencv_threads)
    keep_freed_memory()


@signals.task_postrun.connect
def _forget_context(**_: Any) -> None:
    rebind()


@shared_task(name="p2c2g.enhance", bind=True, throws=(ChunkError,), ignore_result=False)
def enhance(self: Task, header: bytes, payload: bytes) -> EnhancedChunk:
    """Decode a chunk, run its operations, encode the part that is wanted.

    Args:
        header: a packed :class:`~p2c2g.media.wire.ChunkHeader`.
        payload: the chunk, halo and all, in the codec that the header names.

    Raises:
        ChunkError: naming the chunk and what was wrong with it.
    """
    request = self.request
    delivery = request.delivery_info or {}
    peer = str(request.hostname or "local")
    chunk = ChunkHeader.unpack(header)
    rebind(
        session=chunk.session,
        frame=chunk.frame,
        chunk=chunk.chunk,
        attempt=chunk.attempt,
        peer=peer,
    )
    try:
        return _enhance(
            chunk,
            payload,
            peer=peer,
            queue=str(delivery.get("routing_key") or ""),
        )
    except ChunkError as error:
        raise type(error)(f"{chunk}: {error}") from error
    except UsageError as error:
        # Its codec or its operations are none that this peer knows.
        raise WireError(f"{chunk}: {error}") from error


def _enhance(chunk: ChunkHeader, payload: bytes, *, peer: str, queue: str) -> EnhancedChunk:
    started = monotonic_ns()
    chosen = codec(chunk.codec)
    plan = Pipeline.parse(chunk.operations).resolve(chunk.frame_size)
    _check_memory(plan, chunk.padded.size)
    size = chosen.size_of(payload)
    if size != chunk.padded.size:
        raise WireError(f"its picture is {size} where its header says {chunk.padded.size}.")
    pixels = chosen.decode(payload, limit=chunk.padded.size)
    decoded = monotonic_ns()
    enhanced = run(plan, pixels)
    crop = chunk.crop
    if crop.right > enhanced.shape[1] or crop.bottom > enhanced.shape[0]:
        raise WireError("its crop lies outside its enhanced picture.")
    wanted = crop.of(enhanced)
    processed = monotonic_ns()
    encoded = chosen.encode(wanted, chunk.quality)
    result = ResultHeader(
        frame=chunk.frame,
        chunk=chunk.chunk,
        attempt=chunk.attempt,
        peer=peer,
        queue=queue,
        started_us=started // 1000,
        decode_us=(decoded - started) // 1000,
        process_us=(processed - decoded) // 1000,
        done_us=monotonic_ns() // 1000,
    )
    return EnhancedChunk(result, encoded)


def _check_memory(plan: Plan, size: Size) -> None:
    """Refuse what would take too much memory, before any is taken.

    Raises:
        WireError: the chunk, or what a step makes of it, is larger than :data:`MAX_PIXELS`.
    """
    sizes = [size]
    for step in plan.steps:
        sizes.append(step.output(sizes[-1]))
    largest = max(sizes, key=lambda each: each.width * each.height)
    if largest.width * largest.height > MAX_PIXELS:
        raise WireError(
            f"it would need a picture of {largest}, where this peer makes at most {MAX_PIXELS} "
            "pixels: send smaller chunks."
        )
