"""Remote control in words that every Celery application understands."""

from __future__ import annotations

import logging
import re
from typing import Any

from celery.app.control import Control as StockControl
from kombu import Producer
from kombu.exceptions import OperationalError
from kombu.pidbox import Mailbox as StockMailbox
from kombu.pidbox import Node as StockNode

from p2c2g.errors import WireError
from p2c2g.messaging.errors import BROKER_ERRORS
from p2c2g.messaging.labels import is_short

logger = logging.getLogger(__name__)

#: What a message may say, and how kombu writes who asks.
_WORDS = {"method", "arguments", "destination", "pattern", "matcher", "ticket", "reply_to"}
_ASKER = re.compile(r"[0-9a-f-]{36}")
#: Names in one at most, and the largest of the logical clocks.
_MOST = 1024
_LATEST = 1 << 53


def check(body: object, clock: object, methods: set[str], place: str) -> None:
    """Refuse a message of remote control that asks for more than a command and its answer.

    kombu would send the answer to whatever queue the message names, with the worker's own rights,
    and match its name by a stranger's regular expression, which can take for ever.

    Args:
        body: of the message.
        clock: the sender's, which the worker's own follows.
        methods: the commands that there are.
        place: the exchange to which answers go.

    Raises:
        WireError: says what is wrong.
    """
    if not isinstance(body, dict) or not body.keys() <= _WORDS:
        raise WireError("it is no command of remote control.")
    method, arguments = body.get("method"), body.get("arguments")
    if not isinstance(method, str) or method not in methods:
        raise WireError(f"there is no command {method!r:.80}.")
    if not isinstance(arguments, dict | None):
        raise WireError("its arguments are no mapping.")
    destination = body.get("destination")
    if not isinstance(destination, list | None) or not (
        len(destination or ()) <= _MOST and all(map(is_short, destination or ()))
    ):
        raise WireError("its destination is no list of names.")
    if body.get("matcher") not in (None, "glob") or not is_short(body.get("pattern")):
        raise WireError("it names workers by a pattern of another kind than glob.")
    if not is_short(body.get("ticket")):
        raise WireError("its ticket is too long.")
    if clock is not None and (type(clock) is not int or not 0 <= clock < _LATEST):
        raise WireError("its clock is none.")
    reply_to = body.get("reply_to")
    if reply_to is None:
        return
    asker = reply_to.get("routing_key") if isinstance(reply_to, dict) else None
    if reply_to != {"exchange": place, "routing_key": asker} or not (
        isinstance(asker, str) and _ASKER.fullmatch(asker)
    ):
        raise WireError("it wants its answer elsewhere than answers go.")


class Node(StockNode):
    """A worker's end of remote control, which checks what it is asked."""

    def handle_message(self, body: Any, message: Any = None) -> Any:
        """Do what a message asks, where that may be asked; it is thrown away where not."""
        clock = message.headers.get("clock") if message is not None else None
        exchange, place = self.mailbox.exchange.name, self.mailbox.reply_exchange.name
        try:
            check(body, clock, set(self.handlers), place)
        except WireError as error:
            self.channel.refuse(exchange, str(error))
            return None
        return super().handle_message(body, message)

    def reply(
        self, data: Any, exchange: str, routing_key: str, ticket: str | None, **_: Any
    ) -> None:
        """Answer, once.  Who asked does not wait for long, and the loop sees a lost connection."""
        try:
            self.mailbox._publish_reply(
                data,
                exchange,
                routing_key,
                ticket,
                channel=self.channel,
                producer=_OneTry(self.channel, auto_declare=False),
                serializer=self.mailbox.serializer,
            )
        except (*BROKER_ERRORS, OperationalError) as error:
            logger.warning("Could not answer remote control: %s", error)


class _OneTry(Producer):
    """A producer that never tries again.

    For that kombu closes all channels of the connection and opens a new one: the worker's channel
    for tasks would be gone, and its loop wait for nothing, for ever.
    """

    def publish(self, body: Any, *args: Any, **options: Any) -> Any:
        return super().publish(body, *args, **options | {"retry": False})


class Mailbox(StockMailbox):
    """Celery's mailbox, whose workers check what they are asked."""

    node_cls = Node


class Control(StockControl):
    """Celery's remote control, in JSON whatever the tasks are written in.

    Celery takes the tasks' serializer for it, and a plain application beside us would fail
    at our workers' answers, even to a question that it asks at its start.
    """

    Mailbox = Mailbox

    def __init__(self, app: Any = None) -> None:
        super().__init__(app)
        self.mailbox.serializer = "json"
        # Else each call leaves a connection in a pool of the application's that nobody closes.
        self.mailbox.producer_pool = None
