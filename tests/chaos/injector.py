"""Does the harm: a thread that begins and ends each fault at its time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from p2c2g.messaging import envelope, names
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.dispatcher import QUEUE_LIFETIME, parse_task_id
from tests.chaos.events import Injected, Key
from tests.chaos.faults import BROKER, SESSION, Fault, Kind
from tests.chaos.peer import Conduct
from tests.chaos.workers import RTT_MS, ChaosWorker
from tests.pool import Pool

#: Seconds between two turns: how late an action may be, and how often somebody may look.
TURN = 0.01
_QUEUE = names.queue_key("cpu")


class Injector:
    """The thread.

    Args:
        pool: is harmed.
        workers: of the pool, by name.
        faults: in order.
        session_logs: the folder of the session's logs.
        conducts: how each worker behaves in good times.
        look: is called each turn.
    """

    def __init__(
        self,
        pool: Pool,
        workers: dict[str, ChaosWorker],
        faults: tuple[Fault, ...],
        session_logs: Path,
        conducts: dict[str, Conduct],
        look: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._workers = workers
        self._session_logs = session_logs
        self._conducts = conducts
        self._look = look
        self._client = redis_client(pool.settings())
        #: What is to be done: when, whether it begins or ends, and which fault.
        self._actions = sorted(
            [(fault.at, 0, fault) for fault in faults]
            + [(fault.until, 1, fault) for fault in faults],
            key=lambda action: action[:2],
        )
        self._began: dict[Fault, float] = {}
        self._thefts: dict[Fault, list[Key]] = {}
        self.injected: list[Injected] = []
        self.crash: BaseException | None = None
        self._ending = threading.Event()
        #: Set once every fault has begun and ended, or the thread has died.
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-injector", daemon=True)

    def start(self) -> None:
        """Start the thread; the faults' times count from now."""
        self._start = time.monotonic()
        self._thread.start()

    def close(self) -> None:
        """End the thread; faults that have not begun are left out, the others are ended."""
        self._ending.set()
        self._thread.join()
        for fault in list(self._began):
            self._end(fault)
        self._client.close()

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                now = time.monotonic() - self._start
                while self._actions and self._actions[0][0] <= now:
                    _, ends, fault = self._actions.pop(0)
                    (self._end if ends else self._begin)(fault)
                if not self._actions:
                    self.over.set()
                self._look()
                if not self._steal():
                    self._ending.wait(TURN)
        except BaseException as error:
            self.crash = error
            raise
        finally:
            self.over.set()

    def _begin(self, fault: Fault) -> None:
        self._began[fault] = time.monotonic()
        if fault.kind in {Kind.LOSS, Kind.DUPLICATE}:
            self._thefts[fault] = []
        elif fault.kind is Kind.BROKER:
            self._pool.broker.kill()
        elif fault.kind is Kind.DISK:
            self._disk(fault, broken=True)
        elif fault.targets[0] in self._pool.proxies and fault.kind in _LINES:
            self._line(fault, broken=True)
        else:
            for name in fault.targets:
                self._harm(fault, name)

    def _end(self, fault: Fault) -> None:
        if fault.kind is Kind.BROKER:
            self._pool.broker.restart()
        elif fault.kind is Kind.DISK:
            self._disk(fault, broken=False)
        elif fault.kind in _LINES:
            self._line(fault, broken=False)
        else:
            for name in fault.targets:
                self._heal(fault, name)
        keys = tuple(self._thefts.pop(fault, ()))
        began = self._began.pop(fault)
        self.injected.append(Injected(fault, began, time.monotonic(), keys))

    # -- workers -----------------------------------------------------------------------------

    def _harm(self, fault: Fault, name: str) -> None:
        worker = self._workers[name]
        if fault.kind in {Kind.KILL, Kind.HALF}:
            worker.kill()
        elif fault.kind is Kind.STOP:
            worker.signal(signal.SIGSTOP)
        else:
            self._conduct(fault, name).write(self._pool.folder, name)

    def _heal(self, fault: Fault, name: str) -> None:
        if name == BROKER:
            return
        worker = self._workers[name]
        if fault.kind in {Kind.KILL, Kind.HALF}:
            worker.launch()  # Nobody waits for it; the next fault comes at its time.
        elif fault.kind is Kind.STOP:
            worker.signal(signal.SIGCONT)
        else:
            self._conducts[name].write(self._pool.folder, name)

    def _conduct(self, fault: Fault, name: str) -> Conduct:
        usual = self._conducts[name]
        match fault.kind:
            case Kind.SLOW:
                return replace(usual, slow=fault.value)
            case Kind.LIE:
                return replace(usual, lie=fault.how)
            case Kind.MUTE:
                return replace(usual, silence=fault.how)
        return replace(usual, skew=usual.skew + fault.value)

    # -- lines and disks ---------------------------------------------------------------------

    def _line(self, fault: Fault, *, broken: bool) -> None:
        (name,) = fault.targets
        proxy = self._pool.proxies[name]
        match fault.kind:
            case Kind.CUT if broken:
                proxy.cut()
            case Kind.PAUSE:
                (proxy.pause if broken else proxy.resume)()
            case Kind.DELAY:
                proxy.rtt_ms = fault.value if broken else RTT_MS.get(name, 5.0)
            case Kind.BANDWIDTH:
                proxy.bandwidth_bps = fault.value if broken else None

    def _disk(self, fault: Fault, *, broken: bool) -> None:
        (name,) = fault.targets
        if fault.how == "full":
            self._workers[name].limit_files(full=broken)
            return
        folder = self._session_logs if name == SESSION else self._workers[name].logs
        away = folder.with_name(folder.name + ".away")
        if broken:
            if folder.exists():
                folder.rename(away)
            folder.write_text("A file in place of the folder.")
        else:
            folder.unlink()
            if away.exists():
                away.rename(folder)

    # -- messages ----------------------------------------------------------------------------

    def _steal(self) -> bool:
        """Wait a turn for a message, as a worker does, where some are to be taken."""
        for fault, keys in self._thefts.items():
            if len(keys) < fault.value:
                with suppress(redis.RedisError, OSError):
                    self._take(fault, keys)
                    return True
        return False

    def _take(self, fault: Fault, keys: list[Key]) -> None:
        reply: Any = self._client.brpop([_QUEUE], timeout=TURN)
        if reply is None:
            return
        item = reply[1]
        key = parse_task_id(str(envelope.unpack(item)["headers"]["id"]))
        if key is None:
            return
        if fault.kind is Kind.LOSS:
            keys.append(key)
            return
        copies = 1 if key in keys else 2
        with self._client.pipeline(transaction=True) as pipe:
            # To the end that is read first, so that neither copy waits for what came later.
            pipe.rpush(_QUEUE, *([item] * copies))
            pipe.expire(_QUEUE, QUEUE_LIFETIME)
            pipe.execute()
        if copies == 2:
            keys.append(key)


_LINES = frozenset({Kind.CUT, Kind.PAUSE, Kind.DELAY, Kind.BANDWIDTH})
