"""What a worker does where the broker is there and refuses: it waits, or ends with a sentence."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from redis import ResponseError

from p2c2g.errors import BrokerRefusesError
from p2c2g.messaging import names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import BROKER_ERRORS, refusal

logger = logging.getLogger(__name__)

#: Seconds between two looks whether the broker takes writes again.
INTERVAL = 0.5
#: Seconds for which the key lasts by which it is tried.
_TRIAL_MS = 1000


#: Seconds for which a login of an open pool may be refused: a broker that was started again has
#: none, until its coordinator gives them back.
GRACE = 5.0


class Belief:
    """When a refusal is believed to last: after a while, or where somebody says that it does.

    Args:
        grace: seconds.
        clock: seconds, monotonic.
        why: asks somebody who knows, and returns why it lasts; "" where it may not.
    """

    def __init__(
        self,
        grace: float = 0.0,
        clock: Callable[[], float] = monotonic,
        why: Callable[[], str] = str,
    ) -> None:
        self._grace = grace
        self._why = why
        self._clock = clock
        self._since: float | None = None

    def lasts(self) -> bool:
        """Note that the broker refuses; tell whether that is to be believed."""
        now = self._clock()
        if self._since is None:
            self._since = now
        return now - self._since >= self._grace or bool(self._why())

    def passed(self) -> None:
        """Note that it refuses no longer."""
        self._since = None

    def check(self, error: BaseException) -> None:
        """Let what may pass be, as the function does.

        Raises:
            BrokerRefusesError: it does not pass by itself.
        """
        if refusal(error) is not None and self.lasts():
            check(error)


def check(error: BaseException) -> None:
    """Let what may pass be.

    Raises:
        BrokerRefusesError: it does not pass by itself.
    """
    sentence = refusal(error)
    if sentence is not None:
        raise BrokerRefusesError(sentence) from error


def wait_out(
    client: Client, trial: str, kinds: Mapping[str, str], go_on: Callable[[], None]
) -> None:
    """Return once the broker takes writes and every key of ours is what it has to be.

    One that cannot be reached at all is left to who reconnects.

    Args:
        client: any of the broker.
        trial: a key by which writing is tried.
        kinds: the type that each key of this worker's has to have.
        go_on: called between two looks; raises where the worker is to end.

    Raises:
        BrokerRefusesError: it refuses what will not pass.
    """
    said = ""
    while True:
        pause(go_on)
        sentence = _trouble(client, trial, kinds)
        if not sentence:
            break
        if sentence != said:
            logger.error("%s", sentence)
        said = sentence
    if said:
        logger.warning("The broker takes chunks again.")


def pause(go_on: Callable[[], None]) -> None:
    """Wait a moment, and then ask ``go_on``, which raises where the worker is to end."""
    threading.Event().wait(INTERVAL)
    go_on()


def _trouble(client: Client, trial: str, kinds: Mapping[str, str]) -> str:
    """Return the sentence about what is wrong now, nothing where all is well."""
    try:
        client.set(trial, b"", px=_TRIAL_MS)
        wrong = _wrong_keys(client, kinds)
    except ResponseError as error:
        check(error)
        return f"The broker takes nothing now, which passes by itself; waiting: {error}"
    except BROKER_ERRORS:
        return ""
    if not wrong:
        return ""
    return (
        f"Another program has written to this database: {', '.join(wrong)}. Waiting until it is "
        "deleted; another database is named by its number at the end of P2C2G_BROKER_URL."
    )


def _wrong_keys(client: Client, kinds: Mapping[str, str]) -> list[str]:
    with client.pipeline(transaction=False) as pipe:
        for key in kinds:
            pipe.type(key)
        found = [kind.decode() for kind in pipe.execute()]
    return [
        f"the key {key!r} is a {kind} and should be a {right}"
        for (key, right), kind in zip(kinds.items(), found, strict=True)
        if kind not in (right, "none")
    ]


def kinds(peer: str, queues: Iterable[str]) -> dict[str, str]:
    """Return the type that each key of this worker's has to have.

    Args:
        peer: its id.
        queues: the names of those that it reads.
    """
    lists = [*queues, names.own_queue(peer), names.control_queue(peer)]
    return {
        **{names.queue_key(queue): "list" for queue in lists},
        names.peers(): "hash",
        names.banned(): "hash",
        names.beat(peer): "string",
        names.control_bindings(): "set",
    }
