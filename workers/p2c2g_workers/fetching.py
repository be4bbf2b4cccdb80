"""A gamer's own weights, fetched by their hash in the background.

A chunk's pipeline may name weights that this peer has never seen.  The chunk does not wait for
them: it is done by the next best method, and meanwhile they are looked for in the user's folder
for caches and at the broker.  Their hash is checked before anything reads them, and what is read
is checked before anything runs it; a file's name consists only of a hash's digits.

One name is fetched at a time.  At most :data:`MAX_WAITING` names wait, and a further one is not
taken; what could not be fetched is not asked for again for 30 s, then a minute, and so on.  So that
strangers cannot make this peer load nets all day, there is one every :data:`REFILL` seconds after
the first :data:`BURST`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, time

import platformdirs

from p2c2g.errors import P2C2GError, ProcessorError
from p2c2g.media.hashes import is_name, name_of
from p2c2g.messaging import open_names
from p2c2g.messaging.blobs import Blobs
from p2c2g.messaging.client import redis_client
from p2c2g.peers.open_registry import OpenStandings
from p2c2g.settings import Settings, load
from p2c2g.system.files import write_whole
from p2c2g.timing.bucket import TokenBucket
from p2c2g.timing.pauses import NamedPauses
from p2c2g_workers import nets
from p2c2g_workers.nets import MAX_MODEL, Weights

logger = logging.getLogger(__name__)

#: Names that wait to be fetched at most; a further one is not taken.
MAX_WAITING = 16
#: Files in the user's folder for caches; the one used longest ago goes.  32 MB in all.
MAX_FILES = 64
#: Seconds for which what could not be fetched is not asked for again: first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 1800.0
#: Nets that may be loaded from the broker at once, and seconds until there may be one more.
BURST, REFILL = 16, 5.0
#: Names whose pauses are remembered; the one that failed longest ago is forgotten.
MAX_PAUSES = 256
#: Seconds after which a file that was never finished is removed.
_ABANDONED = 3600.0


class Cache:
    """Nets' files in a folder that other workers of this machine may share.

    Args:
        folder: where; in the user's folder for caches where not given.
        clock: seconds as files have them.
    """

    def __init__(self, folder: Path | None = None, clock: Callable[[], float] = time) -> None:
        base = Path(platformdirs.user_cache_dir("p2c2g", appauthor=False))
        self._folder = folder if folder is not None else base / "nets"
        self._clock = clock

    def get(self, name: str) -> bytes | None:
        """Return a net's file; None where there is none.  A damaged one is thrown away."""
        path = self._path(name)
        try:
            with path.open("rb") as stream:
                model = stream.read(MAX_MODEL + 1)
            if name_of(model) == name:
                os.utime(path, (self._clock(),) * 2)  # It is in use.
                return model
            logger.warning("The net %s was damaged in %s: fetched again.", name, self._folder)
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        except OSError as error:
            logger.info("The net %s cannot be read from %s: %s", name, self._folder, error)
        return None

    def put(self, model: bytes) -> None:
        """Keep a net's file; where that is not possible, it is fetched again another time."""
        path = self._path(name_of(model))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, model, durable=False)
            os.utime(path, (self._clock(),) * 2)
            self._make_room()
        except OSError as error:
            logger.info("The net cannot be kept in %s: %s", self._folder, error)

    def _make_room(self) -> None:
        ages: list[tuple[float, Path]] = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # Another worker makes room, too.
                used = path.stat().st_mtime
                if path.suffix == ".onnx":
                    ages.append((used, path))
                elif path.suffix == ".part" and used < self._clock() - _ABANDONED:
                    path.unlink(missing_ok=True)
        for _, path in sorted(ages)[: max(0, len(ages) - MAX_FILES)]:
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not is_name(name):
            raise ValueError(f"{name!r} is no net's name")
        return self._folder / f"{name}.onnx"


class Fetcher:
    """Fetches weights on a thread that is there only while something is wanted.

    Args:
        get: returns the bytes of a name, which it has checked, or None; may raise a
            :class:`~p2c2g.errors.P2C2GError`.
        cache: asked first, and given what was fetched.
        hold: called with the weights that were read.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        get: Callable[[str], bytes | None],
        cache: Cache,
        hold: Callable[[Weights], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._get = get
        self._cache = cache
        self._hold = hold
        self._clock = clock
        self._lock = threading.Lock()
        self._pauses = NamedPauses(FIRST_PAUSE, LONGEST_PAUSE, MAX_PAUSES)
        self._allowance = TokenBucket(1 / REFILL, BURST)
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._thread: threading.Thread | None = None

    def want(self, names: Sequence[str]) -> None:
        """Fetch names that are not being fetched, and are not left alone for now.  Never waits.

        It is called for each chunk, from any thread.
        """
        for name in names:
            if name in self._waiting:
                continue
            with self._lock:
                full = len(self._waiting) >= MAX_WAITING
                if full or name in self._waiting or not self._pauses.over(name, self._clock()):
                    continue
                self._waiting[name] = None
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name="p2c2g-nets", daemon=True
                    )
                    self._thread.start()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until nothing is wanted any more; return whether that is so."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._lock:
                name = next(iter(self._waiting), None)
                if name is None:
                    self._thread = None
                    return
            fetched = False
            try:
                self._hold(self._fetch(name))
                fetched = True
            except P2C2GError as error:
                logger.info("The net %s cannot be had: %s", name, error)
            except Exception:
                logger.exception("The net %s cannot be had", name)
            with self._lock:
                if fetched:
                    self._pauses.well(name)
                else:
                    self._pauses.failed(name, self._clock())
                # Only now: a name that is being fetched is not asked for a second time.
                del self._waiting[name]

    def _fetch(self, name: str) -> Weights:
        kept = self._cache.get(name)
        if kept is not None:
            return nets.read(kept)
        self._allowance.fill(self._clock())
        if not self._allowance.take():
            raise ProcessorError("too many others were loaded just now")
        model = self._get(name)
        if model is None:
            raise ProcessorError("nobody has put it at the broker, or it is not what it was")
        weights = nets.read(model)
        # After it was read: nothing that is not ours is written to this disk.
        self._cache.put(model)
        logger.info("Fetched the net %s (%s).", name, weights.method)
        return weights


def _blobs(settings: Settings) -> Blobs:
    """Return where gamers put their nets: in an open pool each at keys of its own."""
    client = redis_client(settings)
    if settings.membership is None:
        return Blobs(client)
    peer, standings = settings.membership.id, OpenStandings(client)
    return Blobs(
        client,
        lambda name: [open_names.gamer_blob(each, name) for each in standings.gamers(peer)],
    )


class _Process:
    """This process's fetcher, made when the first name is wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fetcher: Fetcher | None = None

    def fetcher(self) -> Fetcher:
        with self._lock:
            if self._fetcher is None:
                blobs = _blobs(load())
                self._fetcher = Fetcher(lambda name: blobs.get(name, MAX_MODEL), Cache(), nets.hold)
            return self._fetcher


_process = _Process()


def want(names: Sequence[str]) -> None:
    """Have weights fetched from this worker's broker; see :meth:`Fetcher.want`."""
    _process.fetcher().want(names)


def _renew() -> None:
    """Start a forked child without its parent's fetcher, whose thread does not exist here."""
    global _process
    _process = _Process()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
