"""``python -m training``: record games, train nets, judge and write them.

A recording is RECORDINGS/GAME; a run is RUNS/NAME.  Everything outside of the weights' folder may
be thrown away.
"""

from __future__ import annotations

import csv
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from p2c2g.errors import P2C2GError, UsageError
from p2c2g.media.frame import Pixels
from training import games
from training.export import export as write
from training.nets import SHAPES, Net
from training.record import load
from training.record import record as record_game
from training.train import Terms, train
from training.variety import lettering, varied

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

#: The last part of a recording, which a net of that game never sees.
HELD = 0.2
#: Frames of each game that a net is judged on.
JUDGED = 12
#: Pictures of text that a general net learns from, beside the games.
LETTERING = 60

Recordings = Annotated[Path, typer.Option(help="Where recordings are, a folder a game.")]
Runs = Annotated[Path, typer.Option(help="Where runs are, a folder a net.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of training in all.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same net.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")]
Size = Annotated[str, typer.Option(help=f"One of {', '.join(SHAPES)}.")]


@app.command()
def record(
    game: Annotated[str, typer.Argument(help=f"One of {', '.join(games.GAMES)}.")],
    seconds: Annotated[float, typer.Option(min=1, help="Of play, over all scenes.")] = 75,
    recordings: Recordings = Path("out/recordings"),
    seed: Seed = 1,
) -> None:
    """Play a game under Xvfb and keep its frames."""
    found = games.find(game)
    print(f"{record_game(found, recordings / game, seconds, seed)} frames of {game}")


@app.command()
def general(
    teach: Annotated[str, typer.Option(help="Games to learn from, joined by commas.")],
    judge: Annotated[str, typer.Option(help="Other games to be judged on.")],
    size: Size = "ml-tiny",
    steps: Steps = 6000,
    seed: Seed = 1,
    threads: Threads = 2,
    recordings: Recordings = Path("out/recordings"),
    runs: Runs = Path("out/runs"),
) -> None:
    """Train a net for any game; whole games are held out."""
    torch.set_num_threads(threads)
    taught, judged = teach.split(","), judge.split(",")
    if set(taught) & set(judged):
        raise UsageError("A game that teaches cannot judge: give other games to --judge.")
    frames = []
    for game in taught:
        own = _parts(recordings, game)[0]
        frames.append([*own[::2], *varied(own, seed)])
    frames.append(lettering(LETTERING, seed))
    held = {game: _spread(load(recordings / game)) for game in judged}
    terms = Terms(_shape(size), steps, seed)
    watched = [frame for some in held.values() for frame in some[3::6]]
    net = train(terms, frames, watched, runs / size)
    about = _about(terms, taught, net)
    print(write(net, runs / size, size, held, about)["held_out_jpeg85"])


@app.command()
def game(
    name: Annotated[str, typer.Argument(help="The game, recorded before.")],
    size: Size = "ml-tiny",
    steps: Steps = 3000,
    seed: Seed = 1,
    threads: Threads = 2,
    recordings: Recordings = Path("out/recordings"),
    runs: Runs = Path("out/runs"),
) -> None:
    """Train a net for one game, from the general one; the last part of its frames judges it."""
    torch.set_num_threads(threads)
    begin = runs / size / "state.pt"
    if not begin.is_file():
        raise UsageError(f"There is no general net in {runs / size}: train it first (general).")
    frames, held = _parts(recordings, name)
    terms = Terms(_shape(size), steps, seed)
    folder = runs / f"{size}-{name}"
    net = train(terms, [frames], _spread(held), folder, begin=begin)
    about = _about(terms, [name], net) | {"begun_from": size}
    print(write(net, folder, name, {name: _spread(held)}, about)["held_out_jpeg85"])


@app.command()
def plot(
    names: Annotated[list[str], typer.Argument(help="Runs, such as ml-tiny or ml-tiny-etr.")],
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("out/curves.png"),
    runs: Runs = Path("out/runs"),
) -> None:
    """Draw the curves of runs: dB over bicubic on frames held out, by step."""
    from matplotlib.figure import Figure  # of the extra bench

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color="#6b7a86", linewidth=0.8)
    for name in names:
        points = curve(runs / name)
        axes.plot([step for step, _, _ in points], [gain for _, _, gain in points], label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("dB over bicubic, held-out frames, JPEG 85")
    axes.legend(frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=100)


def _shape(size: str) -> Any:
    if size not in SHAPES:
        raise UsageError(f"There is no size {size!r}: give one of {', '.join(SHAPES)}.")
    return SHAPES[size]


def _parts(recordings: Path, game: str) -> tuple[list[Pixels], list[Pixels]]:
    """Return a game's earlier frames and its later ones.

    Raises:
        UsageError: it has not been recorded.
    """
    frames = load(recordings / game)
    if len(frames) < 10:
        raise UsageError(
            f"{recordings / game} has {len(frames)} frames where at least 10 are needed: "
            f"python -m training record {game}."
        )
    cut = round(len(frames) * (1 - HELD))
    return frames[:cut], frames[cut:]


def _spread(frames: Sequence[Pixels]) -> list[Pixels]:
    return list(frames[:: max(1, len(frames) // JUDGED)])[:JUDGED]


def _about(terms: Terms, taught: Sequence[str], net: Net) -> dict[str, Any]:
    return {
        "taught_by": {
            name: games.GAMES[name].licence if name in games.GAMES else "not of this list"
            for name in taught
        },
        "data": "frames drawn under Xvfb, scaled down by area, JPEG 4:2:0 at 75 to 92 or none",
        "steps": terms.steps,
        "seed": terms.seed,
        "batch": terms.batch,
        "parameters_while_learning": sum(one.numel() for one in net.parameters()),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


def curve(folder: Path) -> list[tuple[int, float, float]]:
    """Return a run's curve: step, loss, gain in dB.

    Raises:
        UsageError: there is no such run.
    """
    if not (folder / "curve.csv").is_file():
        raise UsageError(f"There is no run in {folder}: give one that was trained.")
    with (folder / "curve.csv").open(newline="") as file:
        return [(int(a), float(b), float(c)) for a, b, c in list(csv.reader(file))[1:]]


def main() -> None:
    """Run a command; what went wrong is one sentence."""
    try:
        app()
    except P2C2GError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
