"""Writes runs as messages and hands them to the dispatcher."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

from p2c2g.errors import BrokerUnavailableError, WireError
from p2c2g.media.frame import Pixels
from p2c2g.media.recipe import Recipe
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging.client import Client
from p2c2g.messaging.dispatcher import QUEUE_LEAST, QUEUE_LENGTH, Dispatcher, Message
from p2c2g.session.actions import RunRequest, Send, Steal
from p2c2g.session.config import SessionConfig
from p2c2g.session.seals import Seals

logger = logging.getLogger(__name__)

#: Moves that wait to be made, where that takes a round trip; further ones are not made.
MAX_MOVING = 64


class Sender:
    """The sending of one session's runs; no method waits.

    Args:
        session: the session's id.
        config: the session's.
        dispatcher: sends.
        client: the broker's, by which chunks are taken back where it cannot move them.
        seals: of its pictures.
    """

    def __init__(
        self, session: str, config: SessionConfig, dispatcher: Dispatcher, client: Client,
        seals: Seals,
    ) -> None:  # fmt: skip
        self._session = session
        self._size = config.size
        self._chunks = config.chunks
        self._dispatcher = dispatcher
        self._client = client
        self._seals = seals
        self._moving = 0
        self._lock = threading.Lock()
        # Starts its thread with the first move.
        self._mover = ThreadPoolExecutor(1, thread_name_prefix="p2c2g-mover")

    def send(self, send: Send[Pixels]) -> None:
        """Send runs of one frame, in one write.

        Raises:
            BrokerUnavailableError: they have not left, or nobody can tell.
        """
        frame = send.frame
        messages = []
        for request in send.requests:
            picture = send.payload or frame.payloads[request.chunk]
            message = self._message(frame.number, frame.plan.recipe, request, picture)
            if message is not None:
                messages.append(message)
        if send.is_first:
            # While nothing comes back, what stands in the queue waits for nobody.
            least = max(QUEUE_LEAST, len(self._chunks))
            self._dispatcher.queue_length = (
                least if send.nothing_returns else max(QUEUE_LENGTH, least)
            )
        self._dispatcher.send(frame.number, messages)

    def steal(self, steal: Steal[Pixels]) -> None:
        """See to it that what still waits in one peer's own queue goes to another's."""
        if self._dispatcher.moves_by_sending:
            with self._lock:
                if self._moving >= MAX_MOVING:
                    return
                self._moving += len(steal.moves)
            self._mover.submit(self._move, steal)
            return
        try:
            self._dispatcher.move([(*move.key, move.source, move.to) for move in steal.moves])
        except BrokerUnavailableError as error:
            logger.debug("Chunks were not moved: %s", error)

    def close(self) -> None:
        """End the moves that have not begun."""
        self._mover.shutdown(cancel_futures=True)

    def _move(self, steal: Steal[Pixels]) -> None:
        """Take chunks back, and send those again that were still there; waits for the broker.

        Written again, since what was sealed for one peer no other can open.
        """
        try:
            taken = self._dispatcher.withdraw(
                self._client, [(*move.key, move.source) for move in steal.moves]
            )
            for send, is_taken in zip(steal.sends, taken, strict=True):
                if is_taken and send is not None:
                    self.send(send)
        except BrokerUnavailableError as error:
            logger.debug("Chunks were not moved: %s", error)
        except Exception:
            # Nobody waits for it; the chunks are run by others in time.
            logger.exception("Chunks were not moved")
        finally:
            with self._lock:
                self._moving -= len(steal.moves)

    def _message(
        self, number: int, recipe: Recipe, request: RunRequest, payload: bytes
    ) -> Message | None:
        """Return a run as a message; None where it cannot be sealed for its peer.

        Such a run is one that nobody answers: in time the chunk is run by another peer.
        """
        chunk = self._chunks[request.chunk]
        header = ChunkHeader(
            session=self._session,
            frame=number,
            chunk=request.chunk,
            attempt=request.attempt,
            codec=recipe.codec,
            form=recipe.form,
            operations=recipe.operations.text,
            frame_size=self._size,
            padded=chunk.padded,
            crop=chunk.crop,
            budget_us=int(1e6 * request.budget),
        )
        packed = header.pack()
        run = (number, request.chunk, request.attempt)
        try:
            sealed = self._seals.seal(request.peer, run, packed, payload)
        except WireError as error:
            logger.info("Did not send %s: %s", header, error)
            return None
        return (request.chunk, packed, sealed, request.peer)
