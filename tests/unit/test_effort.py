"""What a chunk would take, and what a peer refuses before it begins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from p2c2g.errors import ProcessorError, UsageError
from p2c2g.media.codecs import CODECS, codec
from p2c2g.media.frame import Rect, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form
from p2c2g.media.wire import ChunkHeader
from p2c2g.peers.messages import Capabilities, Gpu
from p2c2g.settings import WorkerSettings
from p2c2g_workers import effort as effort_module
from p2c2g_workers import probe, processors
from p2c2g_workers.effort import (
    ASSUMED,
    ASSUMED_CODEC,
    LEAST,
    MOST,
    SLOWER,
    Allowance,
    effort,
    limited,
    measured,
)
from p2c2g_workers.engine import Done, Engine, Kind, Work, current
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.engine.guarded import Guarded
from p2c2g_workers.gpu.errors import OutOfMemory
from p2c2g_workers.ladder import settle
from p2c2g_workers.method_chooser import MethodChooser
from p2c2g_workers.probe import cache
from p2c2g_workers.tasks import enhance
from tests.hard_pictures import picture

LUMA, COLOURS = Form("jpeg", 75), Form("jpeg", 75, in_colour=True)
#: A small machine, of which nothing was measured yet.
UNKNOWN = Capabilities(memory=1 << 30)
#: A quarter of what was measured for docs/reliability.md, and nets as slow as they were ever seen:
#: 13.7 thousand million products a second.
SLOW = Capabilities(
    memory=1 << 30,
    codecs={"jpeg": 74.0, "webp": 12.0, "avif": 6.6, "png": 3.9, "raw": 103.0},
    speeds={
        "denoise": 370.0, "sharpen": 220.0, "upscale:base": 480.0, "upscale:bicubic": 87.0,
        "upscale:lanczos": 28.0, "upscale:nearest": 99.0,
        "upscale:ml-tiny": 9.8, "upscale:ml-small": 2.0, "upscale:ml-large": 0.64,
    },
)  # fmt: skip
#: Much faster than that, with a large card.
FAST = Capabilities(
    memory=1 << 38,
    codecs=dict.fromkeys(CODECS, 3000.0),
    speeds=dict.fromkeys(processors.known(), 10_000.0),
    gpus=(Gpu(name="large", kind="cuda", memory=80 << 30),),
)


class Bench:
    """An engine that has every net and may not be asked to do anything."""

    def __init__(self, kind: Kind = "cpu", error: Exception | None = None) -> None:
        self.kind = kind
        self._error = error or AssertionError("it was begun")

    def can(self, _step: Any) -> bool:
        return True

    def enhance(self, _work: Work) -> Done:
        raise self._error

    def close(self) -> None:
        pass


def allowance(
    size: Size,
    here: Capabilities = UNKNOWN,
    form: Form = LUMA,
    budget: float = 0.1,
    kind: Kind = "cpu",
) -> Allowance:
    return Allowance(Bench(kind), size, form, budget, lambda _engine: here)


def fits(text: str, size: Size, *args: Any, **options: Any) -> bool:
    return allowance(size, *args, **options).fits(Pipeline.parse(text).resolve(size))


# -- what is refused


HUGE = [
    ("upscale:2:ml-large", Size(4096, 4096), LUMA),
    ("upscale:2:ml-small", Size(4096, 4096), LUMA),
    (",".join(["denoise:1"] * 8), Size(8192, 8192), LUMA),
    ("upscale:8:nearest", Size(1024, 1024), COLOURS),
    ("upscale:8:lanczos,upscale:0.125,upscale:8:lanczos", Size(1000, 1000), LUMA),
]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process's engine be one that may not begin anything, on a small machine."""
    monkeypatch.setattr(current, "_current", Bench())
    monkeypatch.setattr(effort_module, "measured", lambda _engine: UNKNOWN)


@pytest.mark.usefixtures("bench")
@pytest.mark.parametrize("budget_us", [100_000, 2**53])
@pytest.mark.parametrize(("operations", "size", "form"), HUGE)
def test_more_work_than_a_peer_has_time_or_memory_for_is_not_begun(
    operations: str, size: Size, form: Form, budget_us: int
) -> None:
    """Whatever budget a stranger writes."""
    whole = Rect(0, 0, size.width, size.height)
    header = ChunkHeader(
        "s", 1, 0, 1, "jpeg", form, operations, size, whole, Rect(0, 0, 64, 64), budget_us
    )
    with pytest.raises(ProcessorError, match="for one chunk: send smaller chunks, or ask for less"):
        enhance.run(header.pack(), b"no picture")


@pytest.mark.parametrize(("operations", "size", "form"), HUGE)
def test_a_fast_machine_does_what_a_slow_one_refuses(
    operations: str, size: Size, form: Form
) -> None:
    assert fits(operations, size, FAST, form)
    assert not fits(operations, size, SLOW, form)


def test_a_budget_buys_time_up_to_a_bound() -> None:
    size = Size(1280, 720)
    assert not fits("upscale:2:ml-large", size, SLOW, budget=0.1)  # 5.8 s
    assert fits("upscale:2:ml-large", size, SLOW, budget=2.0)
    assert not fits("upscale:2:ml-large", Size(2560, 1440), SLOW, budget=1e9)
    assert LEAST < MOST


def test_memory_is_a_share_of_the_machines() -> None:
    size = Size(3000, 3000)
    quick = FAST.model_copy(update={"memory": 4 << 30})
    assert fits("upscale:2", size, FAST)
    with pytest.raises(ProcessorError, match="about 411 MiB here, where this peer gives 256 MiB"):
        allowance(size, quick).check(Pipeline.parse("upscale:2").resolve(size))


def test_what_a_card_has_no_memory_for_does_not_reach_it() -> None:
    """It would lose the card: its memory does not hold one chunk."""
    size, small = Size(2048, 2048), Gpu(name="small", kind="cuda", memory=2 << 30)
    assert fits("upscale:2", size, FAST, kind="cuda")
    here = FAST.model_copy(update={"gpus": (small,)})
    assert not fits("upscale:2", size, here, kind="cuda")
    assert fits("upscale:2", size, here, kind="cpu")
    assert fits("upscale:2", Size(1280, 360), here, kind="cuda")
    # A part of a large one is no more.
    part = limited(FAST, WorkerSettings(gpu_memory_mb=2048))
    assert not fits("upscale:2", size, part, kind="cuda")
    assert limited(FAST, WorkerSettings()) == FAST


# -- what is not


SIZES = [Size(640, 360), Size(1280, 720), Size(1920, 1080)]


@pytest.mark.parametrize("here", [UNKNOWN, SLOW], ids=["unknown", "slow"])
@pytest.mark.parametrize("form", [LUMA, COLOURS, Form("avif", 60)], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_no_session_of_a_documented_size_is_refused(
    size: Size, form: Form, here: Capabilities
) -> None:
    """In two chunks, at the usual deadline, on a slow machine or one that was not measured."""
    chunk = Size(size.width, size.height // 2 + 32)
    texts = ["upscale:2", "denoise:1,upscale:2,sharpen:1", "sharpen:0.5", "upscale:3/2:bicubic"]
    if size.width <= 1280:
        texts += ["upscale:2:ml-tiny", "upscale:2:ml-small"]
    assert [text for text in texts if not fits(text, chunk, here, form)] == []


def test_the_base_of_a_very_large_frame_is_not_refused() -> None:
    assert fits("upscale:2", Size(3840, 1112), UNKNOWN)
    assert fits("upscale:2", Size(3840, 1112), SLOW)


def test_a_trifle_is_not_looked_up() -> None:
    def ask(_engine: Engine) -> Capabilities:
        raise AssertionError("it was looked up")

    for text, size in (
        ("upscale:2", Size(640, 212)),
        ("upscale:2:ml-small", Size(640, 212)),
        ("sharpen:1", Size(1280, 720)),
    ):
        plan = Pipeline.parse(text).resolve(size)
        Allowance(Bench(), size, LUMA, 0.1, ask).check(plan)


@pytest.mark.parametrize("size", [Size(1280, 360), Size(1920, 560), Size(3840, 1096)], ids=str)
def test_a_slow_peer_steps_down_the_ladder_and_does_not_refuse(size: Size) -> None:
    """What is left to it is done by the best that it has the time and the memory for."""
    asked = Pipeline.parse("upscale:2:ml")
    given_ = allowance(size, SLOW)
    chooser = MethodChooser()
    settled = settle(asked, size, 1.0, Bench(), chooser, 100.0, fits=given_.fits)
    given_.check(settled.plan)
    generous = settle(asked, size, 1.0, Bench(), chooser, 100.0)
    assert generous.pipeline.text == "upscale:2:ml-tiny"
    assert settled.pipeline.text == (
        "upscale:2:base" if size.width == 3840 else "upscale:2:ml-tiny"
    )


def test_what_the_probe_remembers_is_looked_up_without_a_look_at_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A driver that was loaded before a fork may hang after it."""

    def ask() -> tuple[Gpu, ...]:
        raise AssertionError("a driver was asked")

    monkeypatch.setattr(cache, "path", lambda kind="cpu": tmp_path / kind)
    monkeypatch.setattr(probe, "gpus", ask)
    monkeypatch.setattr(effort_module, "monotonic", lambda: 1.0)
    kept = cache.Measured(speeds={"upscale:ml-large": 7.0}, codecs={"jpeg": 70.0})
    cache.save("another machine's key", kept)
    effort_module._look.cache_clear()
    here = measured(CpuEngine())
    assert (here.speeds, here.codecs, here.gpus) == (kept.speeds, kept.codecs, ())
    assert here.memory == probe.memory()
    assert measured(CpuEngine()) is here, "it is not read again at once"
    assert not measured(Bench("opencl")).speeds
    effort_module._look.cache_clear()


# -- a card's spare


def guarded(error: Exception, lost: Callable[[str], None]) -> Guarded:
    return Guarded(Bench("cuda", error), CpuEngine(), lost, wait=lambda _pause: True)


def test_what_a_card_fails_at_is_not_done_by_a_processor_for_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither is the card lost by a chunk that nobody should have sent."""
    monkeypatch.setattr(effort_module, "measured", lambda _engine: SLOW)
    size = Size(2048, 2048)
    plan = Pipeline.parse("upscale:2:ml-large").resolve(size)
    work = Work(plan, "jpeg", b"no picture", size, Rect(0, 0, 64, 64), LUMA)
    lost: list[str] = []
    engine = guarded(OutOfMemory("no memory"), lost.append)
    with pytest.raises(ProcessorError, match="for one chunk"):
        engine.enhance(work)
    assert engine.well
    assert not lost
    engine.close()


def test_what_a_processor_can_do_it_still_does() -> None:
    size = Size(64, 48)
    plan = Pipeline.parse("sharpen:1").resolve(size)
    payload = codec("jpeg").encode(picture(size, 1, "soft"), 80)
    work = Work(plan, "jpeg", payload, size, Rect(0, 0, 64, 48), LUMA)
    engine = guarded(RuntimeError("driver"), lambda _reason: None)
    assert engine.enhance(work).payload == CpuEngine().enhance(work).payload
    engine.close()


# -- the estimate


steps = st.sampled_from(
    ["sharpen:1", "denoise:1", "upscale:2", "upscale:3/2:bicubic", "upscale:0.5", "pass"]
    + [f"upscale:2:{net}" for net in NETWORKS]
)  # fmt: skip
sizes = st.builds(lambda x, y: Size(4 * x, 4 * y), st.integers(4, 500), st.integers(4, 500))


@given(st.lists(steps, min_size=1, max_size=4), steps, sizes, st.floats(0.5, 100), st.booleans())
def test_more_steps_and_pixels_and_slower_machines_take_more(
    texts: list[str], more: str, size: Size, speed: float, in_colour: bool
) -> None:
    form = COLOURS if in_colour else LUMA
    machine = Capabilities(speeds=dict.fromkeys(processors.known(), speed))
    try:
        plan = Pipeline.parse(",".join(texts)).resolve(size)
        longer = Pipeline.parse(",".join([*texts, more])).resolve(size)
        double = Size(2 * size.width, 2 * size.height)
        larger = Pipeline.parse(",".join(texts)).resolve(double)
    except UsageError:
        assume(False)
    here = effort(plan, size, form, machine)
    for other in (effort(longer, size, form, machine), effort(larger, double, form, machine)):
        assert other.seconds >= here.seconds
        assert other.memory >= here.memory
        assert other.card >= here.card
    slower = Capabilities(speeds=dict.fromkeys(processors.known(), speed / 2))
    assert effort(plan, size, form, slower).seconds >= here.seconds


def test_a_trifle_fits_a_machine_that_is_much_slower_than_assumed() -> None:
    slow = Capabilities(
        speeds=dict.fromkeys(processors.known(), ASSUMED / SLOWER),
        codecs=dict.fromkeys(CODECS, ASSUMED_CODEC / SLOWER),
    )
    for edge in range(64, 2048, 64):
        size = Size(edge, edge)
        plan = Pipeline.parse("upscale:2,sharpen:1").resolve(size)
        if effort(plan, size, LUMA).seconds <= LEAST / SLOWER:
            assert effort(plan, size, LUMA, slow).seconds <= LEAST


MEASURED = """
import os, resource, sys
from p2c2g.media.frame import Rect, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.probe.speeds import chunk
from dataclasses import replace
from p2c2g_workers.effort import effort

def work(text, size, colours):
    return replace(chunk(text, "jpeg", size), form=Form("jpeg", 75, in_colour=colours))

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

for text in sys.argv[1:]:
    for colours in (False, True):
        small = work(text, Size(64, 64), colours)
        CpuEngine().enhance(small)
        one = work(text, Size(1024, 768), colours)
        if os.fork() == 0:
            # What a new process takes for anything, 12 MB with Python 3.13, is not the chunk's.
            CpuEngine().enhance(small)
            before = resident()
            CpuEngine().enhance(one)
            took = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
            told = effort(one.plan, one.size, one.form).memory
            print(text, colours, took, told, sep="\\t", flush=True)
            os._exit(0)
        os.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads ru_maxrss as Linux has it")
def test_the_engine_takes_no_more_memory_than_is_said() -> None:
    texts = ["upscale:2", "denoise:1,upscale:3/2:lanczos,sharpen:1"]
    if "upscale:ml-large" in processors.known():
        texts += ["upscale:2:ml-large"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *texts], capture_output=True, text=True, timeout=110,
        check=True,
    )  # fmt: skip
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) == 2 * len(texts)
    assert [line for line in lines if int(line[2]) > int(line[3])] == []
