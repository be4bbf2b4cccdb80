"""``python -m training``: record games, train nets, judge and write them.

A recording is RECORDINGS/GAME; a run is RUNS/NAME.  Everything outside the weights' folder may be
deleted.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from p2c2g.errors import P2C2GError, UsageError
from p2c2g.media.frame import Pixels
from p2c2g_training.export import export as write
from p2c2g_training.folder import curve, train
from p2c2g_training.lettering import lettering
from p2c2g_training.nets import SHAPES, Net, Shape
from p2c2g_training.pairs import MARGIN
from p2c2g_training.train import ENDLESS, Terms, unpacked
from training import art, games
from training.endless import Endless, Pool
from training.growing import grown
from training.record import load
from training.record import record as record_game

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

#: The last part of a recording, which a net of that game never sees.
HELD = 0.2
#: Frames of each game that a net is judged on.
JUDGED = 12
#: Pictures of text, and collages of art, that a general net learns from beside the games.
LETTERING, COLLAGES = 60, 480
#: How much of a general net's patches is text, and art; the games share the rest.
_TEXT, _ART = 0.08, 0.5
#: Small pixels along a patch's edge, for general nets.
_EDGE = 64
#: The one term in which general nets differ: patches with detail count more than quiet ones.
_QUIET = 10.0

Recordings = Annotated[Path, typer.Option(help="Where recordings are, a folder a game.")]
Runs = Annotated[Path, typer.Option(help="Where runs are, a folder a net.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of training in all.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same net.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")]
Minutes = Annotated[
    float, typer.Option(min=0, help="End after this time, not after --steps; 0 for no limit.")
]
Half = Annotated[bool, typer.Option(help="Half precision except at the end: faster on some.")]
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
def gather(
    packages: Annotated[
        list[str] | None, typer.Argument(help="Only these packages; else all that are known.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where to unpack them.")] = Path("out/art"),
) -> None:
    """Download other games' art, from Debian's packages, for general nets."""
    for package in packages or art.ART:
        if package not in art.ART:
            raise UsageError(
                f"There is no package {package!r} here: give some of {', '.join(art.ART)}."
            )
        found = art.gather(art.fetch(package, folder), seed=1)
        print(f"{found.count} pictures of {package}")


@app.command()
def general(
    teach: Annotated[str, typer.Option(help="Games to learn from, joined by commas.")],
    judge: Annotated[str, typer.Option(help="Other games to be judged on.")],
    size: Size = "ml-tiny",
    steps: Steps = 6000,
    minutes: Minutes = 0,
    half: Half = False,
    batch: Annotated[int, typer.Option(min=1, help="Patches a step.")] = 9,
    rate: Annotated[float, typer.Option(min=1e-6, max=0.1, help="The highest.")] = 1e-3,
    grow: Annotated[str, typer.Option(help="Begin with the net of this smaller size.")] = "",
    seed: Seed = 1,
    threads: Threads = 2,
    folder: Annotated[Path, typer.Option(help="Where gather put art; none is fine.")] = Path(
        "out/art"
    ),
    recordings: Recordings = Path("out/recordings"),
    runs: Runs = Path("out/runs"),
) -> None:
    """Train a net for any game; whole games are held out."""
    torch.set_num_threads(threads)
    taught, judged = teach.split(","), judge.split(",")
    if set(taught) & set(judged):
        raise UsageError("A game that teaches cannot judge: give other games to --judge.")
    pools: list[Pool] = [_parts(recordings, game)[0] for game in taught]
    shares = [(1 - _TEXT) / len(pools)] * len(pools)
    packages = [name for name in art.ART if (folder / name).is_dir()]
    if packages:
        shares = [share * (1 - _TEXT - _ART) / (1 - _TEXT) for share in shares] + [_ART]
        arts = [art.gather(folder / name, seed) for name in packages]
        pools.append(art.collages(arts, COLLAGES, seed))
    patches = Endless([*pools, lettering(LETTERING, seed)], [*shares, _TEXT], seed, MARGIN, _EDGE)
    held = {game: _spread(load(recordings / game)) for game in judged}
    terms = Terms(
        _shape(size),
        ENDLESS if minutes else steps,
        seed,
        batch,
        rate,
        minutes * 60 or None,
        _QUIET,
        half,
    )
    watched = [frame for some in held.values() for frame in some[3::6]]
    begin = _begin(runs, grow, size, seed) if grow else None
    net = train(terms, patches, watched, runs / size, begin=begin)
    about = _about(terms, taught, net, runs / size, packages)
    about |= {"begun_from": grow} if grow else {}
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
    about = _about(terms, [name], net, folder) | {"begun_from": size}
    print(write(net, folder, name, {name: _spread(held)}, about)["held_out_jpeg85"])


@app.command()
def plot(
    names: Annotated[list[str], typer.Argument(help="Runs, such as ml-tiny or ml-tiny-etr.")],
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("out/curves.png"),
    runs: Runs = Path("out/runs"),
) -> None:
    """Draw the curves of runs: dB over bicubic on held-out frames, by step."""
    from matplotlib.figure import Figure  # of the extra bench

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color="#6b7a86", linewidth=0.8)
    for name in names:
        points = curve(runs / name)
        axes.plot([one.step for one in points], [one.gain for one in points], label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("dB over bicubic, held-out frames, JPEG 85")
    axes.legend(frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=100)


def _begin(runs: Path, grow: str, size: str, seed: int) -> Path:
    """Write the state of a net that begins with the net of a smaller size; return its file.

    Raises:
        UsageError: there is no such run, or it is not smaller.
    """
    state = runs / grow / "state.pt"
    if not state.is_file():
        raise UsageError(f"There is no run in {runs / grow}: train it first, or leave out --grow.")
    torch.manual_seed(seed)
    small = Net(_shape(grow))
    small.load_state_dict(unpacked(state.read_bytes())["net"])
    begin = runs / size / "grown.pt"
    begin.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"net": grown(small, _shape(size)).state_dict()}, begin)
    return begin


def _shape(size: str) -> Shape:
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


def _about(
    terms: Terms, taught: Sequence[str], net: Net, run: Path, packages: Sequence[str] = ()
) -> dict[str, Any]:
    return {
        "taught_by": {
            name: games.GAMES[name].licence if name in games.GAMES else "not of this list"
            for name in taught
        }
        | {f"art of {name}": art.ART[name] for name in packages},
        "data": "frames drawn under Xvfb, scaled down by area, JPEG 4:2:0 at 75 to 92 or none",
        "steps": curve(run)[-1].step,
        "minutes": terms.seconds and terms.seconds / 60,
        "seed": terms.seed,
        "batch": terms.batch,
        "parameters_while_learning": sum(one.numel() for one in net.parameters()),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


def main() -> None:
    """Run a command; an error is printed as one sentence."""
    try:
        app()
    except P2C2GError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
