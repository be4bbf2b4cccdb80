"""``p2c2g train``: a gamer's own net for one game.

``p2c2g`` finds this by the entry point ``p2c2g.commands``.  PyTorch is imported only when there is
something to train.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from p2c2g.commands import extras, options
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.methods import NETWORKS

if TYPE_CHECKING:
    from rich.console import Console

    from p2c2g.settings import Settings

#: What every gamer needs to record and to judge a net, and what only training it here does.
_NEEDED, _HERE = ("av", "onnx", "onnxruntime"), ("torch",)


def train(
    *,
    game: Annotated[
        str | None, typer.Option("--game", metavar="NAME", help="What to call the game.")
    ] = None,
    minutes: Annotated[
        float, typer.Option(metavar="N", min=0.1, max=600, help="Of training.")
    ] = 5.0,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Of training, instead of minutes: repeatable with --seed."
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="NAME", help=f"Of the net: {', '.join(NETWORKS)}.")
    ] = "ml-tiny",
    source: Annotated[
        str,
        typer.Option(metavar="SOURCE", help="What to record while you play, as for p2c2g-capture."),
    ] = "screen",
    resolution: Annotated[
        str | None, typer.Option(metavar="WxH", help="Of what is recorded; else the source's own.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(metavar="S", min=1, max=7200, help="To record; 90 where not given."),
    ] = None,
    video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A video of the game, instead of a source.")
    ] = None,
    frames: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="PNG files by time, instead of a source.")
    ] = None,
    margin: Annotated[
        float,
        typer.Option(metavar="DB", min=0, max=20, help="How much better than what costs nothing."),
    ] = 0.3,
    pool: Annotated[bool, typer.Option("--pool", help="Let a peer of the pool train it.")] = False,
    broker: Annotated[
        str | None, typer.Option(metavar="URL", help="The pool's broker; else P2C2G_BROKER_URL.")
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, max=(1 << 32) - 1, help="Of all that is random.")
    ] = 1,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what was recorded and trained before.")
    ] = False,
    keep_frames: Annotated[
        bool, typer.Option("--keep-frames", help="Keep the recorded frames at the end.")
    ] = False,
    cancel: Annotated[
        str | None, typer.Option(metavar="NAME", help="Cancel a game's training at the pool.")
    ] = None,
) -> int:
    """Train a net for one game: records while you play, trains, keeps the net if it is better."""
    from p2c2g.commands.console import new_console
    from p2c2g.logs import configure
    from p2c2g.media.frame import Size
    from p2c2g.settings import load

    settings = load()
    configure()
    options.use_broker(settings, broker)
    console = new_console()
    stop = threading.Event()
    if cancel is not None:
        return _cancel(cancel, settings, console, stop)
    if game is None:
        raise UsageError("Which game is it? Give --game NAME, such as --game supertux2.")
    if video is not None and frames is not None:
        raise UsageError("Give either --video or --frames.")
    _check_installed(here=not pool)
    drawn = Size.parse(resolution) if resolution else None
    from p2c2g_training.command import Training, TrainOptions
    from p2c2g_training.gathering import Origin

    origin = Origin(
        source=source,
        video=video if video is not None else _video_in(source),
        folder=frames,
        seconds=seconds,
        resolution=drawn,
    )
    asked = TrainOptions(
        game=game,
        origin=origin,
        size=size,
        minutes=minutes,
        steps=steps,
        margin=margin,
        seed=seed,
        pool=pool,
        fresh=fresh,
        keep_frames=keep_frames,
    )
    with options.stopping_at_signals(stop.set):
        return Training(asked, settings, console, stop).run()


def _cancel(game: str, settings: Settings, console: Console, stop: threading.Event) -> int:
    from p2c2g.messaging.broker import Broker
    from p2c2g.nets.store import NetStore
    from p2c2g_training.home import Home
    from p2c2g_training.pool import Ordering

    NetStore().find(game)  # Says what is wrong with the name.
    home = Home(game)
    if home.order() is None:
        raise UsageError(f"The pool has no training of {game}: there is nothing to cancel.")
    with Broker(settings) as broker:
        broker.check()
        there = Ordering(broker, home, console, stop).call_off()
    console.print(
        f"The training of {game} is cancelled."
        if there
        else f"The training of {game} had ended already; what it left is removed."
    )
    return 0


def _check_installed(*, here: bool) -> None:
    missing = extras.missing(*_NEEDED, *(_HERE if here else ()))
    if missing:
        raise UnavailableError(extras.sentence("Training", *missing))


def _video_in(source: str) -> Path | None:
    """Return the file of ``video:FILE``: it is read as fast as it decodes, not played."""
    kind, _, rest = source.partition(":")
    return Path(rest).expanduser() if kind == "video" and rest else None
