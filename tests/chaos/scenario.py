"""One run of the chaos: a pool, a session, a schedule of faults, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from json import loads
from pathlib import Path
from random import Random
from typing import Any

from celery import Celery

from p2c2g.errors import BrokerUnavailableError, UnavailableError
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging.broker import Broker
from p2c2g.session.actions import Send
from p2c2g.session.config import SessionConfig
from p2c2g.session.observer import Observer
from p2c2g.session.report import build_report
from p2c2g.session.session import Session
from p2c2g_capture.pacer import Pacer
from p2c2g_capture.sources import open_source, shipped_clip
from tests.chaos.auditor import Violation, audit, excused
from tests.chaos.events import BreakerSeen, Ran, Recording, Sent
from tests.chaos.faults import SESSION, Fault, schedule
from tests.chaos.figures import figures
from tests.chaos.injector import Injector
from tests.chaos.leftovers import Belongings, judge_connections, judge_keys
from tests.chaos.peer import Conduct
from tests.chaos.player import Player
from tests.chaos.records import SLOTS, read_records
from tests.chaos.surroundings import deaths, logging_to, metronome, run_folder
from tests.chaos.witness import Witness
from tests.chaos.workers import ChaosWorker, chaos_pool, stop_workers
from tests.lane import PATIENCE
from tests.pool import Pool, wait_until_ready

#: Seconds by which a frame may miss its deadline: one frame's time.  Without any fault, the
#: latest of 1,800 was 3.4 ms late on two cores shared with the whole pool and other work.
TOLERANCE = 0.030
#: Of the source's frames: two cores carry the whole pool at 30 a second.
SIZE = Size(320, 180)


#: What is told of the session's own report.
_TOLD = (
    "results", "hedges", "attempts", "routing", "admission", "errors", "largest_difference",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked for; ``tolerance`` is in seconds (:mod:`tests.chaos.auditor`).

    ``keep`` is a folder for the logs and records of the run; they are thrown away where None.
    """

    seed: int = 7
    seconds: float = 60.0
    source: str = "pattern"
    size: Size = SIZE
    fps: float = 30.0
    ops: str = "upscale:2,sharpen:0.5"
    chunks: str = "2x1"
    deadline: float = 0.1
    policy: str = "capability"
    workers: int = 4
    every: float = 2.0
    tolerance: float = TOLERANCE
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run; ``figures`` is what the last line of ``make chaos`` holds."""

    options: Options
    faults: tuple[Fault, ...]
    recording: Recording
    violations: list[Violation]
    figures: dict[str, Any] = field(default_factory=dict)


def faults_of(options: Options) -> tuple[Fault, ...]:
    """Return a run's schedule, without running it."""
    names = tuple(f"w{number}" for number in range(1, options.workers + 1))
    return schedule(options.seed, options.seconds, names, names[2:], options.every)


def run(options: Options) -> Outcome:
    """Run one seed from start to end."""
    before = Belongings.now()
    faults = faults_of(options)
    with run_folder(options.keep, options.seed) as folder:
        recording, report = _run(options, faults, folder)
    recording.left += before.left_since()
    violations = audit(recording, options.tolerance)
    broken: dict[str, int] = {}
    for violation in violations:
        broken[violation.invariant] = broken.get(violation.invariant, 0) + 1
    told = {
        "seed": options.seed,
        "seconds": options.seconds,
        "source": options.source,
        "faults": len(recording.injected),
        "broken": broken,
        **figures(recording),
        "late_for_the_machines_sake": excused(recording, options.tolerance),
        "tolerance_ms": round(1e3 * options.tolerance, 1),
        "tolerated_at_broker": recording.tolerated,
        **{name: report[name] for name in _TOLD},
    }
    return Outcome(options, faults, recording, violations, told)


def _run(
    options: Options, faults: tuple[Fault, ...], folder: Path
) -> tuple[Recording, dict[str, Any]]:
    spec = f"video:{shipped_clip()}" if options.source == "clip" else options.source
    with ExitStack() as stack:
        logs = folder / "logs-session"
        stack.enter_context(logging_to(logs))
        dead = stack.enter_context(deaths())
        ticking = stack.enter_context(metronome())
        pool, workers = stack.enter_context(chaos_pool(folder, options.workers))
        conducts = _usual_conducts(options.seed, folder, workers)
        source = stack.enter_context(open_source(spec, options.size, options.fps))
        plan = SessionConfig(
            size=source.size,
            operations=Pipeline.parse(options.ops),
            grid=Grid.parse(options.chunks),
            deadline=options.deadline,
            fps=options.fps,
            policy=options.policy,
            steady=False,  # What faults cost is measured, and not what a busy machine does.
        )
        recording = Recording(len(plan.chunks), options.fps, options.deadline)
        broker = stack.enter_context(Broker(pool.settings(SESSION)))
        _listen(broker.app, recording)
        witness = Witness(
            plan.operations.resolve(plan.size),
            [(c.target.x, c.target.y, c.target.width, c.target.height) for c in plan.chunks],
            numbered=options.source == "pattern",
        )
        session = Session(broker, plan, witness, observers=(_PassedOver(recording),))
        _note_refused(session, recording)
        look = _BreakerWatch(session, recording).look
        injector = Injector(pool, workers, faults, logs, conducts, look)
        witness.start()
        player = stack.enter_context(Player())
        pacer = Pacer(source, options.fps, options.seconds)
        try:
            session.start()
            injector.start()
            for frame in pacer:
                witness.captured(frame.number, frame.pixels)
                recording.submitted.append(frame.number)
                session.submit(frame)
            # The last faults may take longer than the frames where the machine is slow.
            injector.over.wait(PATIENCE)
        except RuntimeError as error:
            recording.crashes.append(f"{error}: {error.__cause__}")
        finally:
            session.close(pacer.due)
            injector.close()
            player.end()
            witness.close()
            broker.close()
        recording.due = pacer.due
        recording.inputs, recording.played = player.sent, player.got
        recording.counted = session.tally.frames()
        recording.in_flight = {
            "chunks in the table of attempts": len(session.tables.attempts),
            "frames in flight": session.frames_in_flight,
        }
        recording.injected = sorted(injector.injected, key=lambda done: done.began)
        recording.shown, recording.wrong = witness.shown, witness.wrong
        recording.unseen = witness.unseen
        recording.crashes += _stop_workers(workers)
        _look_at_broker(pool, recording)
        for name, worker in workers.items():
            for path in worker.records():
                records = read_records(path)
                recording.ran += [Ran(name, record) for record in records]
                if len(records) >= SLOTS:
                    recording.crashes.append(f"{name} took {SLOTS} steps or more: it goes round")
        output, _ = ticking.communicate()
        recording.held_up = [(at, late) for at, late in loads(output)]
        report = build_report(session, {})
        report["largest_difference"] = round(witness.largest, 2)
    recording.crashes += dead
    return recording, report


def _usual_conducts(seed: int, folder: Path, workers: Iterable[str]) -> dict[str, Conduct]:
    """Give each peer the clock of another machine, hours away from ours."""
    hours = Random(seed)
    conducts = {name: Conduct(skew=round(hours.uniform(7200, 72_000), 3)) for name in workers}
    for name, conduct in conducts.items():
        conduct.write(folder, name)
    return conducts


def _listen(app: Celery, recording: Recording) -> None:
    """Note every run that the session asks for."""
    original = app.send_task

    def send_task(name: str, args: Any = None, **options: Any) -> Any:
        header = ChunkHeader.unpack(args[0])
        queue = getattr(options["queue"], "name", options["queue"])
        key = (header.frame, header.chunk)
        recording.sent.append(Sent(key, header.attempt, str(queue), time.monotonic()))
        return original(name, args=args, **options)

    app.send_task = send_task


def _note_refused(session: Session, recording: Recording) -> None:
    """Note every run of which the session cannot tell that it has left."""
    sender = session._sender
    original = sender.send

    def send(action: Send[Pixels]) -> None:
        try:
            original(action)
        except BrokerUnavailableError:
            recording.refused.update(
                ((action.frame.number, request.chunk), request.attempt)
                for request in action.requests
            )
            raise

    sender.send = send  # type: ignore[assignment, method-assign]


class _PassedOver(Observer):
    """Writes down which frames are passed over."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def frame_passed_over(self, number: int) -> None:
        self._recording.passed_over.append(number)


class _BreakerWatch:
    """Notes each change of a breaker."""

    def __init__(self, session: Session, recording: Recording) -> None:
        self._session = session
        self._recording = recording
        self._last: dict[str, dict[str, Any]] = {}

    def look(self) -> None:
        """Look now."""
        now = self._session.breakers()
        at = time.monotonic()
        for peer, seen in now.items():
            if seen != self._last.get(peer):
                name = peer.removesuffix("@test")
                self._recording.breakers.append(
                    BreakerSeen(name, str(seen["state"]), int(seen["opened"]), at)
                )
        self._last = now


def _stop_workers(workers: dict[str, ChaosWorker]) -> list[str]:
    """End the workers, the last killed of which may still be starting; say what went wrong."""
    wrong = []
    try:
        wait_until_ready(workers.values())
    except UnavailableError as error:
        wrong.append(str(error))
    return wrong + stop_workers(workers.values())


def _look_at_broker(pool: Pool, recording: Recording) -> None:
    with Broker(pool.settings()) as broker:
        client = broker.client
        recording.left += judge_connections(client)
        left, recording.tolerated = judge_keys(client)
        recording.left += left
