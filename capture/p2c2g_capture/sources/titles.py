"""Titles of windows as text: UTF-8, Latin-1, and X's older compound text."""

from __future__ import annotations

import re

#: Compound text names a character set by an escape sequence (ICCCM's appendix, ISO 2022).
_ESCAPE = re.compile(rb"\x1b(%G|%@|[-.][A-Z_a-z]|[()][A-Z]|\$[()][A-Z]|%/[0-4]..)", re.DOTALL)
#: Sets of the upper half, by the last letter of ``ESC -``.
_UPPER = {
    "A": "iso8859_1", "B": "iso8859_2", "C": "iso8859_3", "D": "iso8859_4", "F": "iso8859_7",
    "G": "iso8859_6", "H": "iso8859_8", "L": "iso8859_5", "M": "iso8859_9", "V": "iso8859_10",
    "_": "iso8859_14", "b": "iso8859_15", "f": "iso8859_16",
}  # fmt: skip
#: Sets of two bytes a letter, by the last letter of ``ESC $ (`` and ``ESC $ )``.
_WIDE = {"A": "gb2312", "B": "euc_jp", "C": "euc_kr"}


def text_of(title: bytes) -> str:
    """Return a title as text, whatever it is encoded in; no letter makes it fail."""
    if b"\x1b" in title:
        return _compound(title)
    try:
        return title.decode()
    except UnicodeDecodeError:
        return title.decode("latin-1")


def typed(title: str) -> str:
    """Return what a person typed as text where their terminal's letters are not UTF-8."""
    if any("\udc80" <= letter <= "\udcff" for letter in title):
        return text_of(title.encode(errors="surrogateescape"))
    return title


def _compound(title: bytes) -> str:
    lower, upper, utf8 = "ascii", "iso8859_1", False
    first, *rest = _ESCAPE.split(title)
    words = [first.decode("latin-1")]
    for mark, word in zip(rest[::2], rest[1::2], strict=True):
        escape = mark.decode("latin-1")
        if escape in ("%G", "%@"):
            utf8 = escape == "%G"
        elif escape[0] in "-.":
            upper = _UPPER.get(escape[-1], "iso8859_1")
        elif escape.startswith("$("):
            lower = _WIDE.get(escape[-1], "ascii")
        elif escape.startswith("$)"):
            upper = _WIDE.get(escape[-1], "iso8859_1")
        elif escape.startswith("("):
            lower = "ascii"
        if utf8:
            words.append(word.decode(errors="replace"))
        elif lower != "ascii":
            # The same letters as in the upper half, with the highest bit off.
            raised = bytes(byte | 0x80 if byte > 0x20 else byte for byte in word)
            words.append(raised.decode(lower, errors="replace"))
        else:
            words.append(word.decode(upper, errors="replace"))
    return "".join(words)
