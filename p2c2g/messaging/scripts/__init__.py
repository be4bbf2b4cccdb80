"""What has to happen at the broker in one step, in its own language: a file for each, in Lua.

Each runs alone there, so that nothing comes between looking and writing.  A file begins with
its keys, its arguments and what it returns.  Files that define functions for others are named
before the one that uses them::

    script("whose", "enrol")
"""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def script(*names: str) -> str:
    """Return these files as one script, read once, without their comments.

    Some scripts are sent whole each time.
    """
    folder = resources.files(__name__)
    text = "\n".join(folder.joinpath(f"{name}.lua").read_text("utf-8") for name in names)
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))
