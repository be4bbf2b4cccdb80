"""The options that a peer's worker has beyond Celery's: who it is, and how much it may use.

They are Celery's *user options*: ``celery -A p2c2g worker --help`` shows them, and the worker
hands their values to its steps by name.  Each has a variable of the environment too.  A value
that is wrong is refused here, in one sentence and with exit code 2.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from p2c2g.commands.guest import Hours, parse_mbps, parse_share
from p2c2g.errors import UsageError
from p2c2g.messaging.labels import MAX_REGION, parse_label
from p2c2g.settings import hosts

_PREFIX = "P2C2G_WORKER_"

#: Reads a text; raises UsageError where it cannot.
Read = Callable[[str], object]


class PeerOption(click.Option):
    """An option of a peer's worker, under a heading of its own in Celery's help."""

    help_group = "Peer Options"


def _option(
    flag: str,
    text: str,
    kind: str = "",
    read: Read | None = None,
    default: Callable[[], str | None] | None = None,
) -> click.Option:
    """Return one option: a flag, or a text of a kind that ``read`` can read.

    What ``read`` returns is not kept, since the worker's steps read the text themselves; where
    it raises UsageError, its sentence is shown.
    """

    def check(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
        try:
            if value is not None and read is not None:
                read(value)
        except UsageError as error:
            raise click.BadParameter(str(error), ctx, option) from error
        return value

    shape: dict[str, Any] = {"is_flag": True}
    if read is not None:
        shape = {"metavar": kind, "callback": check, "default": default}
    return PeerOption(
        (flag,),
        envvar=_PREFIX + flag.strip("-").replace("-", "_").upper(),
        show_envvar=True,
        help=text,
        **shape,
    )


def worker_options() -> list[click.Option]:
    """Return new options: Celery adds them to its command in place."""
    return [
        _option(
            "--peer-name",
            "What people call this peer; else as a host of applications calls the process.",
            "NAME",
            parse_label,
            lambda: hosts.found(os.environ).process or None,
        ),
        _option(
            "--region",
            "Where this peer is, as people call it, such as eu-west.",
            "NAME",
            lambda text: parse_label(text, MAX_REGION, "region"),
            lambda: hosts.found(os.environ).region or None,
        ),
        _option(
            "--cpu-fallback", "Serve the queue 'cpu' where -Q asks for 'gpu' and no GPU is found."
        ),
        _option(
            "--max-cpu",
            "Use at most this share of the machine's CPU, such as 50%.",
            "SHARE",
            parse_share,
        ),
        _option("--only-idle", "Work only while nobody else uses the machine."),
        _option(
            "--hours", "Work only at these hours of the day, such as 22-7.", "FROM-TO", Hours.parse
        ),
        _option(
            "--max-mbps",
            "Use at most this many megabits a second of the line, in each direction.",
            "NUMBER",
            parse_mbps,
        ),
        _option(
            "--no-task-events", "Never tell monitors of each chunk, even where they ask for it."
        ),
    ]
