"""The Celery application: ``celery -A p2c2g`` finds ``app`` here.

The frame path is tuned for latency, and gives up what the dispatcher does better: the
broker redelivers nothing and Celery retries nothing, since neither could count attempts
together with the other (``docs/design.md``).
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from celery import Celery

from p2c2g.commands.worker_options import worker_options
from p2c2g.messaging import names
from p2c2g.messaging.client import TRANSPORT_OPTIONS
from p2c2g.messaging.publishing import anonymous_queue
from p2c2g.settings import Settings, load

if TYPE_CHECKING:
    app: Celery

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
    options = {"global_keyprefix": names.CELERY_PREFIX}
    if sentinel:
        options["master_name"] = broker.sentinel_master
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
        broker_transport_options={**options, **TRANSPORT_OPTIONS},
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
        task_queues=list(map(anonymous_queue, names.CAPABILITIES)),
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
