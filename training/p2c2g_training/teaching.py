"""The peer's part: fetches an order's frames, trains a net and reports its progress.

A thread of its own reports to the gamer twice a second how far it is, and learns whether the work
is still wanted; the training itself only reads a flag, so it ends within a step of that.  Its
state is kept at the broker at every point, and another peer can go on from there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import torch

from p2c2g.errors import BrokerUnavailableError, P2C2GError, UsageError
from p2c2g.messaging.blobs import Blobs
from p2c2g_training import threads
from p2c2g_training.beginning import BEGUN_RATE, begun
from p2c2g_training.board import LIFETIME, Board, Standing
from p2c2g_training.export import weights
from p2c2g_training.nets import SHAPES
from p2c2g_training.order import MAX_BYTES, MAX_TEXT, Order, Progress, pieces
from p2c2g_training.pictures import unpacked
from p2c2g_training.train import ENDLESS, Terms, TrainingRun, drive
from p2c2g_workers import nets

logger = logging.getLogger(__name__)

#: Seconds between two reports to the gamer.
BEAT = 0.5
#: Reports without an answer of the broker, after which the work counts as unwanted.
SILENT = 60


class Reporter:
    """Reports how far an order is, and knows whether it is wanted; a context manager."""

    def __init__(self, board: Board, order: str, attempt: int, ended: threading.Event) -> None:
        self._board = board
        self._order = order
        self._attempt = attempt
        self._ended = ended
        self._lock = threading.Lock()
        #: Held while a report is on its way: a later one must not be overtaken by an earlier.
        self._telling = threading.Lock()
        self._fields: dict[str, str | float] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="p2c2g-training", daemon=True)
        self.standing: Standing = "wanted"

    @property
    def stopped(self) -> bool:
        """Return whether the work has to end: it is not wanted, or this worker ends."""
        return self.standing != "wanted" or self._ended.is_set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join()

    def note(self, **fields: str | float) -> None:
        """Send fields with the next report; a later value replaces an earlier one."""
        with self._lock:
            self._fields.update(fields)

    def report(self, **fields: str | float) -> Standing:
        """Send a report now.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        with self._telling:
            with self._lock:
                due, self._fields = {**self._fields, **fields}, {}
            standing = self._board.tell(self._order, self._attempt, **due)
        if self.standing == "wanted":
            self.standing = standing
        return standing

    def _beat(self) -> None:
        missed = 0
        while not self._closed.wait(BEAT):
            try:
                self.report()
                missed = 0
            except BrokerUnavailableError:
                missed += 1
                if missed >= SILENT:
                    self.standing = "gone"


def teach(
    order: Order,
    attempt: int,
    board: Board,
    blobs: Blobs,
    *,
    peer: str,
    device: str,
    ended: threading.Event,
) -> None:
    """Carry an order out; its progress and outcome are reported on the board.

    Args:
        order: what to do.
        attempt: which of the order's attempts this is.
        board: where to report.
        blobs: where frames, states and the net are.
        peer: what to call this peer.
        device: PyTorch's name of the device.
        ended: set when this worker has to end.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    with Reporter(board, order.id, attempt, ended) as reporter:
        if reporter.report(state="running", peer=peer, device=device, part=0) != "wanted":
            logger.info("The training %s is not wanted any more.", order.id)
            return
        try:
            finished = _teach(order, board, blobs, reporter, device)
            if not finished and reporter.standing == "wanted":
                # This worker ends: another continues from here.
                reporter.report(state="left")
        except BrokerUnavailableError:
            raise
        # PyTorch's errors, including too little memory, are RuntimeErrors.
        except (P2C2GError, RuntimeError, MemoryError) as error:
            logger.warning("The training %s failed: %s", order.id, error)
            reporter.report(state="failed", sentence=_line(error))


def _teach(order: Order, board: Board, blobs: Blobs, reporter: Reporter, device: str) -> bool:
    """Train; return whether the end is reached."""
    if not nets.is_shipped(order.size):
        raise UsageError(f"This peer has no general {order.size} to begin with.")
    frames = _fetched(blobs, order.frames, reporter)
    watched = _fetched(blobs, order.watched, reporter)
    if reporter.stopped:
        return False
    kept = board.look(order.id) or Progress()
    run = _begun(order, frames, watched, device)
    if state := _joined(blobs, kept.pieces):
        try:
            run.restore(state)
            logger.info("The training %s goes on at step %d.", order.id, run.step)
        except UsageError as error:
            logger.warning("The training %s starts from the beginning: %s", order.id, error)
            run = _begun(order, frames, watched, device)
    names = list(kept.pieces)

    def keep(run: TrainingRun) -> None:
        nonlocal names
        fresh = [blobs.put(piece, LIFETIME) for piece in pieces(run.state())]
        standing = reporter.report(
            pieces=" ".join(fresh), step=run.step, part=round(run.part, 4),
            gain=round(run.points[-1].gain, 3) if run.points else "",
        )  # fmt: skip
        # The old ones only once the new ones are reported; where they were not, those at once.
        blobs.drop(*(set(names) - set(fresh) if standing == "wanted" else fresh))
        names = fresh if standing == "wanted" else names

    def tell(run: TrainingRun) -> None:
        reporter.note(step=run.step, part=round(run.part, 4))

    if device == "cpu":
        threads.settle(run, lambda: reporter.stopped)
    if drive(run, keep, tell, lambda: reporter.stopped):
        net = blobs.put(weights(run.net.cpu()).model, LIFETIME)
        reporter.report(state="done", net=net, step=run.step, part=1)
        if reporter.standing != "wanted":
            blobs.drop(net)
        if reporter.standing != "superseded":  # Else the next peer may be reading them.
            blobs.drop(*names)
        return True
    if reporter.standing == "wanted":
        keep(run)
    elif reporter.standing == "gone":
        blobs.drop(*names)
    return False


def _begun(order: Order, frames: list[bytes], watched: list[bytes], device: str) -> TrainingRun:
    torch.manual_seed(order.seed)
    terms = Terms(
        SHAPES[order.size],
        steps=order.steps or ENDLESS,
        seed=order.seed,
        rate=BEGUN_RATE,
        seconds=order.seconds,
    )
    net = begun(nets.shipped(order.size))
    pictures = unpacked([*frames, *watched])
    return TrainingRun(
        net, [pictures[: len(frames)]], pictures[len(frames) :], terms, device=device
    )


def _fetched(blobs: Blobs, names: Sequence[str], reporter: Reporter) -> list[bytes]:
    """Return blobs, each verified by its name; fewer where the work is not wanted any more.

    Raises:
        UsageError: one is missing, or they are more than a peer takes.
    """
    found: list[bytes] = []
    for name in names:
        if reporter.stopped:
            break
        data = blobs.get(name)
        if data is None:
            raise UsageError("A frame of the order is not at the broker any more: send it again.")
        found.append(data)
        if sum(map(len, found)) > MAX_BYTES:
            raise UsageError(f"The frames have more than {MAX_BYTES >> 20} MiB: send fewer.")
    return found


def _joined(blobs: Blobs, names: Sequence[str]) -> bytes | None:
    """Return a state from its pieces; None where one is missing."""
    parts = []
    for name in names:
        part = None
        with suppress(UsageError):
            part = blobs.get(name)
        if part is None:
            return None
        parts.append(part)
    return b"".join(parts) or None


def _line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:MAX_TEXT] if lines else type(error).__name__
