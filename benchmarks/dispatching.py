"""What the dispatcher costs: processor time of the thread that sends, as a share of a core.

576 chunks a second of 40 KiB, four a frame: 144 FPS of a frame in quarters.  Three ways, in
this order: the dispatcher as it is (a frame is one write), the dispatcher with one write a
chunk, and stock Celery's ``send_task`` with msgpack over the stock transport.  The thread's own
clock is read around each frame, so that neither the pace nor a busy machine counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.contenders.celery import make_app
from p2c2g.media.frame import Rect, Size
from p2c2g.media.residual import USUAL_FORM
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging.dispatcher import Dispatcher, Message
from p2c2g.messaging.places import places
from tests.pool import Pool

FPS, CHUNKS, KIB = 144, 4, 40
_QUEUE = "bench-dispatcher"
#: Messages kept at the broker; what is beyond them is thrown away between two frames.
_KEEP = 400

Send = Callable[[int], None]


def _messages(frame: int, payload: bytes) -> list[Message]:
    headers = (
        ChunkHeader(
            session="bench",
            frame=frame,
            chunk=index,
            attempt=1,
            codec="jpeg",
            form=USUAL_FORM,
            operations="upscale:2,sharpen:0.5",
            frame_size=Size(640, 360),
            padded=Rect(0, 0, 323, 183),
            crop=Rect(0, 0, 640, 360),
            budget_us=100_000,
        )
        for index in range(CHUNKS)
    )
    return [(index, header.pack(), payload, "") for index, header in enumerate(headers)]


@contextmanager
def _dispatcher(pool: Pool) -> Iterator[Dispatcher]:
    # Patient: a session would rather drop a frame, and there would be nothing to measure.
    dispatcher = Dispatcher(pool.app, "bench", places("bench", _QUEUE), busy_after=5.0)
    dispatcher.connect()
    try:
        yield dispatcher
    finally:
        dispatcher.close()


@contextmanager
def _in_one_write(pool: Pool, payload: bytes) -> Iterator[Send]:
    with _dispatcher(pool) as dispatcher:
        yield lambda frame: dispatcher.send(frame, _messages(frame, payload))


@contextmanager
def _in_four_writes(pool: Pool, payload: bytes) -> Iterator[Send]:
    with _dispatcher(pool) as dispatcher:

        def send(frame: int) -> None:
            for message in _messages(frame, payload):
                dispatcher.send(frame, [message])

        yield send


@contextmanager
def _by_stock_celery(pool: Pool, payload: bytes) -> Iterator[Send]:
    app, task = make_app(pool.broker.url)
    with app.connection_for_write() as connection:
        producer: Any = app.amqp.Producer(connection)

        def send(frame: int) -> None:
            for _, header, picture, _ in _messages(frame, payload):
                app.send_task(
                    task.name,
                    args=(header, picture),
                    queue=_QUEUE,
                    producer=producer,
                    ignore_result=True,  # else it subscribes to each
                )

        yield send
    app.close()


def dispatcher_cost(pool: Pool, seconds: float) -> dict[str, float]:
    """Return the percent of a core of each of the three ways, and the share of frames on time.

    ``on_time`` is of the dispatcher as it is: frames sent a second ÷ 144.
    """
    payload = random.Random(3).randbytes(KIB * 1024)
    result: dict[str, float] = {}
    ways = {"percent": _in_one_write, "unbatched": _in_four_writes, "stock": _by_stock_celery}
    for name, way in ways.items():
        with way(pool, payload) as send:
            for frame in range(10):
                send(frame)
            used, rate = _paced(pool, send, seconds)
        pool.client.delete(_QUEUE)
        # As if every frame had been on time: a slow way gets no credit for sending fewer.
        result[name] = round(used * FPS * 100, 1)
        if way is _in_one_write:
            result["on_time"] = round(rate / FPS, 3)
    return result


def _paced(pool: Pool, send: Send, seconds: float) -> tuple[float, float]:
    """Send frames for so many seconds; return the thread's seconds a frame, and frames a second."""
    used, sent = 0.0, 0
    start = time.monotonic()
    while (now := time.monotonic()) < start + seconds or not sent:
        due = start + sent / FPS
        if now < due:
            time.sleep(due - now)
        before = time.thread_time()
        send(10 + sent)
        used += time.thread_time() - before
        sent += 1
        if sent % (_KEEP // CHUNKS) == 0:
            pool.client.delete(_QUEUE)
    return used / sent, sent / (now - start)
