"""Writes runs as messages and hands them to the dispatcher."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from p2c2g.errors import BrokerUnavailableError
from p2c2g.media.wire import ChunkHeader
from p2c2g.routing.stealing import Move
from p2c2g.session.attempts import ChunkKey
from p2c2g.session.dispatcher import Dispatcher, Message
from p2c2g.session.orders import Order
from p2c2g.session.plan import FrameInFlight, SessionPlan
from p2c2g.session.tally import Tally

logger = logging.getLogger(__name__)


class Sender:
    """The sending of one session's runs; no method waits or raises.

    Args:
        session: the session's id.
        plan: the session's.
        dispatcher: sends.
        tally: counts what could not be sent.
    """

    def __init__(
        self, session: str, plan: SessionPlan, dispatcher: Dispatcher, tally: Tally
    ) -> None:
        self._session = session
        self._plan = plan
        self._chunks = plan.chunks
        self._dispatcher = dispatcher
        self._tally = tally

    def send(self, flight: FrameInFlight, orders: Sequence[Order]) -> bool:
        """Send runs of one frame, in one write; tell whether they have left."""
        return self._send(
            flight.number,
            [self._message(flight.number, order, flight.payloads[order.chunk]) for order in orders],
        )

    def send_picture(self, number: int, order: Order, payload: bytes) -> bool:
        """Send one run with a picture of its own: nobody can tell it from the frame's."""
        return self._send(number, [self._message(number, order, payload)])

    def move(self, moves: Sequence[Move[ChunkKey]]) -> None:
        """Ask the broker to move what still waits in one peer's own queue to another's."""
        try:
            self._dispatcher.move([(*move.key, move.source, move.to) for move in moves])
        except BrokerUnavailableError as error:
            logger.debug("Chunks were not moved: %s", error)

    def _message(self, number: int, order: Order, payload: bytes) -> Message:
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
