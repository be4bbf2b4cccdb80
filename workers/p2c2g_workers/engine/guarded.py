"""An engine that may fail, with the CPU's beside it: no chunk is lost.

What the device fails at is done by the spare engine, so the caller notices only that the chunk
took longer.  The device is *lost* when its memory does not hold even one chunk, when it
says that it is broken for good, or after three failures in a row; from then on the spare does
everything.  After a while a thread tries the device again, on the same chunk that it failed at
(later on the trial's), and compares the pixels; pauses grow while that goes wrong, or where the
device is lost again soon.  (A CUDA device that has failed an assertion stays lost: its context
is gone, and only a new process gets another.)

An error of the chunk itself is not a failure of the device.  The spare decides which it is: where
it can do the chunk, the device was at fault, unless the device said that it is not a picture.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic

from p2c2g.errors import ChunkError, ProcessorError, WireError
from p2c2g.media.operations import Step
from p2c2g.timing.pauses import Pauses
from p2c2g_workers.effort import MOST, Allowance
from p2c2g_workers.engine import Done, Engine, Kind, Work
from p2c2g_workers.engine.trial import differs, try_out
from p2c2g_workers.gpu.errors import BusyError, DeviceError, OutOfMemory

logger = logging.getLogger(__name__)

#: Failures in a row that lose the device.
FAILURES = 3
#: Seconds before the first try to get it back, by how much pauses grow, and the longest.
FIRST, GROWTH, LONGEST = 5.0, 2.0, 300.0
#: A device that held this many times the last pause has its failures forgotten.
HELD = 10.0
#: Tries on the chunk that failed, before the trial's chunks count.
ON_ITS_OWN = 3
#: Seconds for which closing waits for a try that is running.
JOIN_TIMEOUT = 5.0
#: What errors of a device say that no later call can succeed after, in lower case.
FATAL = (
    "device-side assert",
    "illegal memory access",
    "illegal instruction",
    "misaligned address",
    "unspecified launch failure",
    "uncorrectable",
    "fallen off the bus",
    "device is lost",
    "device lost",
    "device_not_available",
)


class Guarded:
    """An engine and its spare, as one engine.

    Args:
        engine: of the device.
        spare: the CPU's.
        lost: called once whenever the device is lost, with the reason, from any thread.
        found: called when it is back, from a thread of its own.
        wait: waits for a number of seconds, or until the engine is closed; returns whether it is.
            A test gives one that does not wait.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        engine: Engine,
        spare: Engine,
        lost: Callable[[str], None],
        found: Callable[[], None] = lambda: None,
        wait: Callable[[float], bool] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._engine = engine
        self._spare = spare
        self._lost = lost
        self._found = found
        self._pauses = Pauses(FIRST, LONGEST, growth=GROWTH, held=HELD)
        self._clock = clock
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._lock = threading.Lock()
        self._well = True
        self._in_a_row = 0
        self._last: Exception | None = None
        self._thread: threading.Thread | None = None

    @property
    def kind(self) -> Kind:
        """Return the interface that it works through now."""
        return self._engine.kind if self._well else self._spare.kind

    @property
    def well(self) -> bool:
        """Return whether the device is in use."""
        return self._well

    def can(self, step: Step) -> bool:
        """Tell whether the device, or else the CPU, can do a step."""
        return (self._well and self._engine.can(step)) or self._spare.can(step)

    def enhance(self, work: Work) -> Done:
        """Process a chunk, on the device where possible.

        Raises:
            ChunkError: the chunk, or a step, cannot be done by the CPU either, or not in any time.
        """
        if not (self._well and all(map(self._engine.can, work.plan.steps))):
            return self._spare.enhance(work)
        try:
            done = self._engine.enhance(work)
        except WireError:
            raise  # It is the same on every device.
        except Exception as error:  # noqa: BLE001 - drivers' errors share no class
            return self._instead(work, error)
        self._in_a_row = 0
        return done

    def close(self) -> None:
        """Close both."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(JOIN_TIMEOUT)
        self._engine.close()
        self._spare.close()

    def _instead(self, work: Work, error: Exception) -> Done:
        # Where the spare raises too, the chunk is at fault, and its error is the one to report.
        Allowance(self._spare, work.size, work.form, MOST).check(work.plan)
        done = self._spare.enhance(work)
        if not is_the_devices(error):
            logger.info("Done on the CPU, since the graphics card refused it: %s", said(error))
            return done
        with self._lock:
            # Chunks of one batch fail by one error.
            if not self._well or error is self._last:
                return done
            self._last = error
            self._in_a_row += 1
            reason = verdict(error, self._in_a_row)
            if reason is None:
                logger.warning("Done on the CPU, since the graphics card failed: %s", said(error))
                return done
            self._well, self._in_a_row, self._last = False, 0, None
            pause = self._pauses.failed(self._clock())
            self._thread = threading.Thread(
                target=self._recover, args=(work, pause), name="p2c2g-gpu-retry", daemon=True
            )
        logger.warning(
            "The graphics card is given up: %s. The CPU does the chunks; next try in %.0f s.",
            reason,
            pause,
        )
        self._lost(reason)
        self._thread.start()
        return done

    def _recover(self, work: Work, pause: float) -> None:
        """Try until it works: first on the chunk that failed, then on those of the trial.

        Otherwise one unusual chunk, which no card of this kind can do, would lose it for good.
        """
        tries = 0
        while not self._wait(pause):
            tries += 1
            try:
                if tries > ON_ITS_OWN:
                    problem = try_out(self._engine, self._spare)
                else:
                    problem = differs(work, self._engine.enhance(work), self._spare.enhance(work))
            except Exception as error:  # noqa: BLE001 - as above
                problem = said(error)
            if problem is None:
                break
            pause = self._pauses.failed(self._clock())
            logger.info("The graphics card still fails: %s; next try in %.0f s.", problem, pause)
        else:
            return
        with self._lock:
            self._well = True
            self._pauses.well(self._clock())
        logger.warning("The graphics card works again.")
        self._found()


def is_the_devices(error: Exception) -> bool:
    """Tell whether an engine's error is the device's fault, and not the chunk's or nobody's."""
    if isinstance(error, BusyError):
        return False
    if isinstance(error, ProcessorError):
        # One that stands for a driver's own.
        return error.__cause__ is not None and not isinstance(error.__cause__, ChunkError)
    return isinstance(error, DeviceError) or not isinstance(error, ChunkError)


def verdict(error: Exception, in_a_row: int) -> str | None:
    """Return why the device is lost, None where it is not yet.

    Args:
        error: the latest.
        in_a_row: how many there were, this one among them.
    """
    text = said(error)
    if isinstance(error, OutOfMemory):
        return f"its memory does not hold one chunk ({text})"
    if any(word in f"{error} {error.__cause__}".lower() for word in FATAL):
        return f"it is broken ({text})"
    return f"{in_a_row} failures in a row ({text})" if in_a_row >= FAILURES else None


def said(error: Exception) -> str:
    """Return the first line of an error's text: drivers write pages."""
    first = str(error).strip().partition("\n")[0].rstrip(".")[:300]
    return first or type(error).__name__
