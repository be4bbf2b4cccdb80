"""Frames a second through the pool, and through plain processes that do the same work.

The plain processes are the least that two cores can do it with: shared memory, a pipe that
carries two numbers a chunk, no broker, no task queue, no deadline.  In both the same frames are
cut in the same way, and a fixed number of them is out all the time.

with the codec
    the session's process encodes each chunk and decodes each residual, the worker the other way
    round: the same work as the pool's, so the ratio is the price of the broker and the tasks;
without
    pixels lie in the shared memory as they are, which only works on one machine.

The two kinds of run take turns, so that a machine that is busy with other things is so for both.
"""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.queues import SimpleQueue
from multiprocessing.shared_memory import SharedMemory
from statistics import mean
from time import monotonic
from typing import Any

import cv2
import numpy as np

from benchmarks.player import Player, PlayRequest
from benchmarks.streaming import LARGE, OPERATIONS, ROLES, SMALL, stream
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.system.malloc import keep_freed_memory
from p2c2g_capture.sources import open_source, shipped_clip
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.adding import added
from p2c2g_workers.engine.cpu import CpuEngine
from tests.pool import Pool, used_seconds

WORKERS = 2
#: Frames out all the time, in the pool and in the plain processes.
WINDOW = 8
#: Frames that are played again and again; taken before.
_REEL = 30


class PlainProcesses:
    """Two processes beside this one, and shared memory between them; a context manager.

    Args:
        order: size, operations, grid, codec and quality; the rest is not looked at.
        coded: whether pixels travel in the codec.
    """

    def __init__(self, order: PlayRequest, *, coded: bool) -> None:
        self._order = order
        self._coded = coded
        self._codec, self._form = codec(order.codec), order.form
        self._chunks = _chunks(order)
        with open_source(f"video:{shipped_clip()}", Size.parse(order.size)) as source:
            self._reel = [source.grab(number).copy() for number in range(_REEL)]
        self._stride = _stride(self._chunks)
        self._memory = SharedMemory(create=True, size=WINDOW * len(self._chunks) * 2 * self._stride)
        context = multiprocessing.get_context("spawn")
        self._tasks: SimpleQueue[Any] = context.SimpleQueue()
        self._done: SimpleQueue[Any] = context.SimpleQueue()
        self._processes = [self._start(context) for _ in range(WORKERS)]

    def _start(self, context: SpawnContext) -> SpawnProcess:
        process = context.Process(
            target=_work,
            args=(self._order, self._coded, self._memory.name, self._tasks, self._done),
            daemon=True,
        )
        process.start()
        return process

    def __enter__(self) -> PlainProcesses:
        for _ in self._processes:
            self._done.get()  # each says once that it is ready
        return self

    def __exit__(self, *_: object) -> None:
        for _process in self._processes:
            self._tasks.put(None)
        for process in self._processes:
            process.join(10)
        self._memory.close()
        self._memory.unlink()

    def run(self, seconds: float) -> tuple[float, float]:
        """Run for so many seconds.

        Returns:
            Whole frames a second, and processor milliseconds a frame of all three processes.
        """
        before = self._cpu()
        free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(WINDOW):
            free.put(slot)
        finished: list[float] = []
        collector = threading.Thread(target=self._collect, args=(free, finished))
        collector.start()
        start = monotonic()
        fill = start + min(0.5, seconds / 4)
        number = 0

        def counted(now: float) -> int:
            return sum(fill <= at < now for at in finished)

        # Longer only where the machine stood still so long that there is nothing to count.
        while (now := monotonic()) < start + seconds or not counted(now):
            slot = free.get()
            self._send(self._reel[number % _REEL], slot)
            number += 1
        for _ in range(WINDOW):
            free.get()
        self._done.put((-1, 0, 0))
        collector.join()
        rate = counted(now) / (now - fill)
        return rate, (self._cpu() - before) / max(1, number) * 1e3

    def _cpu(self) -> float:
        return time.process_time() + sum(
            used_seconds(process.pid or 0) for process in self._processes
        )

    def _send(self, pixels: Pixels, slot: int) -> None:
        for chunk in self._chunks:
            data: Any = cut(pixels, chunk)
            if self._coded:
                data = self._codec.encode(data, self._order.quality)
            length = _write(self._area(slot, chunk.index, 0), data)
            self._tasks.put((slot, chunk.index, length))

    def _collect(self, free: queue.SimpleQueue[int], finished: list[float]) -> None:
        missing: dict[int, int] = {}
        while True:
            slot, index, length = self._done.get()
            if slot < 0:
                return
            data = self._area(slot, index, 1)[:length]
            if self._coded:
                self._form.decode(data, self._chunks[index].target.size)
            else:
                np.frombuffer(data, np.int16).copy()
            missing[slot] = missing.get(slot, len(self._chunks)) - 1
            if not missing[slot]:
                del missing[slot]
                finished.append(monotonic())
                free.put(slot)

    def _area(self, slot: int, index: int, side: int) -> memoryview:
        return _area(self._memory, self._stride, len(self._chunks), slot, index, side)


def _chunks(order: PlayRequest) -> tuple[Chunk, ...]:
    plan = Pipeline.parse(order.ops).resolve(Size.parse(order.size))
    return plan_chunks(plan, Grid.parse(order.grid))


def _stride(chunks: tuple[Chunk, ...]) -> int:
    """Return the bytes of the largest chunk, before or after the work, uncompressed."""
    sizes = [size for chunk in chunks for size in (chunk.padded.size, chunk.target.size)]
    return max(size.width * size.height for size in sizes) * 3


def _area(
    memory: SharedMemory, stride: int, chunks: int, slot: int, index: int, side: int
) -> memoryview:
    begin = ((slot * chunks + index) * 2 + side) * stride
    buffer = memory.buf
    assert buffer is not None  # until it is closed
    return buffer[begin : begin + stride]


def _write(area: memoryview, data: Any) -> int:
    """Copy bytes or pixels into an area; return how many bytes."""
    if isinstance(data, bytes):
        area[: len(data)] = data
        return len(data)
    np.frombuffer(area, data.dtype, data.size).reshape(data.shape)[:] = data
    return int(data.nbytes)


def _work(
    order: PlayRequest,
    coded: bool,
    name: str,
    tasks: SimpleQueue[Any],
    done: SimpleQueue[Any],
) -> None:
    """Be one of the plain processes."""
    cv2.setNumThreads(1)  # as a peer's; and so:
    keep_freed_memory()
    memory = SharedMemory(name)
    chunks = _chunks(order)
    stride = _stride(chunks)
    plan = Pipeline.parse(order.ops).resolve(Size.parse(order.size))
    engine = CpuEngine()
    done.put("ready")
    while (task := tasks.get()) is not None:
        slot, index, length = task
        chunk = chunks[index]
        source = _area(memory, stride, len(chunks), slot, index, 0)[:length]
        payload = bytes(source) if coded else b""
        work = Work(plan, order.codec, payload, chunk.padded.size, chunk.crop, order.form)
        result: Any
        if coded:
            result = engine.enhance(work).payload
        else:
            shape = (chunk.padded.height, chunk.padded.width, 3)
            result = added(engine.registry, work, np.frombuffer(source, np.uint8).reshape(shape))
        target = _area(memory, stride, len(chunks), slot, index, 1)
        done.put((slot, index, _write(target, result)))
        del source, target, result  # views of the shared memory
    memory.close()


@contextmanager
def _both(order: PlayRequest) -> Iterator[tuple[PlainProcesses, PlainProcesses]]:
    with PlainProcesses(order, coded=True) as coded, PlainProcesses(order, coded=False) as raw:
        yield coded, raw


def capacity(pool: Pool, player: Player, order: PlayRequest, rounds: int = 2) -> dict[str, Any]:
    """Return frames a second of the pool and of the plain processes, and their ratios.

    Raises:
        UnavailableError: a session of the pool ended with an error.
    """
    pool.grow(WORKERS)
    flood = replace(order, window=WINDOW, deadline_ms=5000.0)
    rates: dict[str, list[float]] = {"pool": [], "plain": [], "plain_raw": []}
    costs: dict[str, list[float]] = {name: [] for name in rates}
    shares: dict[str, float] = {}
    with _both(order) as (coded, raw):
        coded.run(0.5)
        for _ in range(rounds):
            figures = stream(pool, [player], flood)
            shares = figures["cpu_ms"]
            rates["pool"].append(figures["frames_per_s"])
            costs["pool"].append(sum(shares[role] for role in ROLES))
            for name, plain in (("plain", coded), ("plain_raw", raw)):
                rate, cost = plain.run(order.seconds)
                rates[name].append(rate)
                costs[name].append(cost)
    through = {name: round(mean(values), 1) for name, values in rates.items()}
    cpu_ms = {name: round(mean(values), 2) for name, values in costs.items()}
    return {
        "frames_per_s": through,
        "ratio": round(through["pool"] / through["plain"], 3),
        "ratio_raw": round(through["pool"] / through["plain_raw"], 3),
        # The same question asked of the processor: a busy neighbour hardly moves it.
        "cpu_ms": cpu_ms,
        "cpu_ratio": round(cpu_ms["plain"] / cpu_ms["pool"], 3),
        "pool_cpu_ms": shares,
    }


def capacities(pool: Pool, player: Player, seconds: float, *, quick: bool) -> dict[str, Any]:
    """Return the figures of the small frame, and of the large one where there is time."""
    sizes = [SMALL] if quick else [SMALL, LARGE]
    return {
        f"{size} ×2": capacity(
            pool,
            player,
            PlayRequest(size=size, ops=OPERATIONS, seconds=seconds),
            rounds=1 if quick else 2,
        )
        for size in sizes
    }
