"""A kombu transport over kombu's Redis one, in which a chunk costs one round trip.

What differs from stock:

* a binary envelope (:mod:`p2c2g.messaging.envelope`) for bodies that are bytes; text bodies,
  such as ``celery inspect`` and its answers, keep kombu's own, so that any kombu
  application on the same broker still understands them;
* no ack emulation: a message is popped once and never written back, and the dispatcher's
  deadline takes the place of redelivery;
* one priority step, so that a read names each queue once;
* reads sent ahead: several ``BRPOP`` are outstanding on one connection, as many as there is
  credit for (:attr:`~p2c2g.messaging.reading.ReadingChannel.credit`), so that the next message
  is on its way while this one is worked on;
* a producer's batch leaves as one write and does not wait for the broker's "done".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from kombu.transport import redis as stock

from p2c2g.messaging.channel import Channel
from p2c2g.settings.broker_url import BrokerUrl, Place


class Poller(stock.MultiChannelPoller):
    """kombu's poller, which also keeps the reads topped up."""

    def on_poll_start(self) -> None:
        """Send what reads there is credit for; runs once a turn of the loop."""
        super().on_poll_start()
        for channel in tuple(self._channels):
            if channel.reads:
                channel.send_reads()


class Transport(stock.Transport):
    """The transport; ``broker_transport`` in Celery's configuration names it.

    ``read_ahead``, ``running`` and ``round_trip`` are set by the worker, which knows its pool: how
    many messages beyond the prefetch count to keep on their way, how many tasks run now, and how
    far the broker is.
    """

    Channel = Channel

    read_ahead: int = 1
    #: Seconds to the broker and back, as far as they have been measured.
    round_trip: float = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.running: Callable[[], int] = _none_running
        self.cycle = Poller()
        # Of this instance, so that kombu asks it for the URL; the class has it taken apart.
        self.can_parse_url = True

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:
        """Return the broker's URL by its usual scheme, which Flower knows, not by our name."""
        broker = self.client
        url = BrokerUrl(
            scheme="rediss" if broker.ssl and self.driver_type == "redis" else self.driver_type,
            places=(Place(broker.hostname or "", broker.port or self.default_port),),
            user=broker.userid,
            password=broker.password,
            path=f"/{str(broker.virtual_host or '').lstrip('/')}",
            query="",
        )
        return url.text if include_password else url.shown


def _none_running() -> int:
    return 0


class SentinelChannel(stock.SentinelChannel, Channel):
    """The channel behind Redis Sentinel.

    All Sentinels are known from the start, by the option ``sentinels``, a list of hosts and
    ports.  kombu's list of URLs is not used: at the first lost connection kombu goes to the next
    of them, and from our transport to its own.
    """

    from_transport_options = (
        *stock.SentinelChannel.from_transport_options, "recall_prefix", "sentinels",
    )  # fmt: skip
    sentinels: tuple[tuple[str, int], ...] = ()

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:
        parameters = self._connparams(asynchronous)
        first = (parameters.pop("host"), parameters.pop("port"))
        manager: Any = redis.Sentinel(  # type: ignore[no-untyped-call]
            list(self.sentinels) or [first],
            sentinel_kwargs=getattr(self, "sentinel_kwargs", None),
            **parameters,
        )
        # By these names kombu closes the connections to the Sentinels.
        if asynchronous:
            self._async_sentinel_manager = manager
        else:
            self._sentinel_manager = manager
        return manager.master_for(self.master_name).connection_pool


class SentinelTransport(Transport):
    """The transport behind Redis Sentinel, for ``sentinel://`` URLs."""

    Channel = SentinelChannel
    driver_type = "sentinel"
    default_port = stock.SentinelTransport.default_port
