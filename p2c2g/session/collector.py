"""Takes results as they come: has them judged, and verifies what is to be believed.

A thread of its own.  It decodes and checks a stranger's bytes with no lock held, so that
who shows frames never waits for a stranger.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Event

from p2c2g.errors import BrokerUnavailableError, ChunkError, WireError
from p2c2g.media.frame import Chunk, ChunkKey, Pixels
from p2c2g.media.wire import ResultHeader
from p2c2g.messaging.dispatcher import parse_task_id
from p2c2g.messaging.inbox import Arrival, Inbox
from p2c2g.session.actions import Result, Send, Verify
from p2c2g.session.answers import Answers
from p2c2g.session.seals import Seals
from p2c2g.session.shell import Shell
from p2c2g.verify.results import ResultReader

logger = logging.getLogger(__name__)

#: Seconds between attempts to reach a broker that is away.
_REOPEN_INTERVAL = 0.1
#: Seconds from which a wait was one: what is there already when it begins comes at once.
_WAITED = 5e-4


class Collector:
    """The collector of one session.  Belongs to one thread.

    Args:
        inbox: where results arrive.
        shell: the session's core.
        reader: decodes and checks.
        chunks: of the session's frames.
        seals: of its pictures.
        clock: seconds, monotonic.
        answers: how many each peer has in hand; None where nobody knows who sent what.
    """

    def __init__(
        self,
        inbox: Inbox,
        shell: Shell,
        reader: ResultReader,
        chunks: Sequence[Chunk],
        seals: Seals,
        clock: Callable[[], float],
        answers: Answers | None = None,
    ) -> None:
        self._answers = answers
        self._inbox = inbox
        self._shell = shell
        self._reader = reader
        self._chunks = chunks
        self._seals = seals
        self._clock = clock
        self._ending = Event()

    def run(self) -> None:
        """Collect until :meth:`finish`."""
        while not self._ending.is_set():
            self._turn()

    def finish(self) -> None:
        """Have :meth:`run` return; from any thread."""
        self._ending.set()
        self._inbox.wake()

    def _turn(self) -> None:
        """Wait for results or the next look at what is missing, and deal with either."""
        look = self._shell.next_look()
        began = self._clock()
        timeout = None if look is None else max(0.0, look - began)
        try:
            ready = self._inbox.wait(timeout)
            self._shell.collector_is_awake()
            if ready:
                is_prompt = self._clock() - began >= _WAITED
                for arrival in self._inbox.read():
                    self.take(arrival, self._clock(), is_prompt=is_prompt)
                    is_prompt = False
        except BrokerUnavailableError as error:
            self._shell.collector_is_awake()
            logger.warning("%s Frames are shown from the base layer.", error)
            self._reopen()
        with self._shell as core:
            actions = core.look(self._clock())
        self._shell.perform(actions)

    def _reopen(self) -> None:
        while not self._ending.is_set():
            try:
                self._inbox.open()
            except BrokerUnavailableError:
                self._ending.wait(_REOPEN_INTERVAL)
            else:
                return

    def take(self, arrival: Arrival, now: float, *, is_prompt: bool = True) -> None:
        """Deal with one arrival, which came at ``now``, or where that is not prompt before it."""
        if self._answers is not None and not self._answers.came(arrival.peer):
            return
        key = parse_task_id(arrival.task_id)
        if key is None or not 0 <= key[1] < len(self._chunks):
            logger.warning("Threw away a result of task %r: no chunk of ours", arrival.task_id)
            self._note_useless(arrival)
            return
        error, result = arrival.error, None
        if arrival.succeeded:
            try:
                header = ResultHeader.unpack(arrival.header)
                # By which stream it came says who sent it, where each peer has one.
                peer = arrival.peer or header.peer
                run = (header.frame, header.chunk, header.attempt)
                payload = self._seals.open(peer, run, arrival.header, arrival.payload)
                if payload is None:
                    logger.debug("Threw away a result of task %r: nobody asked", arrival.task_id)
                    self._note_useless(arrival)
                    return
                result = _result(key, header, peer, payload, is_prompt=is_prompt)
            except WireError as broken:
                error = _named(broken)
        if result is None:
            self._note_useless(arrival)
        with self._shell as core:
            actions: list[Send[Pixels] | Verify[Pixels]] = (
                core.arrived(result, now)
                if result is not None
                else [*core.failed(key, None, arrival.peer, error, now)]
            )
        for action in actions:
            if isinstance(action, Verify):
                self._verify(action, now)
            else:
                self._shell.perform([action])

    def _note_useless(self, arrival: Arrival) -> None:
        if self._answers is not None:
            size = len(arrival.header) + len(arrival.payload)
            self._answers.was_useless(arrival.peer, size)

    def _verify(self, verify: Verify[Pixels], now: float) -> None:
        """Decode a result and check it, with no lock held, and tell what came of it."""
        chunk = self._chunks[verify.result.key[1]]
        try:
            residual = self._reader.read(chunk, verify.result.payload, verify.source, verify.recipe)
        except ChunkError as error:
            with self._shell as core:
                sends = core.refused(verify, _named(error), now)
        else:
            with self._shell as core:
                sends = core.verified(verify, residual, self._clock())
        self._shell.perform(sends)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _result(
    key: ChunkKey, header: ResultHeader, peer: str, payload: bytes, *, is_prompt: bool
) -> Result:
    return Result(
        key=key,
        claimed=(header.frame, header.chunk),
        attempt=header.attempt,
        peer=peer,
        ran=header.ran,
        payload=payload,
        size=len(payload),
        started=header.started_us / 1e6,
        done=header.done_us / 1e6,
        decode=header.decode_us / 1e6,
        process=header.process_us / 1e6,
        waited=header.waited_us / 1e6,
        idle=header.idle_us / 1e6,
        is_prompt=is_prompt,
    )
