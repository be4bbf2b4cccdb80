"""A graphics card beside the processor of the same machine, in one run.

Four tables and a plot:

operations
    what each operation and net adds to the base of a picture, its residual, in batches, beside one
    thread of the processor: the ratio is what counts, since both were measured in the same minutes;
model
    residuals a second of a net alone, on the device, by batch, in whole numbers, in half
    precision and, where asked, with ``torch.compile``;
engine
    the same through the worker's own road (decode, net, bring down, encode), and what part of the
    model's speed is left;
memory
    the peak by size of the chunk and chunks at once.

Each figure is a median over runs between two waits for the device to be idle.  With
``--device cpu`` it all runs on PyTorch's CPU device: that shows that it runs, and says nothing
about a card.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.gpu_report import Row, draw, driver, memory_table, told
from benchmarks.machine import processor
from benchmarks.options import Parser, number, run, whole
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.media.residual import USUAL_FORM, luma
from p2c2g_workers import gpu as card
from p2c2g_workers import nets
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.adding import From, way
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.ladder import WORTH
from p2c2g_workers.processors import CPU

OPERATIONS = (
    "upscale:2,sharpen:0.5",
    "upscale:2:nearest",
    "upscale:2:bilinear",
    "upscale:2:bicubic",
    "upscale:2:lanczos",
    "upscale:1/2:bicubic",
    "sharpen:0.5",
    "denoise:0.5",
)
#: Sizes of chunks for the table of memory.
CHUNKS = tuple(map(Size.parse, ("160x90", "320x180", "640x360", "1280x720", "1920x1080")))
#: Of the chunks; their residuals are in the usual form.
QUALITY = 80


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for, and print and write it."""
    parser = Parser(prog="gpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cuda:0", help="cuda:0, mps or cpu")
    parser.add_argument("--size", default="1280x720", help="of a picture before it is doubled")
    parser.add_argument("--net", default=WORTH[0], choices=[*NETWORKS], help="the one to be run")
    parser.add_argument("--most", type=whole("a batch", 1, 64), default=16, help="largest batch")
    parser.add_argument("--threads", type=whole("threads", 1, 64), default=16, help="that bring")
    parser.add_argument("--seconds", type=number("seconds", 0.01, 60), default=1.0,
                        help="for each figure")  # fmt: skip
    parser.add_argument("--compile", action="store_true", help="try torch.compile too")
    parser.add_argument("--out", type=Path, default=Path("out/gpu"))
    options = parser.parse_args(arguments)
    if card.MISSING:
        raise UnavailableError("PyTorch is not installed: pip install 'p2c2g[cuda]'")
    size = Size.parse(options.size)
    net: str = options.net
    if not nets.is_shipped(net):
        raise UsageError(f"There are no weights of {net} in the package.")
    bench = Bench(options.device, size, net, options.seconds)
    about = bench.about()
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    if options.device == "cpu":
        print("This is PyTorch's CPU device: it shows that all runs, and says nothing of a card.")
    batches = [2**power for power in range(7) if 2**power <= options.most]
    rows: list[Row] = []
    for each in (
        bench.operations(batches),
        bench.model(batches, compiled=options.compile),
        bench.engine(batches, options.threads),
    ):
        for row in each:
            rows.append(row)
            print(told(row), flush=True)
    sizes = dict.fromkeys([*(one for one in CHUNKS if one.width <= size.width), size])
    memory = bench.memory([*sizes], batches)
    print(memory_table(memory))
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"about": about, "rows": [asdict(row) for row in rows], "memory": memory}
    (options.out / "gpu.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    draw(memory, options.out / "gpu-memory.png", about)
    print(f"{options.out}/gpu.json and gpu-memory.png")
    return 0


class Bench:
    """What is measured, on one device with one size and net."""

    def __init__(self, device: str, size: Size, net: str, seconds: float) -> None:
        """Open the device.

        Raises:
            UsageError: there is no such device.
            UnavailableError: it is not here.
        """
        # Only here: the command line is refused without PyTorch's seconds.
        self._torch: Any = importlib.import_module("torch")
        self._gpu: Any = importlib.import_module("p2c2g_workers.gpu.engine")
        self._adding: Any = importlib.import_module("p2c2g_workers.gpu.adding")
        self._network: Any = importlib.import_module("p2c2g_workers.gpu.network")
        self._name, self._size, self._net, self._seconds = device, size, net, seconds
        devices: Any = importlib.import_module("p2c2g_workers.gpu.device")
        self._device: Any = devices.open_device(device)
        self._pictures = [_picture(size, seed) for seed in range(4)]
        self._model = 0.0

    def about(self) -> dict[str, str]:
        """Return what was measured on: names, versions, clock and driver."""
        torch = self._torch
        found = {
            "machine": f"{platform.machine()}, {processor()} × {os.cpu_count()}",
            "torch": torch.__version__,
            "size": str(self._size),
            "net": self._net,
            "device": self._name,
        }
        if self._device.device.type == "cuda":
            index = self._device.device.index
            found["device"] = torch.cuda.get_device_name(index)
            found["CUDA, cuDNN"] = f"{torch.version.cuda}, {torch.backends.cudnn.version()}"
            found |= driver(index)
        return found

    def operations(self, batches: Sequence[int]) -> Iterator[Row]:
        """Measure what each operation and net adds, beside one thread of the processor."""
        cv2.setNumThreads(1)
        shipped = [f"upscale:2:{name}" for name in NETWORKS if nets.is_shipped(name)]
        for text in (*OPERATIONS, *shipped):
            plan = Pipeline.parse(text).resolve(self._size)
            add = way(CPU, self._work(plan))
            given = _luma(self._pictures[0]) if add.of_luma else self._pictures[0]
            alone = 1 / self._once(partial(add.add, given), 1)
            yield Row("operations", f"{text}, processor", 1, alone)
            for batch in batches:
                rate = batch / self._once(self._on_device(text, batch))
                yield Row("operations", text, batch, rate, rate / alone, "processor")

    def model(self, batches: Sequence[int], *, compiled: bool) -> Iterator[Row]:
        """Measure the net alone: pictures that are on the device and stay there."""
        for half, made in ((False, False), (True, False), *([(False, True)] if compiled else [])):
            name = f"{self._net}{', half' if half else ''}{', compiled' if made else ''}"
            for graph in (False, True):
                for batch in batches:
                    work = self._on_device(f"upscale:2:{self._net}", batch, half, made, graph)
                    if work is None:
                        continue
                    rate = batch / self._once(work)
                    if not half:
                        self._model = max(self._model, rate)
                    yield Row("model", f"{name}{', graph' if graph else ''}", batch, rate)

    def engine(self, batches: Sequence[int], threads: int) -> Iterator[Row]:
        """Measure from JPEG to residual through the engine, beside the net and the processor."""
        plan = Pipeline.parse(f"upscale:2:{self._net}").resolve(self._size)
        works = [self._work(plan, codec("jpeg").encode(one, QUALITY)) for one in self._pictures]
        alone = self._flow(CpuEngine().enhance, works, 1)
        yield Row("engine", "processor, one thread", 1, alone)
        for on_device in (False, True):
            for batch in batches:
                engine = self._gpu.TorchEngine(
                    self._name, max_batch=batch, jpeg_on_device=on_device
                )
                try:
                    if on_device and not engine.codec_on_device:
                        break
                    rate = self._flow(engine.enhance, works, max(threads, 2 * batch))
                finally:
                    engine.close()
                where = "decoded on the device" if on_device else "decoded by the processor"
                yield Row("engine", where, batch, rate, rate / self._model, "model alone")
                yield Row("engine", where, batch, rate, rate / alone, "processor")

    def memory(self, sizes: Sequence[Size], batches: Sequence[int]) -> list[dict[str, Any]]:
        """Return the peaks of the net by size and batch."""
        engine = self._gpu.TorchEngine(self._name)
        try:
            found = engine.profile(f"upscale:2:{self._net}", sizes, batches)
        finally:
            engine.close()
        return [
            {"size": str(row.size), "batch": row.batch, "peak": row.peak, "told": row.told}
            for row in found
        ]

    def _work(self, plan: Plan, payload: bytes = b"") -> Work:
        """Return a picture as one chunk, of which all is wanted."""
        whole = Rect(0, 0, plan.output.width, plan.output.height)
        return Work(plan, "jpeg", payload, self._size, whole, USUAL_FORM)

    def _on_device(
        self, text: str, batch: int, half: bool = False, compiled: bool = False, graph: bool = False
    ) -> Callable[[], object] | None:
        """Return a plan's work on pictures that are there; None where there are no graphs."""
        plan = Pipeline.parse(text).resolve(self._size)
        given = [nets.find(step) for step in plan.steps if step.method in NETWORKS]
        made = [
            self._network.TorchNet(one, self._device.device, half=half, compiled=compiled)
            for one in given
        ]
        of_luma = self._adding.source(plan, in_colour=False) is From.LUMA
        with self._device.stage("steps"):
            adding = self._adding.Adding(plan, self._device.device, made, is_narrow=True)
            repeated = (self._pictures * batch)[:batch]
            if of_luma:
                repeated = [_luma(one)[:, :, None] for one in repeated]
            pixels = self._torch.from_numpy(np.stack(repeated)).to(self._device.device)
            work: Any = adding
            adding(pixels)
            if graph:
                work = self._device.record(adding, pixels)
        if work is None:
            return None

        def once() -> object:
            with self._device.stage("steps"):
                return work(pixels)

        return once

    def _once(self, work: Callable[[], object] | None, most: int = 50) -> float:
        """Return the median seconds of one run, over groups that end with the device idle."""
        if work is None:
            raise UnavailableError("There are no graphs on this device.")
        work()
        self._device.drain()
        taken: list[float] = []
        group, until = 1, time.perf_counter() + self._seconds
        while not taken or time.perf_counter() < until:
            began = time.perf_counter()
            for _ in range(group):
                work()
            self._device.drain()
            taken.append((time.perf_counter() - began) / group)
            group = min(most, max(1, round(0.02 / taken[-1])))
        return statistics.median(taken)

    def _flow(
        self, enhance: Callable[[Work], object], works: Sequence[Work], threads: int
    ) -> float:
        """Return chunks a second with so many threads that each bring one after another."""
        with ThreadPoolExecutor(threads) as pool:
            list(
                pool.map(enhance, [works[one % len(works)] for one in range(2 * threads)])
            )  # warm: graphs are recorded
            until = time.perf_counter() + self._seconds

            def bring(first: int) -> int:
                done = 0
                while not done or time.perf_counter() < until:
                    enhance(works[(first + done) % len(works)])
                    done += 1
                return done

            began = time.perf_counter()
            done = sum(pool.map(bring, range(threads)))
            return done / (time.perf_counter() - began)


def _luma(pixels: Pixels) -> Pixels:
    return np.asarray(luma(cv2.split(pixels)), np.uint8)


def _picture(size: Size, seed: int) -> Pixels:
    """Return soft shapes with some noise: a JPEG of it is about as large as a game's."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (size.height // 16 + 2, size.width // 16 + 2, 3), dtype=np.uint8)
    large = cv2.resize(small, (size.width, size.height), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 6, large.shape)
    return np.asarray(np.clip(large + noise, 0, 255), np.uint8)


if __name__ == "__main__":
    run(main)
