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
from p2c2g_training.beginning import BEGUN_RATE, begun
from p2c2g_training.export import export as write
from p2c2g_training.export import figures, weights
from p2c2g_training.folder import STATE, curve, train
from p2c2g_training.lettering import lettering
from p2c2g_training.nets import SHAPES, Net, Shape
from p2c2g_training.pairs import MARGIN
from p2c2g_training.rivals import drawn
from p2c2g_training.train import ENDLESS, Terms, unpacked
from p2c2g_workers import nets
from p2c2g_workers.netfile import read
from p2c2g_workers.processors.network import Network
from training import art, games
from training.endless import Endless, Pool
from training.growing import grown
from training.record import load, load_small
from training.record import record as record_game

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

#: The last part of a recording, which a net of that game never sees.
HELD = 0.2
#: Frames of each game that a net is judged on.
JUDGED = 12
#: Pictures of text, and collages of art, that a general net learns from beside the games.
LETTERING, COLLAGES = 60, 480
#: How much of a general net's patches is text, collages of art, and pictures; the games share
#: the rest.
_TEXT, _ART, _PICTURES = 0.06, 0.42, 0.14
#: Small pixels along a patch's edge, for general nets.
_EDGE = 64
#: The one term in which general nets differ: patches with detail count more than quiet ones.
_QUIET = 3.0

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
    known = art.ART | art.PICTURES
    for package in packages or known:
        if package not in known:
            raise UsageError(
                f"There is no package {package!r} here: give some of {', '.join(known)}."
            )
        print(art.fetch(package, folder))


@app.command()
def general(
    teach: Annotated[str, typer.Option(help="Games to learn from, joined by commas.")],
    judge: Annotated[str, typer.Option(help="Other games to be judged on.")],
    true: Annotated[
        str, typer.Option(help="Recordings of both sizes, as the game drew them, to report.")
    ] = "",
    size: Size = "ml-tiny",
    steps: Steps = 6000,
    minutes: Minutes = 0,
    half: Half = False,
    batch: Annotated[int, typer.Option(min=1, help="Patches a step.")] = 9,
    rate: Annotated[float, typer.Option(min=1e-6, max=0.1, help="The highest.")] = 1e-3,
    grow: Annotated[str, typer.Option(help="Begin with the run of this smaller size.")] = "",
    begin: Annotated[
        Path | None, typer.Option(help="Begin with this net's file; 3e-3 is a good --rate then.")
    ] = None,
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
    packages = [name for name in art.ART | art.PICTURES if (folder / name).is_dir()]
    pools, shares = _beside(folder, packages, seed)
    each = (1 - sum(shares)) / len(taught)
    patches = Endless(
        [*pools, *(_parts(recordings, game)[0] for game in taught)],
        [*shares, *[each] * len(taught)],
        seed,
        MARGIN,
        _EDGE,
    )
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
    start = _start(size, seed, begin, runs / grow if grow else None)
    net = train(terms, patches, watched, runs / size, net=start)
    about = _about(terms, taught, net, runs / size, packages)
    about |= {"begun_from": grow or begin.name} if grow or begin else {}
    about |= {"true_pairs": _true_pairs(net, recordings, true.split(","))} if true else {}
    print(write(net, runs / size, size, held, about)["held_out"])


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
    frames, held = _parts(recordings, name)
    terms = Terms(_shape(size), steps, seed, rate=BEGUN_RATE)
    folder = runs / f"{size}-{name}"
    torch.manual_seed(seed)
    net = train(terms, [frames], _spread(held), folder, net=begun(nets.shipped(size)))
    about = _about(terms, [name], net, folder) | {"begun_from": size}
    print(write(net, folder, name, {name: _spread(held)}, about)["held_out"])


@app.command()
def plot(
    names: Annotated[list[str], typer.Argument(help="Runs, such as ml-tiny or ml-tiny-etr.")],
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("out/curves.png"),
    runs: Runs = Path("out/runs"),
) -> None:
    """Draw the curves of runs: dB over the base on held-out frames, by step."""
    from matplotlib.figure import Figure  # of the extra bench

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color="#6b7a86", linewidth=0.8)
    for name in names:
        points = curve(runs / name)
        axes.plot([one.step for one in points], [one.gain for one in points], label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("dB over the base, held-out frames, JPEG 80")
    axes.legend(frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=100)


def _beside(folder: Path, packages: Sequence[str], seed: int) -> tuple[list[Pool], list[float]]:
    """Return what teaches general nets beside games, and how much of it: text, art, pictures."""
    pools: list[Pool] = [lettering(LETTERING, seed)]
    shares = [_TEXT]
    arts = [art.gather(folder / name, seed) for name in packages if name in art.ART]
    if arts:
        pools.append(art.collages(arts, COLLAGES, seed))
        shares.append(_ART)
    pictures = [one for name in packages if name in art.PICTURES
                for one in art.pictures(folder / name)]  # fmt: skip
    if pictures:
        pools.append(pictures)
        shares.append(_PICTURES)
    return pools, shares


def _true_pairs(net: Net, recordings: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return a net's figures where the game itself drew both sizes."""
    network = Network(weights(net))
    found = {}
    for name in names:
        large = load(recordings / name)
        small = load_small(recordings / name, len(large))
        found[name] = figures(network, drawn(_spread(small), _spread(large)))
    return found


def _start(size: str, seed: int, begin: Path | None, grow: Path | None) -> Net | None:
    """Return the net to begin with: a file's, or one grown from a smaller run's; None for chance.

    Raises:
        UsageError: there is no such run, or it is not smaller.
        ProcessorError: the file is no net.
    """
    torch.manual_seed(seed)
    if begin is not None:
        return begun(read(begin.read_bytes()))
    if grow is None:
        return None
    if not (grow / STATE).is_file():
        raise UsageError(f"There is no run in {grow}: train it first, or leave out --grow.")
    small = Net(_shape(grow.name))
    small.load_state_dict(unpacked((grow / STATE).read_bytes())["net"])
    return grown(small, _shape(size))


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
        | {f"art of {name}": (art.ART | art.PICTURES)[name] for name in packages},
        "data": "scaled down by area, some by points; JPEG 4:2:0 at 50 to 95 or none",
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
