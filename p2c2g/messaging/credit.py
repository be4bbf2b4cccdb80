"""What a channel may take: as many messages as there is credit for, and none by count."""

from __future__ import annotations

from typing import Any

from kombu.transport import virtual


class QoS(virtual.QoS):
    """Credit instead of a count: what is on its way counts as taken."""

    def can_consume(self) -> bool:
        """Tell whether a reply may be read, or a read be sent."""
        return bool(self.channel.reads or self.channel.credit > 0)

    def restore_unacked(self) -> list[Any]:
        """Return what was received and never started to its queues, in one write."""
        self._flush()
        messages = list(self._delivered.values())
        self._delivered.clear()
        self.channel.hand_back(
            source for message in messages for source in self.channel.sources_of(message)
        )
        return []
