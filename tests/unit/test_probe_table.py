"""What `p2c2g peer probe` shows of the machine, of its cards and of memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from rich.console import Console

from p2c2g.media.frame import Size
from p2c2g.media.operations import Step
from p2c2g.peers.messages import Capabilities, Gpu
from p2c2g_workers.engine.choosing import Trial
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.probe import peaks, table


def printed(show: Callable[[Console], None]) -> str:
    console = Console(width=120, file=io.StringIO())
    show(console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(said, str)
    return said


def test_the_table_says_of_each_card_whether_it_works() -> None:
    old, new = Gpu(name="Old Card", kind="cuda"), Gpu(name="New Card", kind="cuda", memory=4 << 30)
    trials = [Trial(old, 'PyTorch is not installed: pip install "p2c2g[cuda]"')]
    said = printed(lambda console: table.show(Capabilities(gpus=(old, new)), console, trials))
    assert 'Old Card (cuda): PyTorch is not installed: pip install "p2c2g[cuda]"' in said
    assert "New Card (cuda, 4.0 GiB): not tried" in said


def test_what_adds_nothing_has_no_speed() -> None:
    speeds = {"pass": 8_862.0, "upscale:base": 1_928.0, "sharpen": 886.0, "upscale:ml-tiny": 45.0}
    said = printed(lambda console: table.show(Capabilities(speeds=speeds), console))
    assert "pass" not in said
    assert "base" not in said
    assert [row.split() for row in said.splitlines() if row.startswith(("sharpen", "upscale"))] == [
        ["sharpen", "886", "961"], ["upscale:ml-tiny", "45", "49"],
    ]  # fmt: skip


def test_memory_has_a_row_a_size_and_a_column_a_batch() -> None:
    found = [
        peaks.Peak(Size(640, 180), 1, "upscale:2:bicubic", 100 << 20),
        peaks.Peak(Size(640, 180), 8, "upscale:2:bicubic", None),
    ]
    said = printed(lambda console: table.show_memory(found, "This process", console))
    assert "8 at once" in said
    assert [row.split() for row in said.splitlines()][-1] == [
        *("640x180,", "upscale:2:bicubic", "100", "too", "much"),
    ]


def test_what_takes_most_is_the_largest_net_that_there_is() -> None:
    class Some(CpuEngine):
        def can(self, step: Step) -> bool:
            return step.method in {"ml-tiny", "ml-small", "bicubic"}

    class Plain(CpuEngine):
        def can(self, step: Step) -> bool:
            return step.method == "bicubic"

    assert peaks.heaviest(Some()) == "upscale:2:ml-small"
    assert peaks.heaviest(Plain()) == "upscale:2:bicubic"


def test_memory_is_measured_at_its_highest_and_anew_for_each() -> None:
    highest = iter([10, 20, 5, 40])
    begun: list[None] = []
    found = peaks.resident(
        CpuEngine(),
        sizes=[Size(96, 64), Size(64, 32)],
        batches=[1, 2],
        begin=lambda: begun.append(None),
        peak=lambda: next(highest),
    )
    assert [(peak.size.width, peak.batch, peak.memory) for peak in found] == [
        *((64, 1, 10), (64, 2, 20), (96, 1, 5), (96, 2, 40)),
    ]
    assert len(begun) == 4


def test_a_card_tells_its_memory_itself() -> None:
    class Telling(CpuEngine):
        def profile(self, pipeline: str, sizes: Any, batches: Any) -> list[SimpleNamespace]:
            asked.append(pipeline)
            return [SimpleNamespace(size=sizes[0], batch=batches[0], peak=None, told=True)]

    asked: list[str] = []
    (found,) = peaks.profile(Telling())
    assert found == peaks.Peak(peaks.SIZES[0], peaks.BATCHES[0], asked[0], None)
    assert asked == [peaks.heaviest(CpuEngine())]


def test_the_system_tells_how_large_this_process_was() -> None:
    peaks._forget()
    before = peaks._highest()
    held = np.ones(64 << 20, np.uint8)
    assert peaks._highest() >= before + (held.nbytes >> 1)
