"""The Celery application: ``celery -A p2c2g`` finds ``app`` here.

The frame path is tuned for latency, and gives up what the dispatcher does better: the
broker redelivers nothing and Celery retries nothing, since neither could count attempts
together with the other (``docs/design.md``).
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import redis
from celery import Celery
from kombu import Exchange, Queue
from redis.backoff import NoBackoff
from redis.retry import Retry

from p2c2g.errors import BrokerUnavailableError
from p2c2g.peers.options import worker_options
from p2c2g.settings import Settings, load, redacted

if TYPE_CHECKING:
    app: Celery

#: The task that enhances one chunk, by name: the core does not import its code.
ENHANCE_TASK = "p2c2g.enhance"
#: Seconds after which a broker that neither takes nor gives a byte counts as gone.
_SOCKET = {"socket_timeout": 5.0, "socket_connect_timeout": 5.0, "socket_keepalive": True}
#: A session's own client: it would rather know soon, and ask again itself.
_CLIENT: dict[str, Any] = {
    "socket_timeout": 1.0, "socket_connect_timeout": 1.0, "socket_keepalive": True
}  # fmt: skip
#: Queues by capability.
CAPABILITIES = ("gpu", "cpu")
#: What a worker does beyond Celery's own, by name: the core does not import its code.
_STEPS = ("p2c2g_workers.enrolment:EnrolmentStep", "p2c2g_workers.guest:Guest")


def create_app(settings: Settings) -> Celery:
    """Build the application for one broker.

    Raises:
        UsageError: the broker's URL is none of ours.
    """
    broker = settings.broker
    url, tls = broker.checked_url(), broker.tls()
    sentinel = url.startswith("sentinel")
    kind = "Sentinel" if sentinel else ""
    options = {"master_name": broker.sentinel_master} if sentinel else {}
    application = Celery(
        "p2c2g",
        include=["p2c2g_workers.tasks", "p2c2g_training.tasks"],
        control="p2c2g.messaging.control:Control",
        set_as_current=False,
    )
    application.conf.update(
        broker_url=url,
        broker_transport=f"p2c2g.messaging.transport:{kind}Transport",
        broker_use_ssl=tls,
        broker_transport_options={**options, **_SOCKET},
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        result_backend=f"p2c2g.messaging.results:{kind}FrameResultBackend+{url}",
        redis_backend_use_ssl=tls,
        result_backend_transport_options=options,
        result_expires=settings.worker.result_lifetime,
        # Bytes travel as they are; nothing is ever unpickled.
        task_serializer="msgpack",
        result_serializer="json",
        accept_content=["msgpack", "json"],
        result_accept_content=["json"],
        task_queues=[
            Queue(name, Exchange("", type="direct"), routing_key=name) for name in CAPABILITIES
        ],
        task_default_queue="cpu",
        task_default_exchange="",
        task_default_exchange_type="direct",
        task_default_routing_key="cpu",
        task_acks_late=False,
        task_publish_retry=False,
        task_store_errors_even_if_ignored=True,
        worker_pool="threads",
        worker_concurrency=os.cpu_count() or 1,
        worker_prefetch_multiplier=1,
        worker_consumer="p2c2g_workers.consumer:Consumer",
        worker_hijack_root_logger=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_prefetch_count_reduction=False,
        timezone="UTC",
    )
    application.user_options["worker"] = worker_options()
    application.steps["consumer"].update(_STEPS)
    return application


def redis_client(settings: Settings) -> redis.Redis:
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
        client: redis.Redis = sentinels.master_for(
            broker.sentinel_master, retry=_once_more(), **_CLIENT
        )
        return client
    tls = broker.tls() or {}
    return redis.Redis.from_url(url, retry=_once_more(), **_CLIENT, **tls)


def check_broker(client: redis.Redis, settings: Settings) -> None:
    """Ask whether the broker answers, for a command that is about to need it.

    Raises:
        BrokerUnavailableError: it does not; the sentence says what would be right.
    """
    where = redacted(settings.broker.url)
    try:
        client.ping()
    except redis.AuthenticationError as error:
        raise BrokerUnavailableError(
            f"The broker at {where} refuses the password: {error}."
        ) from error
    except (redis.RedisError, OSError) as error:
        raise BrokerUnavailableError(
            f"No broker answers at {where} ({error}): start one, or name another with --broker "
            "or P2C2G_BROKER_URL."
        ) from error


def _once_more() -> Retry:
    """Retry at once and once, for a connection that the broker has closed meanwhile.

    redis-py's own ten retries with growing pauses would find a broker that came back
    seconds late; who needs it asks again by their own clock.
    """
    return Retry(NoBackoff(), 1)


@functools.cache
def _default_app() -> Celery:
    # So that ``celery -A p2c2g control`` knows it too, which imports no tasks.
    import p2c2g.messaging.drain  # noqa: F401

    application = create_app(load())
    application.set_current()
    return application


def __getattr__(name: str) -> Celery:
    """Build ``app`` from the environment when somebody first asks for it."""
    if name == "app":
        return _default_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
