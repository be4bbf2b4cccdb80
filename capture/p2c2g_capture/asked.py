"""What a run is asked for: as the command line has it, and as the session takes it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import get_args

from p2c2g.display.recorder import check_recording
from p2c2g.errors import UsageError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.methods import ANY_NETWORK
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form
from p2c2g.session.config import Latency, SessionConfig
from p2c2g.session.limits import Limits, in_mbps
from p2c2g.session.report import check_writable
from p2c2g.settings import Settings
from p2c2g.system.files import are_same
from p2c2g_capture.games.profile import GameProfile
from p2c2g_capture.sources import Source


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
    max_up_mbps: str | None = None
    max_down_mbps: str | None = None
    metered: bool = False
    seconds: float | None = None
    headless: bool = False
    host: str = "127.0.0.1"
    port: int = 8777
    allow_hosts: tuple[str, ...] = ()
    trust_proxies: tuple[str, ...] = ()
    ask_token: bool = False
    report: str | None = None
    record: str | None = None
    compare: bool = False
    wait_for: int = 0
    cursor: bool = False
    where: str = "auto"
    latency: str = "paced"
    input: str = "auto"
    share_pads: bool = False
    beside_anti_cheat: bool = False
    profile: GameProfile | None = None
    watchable: bool = False
    audio: str = "auto"
    mute: bool = False
    microphone: bool = False


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


def config_of(
    options: RunOptions, settings: Settings, pipeline: Pipeline, grid: Grid, size: Size,
    limits: Limits,
) -> SessionConfig:  # fmt: skip
    """Return how a session is to go.

    Raises:
        UsageError: there is no such latency.
    """
    if options.latency not in get_args(Latency):
        raise UsageError(
            f"--latency {options.latency!r} cannot be: give {' or '.join(get_args(Latency))}."
        )
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
        limits=limits,
        at_once=options.latency == "none",
    )


def refuse_at_once(config: SessionConfig) -> None:
    """Refuse to show frames at once where this machine does it all by itself.

    Raises:
        UsageError: that was asked for.
    """
    if config.at_once:
        raise UsageError(
            "--latency none carries what peers added to earlier frames, and this machine would do "
            f"{config.operations.text} by itself: give --where peers, or leave it out."
        )


def settings_of(options: RunOptions, config: SessionConfig, source: Source) -> dict[str, object]:
    """Return what a report says that the run was asked for, and what came of it."""
    return {
        **asdict(replace(options, profile=None)),
        "profile": options.profile and options.profile.name,
        "source": source.name,
        "size": str(config.size),
        "output": str(config.output),
        "ops": config.operations.text,
        "quality": config.quality,
        "residual_codec": config.form.codec,
        "residual_quality": config.form.quality,
        "queue": config.queue,
        "policy": config.policy,
        "max_up_mbps": config.limits.up and in_mbps(config.limits.up),
        "max_down_mbps": config.limits.down and in_mbps(config.limits.down),
        "deadline_ms": config.deadline * 1e3,
    }
