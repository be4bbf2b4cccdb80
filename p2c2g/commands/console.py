"""The console that every command prints to.

Text is never markup: a stranger's ``[/x]`` would end a command by an error, and one's ``[link=…]``
would be obeyed.  What is to stand out is a :class:`rich.text.Text` with a style.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

#: Columns of a table that goes to a file or a pipe, which have no width of their own.
WIDE = 200


def new_console(**options: Any) -> Console:
    """Return a console; ``options`` are rich's own."""
    return Console(markup=False, emoji=False, highlight=False, **options)


def new_table_console() -> Console:
    """Return a console that folds a table only where it goes to a terminal."""
    console = new_console()
    if not console.is_terminal:
        console.width = max(console.width, WIDE)
    return console
