"""What a broker refuses does not end a worker, or ends it with one sentence that names it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from p2c2g.messaging import names
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.testing.delay_proxy import DelayProxy
from p2c2g_workers.receiving import MAX_FAULTS
from tests.lane import PATIENCE, Lane, by_port, settings
from tests.pool import Worker


@pytest.fixture
def harmed(tmp_path: Path) -> Iterator[tuple[EmbeddedBroker, Lane]]:
    """A broker that a test may harm, and a lane on it."""
    with EmbeddedBroker() as broker, Lane(settings(broker.url)) as lane:
        yield broker, lane


@pytest.fixture
def start(harmed: tuple[EmbeddedBroker, Lane], tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start one worker, without waiting for it."""
    broker, lane = harmed
    made: list[Worker] = []

    def launch(*options: str, url: str = "", **more: str) -> Worker:
        worker = Worker(
            lane.app, url or broker.url, tmp_path / "w.log", "-Q", "cpu", "-c", "2", *options,
            environment=more,
        )  # fmt: skip
        made.append(worker)
        worker.launch()
        return worker

    yield launch
    for each in made:
        each.kill()


def said(worker: Worker, words: str) -> bool:
    return words in worker.log()


def harm_replica(lane: Lane) -> None:
    lane.client.replicaof(HOST, 1)


def heal_replica(lane: Lane) -> None:
    lane.client.replicaof("NO", "ONE")


def harm_key(lane: Lane) -> None:
    lane.client.set(names.queue_key("cpu"), "x")
    # Reads that wait already are told by the next message alone.
    lane.client.lpush(names.queue_key(names.own_queue("w@test")), "x")


def heal_key(lane: Lane) -> None:
    lane.client.delete(names.queue_key("cpu"))


@pytest.mark.parametrize(
    ("harm", "heal", "words"),
    [
        (harm_replica, heal_replica, "The broker takes nothing now, which passes by itself"),
        (harm_key, heal_key, f"the key {names.queue_key('cpu')!r} is a string"),
    ],
    ids=["replica", "type"],
)
def test_a_worker_waits_for_what_passes_and_says_so(
    harmed: tuple[EmbeddedBroker, Lane],
    start: Callable[..., Worker],
    harm: Callable[[Lane], None],
    heal: Callable[[Lane], None],
    words: str,
) -> None:
    _, lane = harmed
    worker = start()
    worker.wait_until_ready()
    lane.round_trip()
    harm(lane)
    lane.wait_until(lambda: said(worker, words))
    heal(lane)
    lane.round_trip_in_the_end()
    assert worker.is_running
    assert "Traceback" not in worker.log()
    assert worker.log().count(words) == 1, worker.log()


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ("~* &* +@all -@scripting", "lacks a right"),
        ("~* resetchannels +@all", "lacks a right"),
        ("~* &* +@all -ping", "lacks a right"),
        ("~p2c2g:* &* +@all", "lacks a right"),
    ],
    ids=["scripts", "channels", "ping", "keys"],
)
def test_a_right_that_is_missing_is_one_sentence(
    harmed: tuple[EmbeddedBroker, Lane], start: Callable[..., Worker], rights: str, words: str
) -> None:
    broker, lane = harmed
    lane.client.execute_command("ACL", "SETUSER", "peer", "on", ">pw", *rights.split())
    worker = start(url=f"redis://peer:pw@{HOST}:{broker.port}/0")
    assert worker.wait(PATIENCE) == 1, worker.log()
    assert words in worker.log()
    assert "Traceback" not in worker.log()


def test_a_wrong_password_ends_a_worker(
    harmed: tuple[EmbeddedBroker, Lane], start: Callable[..., Worker]
) -> None:
    broker, _ = harmed
    worker = start(url=f"redis://:Geheim@{HOST}:{broker.port}/0")
    assert worker.wait(PATIENCE) == 1, worker.log()
    assert "The broker refuses the password" in worker.log()
    assert "Traceback" not in worker.log()
    assert "Geheim" not in worker.log()


@pytest.mark.parametrize("password", ["a;b", "a@b#c/d%e?f:g", "pässwörd€", "100%", " sp ace"])
def test_any_password_works_as_it_is(
    harmed: tuple[EmbeddedBroker, Lane], start: Callable[..., Worker], password: str
) -> None:
    broker, lane = harmed
    lane.client.config_set("requirepass", password)
    url = f"redis://:{password}@{HOST}:{broker.port}/0"
    worker = start(url=url)
    with Lane(settings(url), session="t") as theirs:
        theirs.round_trip_in_the_end()
    worker.signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0, worker.log()
    assert password not in worker.log()


def test_a_worker_that_can_start_nothing_ends_and_says_why(
    harmed: tuple[EmbeddedBroker, Lane], tmp_path: Path
) -> None:
    broker, lane = harmed
    worker = Worker(
        lane.app, broker.url, tmp_path / "w.log", "-Q", "cpu", application="tests.broken_app"
    )
    try:
        worker.start()
        lane.send(MAX_FAULTS)
        assert worker.wait(PATIENCE) == 1, worker.log()
    finally:
        worker.kill()
    assert "This worker could not start 3 chunks in a row" in worker.log()
    assert "can't start new thread" in worker.log()
    assert "Threw away" not in worker.log()


def test_variables_of_celerys_take_a_worker_nowhere_else(
    harmed: tuple[EmbeddedBroker, Lane], start: Callable[..., Worker]
) -> None:
    _, lane = harmed
    worker = start(
        CELERY_BROKER_URL=f"redis://{HOST}:1/0",
        CELERY_BROKER_READ_URL=f"redis://{HOST}:1/0",
        CELERY_RESULT_BACKEND=f"redis://{HOST}:1/0",
        CELERY_LOADER="default",
    )
    lane.round_trip_in_the_end()
    assert worker.is_running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_ends_though_its_broker_is_silent(
    harmed: tuple[EmbeddedBroker, Lane], start: Callable[..., Worker], number: int
) -> None:
    broker, lane = harmed
    with DelayProxy(HOST, broker.port) as proxy:
        worker = start(url=by_port(broker.url, proxy.port))
        lane.round_trip_in_the_end()
        worker.wait_until_ready()
        proxy.pause()
        lane.wait_until(lambda: said(worker, "The broker does not answer"))
        worker.signal(number)
        assert worker.wait(PATIENCE) == (0 if number == signal.SIGTERM else 1), worker.log()


def test_a_line_that_was_dead_is_noticed_and_made_again(
    harmed: tuple[EmbeddedBroker, Lane], start: Callable[..., Worker]
) -> None:
    broker, lane = harmed
    with DelayProxy(HOST, broker.port) as proxy:
        worker = start(url=by_port(broker.url, proxy.port))
        lane.round_trip_in_the_end()
        proxy.pause()
        lane.wait_until(lambda: said(worker, "connecting again"))
        proxy.resume()
        lane.round_trip_in_the_end()
        assert worker.is_running
        assert "Traceback" not in worker.log()


def test_that_no_broker_answers_is_one_sentence(
    harmed: tuple[EmbeddedBroker, Lane], start: Callable[..., Worker]
) -> None:
    _, lane = harmed
    worker = start(url=f"redis://:Geheim@{HOST}:1/0")
    lane.wait_until(lambda: said(worker, f"No broker answers at redis://:***@{HOST}:1/0"))
    worker.signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0, worker.log()
    assert worker.log().count("Connection refused") == 1, worker.log()
    assert "Trying again" not in worker.log()
    assert "Geheim" not in worker.log()
