"""The one way to the broker for all that is no worker: sessions, commands, training."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any, Self

from celery import Celery

from p2c2g.celery import create_app
from p2c2g.errors import BrokerRefusesError, BrokerUnavailableError, UsageError
from p2c2g.messaging import open_names, remote
from p2c2g.messaging.blobs import Blobs
from p2c2g.messaging.client import Client, open_connection, redis_client
from p2c2g.messaging.errors import BROKER_ERRORS, advice, refusal, translated
from p2c2g.messaging.inspection import inspect
from p2c2g.messaging.publishing import anonymous_queue
from p2c2g.settings import Settings, load
from p2c2g.settings.broker_url import redacted
from p2c2g.settings.membership import Membership
from p2c2g.settings.principal import Role

logger = logging.getLogger(__name__)


class Broker:
    """One broker, as one process reaches it.  Closed where its ``with`` block ends.

    ``app`` and ``client`` are made when they are first asked for, by one thread; they connect
    when they are first used.  Where the broker does not answer, every method but :meth:`close`
    raises :class:`~p2c2g.errors.BrokerUnavailableError`.

    Args:
        settings: which broker.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Celery | None = None
        self._client: Client | None = None

    @classmethod
    def at(cls, url: str | None = None) -> Self:
        """Return the broker at a URL, or the one that the environment names.

        Raises:
            UsageError: a variable of the environment cannot be used.
        """
        settings = load()
        if url is not None:
            settings.broker.use(url)
        return cls(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def where(self) -> str:
        """Return the broker's URL without its password."""
        return redacted(self._settings.broker.url)

    @property
    def membership(self) -> Membership | None:
        """Return the place in an open pool of who uses it; None in a pool of one's own."""
        return self._settings.membership

    @property
    def gamer(self) -> str:
        """Return whose sessions are run here in an open pool; empty in a pool of one's own.

        Raises:
            UsageError: the membership is a peer's.
        """
        membership = self._settings.membership
        if membership is None:
            return ""
        if membership.principal.role is not Role.GAMER:
            raise UsageError(
                f"The membership of {membership.pool} is a peer's, which plays nothing: join as a "
                "gamer with p2c2g-capture run --pool."
            )
        return membership.id

    def blobs(self) -> Blobs:
        """Return where larger things are put for peers: in an open pool the gamer's own keys.

        Raises:
            UsageError: as :attr:`gamer`.
        """
        if gamer := self.gamer:
            return Blobs(self.client, lambda name: (open_names.gamer_blob(gamer, name),))
        return Blobs(self.client)

    def require_own(self, what: str) -> None:
        """Refuse what only a pool of one's own has.

        Args:
            what: was asked for, as a sentence begins.

        Raises:
            UsageError: it is an open pool.
        """
        if self.membership is not None:
            raise UsageError(
                f"{what} is for a pool of one's own: what is in an open pool its operator sees, by "
                f"p2c2g pool or at {self.membership.pool}."
            )

    @property
    def app(self) -> Celery:
        """Return the Celery application.

        Raises:
            UsageError: the broker's URL is none of ours.
        """
        if self._app is None:
            self._app = create_app(self._settings)
        return self._app

    @property
    def client(self) -> Client:
        """Return the client for keys and streams.

        Raises:
            UsageError: the broker's URL is none of ours.
        """
        if self._client is None:
            self._client = redis_client(self._settings)
        return self._client

    def close(self) -> None:
        """Close the connections.  Closing twice is fine."""
        app, self._app = self._app, None
        client, self._client = self._client, None
        if app is not None:
            app.close()
        if client is not None:
            client.close()

    def check(self) -> None:
        """Ask whether the broker answers and can be used, for a command that is about to need it.

        A broker that may lose what must stay is warned of.

        Raises:
            BrokerRefusesError: it answers and cannot be used.
            BrokerUnavailableError: it does not answer; the sentence says what would be right.
        """
        try:
            self.client.ping()
        except BROKER_ERRORS as error:
            named = f"{self.where}{self._settings.broker.named_by}"
            lasting = refusal(error)
            if lasting is not None:
                raise BrokerRefusesError(f"At {named}: {lasting}") from error
            raise BrokerUnavailableError(
                f"No broker answers at {named} ({error}): start one, or name another with "
                f"--broker or P2C2G_BROKER_URL.{advice(error)}"
            ) from error
        if self._settings.membership is not None:
            return  # Its operator looks to it.
        warning = inspect(self.client)
        if warning:
            logger.warning("%s", warning)

    def send(
        self,
        task: str,
        args: tuple[Any, ...],
        *,
        task_id: str,
        queue: str,
        shown: str,
        what: str = "task",
    ) -> None:
        """Send one task that is no chunk, and wait until the broker has it.

        Args:
            task: its name.
            args: what it is called with.
            task_id: its id.
            queue: where it goes; nothing is declared.
            shown: what monitors show in place of the arguments.
            what: what it is called where it cannot be sent.
        """
        with translated(f"The {what} could not be sent"), open_connection(self.app) as connection:
            self.app.send_task(
                task,
                args=args,
                task_id=task_id,
                queue=anonymous_queue(queue),
                declare=[],
                connection=connection,
                ignore_result=True,
                argsrepr=shown,
                kwargsrepr="",
                add_to_parent=False,
            )

    # -- asking workers ----------------------------------------------------------------------

    def ping(self, count: int, timeout: float) -> int:
        """Ping until ``count`` workers answer, or for ``timeout`` seconds; return how many did."""
        return remote.ping(self.app, count, timeout)

    def leave_queue(self, queue: str, peer: str) -> None:
        """Ask a peer to take nothing more from a queue; waits for no answer."""
        remote.leave_queue(self.app, queue, peer)

    def join_queue(self, queue: str, peer: str) -> None:
        """Ask a peer to take from a queue, again as a rule; waits for no answer."""
        remote.join_queue(self.app, queue, peer)

    def drain(self, peer: str, timeout: float, by: str = "") -> Any:
        """Ask a peer to finish what it has and leave; return its answer, None where none came.

        ``by`` is who asks: its lender is told.
        """
        return remote.drain(self.app, peer, timeout, by)
