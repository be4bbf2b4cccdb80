"""The display hub: one session publishes pictures or sound, any number of viewers take them.

Publishing never waits.  Each subscription has a small queue of its own, so that a slow viewer
loses its own pictures and nobody else's.  No thread, no clock and no I/O in here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, Literal, Protocol, get_args

from typing_extensions import TypeVar

from p2c2g.media.picture import Picture


class Numbered(Protocol):
    """What a hub hands on: numbered in the order of its making."""

    @property
    def number(self) -> int:
        """Return its number."""
        ...


Item = TypeVar("Item", bound=Numbered, default=Picture)

#: What a full queue does with one picture too many: ``drop-oldest`` makes room for the newest,
#: ``drop-newest`` keeps what it has.
Policy = Literal["drop-oldest", "drop-newest"]


class Subscription(Generic[Item]):
    """One viewer's bounded queue of pictures, oldest first, numbers strictly rising.

    Made by :meth:`Hub.subscribe`.  Take pictures with :meth:`take` (never waits), :meth:`get`
    (waits) or by iterating (waits, and ends when the hub or the subscription is closed and
    the queue is empty).  Safe to use from any thread; use it as a context manager to have
    it closed.
    """

    def __init__(
        self,
        maxsize: int,
        policy: Policy,
        notify: Callable[[], None] | None,
        leave: Callable[[Subscription[Item]], None],
    ) -> None:
        self._maxsize = maxsize
        self._policy = policy
        self._notify = notify
        self._leave = leave
        self._pictures: deque[Item] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Return how many pictures this queue lost because it was full."""
        return self._dropped

    @property
    def closed(self) -> bool:
        """Say whether no further picture will come; those in the queue can still be taken."""
        return self._closed

    @property
    def waiting(self) -> int:
        """Return how many pictures are in the queue."""
        return len(self._pictures)

    def take(self) -> Item | None:
        """Return the oldest picture, or None where there is none now."""
        with self._change:
            return self._pictures.popleft() if self._pictures else None

    def get(self, timeout: float | None = None) -> Item | None:
        """Wait for a picture and return it.

        Args:
            timeout: seconds to wait at most; for ever where it is None.

        Returns:
            The oldest picture, or None: the time is over, or no more will come.
        """
        with self._change:
            self._change.wait_for(lambda: self._pictures or self._closed, timeout)
            return self._pictures.popleft() if self._pictures else None

    def __iter__(self) -> Iterator[Item]:
        while (picture := self.get()) is not None:
            yield picture

    def close(self) -> None:
        """Leave the hub; a thread that waits here goes on with what is left in the queue."""
        self._leave(self)
        self._end()

    def __enter__(self) -> Subscription[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, picture: Item) -> None:
        with self._change:
            if self._closed:
                return
            if len(self._pictures) == self._maxsize:
                self._dropped += 1
                if self._policy == "drop-newest":
                    return
                self._pictures.popleft()
            was_empty = not self._pictures
            self._pictures.append(picture)
            self._change.notify()
        # Only when the queue stops being empty: a stuck viewer is not sent a heap of wake-ups.
        if was_empty and self._notify:
            self._notify()

    def _end(self) -> None:
        with self._change:
            already, self._closed = self._closed, True
            self._change.notify_all()
        if not already and self._notify:
            self._notify()


class Hub(Generic[Item]):
    """Fan-out of a session's pictures, in order, to subscriptions that cannot hold it up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription[Item], ...] = ()
        self._latest: Item | None = None
        self._closed = False

    @property
    def latest(self) -> Item | None:
        """Return the newest picture published, or None before the first."""
        return self._latest

    def publish(self, picture: Item) -> None:
        """Hand a picture to every subscription; never waits for a viewer.

        After :meth:`close` it does nothing, so that a session may end its parts in any order.

        Raises:
            ValueError: its number is not above the one before.
        """
        with self._lock:
            if self._closed:
                return
            if self._latest is not None and picture.number <= self._latest.number:
                raise ValueError(
                    f"Picture {picture.number} came after picture {self._latest.number}: "
                    "numbers must rise."
                )
            self._latest = picture
            for subscription in self._subscriptions:
                subscription._put(picture)

    def subscribe(
        self,
        maxsize: int = 2,
        policy: Policy = "drop-oldest",
        notify: Callable[[], None] | None = None,
    ) -> Subscription[Item]:
        """Start a queue of the pictures published from now on.

        Args:
            maxsize: how many pictures it holds.
            policy: what happens to one picture too many.
            notify: called when the queue stops being empty and when it closes, in the thread
                that publishes or closes, so it must neither wait nor raise; for asyncio, hand
                over by ``loop.call_soon_threadsafe``.

        Raises:
            ValueError: the size is below 1 or the policy is unknown.
        """
        if maxsize < 1:
            raise ValueError(f"A queue of {maxsize} pictures cannot work: give 1 or more.")
        if policy not in get_args(Policy):
            raise ValueError(
                f"{policy!r} is not a policy: give one of {', '.join(get_args(Policy))}."
            )
        subscription = Subscription(maxsize, policy, notify, self._remove)
        with self._lock:
            if not self._closed:
                self._subscriptions += (subscription,)
                return subscription
        subscription.close()
        return subscription

    def close(self) -> None:
        """End every subscription once its queue is empty; a second call does nothing."""
        with self._lock:
            self._closed = True
            subscriptions, self._subscriptions = self._subscriptions, ()
        for subscription in subscriptions:
            subscription._end()

    def _remove(self, subscription: Subscription[Item]) -> None:
        with self._lock:
            self._subscriptions = tuple(
                other for other in self._subscriptions if other is not subscription
            )
