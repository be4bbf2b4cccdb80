"""The peer's part: an order's frames are fetched, a net is taught, and word is kept up.

A thread of its own tells the gamer how far it is, twice a second, and hears whether the work is
still wanted; the training itself looks only at a flag, so it ends within a step of that.  Its
state is kept at the broker at every point, and another peer goes on from there.
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
from p2c2g_training.train import ENDLESS, Run, Terms, drive
from p2c2g_workers import nets

logger = logging.getLogger(__name__)

#: Seconds between two words to the gamer.
BEAT = 0.5
#: Beats without an answer of the broker's, after which nobody can want the work.
SILENT = 60


class Teller:
    """Tells how far an order is, and knows whether it is wanted; use it as a context."""

    def __init__(self, board: Board, order: str, attempt: int, ended: threading.Event) -> None:
        self._board = board
        self._order = order
        self._attempt = attempt
        self._ended = ended
        self._lock = threading.Lock()
        self._fields: dict[str, str | float] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="p2c2g-training", daemon=True)
        self.standing: Standing = "wanted"

    @property
    def stopped(self) -> bool:
        """Tell whether the work has to end: it is not wanted, or this worker ends."""
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
        """Have something told at the next beat; a later word takes an earlier one's place."""
        with self._lock:
            self._fields.update(fields)

    def say(self, **fields: str | float) -> Standing:
        """Tell something now.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        with self._lock:
            told, self._fields = {**self._fields, **fields}, {}
        standing = self._board.tell(self._order, self._attempt, **told)
        if self.standing == "wanted":
            self.standing = standing
        return standing

    def _beat(self) -> None:
        missed = 0
        while not self._closed.wait(BEAT):
            try:
                self.say()
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
    """Carry an order out; what comes of it is told on the board.

    Args:
        order: what to do.
        attempt: which of the order's attempts this is.
        board: where to tell.
        blobs: where frames, states and the net are.
        peer: what to call this peer.
        device: PyTorch's name of where to reckon.
        ended: set where this worker has to end.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    with Teller(board, order.id, attempt, ended) as teller:
        if teller.say(state="running", peer=peer, device=device, part=0) != "wanted":
            logger.info("The training %s is not wanted any more.", order.id)
            return
        try:
            finished = _teach(order, board, blobs, teller, device)
            if not finished and teller.standing == "wanted":
                # This worker ends: another takes it up where it is.
                teller.say(state="left")
        except BrokerUnavailableError:
            raise
        # PyTorch's errors, its want of memory among them, are RuntimeErrors.
        except (P2C2GError, RuntimeError, MemoryError) as error:
            logger.warning("The training %s failed: %s", order.id, error)
            teller.say(state="failed", sentence=_line(error))


def _teach(order: Order, board: Board, blobs: Blobs, teller: Teller, device: str) -> bool:
    """Teach; returns whether the end is reached."""
    if not nets.is_shipped(order.size):
        raise UsageError(f"This peer has no general {order.size} to begin from.")
    frames = _fetched(blobs, order.frames, teller)
    watched = _fetched(blobs, order.watched, teller)
    if teller.stopped:
        return False
    kept = board.look(order.id) or Progress()
    run = _begun(order, frames, watched, device)
    if state := _joined(blobs, kept.pieces):
        try:
            run.restore(state)
            logger.info("The training %s goes on at step %d.", order.id, run.step)
        except UsageError as error:
            logger.warning("The training %s begins anew: %s", order.id, error)
            run = _begun(order, frames, watched, device)
    names = list(kept.pieces)

    def keep(run: Run) -> None:
        nonlocal names
        fresh = [blobs.put(piece, LIFETIME) for piece in pieces(run.state())]
        said = teller.say(
            pieces=" ".join(fresh), step=run.step, part=round(run.part, 4),
            gain=round(run.points[-1].gain, 3) if run.points else "",
        )  # fmt: skip
        # The old ones only once the new ones are told; those that were told to nobody at once.
        blobs.drop(*(set(names) - set(fresh) if said == "wanted" else fresh))
        names = fresh if said == "wanted" else names

    def tell(run: Run) -> None:
        teller.note(step=run.step, part=round(run.part, 4))

    if device == "cpu":
        threads.settle(run, lambda: teller.stopped)
    if drive(run, keep, tell, lambda: teller.stopped):
        net = blobs.put(weights(run.net.cpu()).model, LIFETIME)
        teller.say(state="done", net=net, step=run.step, part=1)
        if teller.standing != "wanted":
            blobs.drop(net)
        if teller.standing != "superseded":  # Else the next peer may be reading them.
            blobs.drop(*names)
        return True
    if teller.standing == "wanted":
        keep(run)
    elif teller.standing == "gone":
        blobs.drop(*names)
    return False


def _begun(order: Order, frames: list[bytes], watched: list[bytes], device: str) -> Run:
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
    return Run(net, [pictures[: len(frames)]], pictures[len(frames) :], terms, device=device)


def _fetched(blobs: Blobs, names: Sequence[str], teller: Teller) -> list[bytes]:
    """Return blobs, each verified by its name; less where the work is not wanted any more.

    Raises:
        UsageError: one is not there, or they are more than a peer takes.
    """
    found: list[bytes] = []
    for name in names:
        if teller.stopped:
            break
        data = blobs.get(name)
        if data is None:
            raise UsageError("A frame of the order is not at the broker any more: send it again.")
        found.append(data)
        if sum(map(len, found)) > MAX_BYTES:
            raise UsageError(f"The frames have more than {MAX_BYTES >> 20} MiB: send fewer.")
    return found


def _joined(blobs: Blobs, names: Sequence[str]) -> bytes | None:
    """Return a state from its pieces; None where one is not there."""
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
