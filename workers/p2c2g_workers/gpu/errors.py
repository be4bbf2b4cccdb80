"""What goes wrong on a graphics card, apart from what is wrong with a chunk."""

from p2c2g.errors import ChunkError


class DeviceError(ChunkError):
    """The graphics card failed; the chunk may be sound."""


class BusyError(DeviceError):
    """As many chunks wait for the card as may; that is nobody's fault."""


class OutOfMemory(DeviceError):  # noqa: N818 - it is said so everywhere
    """The graphics card has no memory for even one chunk of this kind."""
