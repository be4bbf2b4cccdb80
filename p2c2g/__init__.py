"""P2C2G, *peer → cloud → gamer*: the core that both edges share, and its public face.

The folders are floors, and read in order they tell a chunk's story: ``media`` (what travels),
``messaging`` (how it travels), ``peers`` (who is there and how they do), ``verify`` (whether what
they send is right), ``routing`` (who gets a chunk), ``session`` (who sends it and puts it
together), ``display`` (who shows it).  An import never runs back up.

What stands in ``__all__`` is here for programs of one's own, and loaded when it is first asked
for: ``import p2c2g`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2c2g.errors import (
        BrokerUnavailableError,
        ChunkError,
        P2C2GError,
        UnavailableError,
        UsageError,
    )
    from p2c2g.media.chunker import Grid
    from p2c2g.media.frame import Frame, Size
    from p2c2g.media.operations import Pipeline
    from p2c2g.media.picture import FrameState, Picture
    from p2c2g.media.residual import Form
    from p2c2g.messaging.broker import Broker
    from p2c2g.session.config import SessionConfig
    from p2c2g.session.observer import Observer
    from p2c2g.session.session import Session
    from p2c2g.settings import Settings

    #: Of what is installed; it comes from the git tag that it was built at (docs/releases.md).
    __version__: str

_HOMES = {
    "Broker": "p2c2g.messaging.broker",
    "BrokerUnavailableError": "p2c2g.errors",
    "ChunkError": "p2c2g.errors",
    "Form": "p2c2g.media.residual",
    "Frame": "p2c2g.media.frame",
    "FrameState": "p2c2g.media.picture",
    "Grid": "p2c2g.media.chunker",
    "Observer": "p2c2g.session.observer",
    "P2C2GError": "p2c2g.errors",
    "Picture": "p2c2g.media.picture",
    "Pipeline": "p2c2g.media.operations",
    "Session": "p2c2g.session.session",
    "SessionConfig": "p2c2g.session.config",
    "Settings": "p2c2g.settings",
    "Size": "p2c2g.media.frame",
    "UnavailableError": "p2c2g.errors",
    "UsageError": "p2c2g.errors",
}

__all__ = [
    "Broker",
    "BrokerUnavailableError",
    "ChunkError",
    "Form",
    "Frame",
    "FrameState",
    "Grid",
    "Observer",
    "P2C2GError",
    "Picture",
    "Pipeline",
    "Session",
    "SessionConfig",
    "Settings",
    "Size",
    "UnavailableError",
    "UsageError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("p2c2g")
    except PackageNotFoundError:  # A folder that was not installed.
        return "0+unknown"
