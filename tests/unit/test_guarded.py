"""The guard of an engine: whose fault an error is, when the device is lost, how it comes back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest

from p2c2g.errors import CodecError, ProcessorError, WireError
from p2c2g.media.frame import Rect, Size
from p2c2g.media.operations import Step
from p2c2g_workers.engine import Done, Kind, Work
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.engine.guarded import FAILURES, Guarded, is_the_devices, said, verdict
from p2c2g_workers.gpu.errors import DeviceError, OutOfMemory
from p2c2g_workers.probe.speeds import chunk

WORK = chunk("upscale:2", "raw", Size(16, 16))
RIGHT = CpuEngine().enhance(WORK).payload
PATIENCE = 60.0


class Card(CpuEngine):
    """Raises what it is told to, else does what the CPU does."""

    kind: Kind = "cuda"

    def __init__(self) -> None:
        self.fault: Callable[[], Exception | None] = lambda: None
        self.result: bytes | None = None
        self.cannot: set[str] = set()
        self.calls = 0
        self.closed = False

    def can(self, step: Step) -> bool:
        return step.name not in self.cannot and super().can(step)

    def enhance(self, work: Work) -> Done:
        self.calls += 1
        error = self.fault()
        if error is not None:
            raise error
        done = super().enhance(work)
        return Done(self.result or done.payload, done.decode_us, done.process_us)

    def close(self) -> None:
        self.closed = True


class Spare(CpuEngine):
    """The CPU, counted."""

    def __init__(self) -> None:
        self.calls = 0

    def enhance(self, work: Work) -> Done:
        self.calls += 1
        return super().enhance(work)


@dataclass
class Scene:
    """A guarded card whose pauses a test ends: ``gate`` lets the next try begin."""

    card: Card = field(default_factory=Card)
    spare: Spare = field(default_factory=Spare)
    lost: list[str] = field(default_factory=list)
    found: threading.Event = field(default_factory=threading.Event)
    waits: list[float] = field(default_factory=list)
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    ended: bool = False
    now: float = 0.0

    def __post_init__(self) -> None:
        self.engine = Guarded(
            self.card, self.spare, self.lost.append, self.found.set,
            self._wait, lambda: self.now,
        )  # fmt: skip

    def _wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.waiting.release()
        assert self.gate.acquire(timeout=PATIENCE)
        return self.ended

    def fail(self, error: Exception | None, times: int = 1) -> None:
        self.card.fault = lambda: error
        for _ in range(times):
            assert self.engine.enhance(WORK).payload == RIGHT

    def await_pause(self) -> None:
        assert self.waiting.acquire(timeout=PATIENCE)

    def end(self) -> None:
        self.ended = True
        self.gate.release()
        self.engine.close()


def test_a_card_that_works_is_used() -> None:
    scene = Scene()
    assert scene.engine.enhance(WORK).payload == RIGHT
    assert (scene.card.calls, scene.spare.calls) == (1, 0)
    assert scene.engine.kind == "cuda"
    assert scene.engine.well
    scene.engine.close()
    assert scene.card.closed


def test_what_the_card_cannot_the_cpu_does() -> None:
    scene = Scene()
    scene.card.cannot = {"upscale"}
    assert scene.engine.can(WORK.plan.steps[0])
    assert scene.engine.enhance(WORK).payload == RIGHT
    assert (scene.card.calls, scene.spare.calls) == (0, 1)


def test_out_of_memory_is_done_by_the_cpu_and_the_card_is_lost_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    scene.fail(OutOfMemory("2 GiB wanted"), times=4)
    assert scene.lost == ["its memory does not hold one chunk (2 GiB wanted)"]
    assert scene.engine.kind == "cpu"
    assert (scene.card.calls, scene.spare.calls) == (1, 4)
    assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) == 1
    scene.end()


@pytest.mark.parametrize(
    "error",
    [RuntimeError("odd"), DeviceError("odd"), MemoryError("odd"), OSError("odd")],
)
def test_failures_in_a_row_lose_the_card(error: Exception) -> None:
    scene = Scene()
    made = type(error)
    for failures in range(FAILURES - 1):
        scene.fail(made(f"odd {failures}"))
    scene.fail(None)  # One that goes well makes the others forgotten.
    for failures in range(FAILURES):
        assert scene.lost == []
        scene.fail(made(f"odd {failures}"))
    assert scene.lost == [f"{FAILURES} failures in a row (odd {FAILURES - 1})"]
    scene.end()


def test_one_error_for_a_whole_batch_counts_once() -> None:
    scene = Scene()
    scene.fail(RuntimeError("one batch"), times=8)
    assert scene.lost == []
    assert scene.engine.well


def test_a_broken_card_is_lost_at_once() -> None:
    scene = Scene()
    error = DeviceError("The graphics card failed: CUDA error: an ILLEGAL MEMORY access\nmore")
    scene.fail(error)
    assert scene.lost == [
        "it is broken (The graphics card failed: CUDA error: an ILLEGAL MEMORY access)"
    ]
    scene.end()


def test_a_chunks_own_error_is_raised_and_does_not_count() -> None:
    scene = Scene()
    strange = chunk("upscale:2", "raw", Size(16, 16))
    small = replace(strange, size=Size(9, 9), crop=Rect(0, 0, 18, 18))
    for _ in range(2 * FAILURES):
        with pytest.raises(WireError, match="where its header says 9x9"):
            scene.engine.enhance(small)
        with pytest.raises(CodecError, match="are not raw"):
            scene.engine.enhance(replace(strange, payload=b"none"))
    assert scene.engine.well
    assert scene.lost == []


def test_a_picture_that_only_the_cpu_reads_is_done_and_does_not_count() -> None:
    scene = Scene()
    scene.fail(CodecError("progressive JPEG is not for this card"), times=2 * FAILURES)
    assert scene.engine.well


@pytest.mark.parametrize(
    ("error", "devices"),
    [
        (RuntimeError(), True),
        (OutOfMemory(), True),
        (DeviceError(), True),
        (WireError(), False),
        (CodecError(), False),
        (ProcessorError("no processor"), False),
    ],
)
def test_whose_fault_it_is(error: Exception, devices: bool) -> None:
    assert is_the_devices(error) == devices


def test_a_processors_error_is_the_devices_where_a_driver_raised_it() -> None:
    error = ProcessorError("sharpen failed")
    error.__cause__ = RuntimeError("CL_OUT_OF_RESOURCES")
    assert is_the_devices(error)
    error.__cause__ = WireError("no picture")
    assert not is_the_devices(error)


def test_an_error_is_said_in_one_line() -> None:
    assert said(RuntimeError("CUDA error: x.\nCompile with TORCH_USE_CUDA_DSA")) == "CUDA error: x"
    assert said(RuntimeError()) == "RuntimeError"
    assert len(said(RuntimeError("x" * 9999))) == 300
    assert verdict(RuntimeError("odd"), FAILURES - 1) is None


# -- the way back


def test_a_card_that_works_again_is_found_by_the_chunk_that_failed() -> None:
    scene = Scene()
    scene.fail(OutOfMemory())
    scene.await_pause()
    scene.gate.release()
    scene.await_pause()  # It still fails.
    assert scene.waits == [5.0, 10.0]
    assert not scene.found.is_set()
    scene.card.fault = lambda: None
    scene.gate.release()
    assert scene.found.wait(PATIENCE)
    assert scene.engine.kind == "cuda"
    before = scene.card.calls
    scene.fail(None)
    assert scene.card.calls == before + 1


def test_a_card_that_gives_other_pixels_is_not_back() -> None:
    scene = Scene()
    scene.fail(OutOfMemory())
    scene.await_pause()
    scene.card.fault = lambda: None
    black = chunk("pass", "raw", Size(32, 32))
    scene.card.result = black.payload
    scene.gate.release()
    scene.await_pause()
    assert not scene.engine.well
    scene.card.result = None
    scene.gate.release()
    assert scene.found.wait(PATIENCE)


def test_a_chunk_that_no_card_can_do_does_not_cost_the_card_for_good() -> None:
    scene = Scene()

    def fault(work: list[int] = [0]) -> Exception | None:  # noqa: B006 - counts
        work[0] += 1
        return OutOfMemory() if work[0] <= 4 else None

    scene.card.fault = fault
    assert scene.engine.enhance(WORK).payload == RIGHT
    for _ in range(4):
        scene.await_pause()
        scene.gate.release()
    assert scene.found.wait(PATIENCE)
    assert scene.card.calls > 5, "the trial has more than one chunk"


def test_a_closed_engine_tries_no_more() -> None:
    scene = Scene()
    scene.fail(OutOfMemory())
    scene.await_pause()
    before = scene.card.calls
    scene.end()
    assert scene.card.calls == before
    assert not scene.found.is_set()


def test_chunks_of_many_threads_lose_the_card_once() -> None:
    scene = Scene()
    scene.card.fault = lambda: OutOfMemory()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(scene.engine.enhance, [WORK] * 40))
    assert {done.payload for done in results} == {RIGHT}
    assert len(scene.lost) == 1
    scene.end()
