"""The gamer's part of training at the pool: frames out, an eye on it, a net back.

The frames are blobs that last as long as this command renews them.  A peer that falls silent has
its order given to another, which goes on from the state that was kept.  What comes back is a
stranger's: it is read strictly and judged here, like a net that was taught here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from rich.console import Console

from p2c2g.errors import BrokerUnavailableError, ProcessorError, UnavailableError
from p2c2g.media.frame import Pixels
from p2c2g.messaging.blobs import Blobs
from p2c2g.messaging.broker import Broker
from p2c2g_training.board import LIFETIME, Board
from p2c2g_training.gathering import Stopped
from p2c2g_training.home import Course, Home
from p2c2g_training.order import QUEUE, TASK, Order, Progress
from p2c2g_training.pictures import fitting, packed
from p2c2g_training.shown import Shown
from p2c2g_training.watching import OrderWatch
from p2c2g_workers.nets import Weights, read

#: Frames of those that teach which only show the peer how far it is.
WATCHED = 4
#: Seconds between two looks at the board, and between two renewals of what is at the broker.
LOOK, RENEW = 0.5, 60.0
#: Seconds that the broker may be away.
AWAY = 60.0


class Ordering:
    """One order, from the gamer's side."""

    def __init__(
        self,
        broker: Broker,
        home: Home,
        console: Console,
        stop: threading.Event,
        watch: OrderWatch | None = None,
    ) -> None:
        self._watch = watch or OrderWatch()
        self._broker = broker
        self._home = home
        self._console = console
        self._stop = stop
        self._board = Board(broker.client)
        self._blobs = Blobs(broker.client)

    def taught(self, course: Course, teach: Sequence[Pixels]) -> tuple[Weights, dict[str, Any]]:
        """Have a net taught by the pool; returns it and what its card says of it.

        Raises:
            BrokerUnavailableError: the broker does not answer.
            UnavailableError: no peer could do it.
            UsageError: it is more than a peer takes.
            Stopped: the gamer stopped it; the order is called off.
        """
        self._broker.check()
        # What no peer takes is refused before anything is sent.
        self._order(course, uuid4().hex, ["0" * 32] * len(teach))
        try:
            order, attempt = self._out(course, teach)
            seen, own = self._watched(order, attempt)
        except Stopped:
            self.call_off()
            raise
        self.call_off()  # Nothing of it is needed any more.
        return own, {
            "steps": seen.step,
            "trained_by": f"the peer {seen.peer} on {seen.device}",
        }

    def call_off(self) -> bool:
        """Call the order off and drop its blobs; returns whether one was out."""
        id_ = self._home.order()
        if id_ is None:
            return False
        seen = self._board.look(id_) or Progress()
        there = self._board.drop(id_)
        self._blobs.drop(*self._home.blobs(), *seen.pieces, *filter(None, [seen.net]))
        self._home.settled()
        return there

    def _out(self, course: Course, teach: Sequence[Pixels]) -> tuple[Order, int]:
        """Return the order that is out already, or a new one that is sent."""
        id_, names = self._home.order(), tuple(self._home.blobs())
        seen = self._board.look(id_) if id_ else None
        if id_ and seen is not None and all(self._blobs.keep(name, LIFETIME) for name in names):
            self._console.print("The order is out already.")
            return self._order(course, id_, names), seen.attempt
        names = self._uploaded(teach)
        order = self._order(course, uuid4().hex, names)
        # Before it is sent: a command that is killed now can still cancel it the next time.
        self._home.ordered(order.id, list(names))
        attempt = self._board.post(order.id)
        self._send(order, attempt)
        return order, attempt

    @staticmethod
    def _order(course: Course, id_: str, names: Sequence[str]) -> Order:
        return Order(
            id=id_,
            size=course.size,
            seed=course.seed,
            seconds=course.seconds,
            steps=course.steps,
            frames=tuple(names[:-WATCHED]),
            watched=tuple(names[-WATCHED:]),
        )

    def _uploaded(self, teach: Sequence[Pixels]) -> tuple[str, ...]:
        names: list[str] = []
        with Shown(self._console, "Sending frames") as shown:
            data = []
            for index, frame in enumerate(teach):
                self._check_stop()
                data.append(packed(frame))
                shown.at(0.5 * (index + 1) / len(teach), f"{sum(map(len, data)) >> 20} MiB")
            kept = fitting([len(one) for one in data])
            if len(kept) < len(data):
                self._console.print(
                    f"Of {len(data)} frames {len(kept)} are sent, evenly over the time: no more "
                    "bytes are for the pool."
                )
            try:
                for index in kept:
                    self._check_stop()
                    names.append(self._blobs.put(data[index], LIFETIME))
                    shown.at(0.5 + 0.5 * len(names) / len(kept), f"{len(names)} frames")
            except Stopped:
                self._blobs.drop(*names)
                raise
        return tuple(names)

    def _send(self, order: Order, attempt: int) -> None:
        self._broker.send(
            TASK,
            (order.text(), attempt),
            task_id=f"{order.id}.{attempt}",
            queue=QUEUE,
            shown=f"<order {order.id} attempt {attempt}>",
            what="order",
        )

    def _watched(self, order: Order, attempt: int) -> tuple[Progress, Weights]:
        """Return the end of it: what was told last, and the net."""
        watch, renewed, away = self._watch, time.monotonic(), 0.0
        with Shown(self._console, "Training at the pool") as shown:
            while True:
                self._check_stop()
                try:
                    seen = self._board.look(order.id)
                    if seen is None:
                        raise UnavailableError(
                            "The order is not at the broker any more: train once more, and the "
                            "frames are sent again."
                        )
                    advice = watch.advise(seen, time.monotonic())
                    if advice == "fetch":
                        if (own := self._fetched(order, seen)) is not None:
                            shown.at(1.0, self._remark(seen))
                            return seen, own
                        advice = watch.fail()
                    if advice == "give up":
                        raise UnavailableError(_reason(seen))
                    if advice == "again":
                        attempt = self._board.again(order.id)
                        self._send(order, attempt)
                    if time.monotonic() - renewed > RENEW:
                        renewed = time.monotonic()
                        self._renew(order)
                    shown.at(seen.part, self._remark(seen))
                    away = 0.0
                except BrokerUnavailableError:
                    away = away or time.monotonic()
                    if time.monotonic() - away > AWAY:
                        raise
                self._stop.wait(LOOK)

    def _fetched(self, order: Order, seen: Progress) -> Weights | None:
        """Return the net of an order that is done; None where it is not one of its size."""
        model = self._blobs.get(seen.net) if seen.net else None
        if model is None:
            return None
        with suppress(ProcessorError):
            own = read(model)
            return own if own.method == order.size else None
        return None

    def _renew(self, order: Order) -> None:
        self._board.renew(order.id)
        for name in (*order.frames, *order.watched):
            self._blobs.keep(name, LIFETIME)

    @staticmethod
    def _remark(seen: Progress) -> str:
        if seen.state == "waiting":
            return "no peer has taken it yet: p2c2g peer run --queues train --slots 1 serves it"
        if not seen.peer:
            return "a peer begins"  # It has said nothing of itself yet.
        gain = "" if seen.gain is None else f", {seen.gain:+.2f} dB over the base"
        return f"step {seen.step}{gain}, {seen.peer} on {seen.device}"

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped


def _reason(seen: Progress) -> str:
    told = f" The last one said: {seen.sentence.rstrip('.')}." if seen.sentence else ""
    return f"No peer could train it.{told} Train here, without --pool, or try again later."
