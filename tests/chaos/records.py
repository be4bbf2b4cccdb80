"""What a worker writes down of its runs, so that its death loses none of it.

A file of fixed slots in shared memory: a line of text would be lost with its buffer, and would
not fit on a disk that is full, which is one of the faults.  Times are the machine's monotonic
clock, which all its processes share.
"""

from __future__ import annotations

import mmap
import struct
import threading
import time
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

_SLOT = struct.Struct("<BBHIQd")  # step, attempt, chunk, reserved, frame, time
#: Slots of one file: ten minutes of a worker that does a pool's whole work.  Policy: what
#: does not fit is not written, and a file that is full breaks an invariant.
SLOTS = 1 << 17


class Step(IntEnum):
    """What happened to a chunk at a worker."""

    RECEIVED = 1  # it was read from its queue; the attempt is not known yet: 0
    STARTED = 2
    ENDED = 3
    LIED = 4  # in place of ENDED: what left is not its picture


@dataclass(frozen=True, slots=True)
class Record:
    """One step of one run, at ``at`` seconds of the machine's monotonic clock."""

    step: Step
    frame: int
    chunk: int
    attempt: int
    at: float


class RecordWriter:
    """Writes records to a new file.  Thread-safe."""

    def __init__(self, path: Path) -> None:
        with path.open("xb+") as file:
            file.truncate(SLOTS * _SLOT.size)
            self._memory = mmap.mmap(file.fileno(), 0)
        self._lock = threading.Lock()
        self._next = 0

    def write(self, step: Step, frame: int, chunk: int, attempt: int = 0) -> None:
        """Write one record, stamped with the time."""
        with self._lock:
            if self._next < SLOTS:
                place = self._next * _SLOT.size
                slot = _SLOT.pack(step, attempt, chunk, 0, frame, time.monotonic())
                # The step last, which makes it a record: who is killed in between wrote none.
                self._memory[place + 1 : place + _SLOT.size] = slot[1:]
                self._memory[place] = slot[0]
                self._next += 1


def read_records(path: Path) -> list[Record]:
    """Return the records of a file, in order; :data:`SLOTS` of them where some may be missing."""
    return [
        Record(Step(step), frame, chunk, attempt, at)
        for step, attempt, chunk, _, frame, at in _SLOT.iter_unpack(path.read_bytes())
        if step
    ]
