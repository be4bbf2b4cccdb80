"""Writes runs as messages and hands them to the dispatcher."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from p2c2g.errors import BrokerUnavailableError
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging.dispatcher import Dispatcher, Message
from p2c2g.routing.stealing import Move
from p2c2g.session.attempts import ChunkKey
from p2c2g.session.config import FrameInFlight, SessionConfig
from p2c2g.session.orders import RunRequest
from p2c2g.session.tally import Tally

logger = logging.getLogger(__name__)


class Sender:
    """The sending of one session's runs; no method waits or raises.

    Args:
        session: the session's id.
        plan: the session's.
        dispatcher: sends.
        tally: counts what could not be sent.
        travel: returns the seconds to a peer and back, about; for an empty name to any.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        session: str,
        plan: SessionConfig,
        dispatcher: Dispatcher,
        tally: Tally,
        travel: Callable[[str], float],
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._plan = plan
        self._chunks = plan.chunks
        self._dispatcher = dispatcher
        self._tally = tally
        self._travel = travel
        self._clock = clock
        self._last_budget = plan.deadline

    def send(self, flight: FrameInFlight, orders: Sequence[RunRequest]) -> bool:
        """Send runs of one frame, in one write; tell whether they have left."""
        left = flight.deadline - self._clock()
        messages = []
        for order in orders:
            self._last_budget = max(0.0, left - self._travel(order.peer))
            messages.append(self._message(flight.number, order, flight.payloads[order.chunk]))
        return self._send(flight.number, messages)

    def send_picture(self, number: int, order: RunRequest, payload: bytes) -> bool:
        """Send one run with a picture of its own: nobody can tell it from the frame's.

        So its budget is that of the last one that counted.
        """
        return self._send(number, [self._message(number, order, payload)])

    def move(self, moves: Sequence[Move[ChunkKey]]) -> None:
        """Ask the broker to move what still waits in one peer's own queue to another's."""
        try:
            self._dispatcher.move([(*move.key, move.source, move.to) for move in moves])
        except BrokerUnavailableError as error:
            logger.debug("Chunks were not moved: %s", error)

    def _message(self, number: int, order: RunRequest, payload: bytes) -> Message:
        chunk = self._chunks[order.chunk]
        header = ChunkHeader(
            session=self._session,
            frame=number,
            chunk=order.chunk,
            attempt=order.attempt,
            codec=self._plan.codec,
            quality=self._plan.quality,
            operations=self._plan.operations.text,
            frame_size=self._plan.size,
            padded=chunk.padded,
            crop=chunk.crop,
            budget_us=int(1e6 * self._last_budget),
        )
        return (order.chunk, header.pack(), payload, order.peer)

    def _send(self, number: int, messages: Sequence[Message]) -> bool:
        try:
            self._dispatcher.send(number, messages)
        except BrokerUnavailableError as error:
            logger.debug("Frame %d was not sent: %s", number, error)
            self._tally.failure("", type(error).__name__)
            return False
        return True
