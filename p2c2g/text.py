"""Strangers' text, made fit to be shown: in a terminal, a log, a report, a browser.

The one function for it.  What strangers send (errors, reasons, labels) can hold escape sequences
that a terminal obeys, line breaks that forge a line of a log, and marks that turn the direction of
writing.  All that is not printable becomes its escape, such as ``\\x1b``.  That a text is no
markup is another matter: rich is told so once (:mod:`p2c2g.commands.console`), and pages set
``textContent``.
"""

from __future__ import annotations

from typing import Any


def plain(text: str, most: int | None = None) -> str:
    """Return a text on one line with nothing in it but what is seen.

    Args:
        text: a stranger's.
        most: letters of it that are taken at most.
    """
    text = text[:most]
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def all_plain(value: Any) -> Any:
    """Return a value as JSON has it, with every text and every name in it :func:`plain`."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {all_plain(name): all_plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [all_plain(each) for each in value]
    return value
