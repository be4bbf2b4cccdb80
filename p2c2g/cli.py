"""``p2c2g``: the pool's own commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from p2c2g import commandline as options
from p2c2g.logs import configure

app = options.new_typer("Peer → cloud → gamer: a game's picture, enhanced by a pool of peers.")


@app.command()
def demo(
    *,
    source: options.SourceOption = "auto",
    size: options.SizeOption = None,
    fps: options.FpsOption = 30.0,
    scale: options.ScaleOption = None,
    ops: options.OpsOption = None,
    codec: options.CodecOption = "jpeg",
    quality: options.QualityOption = None,
    chunks: options.ChunksOption = "2x1",
    peers: Annotated[int, typer.Option(metavar="N", help="Workers to start.")] = 2,
    seconds: options.SecondsOption = None,
    headless: options.HeadlessOption = False,
    report: options.ReportOption = None,
    record: options.RecordOption = None,
    port: options.PortOption = 8777,
    flower: Annotated[bool, typer.Option("--flower", help="Start Flower too.")] = False,
) -> int:
    """Run a whole pool on this machine: broker, peers, session and viewer."""
    from p2c2g.demo import Demo

    configure()
    asked = {
        "source": source,
        "size": size,
        "fps": fps,
        "scale": scale,
        "ops": ops,
        "codec": codec,
        "quality": quality,
        "chunks": chunks,
        "seconds": seconds,
        "report": report,
        "record": record,
        "port": port,
    }
    arguments = [f"--{name}={value}" for name, value in asked.items() if value is not None]
    if headless:
        arguments.append("--headless")
    console = Console(highlight=False)
    return Demo(peers, arguments, flower=flower, console=console).run()


def main() -> None:
    """Run the command."""
    sys.exit(options.run(app, "p2c2g"))
