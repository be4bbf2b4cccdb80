"""``p2c2g demo``: the whole way of a frame, on the real parts."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import psutil
import pytest

from p2c2g_capture.sources.pattern import read_numbers

from .conftest import PATIENCE, Command, finish, run_demo, words_of

STAGES = ["capture", "encode", "queue", "decode", "process", "result", "reassemble"]


def check_report(report: dict[str, Any], *, fps: int, seconds: int) -> None:
    """Check what holds of every report; how fast it was is not a test's business."""
    frames = report["frames"]
    assert frames["captured"] == fps * seconds
    assert sum(frames.values()) == 2 * frames["captured"]
    assert frames["complete"] > 0
    assert report["success_rate"] == pytest.approx(
        frames["complete"] / frames["captured"], abs=1e-4
    )
    assert report["order_violations"] == 0
    assert list(report["stages_ms"]) == STAGES
    assert set(report["attempts"]) == {"1", "2", "3"}
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p95"]
    assert {peer["queue"] for peer in report["peers"]} == {"cpu"}
    assert report["versions"]["p2c2g"]
    assert report["settings"]["fps"] == fps


@pytest.mark.needs("Xvfb", "chocolate-doom")
def test_a_real_game_goes_through_the_pool(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    report = run_demo(
        tmp_path / "report.json", "--source=game", "--size=640x360", "--seconds=4", "--peers=2"
    )
    check_report(report, fps=30, seconds=4)
    assert report["settings"]["output"] == "1280x720"
    record_property("frames", report["frames"])
    record_property("latency_ms", report["latency_ms"])


def test_the_pictures_arrive_in_order_and_untorn(tmp_path: Path) -> None:
    video = tmp_path / "shown.mp4"
    report = run_demo(
        tmp_path / "report.json",
        "--source=pattern",
        "--size=640x360",
        "--seconds=4",
        "--chunks=2x2",
        f"--record={video}",
    )
    check_report(report, fps=30, seconds=4)
    last = -1
    shown = 0
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            stamps = read_numbers(frame.to_ndarray(format="bgr24"))
            assert len(set(stamps)) == 1, f"torn: {stamps}"
            number = stamps[0]
            assert number is not None
            assert number > last
            last, shown = number, shown + 1
    # The recorder may drop a picture on a busy machine, never show one twice.
    assert 0 < shown <= report["frames"]["complete"] + report["frames"]["degraded"]


def test_odd_sizes_and_another_codec(tmp_path: Path) -> None:
    report = run_demo(
        tmp_path / "report.json",
        "--source=pattern",
        "--size=853x479",
        "--fps=10",
        "--seconds=3",
        "--chunks=3x2",
        "--ops=denoise:0.3,upscale:1.5:lanczos,sharpen:0.5",
        "--codec=raw",
        "--peers=1",
    )
    check_report(report, fps=10, seconds=3)
    assert report["settings"]["output"] == "1280x719"


def test_without_a_screen_the_shipped_clip_plays(tmp_path: Path) -> None:
    report = run_demo(tmp_path / "report.json", "--seconds=2", "--peers=1")
    assert report["settings"]["source"].startswith("video:")
    assert report["settings"]["source"].endswith("freedoom.mp4")


def family_is_gone(family: list[psutil.Process]) -> bool:
    _gone, alive = psutil.wait_procs(family, timeout=PATIENCE)
    return not alive


def test_ctrl_c_ends_everything_and_sums_up(start: Any) -> None:
    demo: Command = start("p2c2g", "demo", "--source=pattern", "--port=0")
    demo.line_with("Watch at")
    demo.line_with("FPS")
    family = demo.family()
    assert len(family) >= 4
    done = demo.end(signal.SIGINT)
    assert done.code == 0, done
    assert "captured" in done.output
    assert "Traceback" not in done.output
    assert family_is_gone(family)


def test_a_crash_of_a_part_ends_the_rest_and_is_told(start: Any) -> None:
    demo: Command = start("p2c2g", "demo", "--source=pattern", "--port=0")
    demo.line_with("FPS")
    family = demo.family()
    (worker,) = [part for part in family if {"peer1@demo", "worker"} <= set(words_of(part))]
    worker.kill()
    output, _ = demo.process.communicate(timeout=PATIENCE)
    assert demo.process.returncode == 1
    assert "peer1 ended by itself" in output
    assert "Traceback" not in output
    assert family_is_gone(family)


def test_a_kill_leaves_nothing_behind(start: Any) -> None:
    demo: Command = start("p2c2g", "demo", "--source=pattern", "--port=0")
    demo.line_with("FPS")
    family = demo.family()
    demo.process.kill()
    assert family_is_gone(family)


def test_help_and_version() -> None:
    for command in ("p2c2g", "p2c2g-capture"):
        assert finish(command, "--version").output.startswith("p2c2g 0.")
        assert "Usage" in finish(command, "--help").output
    for words in (("p2c2g", "demo"), ("p2c2g-capture", "run"), ("p2c2g", "peers", "list")):
        told = finish(*words, "--help").output
        assert "--" in told
        assert "bool" not in told, "a flag takes no value"
