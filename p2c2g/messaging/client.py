"""How a process reaches the broker: a client for keys and streams, and its sockets' patience."""

from __future__ import annotations

import socket
from typing import Any, TypeAlias

import redis
from celery import Celery

from p2c2g.messaging import names, pools
from p2c2g.settings import BrokerSettings, Settings

#: A client of the broker, bytes in and bytes out, for annotations elsewhere.
Client: TypeAlias = redis.Redis

#: By which the system notices in some 10 s that the other machine is gone, or that a router on
#: the way has forgotten the connection.  A broker that is only slow still answers these.
_KEEPALIVE: dict[int, int] = {
    getattr(socket, name): value
    for name, value in (
        ("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 10_000),
    )
    if hasattr(socket, name)
}  # fmt: skip
_ALIVE: dict[str, Any] = {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}

#: Of Celery's connections: seconds after which a broker that neither takes nor gives a byte
#: counts as gone.
TRANSPORT_OPTIONS: dict[str, Any] = {
    "socket_timeout": pools.PATIENCE, "socket_connect_timeout": pools.PATIENCE, **_ALIVE
}  # fmt: skip
#: Seconds that who would rather know soon, and asks again by itself, waits for the broker.
SOCKET_TIMEOUT = 1.0


class _SharingClient(redis.Redis):
    """A client that borrows its connections from the process's pool."""

    def __init__(self, **options: Any) -> None:
        self._pool: Any = pools.take(options)
        super().__init__(connection_pool=self._pool)

    def close(self) -> None:
        """Give the pool back.  Closing twice is fine."""
        pool, self._pool = self._pool, None
        super().close()
        if pool is not None:
            pools.give(pool)


def redis_client(settings: Settings, timeout: float = SOCKET_TIMEOUT) -> Client:
    """Return a plain client of the broker, for what is not a task: streams and keys.

    Args:
        settings: which broker.
        timeout: seconds that each command waits for it.

    Raises:
        UsageError: the broker's URL is none of ours.
    """
    broker = settings.broker
    names.use(broker.prefix)
    address, tls = broker.address(), broker.tls()
    options = {
        **_ALIVE,
        **pools.command_options(),
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "db": address.database,
        "username": address.user,
        "password": address.password,
    }
    if address.is_sentinel:
        options |= {"ssl": tls is not None, **(tls or {})}
        sentinels: Any = redis.Sentinel(  # type: ignore[no-untyped-call]
            address.hosts, sentinel_kwargs=sentinel_options(broker)
        )
        client: Client = sentinels.master_for(broker.sentinel_master, **options)
        return client
    host, port = address.hosts[0]
    if tls is not None:
        options |= {"connection_class": redis.SSLConnection, **tls}
    return _SharingClient(host=host, port=port, **options)


def sentinel_options(broker: BrokerSettings) -> dict[str, Any]:
    """Return how Sentinels themselves are asked; the server's password is not theirs.

    Raises:
        UsageError: the broker's URL is none of ours.
    """
    tls = broker.tls()
    return {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "password": broker.sentinel_password,
        "ssl": tls is not None,
        **(tls or {}),
    }


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
