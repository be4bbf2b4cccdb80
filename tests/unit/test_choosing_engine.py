"""The choice of an engine: what was found, what opens, and what passes the trial."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import numpy as np
import pytest

from p2c2g.errors import CodecError, UnavailableError, UsageError
from p2c2g.media.frame import Size
from p2c2g.peers.messages import Gpu
from p2c2g.settings import WorkerSettings
from p2c2g_workers import gpu as torch_room
from p2c2g_workers.engine import Done, Engine, Kind, Work, choosing
from p2c2g_workers.engine.choosing import open_engine
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.engine.trial import LEVELS, MEAN, differs, try_out, works
from p2c2g_workers.probe.speeds import chunk

CUDA = Gpu(name="Card", kind="cuda", memory=8 << 30)
OTHER = Gpu(name="Other", kind="cuda", memory=8 << 30)
OPENCL = Gpu(name="Chip", kind="opencl")

Open = Callable[[Kind, Callable[[WorkerSettings], Engine]], None]


class Card(CpuEngine):
    """Is off by so many levels."""

    kind: Kind = "cuda"

    def __init__(self, off: int = 0) -> None:
        self._off = off
        self.closed = False

    def enhance(self, work: Work) -> Done:
        done = super().enhance(work)
        residual = work.form.decode(done.payload, work.crop.size) + np.int16(self._off)
        return Done(work.form.encode(residual), done.decode_us, done.process_us)

    def close(self) -> None:
        self.closed = True


class Idle(Card):
    """Adds nothing."""

    def enhance(self, work: Work) -> Done:
        size = work.crop.size
        nothing = np.zeros((size.height, size.width, 1), np.int16)
        return Done(work.form.encode(nothing), 0, 0)


class Dead(Card):
    """Opens, and fails at the first chunk."""

    def enhance(self, work: Work) -> Done:
        raise RuntimeError("CUDA error: no kernel image is available\nand a page more")


@pytest.fixture
def settings() -> WorkerSettings:
    return WorkerSettings()


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Open:
    def put(kind: Kind, opener: Callable[[WorkerSettings], Engine]) -> None:
        monkeypatch.setitem(choosing.OPENERS, kind, opener)

    return put


def never(_settings: WorkerSettings) -> Engine:
    raise AssertionError("opened, where no such card was found")


def test_without_a_card_it_is_the_cpu_and_nothing_is_opened(
    settings: WorkerSettings, opens: Open
) -> None:
    for kind in list(choosing.OPENERS):
        opens(kind, never)
    choice = open_engine(settings, [])
    assert choice.engine.kind == "cpu"
    assert choice.gpu is None
    assert choice.problems == ""


def test_a_card_that_passes_is_taken(settings: WorkerSettings, opens: Open) -> None:
    opens("cuda", lambda _: Card())
    opens("opencl", never)
    choice = open_engine(settings, [OPENCL, CUDA])
    assert choice.engine.kind == "cuda"
    assert choice.gpu == CUDA
    assert choice.problems == ""


def test_one_that_fails_at_a_chunk_is_closed_and_the_next_is_tried(
    settings: WorkerSettings, opens: Open, caplog: pytest.LogCaptureFixture
) -> None:
    dead, chip = Dead(), Card()
    chip.kind = "opencl"
    opens("cuda", lambda _: dead)
    opens("opencl", lambda _: chip)
    choice = open_engine(settings, [CUDA, OPENCL])
    assert choice.engine is chip
    assert choice.gpu == OPENCL
    assert dead.closed
    why = "it fails at a chunk (CUDA error: no kernel image is available)"
    assert choice.problems == f"Card (cuda): {why}"
    assert caplog.messages == [f"The graphics card Card is not used by cuda: {why}."]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            ImportError("libcudart.so.13: no such file"),
            'PyTorch does not open it (libcudart.so.13: no such file): pip install "p2c2g[cuda]"',
        ),
        (UnavailableError("PyTorch finds no cuda:0 here."), "PyTorch finds no cuda:0 here"),
        (AssertionError("Torch not compiled with CUDA enabled"), "Torch not compiled with CUDA"),
    ],
)
def test_one_that_does_not_open_says_what_to_install(
    settings: WorkerSettings, opens: Open, error: Exception, why: str
) -> None:
    def broken(_settings: WorkerSettings) -> Engine:
        raise error

    opens("cuda", broken)
    choice = open_engine(settings, [CUDA])
    assert choice.engine.kind == "cpu"
    assert why in choice.problems


@pytest.mark.parametrize(("kind", "extra"), [("cuda", "cuda"), ("metal", "metal")])
def test_without_pytorch_it_says_what_to_install(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch, kind: Kind, extra: str
) -> None:
    monkeypatch.setattr(torch_room, "MISSING", True)
    monkeypatch.setitem(sys.modules, "torch", None)
    choice = open_engine(settings, [Gpu(name="Card", kind=kind)])  # type: ignore[arg-type]
    assert choice.problems == (
        f'Card ({kind}): PyTorch is not installed: pip install "p2c2g[{extra}]"'
    )


def test_a_card_is_chosen_by_its_number(opens: Open) -> None:
    asked: list[int] = []

    def opener(settings: WorkerSettings) -> Engine:
        asked.append(settings.gpu)
        return Card()

    opens("cuda", opener)
    assert open_engine(WorkerSettings(gpu=1), [CUDA, OTHER]).gpu == OTHER
    assert asked == [1]
    with pytest.raises(UsageError, match=r"P2C2G_WORKER_GPU=2 names no card .* 0 \(Card\), 1 \(O"):
        open_engine(WorkerSettings(gpu=2), [CUDA, OTHER])


def test_a_wrong_setting_is_told_and_not_taken_for_a_broken_card(
    settings: WorkerSettings, opens: Open
) -> None:
    def opener(_settings: WorkerSettings) -> Engine:
        raise UsageError("A limit of 9 bytes cannot be: the card has 8.")

    opens("cuda", opener)
    with pytest.raises(UsageError, match="A limit of 9 bytes"):
        open_engine(settings, [CUDA])


def test_pytorchs_engine_passes_and_the_settings_reach_it(opens: Open) -> None:
    """On PyTorch's own CPU device, which does what a card does but is none."""
    if torch_room.MISSING:
        sentence = "needs PyTorch: pip install 'p2c2g[cuda]'"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"In CI nothing may be skipped, and this test {sentence}", pytrace=False)
        pytest.skip(sentence)
    opens("cuda", lambda settings: choosing._torch("cpu", "cuda", settings))
    choice = open_engine(WorkerSettings(gpu_batch=3, gpu_half=True), [CUDA])
    assert choice.gpu == CUDA, choice.problems
    choice.engine.close()


def test_a_card_that_pytorch_does_not_find_is_one_sentence(settings: WorkerSettings) -> None:
    if not torch_room.MISSING:
        import torch

        if torch.cuda.is_available():
            return  # Then it would simply work.
    choice = open_engine(settings, [CUDA])
    assert choice.engine.kind == "cpu"
    assert choice.problems.startswith("Card (cuda): PyTorch ")


# -- the trial


def test_the_trial_has_both_kinds_of_codec_and_the_best_net_that_is_there() -> None:
    asked = works(CpuEngine())
    assert {work.codec for work in asked} == {"raw", "jpeg"}
    nets = [step.method for work in asked for step in work.plan.steps if "ml-" in str(step.method)]
    best = [net for net in ("ml-large", "ml-small", "ml-tiny") if _can(net)]
    assert nets == best[:1]


def _can(net: str) -> bool:
    return CpuEngine().can(chunk(f"upscale:2:{net}", "raw").plan.steps[0])


def test_what_is_compared_is_not_nothing() -> None:
    cpu = CpuEngine()
    for work in works(cpu):
        assert "levels off" in str(differs(work, Idle().enhance(work), cpu.enhance(work)))


@pytest.mark.parametrize("off", [0, 1, -int(MEAN)])
def test_small_differences_pass(off: int) -> None:
    assert try_out(Card(off), CpuEngine()) is None


def test_other_levels_do_not_pass() -> None:
    problem = try_out(Card(LEVELS + 1), CpuEngine())
    assert problem == f"its residual is up to {LEVELS + 1} levels off, where {LEVELS} are the most"


def test_after_a_codec_with_loss_the_mean_counts() -> None:
    work = chunk("upscale:2", "jpeg")
    due = CpuEngine().enhance(work)
    assert differs(work, due, due) is None
    problem = differs(work, Card(round(MEAN) + 5).enhance(work), due)
    assert problem is not None
    assert "on average" in problem


def test_a_residual_of_another_size_does_not_pass() -> None:
    work, small = chunk("upscale:2", "raw"), chunk("upscale:2", "raw", Size(64, 36))
    cpu = CpuEngine()
    with pytest.raises(CodecError, match="128x72 where 1280x360 is due"):
        differs(work, cpu.enhance(small), cpu.enhance(work))
