"""``p2c2g peer keep`` and ``p2c2g peer update``, as the command line has them."""

from __future__ import annotations

from typing import Annotated

import typer


def keep(
    *,
    trial: Annotated[
        bool, typer.Option("--trial", help="Only this once, under another version's eyes.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Look whether it could, and end.")] = False,
) -> int:
    """Keep this machine's worker running, and its version up to date: what its service starts."""
    from p2c2g_workers import keeping

    return keeping.check() if check else keeping.keep(trial=trial)


def update(
    *,
    check: Annotated[bool, typer.Option("--check", help="Only say what there is.")] = False,
) -> int:
    """Take the version that the pool's operator has signed, now."""
    from p2c2g_workers import keeping

    return keeping.say_what_there_is() if check else keeping.update()
