"""The Celery application: ``celery -A p2c2g`` finds ``app`` here.

The frame path is tuned for latency, and gives up what the dispatcher does better: the
broker redelivers nothing and Celery retries nothing, since neither could count attempts
together with the other (``docs/design.md``).
"""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Any

import click
from celery import Celery
from click.core import ParameterSource

from p2c2g.commands import flower_guard
from p2c2g.commands.worker_checks import WorkerChecks
from p2c2g.commands.worker_options import worker_options
from p2c2g.errors import P2C2GError, UsageError
from p2c2g.messaging import names, open_names
from p2c2g.messaging.client import TRANSPORT_OPTIONS, sentinel_options
from p2c2g.messaging.publishing import anonymous_queue
from p2c2g.settings import Settings, load
from p2c2g.settings.broker_url import redacted
from p2c2g.settings.principal import Principal, Role
from p2c2g.system.cpus import cores

if TYPE_CHECKING:
    app: Celery

#: What a worker does beyond Celery's own, by name: the core does not import its code.
_STEPS = (
    "p2c2g_workers.enrolment:EnrolmentStep", "p2c2g_workers.guest:Guest",
    "p2c2g_workers.status:StatusStep", "p2c2g_workers.lent:LentStep",
)  # fmt: skip
#: By which Celery lets somebody else name broker or results; ``-b`` and ``--result-backend`` set
#: them too.
_STRAY = (
    "CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL",
    "CELERY_RESULT_BACKEND",
)  # fmt: skip

logger = logging.getLogger(__name__)


class Application(Celery):
    """Celery's application, whose broker is the settings' whatever Celery's variables say.

    A peer that enrolled at one broker and worked at another would look well and do nothing.

    Args:
        broker_url: the broker's, for kombu.
        backend: the results' URL.
        principal: who it is in an open pool; None in a pool of one's own.
    """

    def __init__(
        self,
        *args: Any,
        broker_url: str,
        backend: str,
        principal: Principal | None = None,
        **kwargs: Any,
    ) -> None:
        self.principal = principal
        self._broker_url = broker_url
        self.backend_cls = backend  # Celery asks it before its variable.
        # Celery takes its loader from the environment too, where none is given.
        super().__init__(*args, loader="celery.loaders.app:AppLoader", **kwargs)

    #: No queue of this thread's for replies, which Celery would name in each message.
    thread_oid = ""

    def connection_for_read(self, url: str | None = None, **kwargs: Any) -> Any:
        """Return a connection to the broker; no other URL counts."""
        return super().connection_for_read(self._broker_url, **kwargs)

    def connection_for_write(self, url: str | None = None, **kwargs: Any) -> Any:
        """Return a connection to the broker; no other URL counts."""
        return super().connection_for_write(self._broker_url, **kwargs)


def create_app(settings: Settings) -> Celery:
    """Build the application for one broker.

    Raises:
        UsageError: the broker's URL is none of ours.
    """
    broker = settings.broker
    names.use(broker.prefix)
    membership = settings.membership
    principal = None if membership is None else membership.principal
    address, tls = broker.address(), broker.tls()
    url, results, kind = address.text, address.text, ""
    options: dict[str, Any] = {"global_keyprefix": names.celerys()}
    if principal is not None and principal.role is Role.PEER:
        options["recall_prefix"] = open_names.recall_queue(principal.id, "")
    if address.is_sentinel:
        # One URL: with several, kombu goes from one to the next, and to its own transport.
        url, kind = address.sentinels()[0], "Sentinel"
        results = ";".join(address.sentinels())
        options["master_name"] = broker.sentinel_master
        options["sentinels"] = address.hosts
        options["sentinel_kwargs"] = sentinel_options(broker)
    results = f"p2c2g.messaging.results:{kind}FrameResultBackend+{results}"
    application = Application(
        "p2c2g",
        broker_url=url,
        backend=results,
        principal=principal,
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
        # What a broker refuses may pass: the consumer tells what does not.
        broker_channel_error_retry=True,
        result_backend=results,
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
        worker_concurrency=settings.host.slots(cores()),
        worker_prefetch_multiplier=1,
        worker_consumer="p2c2g_workers.consumer:Consumer",
        worker_hijack_root_logger=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_prefetch_count_reduction=False,
        timezone="UTC",
    )
    if principal is not None:
        # Of which everybody would have to be able to write to everybody.
        application.conf.update(worker_enable_remote_control=False)
    application.user_options["worker"] = [*worker_options(), WorkerChecks()]
    application.steps["consumer"].update(_STEPS)
    return application


@functools.cache
def _default_app() -> Celery:
    # So that ``celery -A p2c2g control`` knows it too, which imports no tasks.
    import p2c2g.messaging.drain  # noqa: F401

    try:
        settings = load()
        _refuse_others(settings)
        application = create_app(settings)
    except P2C2GError as error:
        if click.get_current_context(silent=True) is None:
            raise
        # Celery's command would put a traceback around the sentence.
        click.ClickException(str(error)).show()
        raise SystemExit(error.exit_code) from error
    flower_guard.guard()
    application.set_current()
    return application


def _refuse_others(settings: Settings) -> None:
    """Refuse a broker that Celery's options name; its variables are told and not heeded.

    Raises:
        UsageError: one of the options is given.
    """
    command = click.get_current_context(silent=True)
    for option, flag in (("broker", "-b"), ("result_backend", "--result-backend")):
        if command and command.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            raise UsageError(
                f"{flag} is not for P2C2G, whose peers and sessions have to agree on one broker: "
                "name it by P2C2G_BROKER_URL."
            )
    stray = [name for name in _STRAY if os.environ.get(name)]
    if stray:
        logger.warning(
            "%s is not heeded: the broker is %s, as P2C2G_BROKER_URL says.",
            " and ".join(stray), redacted(settings.broker.url),
        )  # fmt: skip


def __getattr__(name: str) -> Celery:
    """Build ``app`` from the environment when somebody first asks for it."""
    if name == "app":
        return _default_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
