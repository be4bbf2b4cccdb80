"""A session in a process of its own, wired as ``p2c2g-capture run`` wires it.

The process obeys its standard input, one JSON line an order, and answers on its standard
output.  An order is first warmed up (connections, the first chunk's imports), then the player
says that it is ready, and plays when it is told to: so several sessions start together, and
the processor seconds of the pool can be read on both sides.  It ends when its input does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import IO, Any, cast

import psutil

from benchmarks.child import Child, Parent
from p2c2g.display.hub import Hub
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Frame, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture
from p2c2g.media.residual import Form
from p2c2g.messaging.broker import Broker
from p2c2g.session.config import SessionConfig
from p2c2g.session.report import build_report
from p2c2g.session.session import Session
from p2c2g.settings import load
from p2c2g.system.malloc import keep_freed_memory
from p2c2g_capture.pacer import Pacer
from p2c2g_capture.sources import Source, open_source, shipped_clip

#: Takes what a session shows.
Sink = Callable[[Picture], None]

#: Seconds of frames that are played and not measured.
WARM_UP = 0.5
#: Pictures that a flood repeats: taken before, so that the source is not measured.
_REEL = 30


@dataclass(frozen=True, slots=True)
class PlayRequest:
    """What one session is to do; texts are as the command line has them.

    With a ``window`` the source sets no pace: so many frames are out all the time.
    ``steady`` is whether something is given up where there is too little of anything.
    ``source`` is ``clip`` (the shipped one) or what ``--source`` takes.
    """

    source: str = "clip"
    size: str = "640x360"
    fps: float = 60.0
    seconds: float = 3.0
    ops: str = "upscale:2,sharpen:0.5"
    grid: str = "2x1"
    codec: str = "jpeg"
    quality: int = 80
    residual_quality: int = 75
    deadline_ms: float = 100.0
    window: int | None = None
    policy: str = "capability"
    steady: bool = True

    @property
    def form(self) -> Form:
        """Return that of the residuals: of the codec both ways."""
        return Form(self.codec, self.residual_quality)


class Player(Child):
    """A player's process as its parent sees it; a context manager.

    Args:
        url: of the broker.
        log: takes what it logs.
        more: of its environment.
    """

    def __init__(self, url: str, log: IO[bytes], more: Mapping[str, str] | None = None) -> None:
        super().__init__(__name__, url, log, more)

    def prepare(self, order: PlayRequest) -> None:
        """Give an order; :meth:`answer` tells when it is ready."""
        self.say(asdict(order))

    def play(self) -> None:
        """Have the order carried out; :meth:`answer` gives its figures."""
        self.say("go")


# -- in the process ------------------------------------------------------------------------


def _open(order: PlayRequest) -> Source:
    spec = f"video:{shipped_clip()}" if order.source == "clip" else order.source
    return open_source(spec, Size.parse(order.size), order.fps)


def _config(order: PlayRequest, source: Source) -> SessionConfig:
    deadline = order.deadline_ms / 1e3
    return SessionConfig(
        size=source.size,
        operations=Pipeline.parse(order.ops),
        grid=Grid.parse(order.grid),
        codec=order.codec,
        quality=order.quality,
        form=order.form,
        deadline=deadline,
        # Admission lets out as many frames as a deadline holds.
        fps=order.fps if order.window is None else order.window / deadline,
        paced=order.window is None,
        reuse=False,  # The reel goes round.
        steady=order.steady and order.window is None,
        policy=order.policy,
    )


def _cpu() -> dict[str, float]:
    """Return the processor seconds of this process and of the session's own threads."""
    used = {each.id: each.user_time + each.system_time for each in psutil.Process().threads()}
    threads = {
        thread.name: used.get(thread.native_id or 0, 0.0) for thread in threading.enumerate()
    }
    return {
        "session": time.process_time(),
        "session_sends": threads["MainThread"],
        "session_collects": threads.get("p2c2g-collector", 0.0),
        "session_shows": threads.get("p2c2g-player", 0.0),
    }


def _session(broker: Broker, config: SessionConfig, sink: Sink) -> Session:
    """Start a session as ``p2c2g-capture run`` does."""
    keep_freed_memory()
    session = Session(broker, config, sink)
    session.start()
    return session


def _stream(broker: Broker, order: PlayRequest, source: Source, seconds: float) -> dict[str, Any]:
    """Play at the source's pace; return the session's report and the processor's seconds."""
    hub = Hub()
    pacer = Pacer(source, order.fps, seconds)
    session = _session(broker, _config(order, source), hub.publish)
    before = _cpu()
    for frame in pacer:
        session.submit(frame)
    cpu = {name: seconds - before[name] for name, seconds in _cpu().items()}
    session.close(pacer.due)
    hub.close()
    return {**build_report(session, {}), "cpu_s": cpu}


def _flood(broker: Broker, order: PlayRequest, source: Source, seconds: float) -> dict[str, Any]:
    """Keep ``window`` frames out all the time; return the complete ones a second."""
    window = cast("int", order.window)
    reel = [source.grab(number).copy() for number in range(_REEL)]
    room = threading.Semaphore(window)
    complete: list[float] = []

    def sink(picture: Picture) -> None:
        if picture.state is FrameState.COMPLETE:
            complete.append(picture.ready_at)
        room.release()

    session = _session(broker, _config(order, source), sink)
    before, start, number = _cpu(), time.monotonic(), 0
    fill = start + min(0.5, seconds / 4)  # the pipe fills: not counted

    def counted(now: float) -> int:
        return sum(fill <= at < now for at in complete)

    # Longer only where the machine stood still so long that there is nothing to count.
    last = start + seconds + order.deadline_ms / 1e3
    while (now := time.monotonic()) < start + seconds or (now < last and not counted(now)):
        room.acquire()
        session.submit(Frame(number, reel[number % _REEL], now, now))
        number += 1
    cpu = {name: used - before[name] for name, used in _cpu().items()}
    session.close(number)
    rate = counted(now) / (now - fill)
    return {**build_report(session, {}), "cpu_s": cpu, "frames_per_s": rate}


def _obey() -> None:
    broker, parent = Broker(load()), Parent()
    for word in parent.orders():
        order = PlayRequest(**word)
        act = _stream if order.window is None else _flood
        with _open(order) as source:
            act(broker, order, source, max(WARM_UP, ceil(5 / order.fps)))
            parent.answer("ready")
            if parent.order() is None:
                return
            parent.answer(act(broker, order, source, order.seconds))


if __name__ == "__main__":
    _obey()
