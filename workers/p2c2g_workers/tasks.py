"""The peer's task: one chunk in, and out what it adds to that chunk's base.

A peer reads what it was sent and writes its own result; it opens no file and no connection.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from time import monotonic, monotonic_ns
from typing import Any

import cv2
from celery import Task, shared_task, signals
from celery.exceptions import Ignore
from celery.worker import state

from p2c2g.errors import ChunkError, UsageError, WireError
from p2c2g.logs import rebind
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.messaging import open_names
from p2c2g.messaging.results import QUEUE_OF
from p2c2g.settings import load
from p2c2g.settings.principal import account_mark
from p2c2g.system.malloc import keep_freed_memory
from p2c2g_workers import gamers, opening
from p2c2g_workers import logs as _logs  # takes over Celery's loggers on import
from p2c2g_workers import naming as _naming  # chooses the worker's name, likewise
from p2c2g_workers.effort import Allowance
from p2c2g_workers.engine import Done, Work, current
from p2c2g_workers.ladder import settle
from p2c2g_workers.method_chooser import RECEIVED, MethodChooser
from p2c2g_workers.remembered import Remembered, question
from p2c2g_workers.shares import Shares

del _logs, _naming

logger = logging.getLogger(__name__)

#: Most pixels of any picture that a peer makes: a frame of 8192x8192, 200 MB.
MAX_PIXELS = 1 << 26

_chooser = MethodChooser()
_shares = Shares()
#: What this process has answered of late: nothing until its worker says how much that may be.
remembered = Remembered()


class _Slot(threading.local):
    """One of the worker's slots, a thread or a process: when its last task began and ended."""

    def __init__(self) -> None:
        self.began = self.ended = monotonic()


_slot = _Slot()


@dataclass(frozen=True, slots=True, repr=False)
class EnhancedChunk:
    """What a task returns; the result backend takes header and payload from it."""

    result: ResultHeader
    packed: bytes
    payload: bytes

    def header(self) -> bytes:
        """Return the packed header."""
        return self.packed

    def __repr__(self) -> str:
        # Celery writes a result's repr into logs, events and Flower.
        return f"<frame {self.result.frame} chunk {self.result.chunk}: {len(self.payload)} B>"


@signals.worker_init.connect
def _set_up(**_: Any) -> None:
    settings = load().worker
    cv2.setNumThreads(settings.opencv_threads)
    remembered.most_bytes = settings.remembered_mb << 20
    keep_freed_memory()


@signals.task_postrun.connect
def _end(**_: Any) -> None:
    rebind()
    _slot.ended = monotonic()


@shared_task(name="p2c2g.enhance", bind=True, throws=(ChunkError,), ignore_result=False)
def enhance(self: Task, header: bytes, payload: bytes) -> EnhancedChunk:
    """Decode a chunk, run its operations, encode what they add to the part that is wanted.

    Args:
        header: a packed :class:`~p2c2g.media.wire.ChunkHeader`.
        payload: the chunk with its halo, in the codec that the header names; sealed where the
            pool is an open one.

    Raises:
        Ignore: it was not sealed for this worker, or came before.  Whoever sent it may not be
            the gamer, so nobody is answered.
        ChunkError: names the chunk and what was wrong with it.
    """
    request = self.request
    principal = getattr(self.app, "principal", None)
    peer = str(request.hostname or "local") if principal is None else principal.id
    chunk = ChunkHeader.unpack(header)
    rebind(
        session=chunk.session,
        frame=chunk.frame,
        chunk=chunk.chunk,
        attempt=chunk.attempt,
        peer=peer,
    )
    queue = getattr(request, QUEUE_OF, "")
    sender = open_names.sender_of(queue)
    gamer = account_mark(sender)
    try:
        opened = opening.get().open(queue, header, payload)
    except WireError as error:
        logger.info("Threw away %s: %s", chunk, error)
        if sender:
            gamers.noise.heard(sender, len(payload))
        raise Ignore from error
    began = monotonic()
    try:
        if gamer:
            _shares.check(gamer)
        return _enhance(
            chunk,
            opened,
            peer=peer,
            gamer=sender,
            waited=_waited(request),
            turns=_turns(),
        )
    except ChunkError as error:
        raise type(error)(f"{chunk}: {error}") from error
    except UsageError as error:
        # This peer does not know its codec or its operations.
        raise WireError(f"{chunk}: {error}") from error
    finally:
        if gamer:
            _shares.took(gamer, monotonic() - began)


def _enhance(
    chunk: ChunkHeader, opened: opening.Opened, *, peer: str, gamer: str, waited: float, turns: int
) -> EnhancedChunk:
    started = monotonic_ns()
    left = chunk.budget_us / 1e6 - waited
    asked = Pipeline.parse(chunk.operations)
    size, engine = chunk.padded.size, current.get()
    megapixels = size.width * size.height / 1e6
    allowance = Allowance(engine, size, chunk.form, chunk.budget_us / 1e6)
    _chooser.begins(megapixels, started / 1e9 - _slot.began)
    _slot.began = started / 1e9
    settled = settle(
        asked, chunk.frame_size, megapixels, engine, _chooser, left, turns, allowance.fits
    )
    _check_memory(settled.plan, size)
    allowance.check(settled.plan)
    asked_before = question(gamer, chunk, opened.picture, settled.pipeline.text)
    known = remembered.find(asked_before)
    if known is not None:
        # It took no time, and that is what is told: nobody learns from it how fast this peer is.
        done = Done(known, 0, 0)
    else:
        done = engine.enhance(
            Work(settled.plan, chunk.codec, opened.picture, size, chunk.crop, chunk.form)
        )
        remembered.keep(asked_before, done.payload)
        if settled.rung is not None:
            _chooser.note(settled.rung, megapixels, done.process_us / 1e6)
    result = ResultHeader(
        frame=chunk.frame,
        chunk=chunk.chunk,
        attempt=chunk.attempt,
        peer=peer,
        started_us=started // 1000,
        decode_us=done.decode_us,
        process_us=done.process_us,
        done_us=monotonic_ns() // 1000,
        ran="" if settled.pipeline == asked else settled.pipeline.text,
        waited_us=_before(started, waited),
        idle_us=_before(started, started / 1e9 - _slot.ended),
    )
    packed = result.pack()
    return EnhancedChunk(result, packed, opened.answer(packed, done.payload))


def _waited(request: Any) -> float:
    """Return the seconds since this worker received a chunk."""
    received = getattr(request, RECEIVED, None)
    return max(0.0, monotonic() - received) if isinstance(received, float) else 0.0


def _before(moment: int, seconds: float) -> int:
    """Return a span before a moment (nanoseconds of the clock) in microseconds."""
    return min(max(0, int(seconds * 1e6)), moment // 1000)


def _turns() -> int:
    """Return how many chunks each slot has to do, one after another, of those received."""
    waiting, active = len(state.reserved_requests), len(state.active_requests)
    return -(-waiting // max(active, 1))


def _check_memory(plan: Plan, size: Size) -> None:
    """Refuse what would take too much memory, before any is allocated.

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
