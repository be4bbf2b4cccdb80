"""Three pictures of a run, as PNG: latency, frames over time, and who did the work."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.picture import FrameState
from p2c2g.simulator.world import World
from p2c2g.system.files import write_whole

_BLUE, _ORANGE, _GREY = "#2b6cb0", "#dd6b20", "#718096"
#: Of runs side by side: told apart by colour and by stroke.
_STYLES = ("C7-", "C2--", "C0-", "C1-.")
#: Seconds of every frame, by pool and run.
Panels = dict[str, dict[str, list[float]]]


def check_folder(folder: Path) -> None:
    """Refuse a folder, or a machine without matplotlib, before the run and not after.

    Raises:
        UsageError: it cannot be made, or is a file.
        UnavailableError: matplotlib is not installed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The folder {str(folder)!r} cannot be made: {error.strerror}. Give one that is yours."
        ) from error
    _pyplot()


def draw(world: World, folder: Path, title: str) -> list[Path]:
    """Write ``latency.png``, ``frames.png`` and ``peers.png`` of a run that is over.

    Raises:
        UnavailableError: matplotlib is not installed.
    """
    plt = _pyplot()
    paths = []
    for name, picture in (("latency", _latency), ("frames", _frames), ("peers", _peers)):
        figure, axes = plt.subplots(figsize=(7, 3.6), dpi=120, layout="constrained")
        picture(axes, world)
        axes.set_title(title, fontsize=9, loc="left")
        axes.grid(visible=True, alpha=0.3)
        path = folder / f"{name}.png"
        _save(figure, path)
        plt.close(figure)
        paths.append(path)
    return paths


def compare(panels: Panels, deadline: float, path: Path) -> None:
    """Write one picture of several pools, each with the latencies of several runs.

    Args:
        panels: seconds from capture to complete of every frame, by pool and run.
        deadline: seconds, at which a frame is shown whatever came.
        path: of the PNG.

    Raises:
        UnavailableError: matplotlib is not installed.
    """
    plt = _pyplot()
    figure, several = plt.subplots(
        1, len(panels), figsize=(9, 3.6), dpi=120, layout="constrained", sharey=True, squeeze=False
    )
    for axes, (title, runs) in zip(several[0], panels.items(), strict=True):
        for (name, latencies), style in zip(runs.items(), _STYLES, strict=False):
            ready = np.sort(latencies) * 1e3
            shares = np.arange(1, len(ready) + 1) / len(ready)
            axes.step(ready, shares, style, where="post", label=name, linewidth=1.6)
        axes.axvline(deadline * 1e3, color=_GREY, linestyle=":", linewidth=1)
        axes.set(xlim=(0, deadline * 1050), ylim=(0, 1.01))
        axes.set_xlabel("ms from capture to complete; at the deadline: degraded")
        axes.set_title(title, fontsize=9, loc="left")
        axes.grid(visible=True, alpha=0.3)
    several[0][0].set_ylabel("share of frames")
    several[0][0].legend(loc="upper left", frameon=False)
    _save(figure, path)
    plt.close(figure)


def _save(figure: Any, path: Path) -> None:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    write_whole(path, drawn.getvalue())


def _pyplot() -> Any:
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise UnavailableError(
            "Plots need matplotlib, which is not installed: pip install 'p2c2g[bench]', or leave "
            "--plots out."
        ) from None
    mpl.use("agg")
    from matplotlib import pyplot as plt

    return plt


def _latency(axes: Any, world: World) -> None:
    """Draw the share of the frames that were ready within so many milliseconds."""
    latencies = np.sort([each for gamer in world.gamers for each in gamer.figures.latencies]) * 1e3
    shares = np.arange(1, len(latencies) + 1) / len(latencies)
    deadline = world.scenario.deadline * 1e3
    axes.step(latencies, shares, where="post", color=_BLUE)
    axes.axvline(deadline, color=_GREY, linestyle="--", linewidth=1)
    axes.set(xlim=(0, deadline * 1.05), ylim=(0, 1.01))
    axes.set_xlabel("milliseconds from capture to complete; at the deadline: degraded")
    axes.set_ylabel("share of frames")


def _frames(axes: Any, world: World) -> None:
    """Draw complete and degraded frames by the second, and how many peers there were."""
    begin = min(second for gamer in world.gamers for second, _ in gamer.figures.timeline)
    end = max(second for gamer in world.gamers for second, _ in gamer.figures.timeline) + 1
    seconds = range(begin, end)

    def counted(state: FrameState) -> list[int]:
        return [
            sum(gamer.figures.timeline[second, state] for gamer in world.gamers)
            for second in seconds
        ]

    at = [second - begin for second in seconds]
    complete, degraded = counted(FrameState.COMPLETE), counted(FrameState.DEGRADED)
    axes.bar(at, complete, width=1.0, color=_BLUE, label="complete")
    axes.bar(at, degraded, width=1.0, bottom=complete, color=_ORANGE, label="degraded")
    axes.set(xlabel="seconds", ylabel="frames a second")
    axes.legend(loc="lower left", fontsize=8)
    twin = axes.twinx()
    twin.plot(list(world.population), list(world.population.values()), color="black", linewidth=1)
    twin.set_ylim(0, None)
    twin.set_ylabel("peers")


def _peers(axes: Any, world: World) -> None:
    """Draw the chunks of each peer that worked, against its speed."""
    worked = [peer for peer in world.peers if peer.served]
    speeds = [peer.machine.slots / peer.machine.seconds_per_megapixel for peer in worked]
    axes.scatter(speeds, [peer.served for peer in worked], s=12, color=_BLUE, alpha=0.7)
    axes.set(xscale="log", ylim=(0, None))
    axes.set_xlabel(
        f"megapixels a second of a peer; {len(worked)} of {len(world.peers)} peers had work"
    )
    axes.set_ylabel("chunks")
