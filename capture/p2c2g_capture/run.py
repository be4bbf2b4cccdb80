"""One run of the gamer's side: source, session and displays, from start to summary."""

from __future__ import annotations

import gc
import logging
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from p2c2g.commands.options import stopping_at_signals
from p2c2g.display.hub import Hub
from p2c2g.display.recorder import Recorder, check_recording
from p2c2g.display.web import ViewerServer
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.methods import ANY_NETWORK
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form
from p2c2g.messaging.blobs import Blobs
from p2c2g.messaging.broker import Broker
from p2c2g.nets.store import NetStore, OwnNet
from p2c2g.session.config import SessionConfig
from p2c2g.session.own import OwnSession
from p2c2g.session.report import check_writable
from p2c2g.session.session import Session
from p2c2g.settings import Settings
from p2c2g.system.files import are_same
from p2c2g.system.malloc import keep_freed_memory
from p2c2g_capture.comparing import Comparer, Original, ssimulacra2
from p2c2g_capture.ending import Ending
from p2c2g_capture.ownnets import Loan, nets_of, nets_of_clip, with_nets
from p2c2g_capture.pacer import Pacer
from p2c2g_capture.sources import Source, open_source, shipped_clip
from p2c2g_capture.terminal import LiveLine
from p2c2g_capture.where import AnySession, own

logger = logging.getLogger(__name__)

#: Seconds that ``--wait-for`` gives the peers to answer.
PEERS_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is asked for; texts are as the command line has them."""

    source: str = "auto"
    size: str | None = None
    fps: float = 30.0
    ops: str = "upscale:2:ml"
    game: str | None = None
    codec: str = "jpeg"
    quality: int | None = None
    residual_codec: str | None = None
    residual_quality: int | None = None
    colour: bool = False
    chunks: str = "2x1"
    queue: str | None = None
    policy: str | None = None
    deadline_ms: float | None = None
    seconds: float | None = None
    headless: bool = False
    host: str = "127.0.0.1"
    port: int = 8777
    allow_hosts: tuple[str, ...] = ()
    report: str | None = None
    record: str | None = None
    compare: bool = False
    wait_for: int = 0
    cursor: bool = False
    where: str = "auto"


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
    check_files(options)
    keep_freed_memory()
    with ExitStack() as stack:
        source, original = _open_source(options, pipeline, size)
        stack.callback(source.close)
        if not nets and source.film == shipped_clip():
            nets = nets_of_clip(shipped_clip())
            pipeline = with_nets(pipeline, "the clip", nets, named=False)
        config = _config(options, settings, pipeline, grid, source.size)
        pacer = Pacer(source, options.fps, options.seconds)
        hub = Hub()
        stack.callback(hub.close)
        by_itself = own(config, options.where)
        session: AnySession
        broker = None
        if by_itself is None:
            broker = stack.enter_context(Broker(settings))
            session = Session(broker, config, hub.publish)
        else:
            session = OwnSession(config, by_itself.enhance, hub.publish)
        recorder = None
        if options.record:
            recorder = Recorder(options.record, options.fps, config.output)
            stack.callback(recorder.close)
            recorder.start(hub)
        comparer = None if original is None else Comparer(original, config, ssimulacra2())
        if comparer is not None:
            comparer.start(hub)
        url = None
        if not options.headless:
            viewer = ViewerServer(
                hub,
                lambda: _live(session, source, comparer),
                host=options.host,
                port=options.port,
                allowed=options.allow_hosts,
            )
            stack.callback(viewer.close)
            url = viewer.start()
        if broker is not None:
            broker.check()
            if nets:
                stack.enter_context(Loan(nets, Blobs(broker.client)))
        if url is not None:
            console.print(f"Watch at [bold]{url}[/]")
        if by_itself is not None:
            console.print(by_itself.sentence(config), markup=False)
        if broker is not None and options.wait_for:
            _wait_for_peers(broker, options.wait_for)
        session.start()
        ending = Ending(
            console, session, record=options.record, report=options.report,
            settings=_settings_of(options, config, source),
        )  # fmt: skip
        stack.callback(ending.print_summary)
        stack.callback(ending.write_report)
        if comparer is not None:
            stack.callback(ending.compare, comparer)
        if recorder is not None:
            stack.callback(ending.finish, recorder)
        stack.callback(hub.close)
        with stopping_at_signals(pacer.stop):
            _play(session, pacer, console)


def _config(
    options: RunOptions, settings: Settings, pipeline: Pipeline, grid: Grid, size: Size
) -> SessionConfig:
    return SessionConfig(
        size=size,
        operations=pipeline,
        grid=grid,
        codec=options.codec,
        quality=options.quality or settings.session.quality,
        form=Form(
            options.residual_codec or options.codec,
            options.residual_quality or settings.session.residual_quality,
            in_colour=options.colour,
        ),
        queue=options.queue or settings.session.queue,
        deadline=(options.deadline_ms or settings.session.deadline_ms) / 1e3,
        fps=options.fps,
        policy=options.policy or settings.session.policy,
    )


def check_files(options: RunOptions) -> None:
    """Refuse files that cannot be written, before anything starts; none is touched.

    Raises:
        UsageError: one cannot be written, is two things at once, or is what the source plays.
    """
    written = {
        option: Path(name)
        for option, name in (("--record", options.record), ("--report", options.report))
        if name
    }
    film = _film_of(options.source)
    if options.compare and film is None:
        raise UsageError(
            "--compare needs an original to compare with: give --source video:FILE, a video at "
            "the size that the enhanced picture is to have."
        )
    used = {} if film is None else {"--source": film}
    for option, path in written.items():
        for other, its in used.items():
            if are_same(path, its):
                raise UsageError(
                    f"{option} would write over the file of {other}, {str(path)!r}: give "
                    "another name."
                )
        used[option] = path
    if options.record:
        check_recording(Path(options.record))
    if options.report:
        check_writable(Path(options.report))


def _film_of(source: str) -> Path | None:
    """Return the file that a source plays, if it does."""
    kind, _, film = source.lstrip().partition(":")
    return Path(film).expanduser() if kind.strip() == "video" and film else None


def _open_source(
    options: RunOptions, pipeline: Pipeline, size: Size | None
) -> tuple[Source, Original | None]:
    """Open the source; with ``--compare``, also as the original."""
    if not options.compare:
        return open_source(options.source, size, options.fps, cursor=options.cursor), None
    film = open_source(options.source, None, options.fps, cursor=options.cursor)
    try:
        original = Original(film, pipeline, size)
    except UsageError:
        film.close()
        raise
    return original, original


def _live(session: AnySession, source: Source, comparer: Comparer | None) -> dict[str, Any]:
    """Return the figures of the last seconds, with what there is to say of source and session."""
    live = {**session.live(), **(comparer.live() if comparer else {})}
    return {**live, "notice": ". ".join(filter(None, (source.notice(), live["notice"])))}


def _play(session: AnySession, pacer: Pacer, console: Console) -> None:
    # What was loaded until now stays: a full collection of it takes tens of milliseconds.
    gc.collect()
    gc.freeze()
    try:
        with LiveLine(console, session.live):
            for frame in pacer:
                session.submit(frame)
                pacer.every = session.every
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
        "residual_codec": config.form.codec,
        "residual_quality": config.form.quality,
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
    if ops:
        return ops
    return f"upscale:2:{ANY_NETWORK}" if scale in (None, "2") else f"upscale:{scale},sharpen:0.5"
