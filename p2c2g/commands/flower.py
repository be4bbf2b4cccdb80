"""``celery flower`` where Flower is not installed: one sentence rather than an unknown command.

Celery finds this by the entry point ``celery.commands``; where Flower is installed, it is Flower's
own command.
"""

from __future__ import annotations

from typing import Any

import click

from p2c2g.commands import extras


def command() -> Any:
    """Return Flower's command, or one that says how to install it."""
    if not extras.missing("flower"):
        from flower.command import flower

        return flower
    return _missing


@click.command("flower", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def _missing(arguments: tuple[str, ...]) -> None:
    raise click.ClickException(extras.sentence("celery flower", "flower"))


flower = command()
