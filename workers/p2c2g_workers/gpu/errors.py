"""What goes wrong on a graphics card, apart from what is wrong with a chunk."""

from p2c2g.errors import ChunkError


class DeviceError(ChunkError):
    """The graphics card failed; the chunk may be sound."""


class BusyError(DeviceError):
    """As many chunks wait for the card as may; that is no fault of the card."""


class OutOfMemory(DeviceError):  # noqa: N818 - its usual name
    """The graphics card has no memory for even one chunk of this kind."""
