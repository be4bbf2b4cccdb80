"""A game's own nets in a session: named in its pipeline, and at the broker for its peers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from p2c2g.errors import BrokerUnavailableError, UsageError
from p2c2g.media.methods import ANY_NETWORK, NETWORKS
from p2c2g.media.operations import Pipeline
from p2c2g.messaging.blobs import Blobs
from p2c2g.nets.store import NetStore, OwnNet

logger = logging.getLogger(__name__)

#: Seconds that a net stays at the broker after its session was last seen: a day.
LIFETIME = 86_400.0
#: Seconds between two looks at whether it is still there: a broker may have been restarted.
INTERVAL = 60.0


def nets_of(game: str, store: NetStore) -> tuple[OwnNet, ...]:
    """Return a game's nets, but for those of an earlier version.

    Raises:
        UsageError: it has none; the sentence says how one is made and which games have some.
    """
    found = store.find(game)
    usable = tuple(net for net in found if not net.is_earlier)
    if usable:
        return usable
    if found:
        raise UsageError(
            f"The nets of {game} were made for an earlier version, whose nets gave whole pictures: "
            f"train one again with p2c2g train --game {game}."
        )
    games = store.games()
    others = f"there are nets of {', '.join(games)}" if games else "there are none of any game yet"
    raise UsageError(
        f"There is no net of {game}: train one with p2c2g train --game {game}; {others}."
    )


def nets_of_clip(clip: Path) -> tuple[OwnNet, ...]:
    """Return the nets that come with a clip, in a folder of its name beside it; empty for none."""
    store = NetStore(clip.parent)
    try:
        return tuple(net for net in store.find(clip.stem) if not net.is_earlier)
    except UsageError:  # its name cannot be a game's
        return ()


def with_nets(
    pipeline: Pipeline, game: str, nets: Sequence[OwnNet], *, named: bool = True
) -> Pipeline:
    """Return a pipeline whose nets are a game's own where it has some of their size.

    ``upscale:2:ml`` gets all of them; a size by name gets the one of that size, where they were
    ``named`` for that.  Where they were not, it is no fault if there is no place for them.

    Raises:
        UsageError: there is no net in it, or one of a size that the game has none of.
    """
    result, changed = pipeline, False
    for index, operation in enumerate(pipeline.operations):
        method = operation.method
        if operation.weights or (method != ANY_NETWORK and (not named or method not in NETWORKS)):
            continue
        own = tuple(net.name for net in nets if method in (ANY_NETWORK, net.method))
        if not own:
            has = ", ".join(net.method for net in nets)
            raise UsageError(
                f"{game} has no net for {operation}: it has {has}. Give one of these or "
                f"upscale:2:{ANY_NETWORK}, or train one with p2c2g train --game {game} "
                f"--size {method}."
            )
        result, changed = result.with_method(index, method or "", own), True
    if not changed and named:
        raise UsageError(
            f"{pipeline.text} has no place for the nets of {game}: give one such as "
            f"upscale:2:{ANY_NETWORK}, or leave --game out."
        )
    return result


class Loan:
    """Nets at the broker, for as long as it is entered and a day more.

    Args:
        nets: whose files are lent.
        blobs: where to.
        interval: seconds between two looks at whether they are there.
    """

    def __init__(self, nets: Sequence[OwnNet], blobs: Blobs, interval: float = INTERVAL) -> None:
        self._nets = nets
        self._blobs = blobs
        self._interval = interval
        self._models: dict[str, bytes] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="p2c2g-nets", daemon=True)

    def __enter__(self) -> None:
        """Put them there.

        Raises:
            BrokerUnavailableError: it does not answer.
            UsageError: a net's file is not what it was when it was found.
        """
        for net in self._nets:
            try:
                model = net.path.read_bytes()
            except OSError as error:
                raise UsageError(f"{net.path} cannot be read: {error.strerror}.") from error
            if self._blobs.put(model, LIFETIME) != net.name:
                raise UsageError(f"{net.path} has changed just now: start again.")
            self._models[net.name] = model
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Look after them no longer."""
        self._ended.set()
        self._thread.join()

    def renew(self) -> None:
        """Have them last a day from now, and put those there again that are gone.

        Raises:
            BrokerUnavailableError: it does not answer.
        """
        for name, model in self._models.items():
            if not self._blobs.keep(name, LIFETIME):
                self._blobs.put(model, LIFETIME)
                logger.info("Put the net %s at the broker again: it was gone.", name)

    def _run(self) -> None:
        while not self._ended.wait(self._interval):
            try:
                self.renew()
            except BrokerUnavailableError as error:
                logger.info("Could not see after the nets at the broker: %s", error)
