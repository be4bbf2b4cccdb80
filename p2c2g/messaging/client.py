"""How a process reaches the broker: a client for keys and streams, and its sockets' patience."""

from __future__ import annotations

from typing import Any, TypeAlias

import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

from p2c2g.settings import Settings

#: A client of the broker, bytes in and bytes out, for annotations elsewhere.
Client: TypeAlias = redis.Redis

#: Of Celery's connections: seconds after which a broker that neither takes nor gives a byte
#: counts as gone.
TRANSPORT_OPTIONS: dict[str, Any] = {
    "socket_timeout": 5.0, "socket_connect_timeout": 5.0, "socket_keepalive": True
}  # fmt: skip
#: Seconds that who would rather know soon, and asks again by itself, waits for the broker.
SOCKET_TIMEOUT = 1.0
_CLIENT_OPTIONS: dict[str, Any] = {
    "socket_timeout": SOCKET_TIMEOUT,
    "socket_connect_timeout": SOCKET_TIMEOUT,
    "socket_keepalive": True,
}


def redis_client(settings: Settings) -> Client:
    """Return a plain client of the broker, for what is not a task: streams and keys.

    Raises:
        UsageError: the broker's URL is none of ours.
    """
    broker = settings.broker
    url = broker.checked_url()
    if url.startswith("sentinel"):
        hosts = [
            (host, int(port or 26379))
            for part in url.split(";")
            for host, _, port in [part.removeprefix("sentinel://").partition(":")]
        ]
        sentinels: Any = redis.Sentinel(hosts)  # type: ignore[no-untyped-call]
        client: Client = sentinels.master_for(
            broker.sentinel_master, retry=_once_more(), **_CLIENT_OPTIONS
        )
        return client
    tls = broker.tls() or {}
    return redis.Redis.from_url(url, retry=_once_more(), **_CLIENT_OPTIONS, **tls)


def open_connection(app: Celery, timeout: float | None = None) -> Any:
    """Return an open connection of kombu's, or tell at once that the broker is not there.

    kombu itself would try again after two seconds, and then after four.

    Args:
        app: the Celery application.
        timeout: seconds that it waits for the broker, each time; as the application does where
            None.

    Raises:
        kombu.exceptions.OperationalError: the broker does not answer.
    """
    options = dict(app.conf.broker_transport_options)
    if timeout is not None:
        options |= {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    connection = app.connection_for_write(transport_options=options)
    try:
        return connection.ensure_connection(max_retries=0)
    except BaseException:
        connection.release()
        raise


def _once_more() -> Retry:
    """Retry at once and once, for a connection that the broker has closed meanwhile.

    redis-py's own ten retries with growing pauses would find a broker that came back
    seconds late; who needs it asks again by their own clock.
    """
    return Retry(NoBackoff(), 1)
