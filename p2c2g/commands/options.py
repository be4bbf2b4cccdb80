"""What both commands share: the types of their options, and errors as one sentence."""

from __future__ import annotations

import _thread
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

from p2c2g import __version__
from p2c2g.commands import extras
from p2c2g.errors import P2C2GError
from p2c2g.text import plain

if TYPE_CHECKING:
    from p2c2g.settings import Settings

logger = logging.getLogger(__name__)


def run(app: typer.Typer, name: str) -> int:
    """Run a Typer application; return the exit code.

    An error of ours is printed as one sentence on standard error, and so is a library that only
    an extra brings; the code is 2 where something wrong was asked for, 1 where something failed.
    """
    command = typer.main.get_command(app)
    _quiet_flags(command)
    try:
        code = command(prog_name=name, standalone_mode=False)
    except P2C2GError as error:
        logger.debug("The command failed", exc_info=True)
        print_error(name, str(error))
        return error.exit_code
    except ImportError as error:
        known = extras.translated(error, name)
        if known is None:
            raise
        print_error(name, str(known))
        return known.exit_code
    except TyperException as error:
        # Without a subcommand the help was the message.
        if message := error.format_message().rstrip("."):
            print_error(name, f"{message}. See {name} --help.")
        return error.exit_code
    except typer.Abort:
        return 130
    return code if isinstance(code, int) else 0


def _quiet_flags(command: Any) -> None:
    """Leave out the "<bool>" that Typer's help has beside a flag: it takes no value."""
    for parameter in command.get_params(typer.Context(command)):
        if getattr(parameter, "is_bool_flag", False):
            parameter.metavar = ""
    for inner in getattr(command, "commands", {}).values():
        _quiet_flags(inner)


def print_error(name: str, sentence: str) -> None:
    """Print one sentence on standard error."""
    from rich.text import Text

    from p2c2g.commands.console import new_console

    new_console(stderr=True, soft_wrap=True).print(Text(f"{name}:", "bold red"), end=" ")
    sys.stderr.write(plain(sentence) + "\n")


def use_broker(settings: Settings, url: str | None) -> None:
    """Take the broker that ``--broker`` names, if it does.

    A password in it can be read by every user of the machine, in the list of processes: that is
    said, and it is taken out of there where that can be done.
    """
    if url is None:
        return
    settings.broker.use(url)
    if "@" in url:
        from p2c2g.system.arguments import hide

        hide(url)
        logger.warning(
            "--broker had a password in it, which other users of this machine could read in the "
            "list of processes: name the broker by P2C2G_BROKER_URL or P2C2G_BROKER_URL_FILE."
        )


@contextmanager
def stopping_at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let signals to end call ``stop`` for an orderly end; a second one ends at once.

    They are SIGINT, SIGTERM and SIGHUP: the last comes when the terminal is closed, and is not
    heard where it was to be ignored (``nohup``).

    Args:
        stop: called on a thread of its own; it only sets a flag.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def on_signal(number: int, _frame: object) -> None:
        # Not here: Event.set would wait for ever for what is interrupted here in Event.wait.
        _thread.start_new_thread(stop, ())
        signal.signal(number, before[number])

    wanted_ones = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none.
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        wanted_ones.append(hangup)
    for wanted in wanted_ones:
        before[wanted] = signal.signal(wanted, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_version(wanted: bool) -> None:
    """Print the version and exit, for ``--version``."""
    if wanted:
        typer.echo(f"p2c2g {__version__}")
        raise typer.Exit


def new_typer(help_text: str) -> typer.Typer:
    """Return an empty application with the options that all commands share."""
    app = typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )

    @app.callback()
    def _root(
        version: Annotated[
            bool,
            typer.Option(
                "--version", callback=show_version, is_eager=True, help="Show the version."
            ),
        ] = False,
    ) -> None:
        """Hold the options that every subcommand shares."""

    _root.__doc__ = help_text
    return app


SourceOption = Annotated[
    str,
    typer.Option(
        metavar="SOURCE",
        help="auto, screen, screen:MONITOR, screen:X,Y,WxH, screen:window=TITLE, "
        "video:FILE, pattern, game or game:NAME.",
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option(metavar="WxH", help="Size of the captured frames, such as 640x360."),
]
FpsOption = Annotated[float, typer.Option(metavar="N", help="Frames a second.")]
CursorOption = Annotated[bool, typer.Option("--cursor", help="Capture a screen with its pointer.")]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Upscale by N: 2 by the best net that a peer has time for, else sharpened a little; "
        "--ops says it in full.",
    ),
]
OpsOption = Annotated[
    str | None,
    typer.Option(
        metavar="OPS",
        help='What the peers do, such as "upscale:2:ml,sharpen:0.5"; else upscale:2:ml.',
    ),
]
CodecOption = Annotated[
    str, typer.Option(metavar="NAME", help="jpeg, webp, avif, png or raw, for what is sent.")
]
QualityOption = Annotated[
    int | None,
    typer.Option(metavar="1-100", min=1, max=100, help="Quality of what is sent, if lossy."),
]
ResidualCodecOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Codec of what comes back; else that of --codec."),
]
ResidualQualityOption = Annotated[
    int | None,
    typer.Option(metavar="1-100", min=1, max=100, help="Quality of what comes back, if lossy."),
]
ColourOption = Annotated[
    bool, typer.Option("--colour", help="Have colours enhanced, too, rather than luma alone.")
]
WhereOption = Annotated[
    str,
    typer.Option(
        metavar="PLACE",
        help="Who does the operations: peers, here (this machine), or auto: here where it takes "
        "a moment.",
    ),
]
LatencyOption = Annotated[
    str,
    typer.Option(
        metavar="HOW",
        help="paced: frames wait for what peers add; none: shown at once, with what peers added to "
        "earlier ones.",
    ),
]
ChunksOption = Annotated[
    str, typer.Option(metavar="RxC", help="Rows and columns that a frame is cut into.")
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Who gets a chunk: capability (the first to pull), weighted, predictive or affinity.",
    ),
]
MaxUpOption = Annotated[
    str | None,
    typer.Option(
        "--max-up-mbps", metavar="N", help="Send at most so many megabits a second, such as 5."
    ),
]
MaxDownOption = Annotated[
    str | None,
    typer.Option(
        "--max-down-mbps", metavar="N", help="Have at most so many sent here, such as 20."
    ),
]
SecondsOption = Annotated[
    float | None, typer.Option(metavar="S", help="Stop after so long; else at Ctrl-C.")
]
ReportOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write the figures as JSON.")
]
RecordOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Record what is shown: FILE.mp4, or FILE.mkv without loss (FFV1). It grows as "
        "FILE.partial.mp4 until the session ends.",
    ),
]
CompareOption = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Scale a video down, and compare what the pool makes of it with the original.",
    ),
]
PortOption = Annotated[
    int,
    typer.Option(metavar="N", min=0, max=65535, help="Port of the viewer; 0 takes a free one."),
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="NAME",
        help="A name by which the viewer may be asked for, such as a proxy's; can be repeated.",
    ),
]
TrustProxyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trust-proxy",
        metavar="ADDRESS",
        help="A proxy that says truly for whom it asks (X-Forwarded-For); can be repeated.",
    ),
]
AskTokenOption = Annotated[
    bool,
    typer.Option(
        "--ask-token",
        help="Ask viewers for the token of the printed address; on other addresses than this "
        "machine's own it is always asked for.",
    ),
]
HeadlessOption = Annotated[bool, typer.Option("--headless", help="Without the viewer.")]
