"""The files of the viewer's page, by the last part of their address.

A session serves them, and so does an open pool's coordinator, wherever a proxy has put either.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

#: The file of each part, and its type.
PARTS: Final = {
    "": ("index.html", "text/html"),
    "viewer.css": ("viewer.css", "text/css"),
    "favicon.svg": ("favicon.svg", "image/svg+xml"),
    **{
        f"{name}.js": (f"{name}.js", "text/javascript")
        for name in (
            "viewer",
            "check",
            "comparison",
            "composer",
            "frames",
            "games",
            "input",
            "input_keys",
            "input_link",
            "input_pads",
            "input_shift",
            "input_touch",
            "input_wire",
            "link",
            "microphone",
            "microphone-worklet",
            "readout",
            "shaders",
            "sound",
            "sound-worker",
            "sound-worklet",
            "stage",
            "synchrony",
        )
    },
}


def static(name: str) -> bytes:
    """Return a file's content."""
    return (files("p2c2g.display") / "static" / name).read_bytes()
