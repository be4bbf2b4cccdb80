"""Real workers that enrol, beat, drain, die, sleep and come back, on a real broker."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from celery import Celery

from p2c2g.messaging import names
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.messages import Beat, PeerState
from p2c2g.peers.registry import PeerRecord, Registry
from tests.lane import PATIENCE, Lane, connections, settings
from tests.pool import MakeWorker, Pool, Worker

#: Seconds between beats here, so that three of them are soon over.
INTERVAL = "0.2"
QUICK = {"P2C2G_WORKER_BEAT_INTERVAL": INTERVAL}
#: Of one that must not be taken for dead where its machine stands still.
CALM = {"P2C2G_WORKER_BEAT_INTERVAL": "2"}
W = "w@test"

MakePeer = Callable[..., Worker]


@pytest.fixture
def registry(lane: Lane) -> Registry:
    return Registry(lane.client)


@pytest.fixture
def peer(worker: MakeWorker, registry: Registry, lane: Lane) -> MakePeer:
    """Make workers that have enrolled and are ready."""

    def make(*options: str, name: str = "w", **keywords: Any) -> Worker:
        environment = QUICK | keywords.pop("environment", {})
        made = worker(*options, name=name, environment=environment, **keywords)
        wait_for_state(lane, registry, PeerState.READY, made.name)
        return made

    return make


def record(registry: Registry, name: str = W) -> PeerRecord | None:
    return next((each for each in registry.records() if each.enrolment.id == name), None)


def state_of(registry: Registry, name: str = W) -> PeerState | None:
    pulse = registry.beats([name])[name]
    return None if pulse.beat is None else pulse.beat.state


def idle(beat: Beat) -> bool:
    return (beat.in_flight, beat.served) == (0, 0)


def in_flight(registry: Registry, name: str = W) -> int:
    beat = registry.beats([name])[name].beat
    return beat.in_flight if beat is not None else 0


def wait_for_state(lane: Lane, registry: Registry, state: PeerState | None, name: str = W) -> None:
    lane.wait_until(lambda: state_of(registry, name) is state)


def instance(registry: Registry) -> str:
    seen = record(registry)
    assert seen is not None
    return seen.enrolment.instance


def assert_no_trace(lane: Lane, name: str = W) -> None:
    queues = (names.own_queue(name), names.control_queue(name))
    keys = [names.beat(name), *map(names.queue_key, queues)]
    assert lane.client.exists(*keys) == 0
    assert not lane.client.hexists(names.peers(), name)
    assert not any(
        name.encode() in member for member in lane.client.smembers(names.control_bindings())
    )


def test_a_worker_registers_by_itself(lane: Lane, registry: Registry, peer: MakePeer) -> None:
    peer("-Q", "cpu,extra", "-c", "3", "--peer-name", "Attic", "--region", "eu")
    seen = record(registry)
    assert seen is not None
    told = seen.enrolment
    assert (told.name, told.region, told.slots) == ("Attic", "eu", 3)
    assert told.queues == ("cpu", "extra")
    assert told.interval == float(INTERVAL)
    assert told.capabilities.cores >= 1
    assert "cpu" in told.capabilities.queues
    # What takes some time to measure is told when it is known.
    lane.wait_until(lambda: registry.enrolments([W])[W].capabilities.speeds)
    assert registry.enrolments([W])[W].instance == told.instance


def test_its_beats_tell_of_its_work(lane: Lane, registry: Registry, peer: MakePeer) -> None:
    peer("-Q", "cpu", "-c", "2")
    lane.send(3, task="lane.hold")
    lane.wait_started()
    lane.wait_until(lambda: in_flight(registry) >= 2)
    lane.release_held(3)
    lane.wait(3)
    # A beat's mean is of what ended since the one before: theirs has to be over.
    lane.wait_until(lambda: (beat := registry.beats([W])[W].beat) and idle(beat))

    seen = []

    def told() -> bool:
        lane.send(4, 0.02)
        beat = registry.beats([W])[W].beat
        if beat is not None and beat.served:
            seen.append(beat)
        return bool(seen)

    lane.wait_until(told)
    (beat,) = seen
    assert beat.seconds_per_chunk >= 0.02
    assert beat.seconds_per_chunk_p95 >= beat.seconds_per_chunk / 2
    assert beat.rtt > 0
    assert beat.uptime > 0
    assert 0 <= beat.load <= 1


def test_queues_that_come_and_go_are_told(lane: Lane, registry: Registry, peer: MakePeer) -> None:
    peer("-Q", "cpu")
    for command, queues in (("add_consumer", ("cpu", "extra")), ("cancel_consumer", ("cpu",))):
        lane.app.control.broadcast(
            command, arguments={"queue": "extra"}, reply=True, limit=1, timeout=PATIENCE
        )
        lane.wait_until(lambda wanted=queues: registry.enrolments([W])[W].queues == wanted)


def test_a_killed_peer_is_dead_in_three_beats_and_can_be_swept(
    lane: Lane, registry: Registry, peer: MakePeer
) -> None:
    running = peer("-Q", "cpu", "-c", "1")
    lane.send(task="lane.hold")
    lane.wait_started()
    assert lane.client.pttl(names.beat(W)) <= 3 * 1000 * float(INTERVAL)
    running.signal(signal.SIGKILL)
    running.wait(PATIENCE)
    lane.send(3, queue=names.own_queue(W))
    lane.confirm()
    assert registry.ids() == {W}
    wait_for_state(lane, registry, None)
    assert registry.sweep([W]) == [W]
    assert_no_trace(lane)
    assert lane.queued("cpu") == [], "what the dead had is too old for anybody"


@pytest.mark.parametrize("how", ["drain", "SIGTERM"])
def test_a_draining_peer_finishes_and_leaves_without_a_trace(
    lane: Lane, registry: Registry, peer: MakePeer, how: str
) -> None:
    leaving = peer("-Q", "cpu", "-c", "2", name="leaving")
    held = lane.send(2, task="lane.hold")
    lane.wait_started()
    lane.wait_started()
    if how == "drain":
        reply: Any = lane.app.control.broadcast(
            "drain", destination=[leaving.name], reply=True, limit=1, timeout=PATIENCE
        )
        assert reply == [{leaving.name: {"ok": "draining"}}]
    else:
        leaving.signal(signal.SIGTERM)
    wait_for_state(lane, registry, PeerState.DRAINING, leaving.name)
    lane.release_held(2)
    assert leaving.wait(PATIENCE) == 0, leaving.log()
    lane.wait_for(held)
    assert registry.ids() == frozenset()
    assert_no_trace(lane, leaving.name)


@pytest.mark.parametrize("name", ["one", "two", "three"])
def test_one_that_ends_while_it_measures_its_machine_ends_in_order(
    worker: MakeWorker, tmp_path: Path, name: str
) -> None:
    made = worker(
        "-Q", "cpu", name=name, application="p2c2g", environment={"XDG_CACHE_HOME": str(tmp_path)}
    )
    made.signal(signal.SIGTERM)
    assert made.wait(PATIENCE) == 0


def test_a_drain_under_load_loses_nothing(lane: Lane, registry: Registry, peer: MakePeer) -> None:
    leaving = peer("-Q", "cpu", "-c", "2", name="leaving")
    # Where this test is so late that it comes to them, it goes no further: some work is left.
    sent = lane.send(50, 0.05) + lane.send(2, task="lane.hold") + lane.send(48, 0.05)
    sent += lane.send(20, 0.05, queue=names.own_queue(leaving.name))
    lane.wait(2)
    lane.app.control.broadcast(
        "drain", destination=[leaving.name], reply=True, limit=1, timeout=PATIENCE
    )
    lane.release_held(2)
    assert leaving.wait(PATIENCE) == 0, leaving.log()
    left = lane.queued("cpu")
    assert left, "the test wants a peer that leaves with work left"
    assert lane.client.exists(names.own_queue(leaving.name)) == 0
    peer("-Q", "cpu", "-c", "2", name="staying")
    lane.wait_for(sent)
    assert sorted(lane.done()) == sorted(sent), "a chunk was done twice"
    assert registry.ids() == {"staying@test"}


def test_a_broker_that_was_restarted_is_told_again(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker, Lane(settings(broker.url)) as lane:
        registry = Registry(lane.client)
        running = Worker(lane.app, broker.url, tmp_path / "w.log", "-Q", "cpu", environment=QUICK)
        try:
            running.start()
            wait_for_state(lane, registry, PeerState.READY)
            before = instance(registry)
            broker.kill()
            broker.restart()
            wait_for_state(lane, registry, PeerState.READY)
            assert instance(registry) == before
            lane.open()
            lane.round_trip_in_the_end()
            running.wait_until_ready()
        finally:
            running.kill()


def test_a_peer_that_slept_enrols_again_and_gets_work(
    lane: Lane, registry: Registry, peer: MakePeer
) -> None:
    running = peer("-Q", "cpu", "-c", "2")
    before = instance(registry)
    running.signal(signal.SIGSTOP)
    wait_for_state(lane, registry, None)
    assert registry.sweep([W]) == [W]
    assert_no_trace(lane)
    running.signal(signal.SIGCONT)
    wait_for_state(lane, registry, PeerState.READY)
    assert instance(registry) == before
    lane.round_trip()
    lane.round_trip(queue=names.own_queue(W))
    running.wait_until_ready()  # Celery's remote control, which the sweep had cut off.


@pytest.fixture
def second(lane: Lane, broker: EmbeddedBroker, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start a worker that nobody waits for."""
    made: list[Worker] = []

    def start(*options: str, name: str = "w") -> Worker:
        log = tmp_path / "second.log"
        worker = Worker(lane.app, broker.url, log, *options, name=name, environment=CALM)
        worker.launch()  # A namesake might answer.
        made.append(worker)
        return worker

    yield start
    for each in made:
        each.kill()


def test_a_second_worker_of_a_name_gets_the_next_one_and_the_first_goes_on(
    lane: Lane, registry: Registry, peer: MakePeer, second: Callable[..., Worker]
) -> None:
    first = peer("-Q", "cpu", environment=CALM)
    before = instance(registry)
    other = second("-Q", "cpu")
    wait_for_state(lane, registry, PeerState.READY, "w-2@test")
    assert "w@test is taken: this worker is called w-2@test." in other.log()
    assert instance(registry) == before
    for name in (W, "w-2@test"):
        wait_for_state(lane, registry, PeerState.READY, name)
        lane.round_trip(queue=names.own_queue(name))
    first.wait_until_ready()
    for each in (first, other):
        each.signal(signal.SIGTERM)
        assert each.wait(PATIENCE) == 0, each.log()


def test_the_ghost_of_a_killed_worker_does_not_keep_its_name(
    lane: Lane, registry: Registry, peer: MakePeer, second: Callable[..., Worker]
) -> None:
    first = peer("-Q", "cpu")
    before = instance(registry)
    first.signal(signal.SIGSTOP)  # Beats no more, and its last beat is young.
    heir = second("-Q", "cpu")
    lane.wait_until(lambda: (seen := record(registry)) and seen.enrolment.instance != before)
    wait_for_state(lane, registry, PeerState.READY)
    # Now the first is the second of that name.
    first.signal(signal.SIGCONT)
    assert first.wait(PATIENCE) == 2, first.log()
    assert heir.process is not None
    assert heir.process.poll() is None
    wait_for_state(lane, registry, PeerState.READY)


def test_a_banned_peer_says_so_and_ends(lane: Lane, registry: Registry, peer: MakePeer) -> None:
    running = peer("-Q", "cpu")
    registry.ban(W, "It sends noise.")
    assert running.wait(PATIENCE) == 1, running.log()
    assert "This peer, w@test, is banned: It sends noise." in running.log()
    assert registry.ids() == frozenset()


def test_a_heart_that_loses_its_connection_beats_on(
    lane: Lane, registry: Registry, peer: MakePeer
) -> None:
    running = peer("-Q", "cpu")
    for _ in range(3):
        lane.wait_until(lambda: list(connections(lane.client, "eval")))
        for victim in connections(lane.client, "eval"):
            lane.client.client_kill_filter(_id=str(victim))
        lane.round_trip()
        lane.client.delete(names.beat(W))
        wait_for_state(lane, registry, PeerState.READY)
    assert running.log().count("Connected to") == 1, "the worker's own connection was not touched"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--max-cpu", "500%"), "'500%' is no share"),
        (("--hours", "25-3"), "'25-3' are no hours"),
        (("--max-mbps", "-1"), "'-1' is no bandwidth"),
        (("--region", " "), "' ' is no region"),
        (("-n", "two words@test"), "'two words@test' cannot be a peer's id"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(
    second: Callable[..., Worker], options: tuple[str, ...], sentence: str
) -> None:
    refused = second("-Q", "cpu", *options)
    assert refused.wait(PATIENCE) == 2, refused.log()
    (line,) = [line for line in refused.log().splitlines() if line.startswith("Error: ")]
    assert sentence in line
    assert "Traceback" not in refused.log()


def test_options_can_come_from_the_environment(registry: Registry, peer: MakePeer) -> None:
    peer("-Q", "cpu", environment={"P2C2G_WORKER_PEER_NAME": "Attic"})
    seen = record(registry)
    assert seen is not None
    assert seen.enrolment.name == "Attic"


def test_a_worker_is_told_of_sessions_of_another_version(peer: MakePeer, lane: Lane) -> None:
    made = peer("-Q", "cpu")
    lane.client.set(names.spoken(), "9.1.2")
    lane.wait_until(lambda: "A session here is of another version" in made.log())
    assert "it speaks 9.1.2" in made.log()
    assert made.is_running


def test_a_worker_warns_of_a_broker_that_evicts(pool: Pool) -> None:
    pool.client.config_set("maxmemory", 1 << 28)
    pool.client.config_set("maxmemory-policy", "allkeys-lru")
    made = pool.worker("w")
    said, deadline = "The broker evicts keys where its memory is full", monotonic() + PATIENCE
    while said not in made.log():  # It looks at the broker after its first beat.
        assert monotonic() < deadline
        made.pause(0.05)
    assert made.log().count(said) == 1
    assert "maxmemory-policy allkeys-lru" in made.log()


def test_a_task_with_a_priority_of_another_application_is_taken(
    peer: MakePeer, lane: Lane, broker: EmbeddedBroker
) -> None:
    peer("-Q", "cpu")
    with Celery("plain", broker=broker.url, backend=broker.url, set_as_current=False) as plain:
        options = {"global_keyprefix": names.celerys()}
        plain.conf.update(
            broker_transport_options=options, result_backend_transport_options=options
        )
        urgent = [
            plain.send_task("lane.add", (2, 3), queue="cpu", priority=each) for each in (5, 9)
        ]
        assert [each.get(timeout=PATIENCE) for each in urgent] == [5, 5]
