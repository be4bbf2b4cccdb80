"""What a chaos worker loads beside its tasks: ``celery -A p2c2g worker -I tests.chaos.peer``.

It is the only place where a peer can lie, be slow, keep silent or have a wrong clock, and it is
no part of the package.  A worker reads what it is to do from its *conduct*, a JSON file that
the injector replaces; and it writes down every chunk that it receives, starts and ends.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import deque
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from celery import signals
from celery.exceptions import Ignore

from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging.dispatcher import parse_task_id
from p2c2g.messaging.names import ENHANCE_TASK
from p2c2g_workers import tasks
from p2c2g_workers.tasks import EnhancedChunk
from tests.chaos.records import RecordWriter, Step

#: Environment: the folder of conducts and records, and the worker's short name.
FOLDER_VARIABLE, NAME_VARIABLE = "CHAOS_FOLDER", "CHAOS_NAME"
#: Results that a stale peer keeps, and how many pixels a shifted one moves them by.
_OLD, _SHIFT = 12, (7, 4)
#: Seconds between two looks of a hanging peer at its conduct.
_LOOK = 0.05


def ready_file(folder: Path, name: str, pid: int) -> Path:
    """Return the file that a worker makes when it takes chunks."""
    return folder / f"{name}-{pid}.ready"


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a peer behaves.

    ``slow`` is a factor, ``lie`` and ``silence`` are of :data:`~tests.chaos.faults.LIES` and
    ``SILENCES`` or empty, ``skew`` is what its monotonic clock is ahead, in seconds.
    """

    slow: float = 1.0
    lie: str = ""
    silence: str = ""
    skew: float = 0.0

    def write(self, folder: Path, name: str) -> None:
        """Make it a peer's conduct from its next chunk on."""
        part = folder / f"{name}.conduct.part"
        part.write_text(json.dumps(asdict(self)))
        part.replace(folder / f"{name}.conduct")


class Peer:
    """The peer's side of the chaos."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.conduct"
        self._conduct = Conduct()
        self._old: deque[tuple[int, int, bytes]] = deque(maxlen=_OLD)
        self._random = random.Random(name)
        self.records = RecordWriter(folder / f"{name}-{os.getpid()}.records")

    def conduct(self) -> Conduct:
        """Return how to behave now."""
        self._conduct = Conduct(**json.loads(self._path.read_text()))
        return self._conduct

    def clock_ns(self) -> int:
        """Return what this peer takes for the monotonic time."""
        return time.monotonic_ns() + int(self._conduct.skew * 1e9)

    def received(self, request: Any = None, **_: Any) -> None:
        """Write down a chunk that was read from a queue."""
        key = parse_task_id(str(request.id))
        if key is not None:
            self.records.write(Step.RECEIVED, *key)

    def wrap(self, run: Any) -> Any:
        """Return the task's function as this peer performs it."""

        def enhance(header: bytes, payload: bytes) -> EnhancedChunk:
            chunk = ChunkHeader.unpack(header)
            run_id = (chunk.frame, chunk.chunk, chunk.attempt)
            conduct = self.conduct()
            self.records.write(Step.STARTED, *run_id)
            if conduct.silence:
                self._keep_silent(conduct.silence)
            began = time.monotonic()
            result = run(header, payload)
            if conduct.slow > 1:
                time.sleep((conduct.slow - 1) * (time.monotonic() - began))
            told = self._told(conduct.lie, chunk, result)
            self.records.write(Step.ENDED if told is result else Step.LIED, *run_id)
            return told

        return enhance

    def _keep_silent(self, silence: str) -> None:
        while silence == "hang" and self.conduct().silence == silence:
            time.sleep(_LOOK)  # Keeps its slot, as a peer that hangs would.
        raise Ignore  # Celery then stores no result.

    def _told(self, lie: str, chunk: ChunkHeader, result: EnhancedChunk) -> EnhancedChunk:
        payload = self._lie(lie, chunk, result.payload) if lie else None
        self._old.append((chunk.frame, chunk.chunk, result.payload))
        return result if payload is None else replace(result, payload=payload)

    def _lie(self, lie: str, chunk: ChunkHeader, truth: bytes) -> bytes | None:
        if lie == "garbage":
            return self._random.randbytes(len(truth))
        if lie in {"stale", "other"}:
            for frame, index, payload in self._old:
                if frame < chunk.frame and (index == chunk.chunk) is (lie == "stale"):
                    return payload
            return None  # Nothing to lie with yet.
        levels = chunk.form.decode(truth, chunk.crop.size)
        if lie == "shifted":
            levels = np.roll(levels, _SHIFT, axis=(1, 0))
        elif lie == "black":
            levels = np.full_like(levels, -128)
        else:
            noise = np.random.default_rng(self._random.getrandbits(32))
            levels = noise.integers(-128, 128, levels.shape, np.int16)
        return chunk.form.encode(levels)


@signals.worker_init.connect
def _begin(sender: Any, **_: Any) -> None:
    """Take the task's place in this worker, before it has received anything."""
    peer = Peer(Path(os.environ[FOLDER_VARIABLE]), os.environ[NAME_VARIABLE])
    peer.conduct()
    task = sender.app.tasks[ENHANCE_TASK]
    task.run = peer.wrap(task.run)
    vars(tasks).update(monotonic_ns=peer.clock_ns)
    signals.task_received.connect(peer.received, weak=False)


@signals.worker_ready.connect
def _tell_ready(**_: Any) -> None:
    folder, name = Path(os.environ[FOLDER_VARIABLE]), os.environ[NAME_VARIABLE]
    ready_file(folder, name, os.getpid()).touch()
