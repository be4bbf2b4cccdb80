"""One run of the gamer's side: source, session and displays, from start to summary."""

from __future__ import annotations

import gc
import logging
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from p2c2g.commands.options import stopping_at_signals
from p2c2g.display.hub import Hub
from p2c2g.display.recorder import Recorder
from p2c2g.display.web import ViewerServer
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.methods import ANY_NETWORK
from p2c2g.media.operations import Pipeline
from p2c2g.messaging.blobs import Blobs
from p2c2g.messaging.broker import Broker
from p2c2g.nets.store import NetStore, OwnNet
from p2c2g.session.config import SessionConfig
from p2c2g.session.report import build_report, check_writable, write_report
from p2c2g.session.session import Session
from p2c2g.settings import Settings
from p2c2g.system.malloc import keep_freed_memory
from p2c2g_capture.ownnets import Loan, nets_of, with_nets
from p2c2g_capture.pacer import Pacer
from p2c2g_capture.sources import Source, open_source
from p2c2g_capture.terminal import LiveLine, print_summary

logger = logging.getLogger(__name__)

#: Seconds that ``--wait-for`` gives the peers to answer.
PEERS_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is asked for; texts are as the command line has them."""

    source: str = "auto"
    size: str | None = None
    fps: float = 30.0
    ops: str = "upscale:2,sharpen:0.5"
    game: str | None = None
    codec: str = "jpeg"
    quality: int | None = None
    chunks: str = "2x1"
    queue: str | None = None
    policy: str | None = None
    deadline_ms: float | None = None
    seconds: float | None = None
    headless: bool = False
    host: str = "127.0.0.1"
    port: int = 8777
    report: str | None = None
    record: str | None = None
    wait_for: int = 0
    cursor: bool = False


def run(options: RunOptions, settings: Settings, console: Console) -> None:
    """Run one session until its time is over or somebody stops it.

    Raises:
        P2C2GError: what was asked for cannot be, or something it needs is not there.
    """
    size = Size.parse(options.size) if options.size else None
    pipeline = Pipeline.parse(options.ops)
    nets: tuple[OwnNet, ...] = ()
    if options.game is not None:
        nets = nets_of(options.game, NetStore())
        pipeline = with_nets(pipeline, options.game, nets)
    grid = Grid.parse(options.chunks)
    report_path = Path(options.report) if options.report else None
    if report_path is not None:
        check_writable(report_path)
    keep_freed_memory()
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(settings))
        source = stack.enter_context(
            open_source(options.source, size, options.fps, cursor=options.cursor)
        )
        config = SessionConfig(
            size=source.size,
            operations=pipeline,
            grid=grid,
            codec=options.codec,
            quality=options.quality or settings.session.quality,
            queue=options.queue or settings.session.queue,
            deadline=(options.deadline_ms or settings.session.deadline_ms) / 1e3,
            fps=options.fps,
            policy=options.policy or settings.session.policy,
        )
        pacer = Pacer(source, options.fps, options.seconds)
        hub = Hub()
        session = Session(broker, config, hub.publish)
        recorder = None
        if options.record:
            recorder = stack.enter_context(
                Recorder(Path(options.record), options.fps, config.output)
            )
            recorder.start(hub)
        url = None
        if not options.headless:
            viewer = ViewerServer(
                hub,
                lambda: {**session.live(), "notice": source.notice()},
                host=options.host,
                port=options.port,
            )
            stack.callback(viewer.close)
            url = viewer.start()
        broker.check()
        if nets:
            stack.enter_context(Loan(nets, Blobs(broker.client)))
        if url is not None:
            console.print(f"Watch at [bold]{url}[/]")
        if options.wait_for:
            _wait_for_peers(broker, options.wait_for)
        with stopping_at_signals(pacer.stop):
            _play(session, pacer, console)
        hub.close()
        if recorder is not None:
            recorder.close()
        report = build_report(session, _settings_of(options, config, source))
        print_summary(console, report)
        if recorder is not None:
            console.print(f"Recorded {recorder.written} frames in {options.record}")
        if report_path is not None:
            write_report(report_path, report)
            console.print(f"The figures are in {report_path}")


def _play(session: Session, pacer: Pacer, console: Console) -> None:
    session.start()
    # What was loaded until now stays: a full collection of it takes tens of milliseconds.
    gc.collect()
    gc.freeze()
    try:
        with LiveLine(console, session.live):
            for frame in pacer:
                session.submit(frame)
    finally:
        session.close(pacer.due)


def _wait_for_peers(broker: Broker, count: int) -> None:
    """Wait until that many workers answer, so that the first frames find them."""
    found = broker.ping(count, PEERS_TIMEOUT)
    if found < count:
        raise UnavailableError(
            f"{found} of {count} peers answered within {PEERS_TIMEOUT:.0f} s: start more with "
            "celery -A p2c2g worker, or ask for fewer."
        )


def _settings_of(options: RunOptions, config: SessionConfig, source: Source) -> dict[str, object]:
    return {
        **asdict(options),
        "source": source.name,
        "size": str(config.size),
        "output": str(config.output),
        "ops": config.operations.text,
        "quality": config.quality,
        "queue": config.queue,
        "policy": config.policy,
        "deadline_ms": config.deadline * 1e3,
    }


def operations_from(scale: str | None, ops: str | None, game: str | None = None) -> str:
    """Return the pipeline's text from ``--scale`` or ``--ops``; with ``--game``, the best net.

    Raises:
        UsageError: two of them were given that say the same thing twice.
    """
    if scale and ops:
        raise UsageError(
            "--scale and --ops say the same thing twice: give one of them, such as "
            f'--ops "upscale:{scale},sharpen:0.5".'
        )
    if scale and game is not None:
        raise UsageError(
            f"--scale cannot be given with --game, whose nets double the size: leave it out, or "
            f'give --ops, such as "upscale:2:{ANY_NETWORK},sharpen:0.5".'
        )
    if game is not None and not ops:
        return f"upscale:2:{ANY_NETWORK}"
    return ops or f"upscale:{scale or 2},sharpen:0.5"
