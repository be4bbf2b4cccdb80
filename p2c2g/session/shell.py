"""The one lock around the decision core, and the carrying out of what it decides.

::

    with shell as core:                 # the lock is held for microseconds
        actions = core.look(now)
    shell.perform(actions)              # outside of it

When the lock is let go, who waits for a moment that has come nearer is woken: the player
for the next release, the collector for the next look at what has not come back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Protocol

from p2c2g.errors import BrokerUnavailableError
from p2c2g.media.frame import Pixels
from p2c2g.media.residual import Residual
from p2c2g.session.actions import Send, Steal
from p2c2g.session.core import Core

#: The core of a real session: its frames are pixels, its results decoded residuals.
SessionCore = Core[Pixels, Residual]

_NEVER = float("inf")
#: Not waiting: nobody has to be woken.
AWAKE = float("-inf")


class Carrier(Protocol):
    """Carries out what was decided; no method waits."""

    def send(self, send: Send[Pixels]) -> None:
        """Send runs of one frame.

        Raises:
            BrokerUnavailableError: they have not left, or nobody can tell.
        """

    def steal(self, steal: Steal[Pixels]) -> None:
        """Ask for what still waits in one peer's own queue to be moved to another's."""


class Shell:
    """A core that several threads share.

    Args:
        core: decides.
        carrier: carries out.
        wake_collector: ends its wait.
    """

    def __init__(
        self, core: SessionCore, carrier: Carrier, wake_collector: Callable[[], None]
    ) -> None:
        self._core = core
        self._carrier = carrier
        self._wake_collector = wake_collector
        self._released = threading.Condition()
        #: Until when the collector and the player wait; :data:`AWAKE` where they do not.
        self._looks_at = self._releases_at = AWAKE

    def __enter__(self) -> SessionCore:
        self._released.acquire()
        return self._core

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            release, look = self._core.next_release(), self._core.next_look()
            if release is not None and release < self._releases_at:
                self._released.notify()
            wake = look is not None and look < self._looks_at
            if wake:
                self._looks_at = AWAKE
        finally:
            self._released.release()
        if wake:
            self._wake_collector()

    def perform(self, actions: Iterable[Send[Pixels] | Steal[Pixels]]) -> None:
        """Carry out what was decided.  Never waits, and does not need the lock."""
        for action in actions:
            if isinstance(action, Steal):
                self._carrier.steal(action)
                continue
            try:
                self._carrier.send(action)
            except BrokerUnavailableError as error:
                if action.is_first:
                    with self as core:
                        core.not_sent(action.frame.number, f"{type(error).__name__}: {error}")

    # -- who waits --------------------------------------------------------------------------------

    def next_look(self) -> float | None:
        """Return when the next look is due; the collector waits until then, or for a wake."""
        with self._released:
            look = self._core.next_look()
            self._looks_at = _NEVER if look is None else look
            return look

    def collector_is_awake(self) -> None:
        """Note that the collector waits no longer: it looks by itself before it waits again."""
        with self._released:
            self._looks_at = AWAKE

    def wait_for_release(self, now: float, ending: threading.Event) -> None:
        """Wait until a frame may be shown, for a change of that moment, or for the end.

        Args:
            now: seconds of the session's clock.
            ending: set where no frame will come any more; :meth:`wake_player` has it looked at.
        """
        with self._released:
            release = self._core.next_release()
            if release is None and ending.is_set():
                return
            if release is not None and release <= now:
                return
            self._releases_at = _NEVER if release is None else release
            self._released.wait(None if release is None else release - now)
            self._releases_at = AWAKE

    def wake_player(self) -> None:
        """End the player's wait."""
        with self._released:
            self._released.notify()
