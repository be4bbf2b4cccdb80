"""The engine of a card, by way of PyTorch's CPU device: batches, memory, graphs, errors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec

import pytest

from p2c2g.errors import (
    ChunkError,
    CodecError,
    ProcessorError,
    UnavailableError,
    UsageError,
    WireError,
)
from p2c2g.media.frame import Rect, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.cpu import CpuEngine

if find_spec("torch") is None and os.environ.get("CI", "").lower() != "true":
    pytest.skip("needs PyTorch: pip install 'p2c2g[cuda]'", allow_module_level=True)

import torch

from p2c2g_workers.gpu import stock
from p2c2g_workers.gpu.device import Device, Part, out_of_memory
from p2c2g_workers.gpu.device import Work as Run
from p2c2g_workers.gpu.engine import TorchEngine
from p2c2g_workers.gpu.errors import DeviceError, OutOfMemory
from tests.unit.test_gpu_adding import UPSCALE, work

CPU = torch.device("cpu")
SOON = 30.0


@pytest.fixture
def engine() -> Iterator[TorchEngine]:
    engine = TorchEngine("cpu")
    yield engine
    engine.close()


class Gate(Device):
    """Holds the first batch until it is let go, so that others gather; counts what is at once."""

    def __init__(self, most: int = 99) -> None:
        super().__init__(CPU)
        self.most = most
        self.batches: list[int] = []
        self.recorded: list[tuple[int, ...]] = []
        self.replays = 0
        self.freed = 0
        self.began, self.go = threading.Event(), threading.Event()

    def together(self, parts: Sequence[Part]) -> torch.Tensor:
        if not self.batches:
            self.batches.append(len(parts))
            self.began.set()
            assert self.go.wait(SOON)
        else:
            self.batches.append(len(parts))
        if len(parts) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore.")
        return super().together(parts)

    def record(self, run: Run, example: torch.Tensor) -> Run:
        self.recorded.append(tuple(example.shape))

        def replay(pixels: torch.Tensor) -> torch.Tensor:
            self.replays += 1
            return run(pixels)

        return replay

    def free(self) -> None:
        self.freed += 1


def gathered(engine: TorchEngine, gate: Gate, works: Sequence[Work]) -> list[bytes | Exception]:
    """Have the first at work while the others gather, then let all go; results in order."""
    with ThreadPoolExecutor(len(works)) as pool:
        found = [pool.submit(engine.enhance, works[0])]
        assert gate.began.wait(SOON)
        line = engine._steps._line
        for number, one in enumerate(works[1:], 1):
            found.append(pool.submit(engine.enhance, one))
            with engine._steps._changed:
                # Submitting notifies; the engine's own thread is held elsewhere.
                assert engine._steps._changed.wait_for(lambda due=number: len(line) >= due, SOON)
        gate.go.set()
        errors = [one.exception(SOON) for one in found]
        return [
            error if isinstance(error, Exception) else one.result().payload
            for one, error in zip(found, errors, strict=True)
        ]


def test_several_wait_and_go_as_one_batch() -> None:
    gate = Gate()
    engine = TorchEngine(carrier=gate, max_batch=3)
    works = [work(UPSCALE, seed=seed) for seed in range(6)]
    due = [CpuEngine().enhance(one).payload for one in works]
    assert gathered(engine, gate, works) == due
    assert gate.batches == [1, 3, 2]
    engine.close()


def test_another_plan_or_size_is_another_batch() -> None:
    gate = Gate()
    engine = TorchEngine(carrier=gate)
    works = [
        work(UPSCALE),
        work(UPSCALE, seed=2),
        work("sharpen:1"),
        work(UPSCALE, size=Size(30, 40)),
        replace(work(UPSCALE, how="png", seed=3), crop=Rect(0, 0, 20, 10)),
        work(UPSCALE, how="jpeg"),
        work(UPSCALE, how="png", form=Form("webp", 40, 3)),
        work(UPSCALE, form=Form("raw", 85, in_colour=True)),
    ]
    due = [CpuEngine().enhance(one).payload for one in works]
    assert gathered(engine, gate, works) == due
    assert gate.batches == [1, 2, 1, 1, 2, 1]
    engine.close()


def test_without_memory_for_all_it_is_half_of_them_from_then_on() -> None:
    gate, told = Gate(most=2), []
    engine = TorchEngine(carrier=gate, shrunk=told.append)
    works = [work(UPSCALE, seed=seed) for seed in range(8)]
    due = [CpuEngine().enhance(one).payload for one in works]
    assert gathered(engine, gate, works) == due
    # Seven at once, four, two and two, and then by twos at once.
    assert gate.batches == [1, 7, 4, 2, 2, 3, 2, 1]
    assert told == [4, 2, 2]
    assert gate.freed >= 3
    gate.began.clear()
    assert engine.enhance(works[0]).payload == due[0]
    engine.close()


def test_what_finds_no_memory_alone_is_told_and_the_engine_goes_on() -> None:
    gate = Gate(most=0)
    gate.go.set()
    engine = TorchEngine(carrier=gate)
    with pytest.raises(OutOfMemory, match="no memory for one chunk: CUDA out of memory"):
        engine.enhance(work(UPSCALE))
    gate.most = 1
    given = work(UPSCALE)
    assert engine.enhance(given).payload == CpuEngine().enhance(given).payload
    engine.close()


def test_a_shape_is_recorded_when_it_is_warm_and_replayed_after() -> None:
    gate = Gate()
    gate.go.set()
    engine = TorchEngine(carrier=gate)
    given = work(UPSCALE)
    due = CpuEngine().enhance(given).payload
    for _ in range(stock.WARM + 4):
        assert engine.enhance(given).payload == due
    assert gate.recorded == [(1, 40, 48, 1)]
    assert gate.replays == 3
    engine.close()


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "MAX_PLANS", 2)
    monkeypatch.setattr(stock, "MAX_GRAPHS", 3)
    gate = Gate()
    gate.go.set()
    engine = TorchEngine(carrier=gate)
    for width in (20, 21, 22, 23, 24):
        for _ in range(stock.WARM + 2):
            engine.enhance(work(UPSCALE, size=Size(width, 20)))
    assert len(engine._stock._plans) == 2
    assert len(engine._stock._graphs) <= 3
    assert {place.size.width for place in engine._stock._plans} == {23, 24}
    assert {place.size.width for place, _ in engine._stock._graphs} == {23, 24}
    engine.close()
    assert not engine._stock._plans


def test_what_a_card_says_of_itself_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    gate.go.set()
    engine = TorchEngine(carrier=gate)

    def broken(_parts: Sequence[Part]) -> torch.Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(gate, "together", broken)
    with pytest.raises(DeviceError, match="illegal memory access") as caught:
        engine.enhance(work(UPSCALE))
    assert not isinstance(caught.value, OutOfMemory)
    engine.close()


def test_a_chunk_that_is_not_what_was_announced_is_refused(engine: TorchEngine) -> None:
    given = work(UPSCALE)
    with pytest.raises(WireError, match="its picture is 48x40 where its header says 48x41"):
        engine.enhance(replace(given, size=Size(48, 41)))
    with pytest.raises(WireError, match="crop lies outside"):
        engine.enhance(replace(given, crop=Rect(0, 0, 97, 10)))
    with pytest.raises(WireError, match="begins inside a cell of 2x2 pixels"):
        engine.enhance(replace(given, crop=Rect(2, 1, 20, 10)))
    with pytest.raises(CodecError, match="damaged"):
        engine.enhance(replace(given, payload=given.payload[:60]))
    with pytest.raises(ProcessorError, match="no processor for upscale:ml"):
        engine.enhance(replace(given, plan=Pipeline.parse("upscale:2:ml").resolve(given.size)))
    absent = f"upscale:2:ml-tiny@{'0' * 32}"
    with pytest.raises(ChunkError):
        engine.enhance(replace(given, plan=Pipeline.parse(absent).resolve(given.size)))
    assert engine.enhance(given).payload == CpuEngine().enhance(given).payload


def test_it_knows_what_it_can(engine: TorchEngine) -> None:
    def step(text: str) -> object:
        return engine.can(Pipeline.parse(text).resolve(Size(64, 64)).steps[0])

    assert engine.kind == "cpu"
    assert all(map(step, ["upscale:2", "resize:10x10:lanczos", "sharpen:1", "denoise:1", "pass"]))
    assert not step("upscale:2:ml")
    assert not step(f"upscale:2:ml-tiny@{'0' * 32}")


def test_memory_grows_with_size_and_batch(engine: TorchEngine) -> None:
    rows = engine.profile("upscale:2,sharpen:1", [Size(32, 20), Size(64, 40)], [1, 4])
    peaks = {(row.size.width, row.batch): row.peak for row in rows}
    assert len(peaks) == 4
    assert all(peak is not None and peak >= 32 * 20 * 15 for peak in peaks.values())
    assert 3 < peaks[32, 4] / peaks[32, 1] <= 4.1  # type: ignore[operator]
    assert 3 < peaks[64, 1] / peaks[32, 1] <= 4.1  # type: ignore[operator]
    assert not any(row.told for row in rows)


@pytest.mark.parametrize(
    ("device", "limit", "error", "says"),
    [
        ("teapot", None, UsageError, "'teapot' is not a device: give cuda:0, mps or cpu"),
        ("meta", None, UsageError, "not a device that is served"),
        ("cpu", 1 << 20, UsageError, "leave it out for cpu"),
        ("cuda:63", None, UnavailableError, "PyTorch finds no cuda:63 here"),
    ],
)
def test_a_device_that_cannot_be_is_refused(
    device: str, limit: int | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        TorchEngine(device, memory_limit=limit)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_means_that_there_is_no_memory(error: Exception, expected: bool) -> None:
    assert out_of_memory(error) is expected


def test_nothing_of_pytorch_is_loaded_before_an_engine_is_opened() -> None:
    code = """
import sys
import p2c2g_workers.gpu, p2c2g_workers.gpu.batching, p2c2g_workers.gpu.errors
import p2c2g_workers.tasks
print("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"
