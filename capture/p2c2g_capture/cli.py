"""``p2c2g-capture``: the gamer's side.

What it needs is imported when it runs, so that ``--help`` is there at once, and without the extra.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from p2c2g.commands import options
from p2c2g.media.methods import SCALING
from p2c2g.media.operations import OPERATIONS
from p2c2g_capture.games.cli import games, profile, profile_of

app = options.new_typer("Capture a game, have it enhanced by the pool, and watch it.")


app.command()(games)
app.add_typer(profile, name="profile")


@app.command(
    epilog="Operations, for --ops: "
    + "; ".join(f"{row.form} {row.does}" for row in OPERATIONS.values())
    + f". A METHOD is one of {', '.join(SCALING)}."
)
def run(
    *,
    broker: Annotated[
        str | None, typer.Option(metavar="URL", help="The pool's broker; else P2C2G_BROKER_URL.")
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="An open pool's coordinator; a key is asked for, or P2C2G_KEY."
        ),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds the key for --pool.")
    ] = None,
    watchable: Annotated[
        bool,
        typer.Option(
            "--watchable",
            help="With --pool: let others watch by a link; its coordinator sees the pictures.",
        ),
    ] = False,
    source: options.SourceOption = "auto",
    size: options.SizeOption = None,
    fps: Annotated[
        float | None, typer.Option(metavar="N", help="Frames a second; else the game's own, or 30.")
    ] = None,
    cursor: options.CursorOption = False,
    scale: options.ScaleOption = None,
    ops: options.OpsOption = None,
    game: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Use the nets that p2c2g train made for this game."),
    ] = None,
    codec: options.CodecOption = "jpeg",
    quality: options.QualityOption = None,
    residual_codec: options.ResidualCodecOption = None,
    residual_quality: options.ResidualQualityOption = None,
    colour: options.ColourOption = False,
    where: options.WhereOption = "auto",
    latency: options.LatencyOption = "paced",
    played: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="HOW",
            help="Let the game be played in the viewer: auto (a window, or a game of its own), on "
            "(a whole screen, too) or off.",
        ),
    ] = "auto",
    beside_anti_cheat: Annotated[
        bool,
        typer.Option(
            "--beside-anti-cheat",
            help="Play beside a system against cheating: you know that the game allows it.",
        ),
    ] = False,
    share_pads: Annotated[
        bool,
        typer.Option("--share-pads", help="Print an address for further players' gamepads, too."),
    ] = False,
    chunks: options.ChunksOption = "2x1",
    queue: Annotated[
        str | None, typer.Option(metavar="NAME", help="Capability queue: cpu or gpu.")
    ] = None,
    policy: options.PolicyOption = None,
    deadline: Annotated[
        float | None,
        typer.Option(
            metavar="MS", min=1, help="Show a frame so long after its capture at the latest."
        ),
    ] = None,
    max_up_mbps: options.MaxUpOption = None,
    max_down_mbps: options.MaxDownOption = None,
    metered: Annotated[
        bool,
        typer.Option(
            "--metered",
            help="What goes over the line costs money: nothing does, unless both limits say how "
            "much may.",
        ),
    ] = False,
    seconds: options.SecondsOption = None,
    headless: options.HeadlessOption = False,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address that the viewer listens on.")
    ] = "127.0.0.1",
    port: options.PortOption = 8777,
    allow_host: options.AllowHostOption = None,
    trust_proxy: options.TrustProxyOption = None,
    ask_token: options.AskTokenOption = False,
    report: options.ReportOption = None,
    record: options.RecordOption = None,
    audio: Annotated[
        str,
        typer.Option(
            metavar="auto|off|DEVICE",
            help="What is heard: the game alone where that can be had, nothing, or a device.",
        ),
    ] = "auto",
    mute: Annotated[bool, typer.Option("--mute", help="Record without the sound.")] = False,
    microphone: Annotated[
        bool,
        typer.Option(
            "--microphone", help="Let a viewer speak: a microphone of its own for voice chat."
        ),
    ] = False,
    compare: options.CompareOption = False,
    wait_for: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Wait until N peers answer before the first frame."),
    ] = 0,
) -> None:
    """Capture, send to the pool, and show what comes back."""
    from p2c2g.commands.console import new_console
    from p2c2g.errors import UsageError
    from p2c2g.logs import configure
    from p2c2g.settings import load
    from p2c2g_capture.asked import RunOptions, operations_from
    from p2c2g_capture.games.switching import Stay, play_on
    from p2c2g_capture.run import run as run_session

    settings = load()
    if pool is not None and broker is not None:
        raise UsageError("--pool and --broker name two pools: leave one of them out.")
    if microphone and headless:
        raise UsageError(
            "--microphone is for a viewer, and --headless has none: leave one of them out."
        )
    if watchable and pool is None:
        raise UsageError(
            "--watchable is for an open pool: give --pool; without one, --host lets others on your "
            "network watch."
        )
    configure()
    options.use_broker(settings, broker)
    ticket = None
    if pool is not None:
        from p2c2g_capture.pool import Ticket

        ticket = Ticket.find(pool, key_file, partial(typer.echo, err=True))
    console = new_console()

    def play(source: str, stay: Stay) -> None:
        found = profile_of(source)
        look = None if found is None else found.look
        nets, work, heard = game, ops, audio
        if look is not None and not (scale or ops or game):
            work, nets = (None, look.net) if look.net else (look.ops, None)
        if found is not None and audio == "auto":
            heard = found.sound.audio
        asked = RunOptions(
            source=source,
            size=size,
            fps=fps if fps is not None else 30.0 if look is None else look.fps,
            profile=found,
            beside_anti_cheat=beside_anti_cheat,
            cursor=cursor,
            ops=operations_from(scale, work, nets),
            game=nets,
            codec=codec,
            quality=quality,
            residual_codec=residual_codec,
            residual_quality=residual_quality,
            colour=colour,
            where=where,
            latency=latency,
            input=played,
            share_pads=share_pads,
            chunks=chunks,
            queue=queue,
            policy=policy,
            deadline_ms=deadline,
            max_up_mbps=max_up_mbps,
            max_down_mbps=max_down_mbps,
            metered=metered,
            seconds=seconds,
            headless=headless,
            host=host,
            port=port,
            allow_hosts=tuple(allow_host or ()),
            trust_proxies=tuple(trust_proxy or ()),
            ask_token=ask_token,
            report=report,
            record=record,
            compare=compare,
            wait_for=wait_for,
            watchable=watchable,
            audio=heard,
            mute=mute,
            microphone=microphone,
        )
        run_session(asked, settings, console, ticket, stay)

    play_on(source, play)


def main() -> None:
    """Run the command."""
    sys.exit(options.run(app, "p2c2g-capture"))
