"""Writes runs as messages and hands them to the dispatcher."""

from __future__ import annotations

import logging

from p2c2g.errors import BrokerUnavailableError
from p2c2g.media.frame import Pixels
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging.dispatcher import QUEUE_LEAST, QUEUE_LENGTH, Dispatcher, Message
from p2c2g.session.actions import RunRequest, Send, Steal
from p2c2g.session.config import SessionConfig

logger = logging.getLogger(__name__)


class Sender:
    """The sending of one session's runs; no method waits.

    Args:
        session: the session's id.
        config: the session's.
        dispatcher: sends.
    """

    def __init__(self, session: str, config: SessionConfig, dispatcher: Dispatcher) -> None:
        self._session = session
        self._config = config
        self._chunks = config.chunks
        self._dispatcher = dispatcher

    def send(self, send: Send[Pixels]) -> None:
        """Send runs of one frame, in one write.

        Raises:
            BrokerUnavailableError: they have not left, or nobody can tell.
        """
        frame = send.frame
        messages = [
            self._message(frame.number, request, send.payload or frame.payloads[request.chunk])
            for request in send.requests
        ]
        if send.is_first:
            # While nothing comes back, what stands in the queue waits for nobody.
            least = max(QUEUE_LEAST, len(self._chunks))
            self._dispatcher.queue_length = (
                least if send.nothing_returns else max(QUEUE_LENGTH, least)
            )
        self._dispatcher.send(frame.number, messages)

    def steal(self, steal: Steal) -> None:
        """Ask the broker to move what still waits in one peer's own queue to another's."""
        try:
            self._dispatcher.move([(*move.key, move.source, move.to) for move in steal.moves])
        except BrokerUnavailableError as error:
            logger.debug("Chunks were not moved: %s", error)

    def _message(self, number: int, request: RunRequest, payload: bytes) -> Message:
        chunk = self._chunks[request.chunk]
        header = ChunkHeader(
            session=self._session,
            frame=number,
            chunk=request.chunk,
            attempt=request.attempt,
            codec=self._config.codec,
            form=self._config.form,
            operations=self._config.operations.text,
            frame_size=self._config.size,
            padded=chunk.padded,
            crop=chunk.crop,
            budget_us=int(1e6 * request.budget),
        )
        return (request.chunk, header.pack(), payload, request.peer)
