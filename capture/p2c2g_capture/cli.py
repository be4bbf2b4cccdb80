"""``p2c2g-capture``: the gamer's side.

What it needs is imported when it runs, so that ``--help`` is there at once, and without the extra.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from p2c2g.commands import options
from p2c2g.media.methods import SCALING
from p2c2g.media.operations import OPERATIONS

app = options.new_typer("Capture a game, have it enhanced by the pool, and watch it.")


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
    source: options.SourceOption = "auto",
    size: options.SizeOption = None,
    fps: options.FpsOption = 30.0,
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
    seconds: options.SecondsOption = None,
    headless: options.HeadlessOption = False,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address that the viewer listens on.")
    ] = "127.0.0.1",
    port: options.PortOption = 8777,
    allow_host: options.AllowHostOption = None,
    report: options.ReportOption = None,
    record: options.RecordOption = None,
    compare: options.CompareOption = False,
    wait_for: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Wait until N peers answer before the first frame."),
    ] = 0,
) -> None:
    """Capture, send to the pool, and show what comes back."""
    from rich.console import Console

    from p2c2g.logs import configure
    from p2c2g.settings import load
    from p2c2g_capture.run import RunOptions, operations_from
    from p2c2g_capture.run import run as run_session

    settings = load()
    if broker is not None:
        settings.broker.use(broker)
    configure()
    run_session(
        RunOptions(
            source=source,
            size=size,
            fps=fps,
            cursor=cursor,
            ops=operations_from(scale, ops, game),
            game=game,
            codec=codec,
            quality=quality,
            residual_codec=residual_codec,
            residual_quality=residual_quality,
            colour=colour,
            where=where,
            chunks=chunks,
            queue=queue,
            policy=policy,
            deadline_ms=deadline,
            seconds=seconds,
            headless=headless,
            host=host,
            port=port,
            allow_hosts=tuple(allow_host or ()),
            report=report,
            record=record,
            compare=compare,
            wait_for=wait_for,
        ),
        settings,
        Console(highlight=False),
    )


def main() -> None:
    """Run the command."""
    sys.exit(options.run(app, "p2c2g-capture"))
