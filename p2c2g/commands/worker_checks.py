"""What ``celery worker`` is refused before it starts: options of Celery's that cannot work here.

They are looked at as they were typed, before Celery gives some of them another meaning, and in the
process that was started: so a refusal is seen, and is its exit code, also where the worker would
leave the terminal (``-D``, ``celery multi``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from p2c2g.commands import extras
from p2c2g.messaging.names import CAPABILITIES, TRAIN_QUEUE

#: What every peer needs, and one that trains beside it, as it is imported.
NEEDED, TO_TRAIN = ("psutil", "tomlkit"), ("torch", "onnx")
#: What runs a trained net.
_NETS = ("onnx", "onnxruntime")
#: The queues that somebody sends to.
QUEUES = (*CAPABILITIES, TRAIN_QUEUE)
#: The fewest chunks, and kilobytes, after which a pool's process may be replaced by a new one.
LEAST_TASKS = 1000
LEAST_KILOBYTES = 500_000


class WorkerChecks(click.Option):
    """A hidden option without a value, for its look at the others.

    Celery's command takes options from an application, and nothing else.
    """

    help_group = "Peer Options"

    def __init__(self) -> None:
        super().__init__(("--p2c2g-checks",), hidden=True, expose_value=False, is_flag=True)

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Refuse what cannot work.

        Raises:
            click.UsageError: with the sentence about it.
        """
        sentence = refused(opts)
        if not ctx.resilient_parsing:
            if sentence is not None:
                raise click.UsageError(sentence, ctx)
            if hint := without_nets():
                click.echo(hint, err=True)
        return super().handle_parse_result(ctx, opts, args)


def refused(options: Mapping[str, Any]) -> str | None:
    """Return the sentence about the first option that cannot work; None where all can.

    Args:
        options: those that were given, by name, as they were typed.
    """
    wrong = refused_queues(options.get("queues"))
    if wrong:
        return wrong
    pool = options.get("pool")
    if options.get("autoscale"):
        return (
            "--autoscale cannot be used: a peer says once how many chunks it works on at a time, "
            "and sessions go by that. Give the number with -c."
        )
    if pool == "prefork":
        return (
            "-P prefork is what Celery takes for its default, which is threads here: give "
            "-P threads, or -P processes for processes."
        )
    if str(options.get("concurrency", "")).strip() == "0":
        return "-c 0 leaves nobody to work: give 1 or more, or leave it out for one a core."
    if pool == "processes":
        for name, least, what in (
            ("max_tasks_per_child", LEAST_TASKS, "chunks"),
            ("max_memory_per_child", LEAST_KILOBYTES, "kilobytes"),
        ):
            given = str(options.get(name) or "")
            if given.isdecimal() and int(given) < least:
                return (
                    f"--{name.replace('_', '-')}={given} would replace a process for every few "
                    f"chunks, and a new one takes seconds: give at least {least} {what}."
                )
    return None


def refused_queues(text: str | None, *, strict: bool = False) -> str | None:
    """Return the sentence about queues that this machine cannot serve, or that nobody sends to.

    Args:
        text: their names joined by commas; None where they were not given.
        strict: whether each has to be one of ours; else one is enough.
    """
    if missing := extras.missing(*NEEDED):
        return extras.sentence("A peer", *missing)
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in QUEUES]
    if unknown and (strict or len(unknown) == len(names)):
        listed = ", ".join(map(repr, unknown))
        return f"Nobody sends work to {listed}: the queues are {', '.join(QUEUES)}."
    if TRAIN_QUEUE in names and (missing := extras.missing(*TO_TRAIN)):
        return extras.sentence(f"A peer of the queue {TRAIN_QUEUE}", *missing)
    return None


def without_nets() -> str:
    """Return the sentence for a machine that has no trained nets; nothing for one that has."""
    missing = extras.missing(*_NETS)
    if not missing:
        return ""
    return f"This peer scales without trained nets. {extras.sentence('A net', *missing)}"
