"""The Procfile's roles against one broker, Flower over them, and a gamer who joins."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, cast

import httpx
import psutil
import pytest
import redis
from websockets.sync.client import connect

from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.settings import load
from p2c2g_workers import probe
from p2c2g_workers.engine.choosing import open_engine
from tests.brokers import free_port, redis_server
from tests.watchers import Client

from .conftest import AMPLE_DEADLINE, BIN, PATIENCE, Command, finish, words_of

ROOT = Path(__file__).parents[2]
#: Complete frames of a gamer who has played: of more chunks than Flower is asked for.
FRAMES = 10
HAS_GPU = open_engine(load().worker, probe.gpus()).gpu is not None


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as embedded:
        yield embedded


@pytest.fixture
def small_redis(tmp_path: Path) -> Iterator[str]:
    """A Redis with as many connections as a small plan has, and the test's own."""
    with ExitStack() as stack:
        yield redis_server(stack, tmp_path, "--maxclients", "21")


def honcho(start: Any, url: str, port: int, data: Path, *arguments: str, **more: str) -> Command:
    """Start the Procfile, with what a host of applications sets and nothing else."""
    began: Command = start(
        *(sys.executable, "-m", "honcho", "start", "-f", str(ROOT / "Procfile"), "-d", str(ROOT)),
        *arguments,
        REDIS_URL=url,
        PORT=str(port),
        XDG_DATA_HOME=str(data),  # No setting of ours: a home that is the test's own.
        PYTHONUNBUFFERED="1",
        **more,
    )
    return began


def until_ready(roles: Command, *names: str) -> None:
    """Wait until workers are there and known, and the coordinator answers."""
    waiting = {(f"{name} ", said) for name in names for said in (" ready.", "Enrolled as ")}
    waiting |= {("web.1 ", "The coordinator is at ")}
    while waiting:
        line = roles.line_with(" ")
        waiting -= {each for each in waiting if each[0] in line and each[1] in line}


def play(start: Any, url: str, report: Path, *arguments: str, peers: int = 1) -> Any:
    """Have a gamer play until some frames are complete and so many peers have had a part in them.

    However long that takes on a busy machine.  Returns the report.
    """
    session: Command = start(
        *("p2c2g-capture", "run", "--source=pattern", "--size=320x180", "--fps=15", "--port=0"),
        *(f"--report={report}", *arguments),
        REDIS_URL=url,
        **AMPLE_DEADLINE,
    )
    address = session.line_with("Watch at").split()[-1].replace("http", "ws", 1) + "ws"
    deadline, complete, seen = monotonic() + PATIENCE, 0, 0
    with connect(address, proxy=None, open_timeout=PATIENCE, max_size=None) as connection:
        watcher = Client(connection)
        watcher.wish(draws=True)
        while complete < FRAMES or seen < peers:
            assert monotonic() < deadline, (complete, seen)
            if "peers" in (said := watcher.next_stats()):
                complete, seen = said["frames"]["complete"], len(said["peers"])
    played = session.end()
    assert played.code == 0, played
    figures = json.loads(report.read_text())
    assert figures["frames"]["complete"] >= FRAMES
    assert figures["order_violations"] == 0
    return figures


def signed_in(port: int, data: Path) -> httpx.Client:
    """Return a browser at the web process, signed in with the first operator's key."""
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE,
        headers={"Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip
    key = (data / "p2c2g/coordinator/operator.key").read_text().strip()
    assert client.post("/sign-in", data={"key": key}).status_code == 303
    return client


def ask(browser: httpx.Client, path: str) -> Any:
    """Ask Flower, once it has started."""
    pause, deadline = Event(), monotonic() + PATIENCE
    while (answer := browser.get(f"/flower{path}")).status_code == 503:
        assert monotonic() < deadline, answer.text
        pause.wait(0.1)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask_until(browser: httpx.Client, path: str, is_so: Callable[[Any], bool]) -> Any:
    """Ask Flower until it has heard enough: what happens comes to it by events."""
    pause, deadline = Event(), monotonic() + PATIENCE
    while not is_so(told := ask(browser, path)):
        assert monotonic() < deadline, told
        pause.wait(0.1)
    return told


@pytest.mark.needs("redis-server")
def test_the_procfile_gives_a_gamer_a_picture_and_flower_shows_it(
    start: Any, small_redis: str, tmp_path: Path
) -> None:
    port, report = free_port(), tmp_path / "report.json"
    roles = honcho(start, small_redis, port, tmp_path)
    until_ready(roles, "cpu.1", "gpu.1")
    host = os.uname().nodename
    both = {f"cpu@{host}": True, f"gpu@{host}": True}

    def are_alive(told: Any) -> bool:
        return {each["hostname"]: each["status"] for each in told["data"]} == both

    with closing(signed_in(port, tmp_path)) as browser:
        # Of what was before it hears, it knows nothing.
        ask_until(browser, "/workers?json=1", are_alive)
    figures = play(start, small_redis, report, "--wait-for=2")
    served = {(peer["id"].partition("@")[0], peer["queue"]) for peer in figures["peers"]}
    if HAS_GPU:
        assert served == {("cpu", "cpu")}
        (peer,) = play(start, small_redis, report, "--queue=gpu")["peers"]
        assert (peer["id"].partition("@")[0], peer["queue"]) == ("gpu", "gpu")
    else:
        # The role for a GPU helps out where there is none.
        assert {queue for _, queue in served} == {"cpu"}
        assert {role for role, _ in served} <= {"cpu", "gpu"}
        assert any("serving the queue cpu in place of gpu" in line for line in roles.lines)

    with closing(signed_in(port, tmp_path)) as browser:
        pool = browser.get("/pool").text
        assert f"cpu@{host}" in pool
        assert ">gpu.1<" in pool

        def have_answered(told: Any) -> bool:
            # Flower waits a second for each answer.
            return all("active_queues" in told.get(name, {}) for name in both)

        ask_until(browser, "/api/workers?refresh=true", have_answered)
        ask_until(browser, "/workers?json=1", are_alive)
        asked = "/api/tasks?limit=5&taskname=p2c2g.enhance"
        tasks = ask_until(browser, asked, lambda told: len(told) == 5)
        for task in tasks.values():
            assert task["name"] == "p2c2g.enhance"
            assert "frame" in task["args"]
            assert len(json.dumps(task)) < 4000, "a picture's repr travels in the events"
        queues = ask(browser, "/api/queues/length")["active_queues"]
        assert {queue["name"] for queue in queues} >= {"cpu", "gpu" if HAS_GPU else "cpu"}
    # Two workers, the coordinator and Flower, once it has asked; a session would have four more.
    pause, deadline = Event(), monotonic() + PATIENCE
    with redis.Redis.from_url(small_redis) as client:
        while len(connections := cast("list[Any]", client.client_list())) > 16:
            assert monotonic() < deadline, connections
            pause.wait(0.1)
    assert not any("max number of clients" in line for line in roles.lines)
    assert_end_in_order(roles)


@pytest.mark.needs("redis-server")
def test_three_of_a_role_are_three_peers_by_their_names(start: Any, tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = redis_server(stack, tmp_path)
        # As Heroku's documentation has it for Celery, and with a slot each.
        more = {"REMAP_SIGTERM": "SIGQUIT", "WEB_CONCURRENCY": "1"}
        roles = honcho(start, url, free_port(), tmp_path, "-c", "cpu=3,gpu=0", **more)
        until_ready(roles, "cpu.1", "cpu.2", "cpu.3")
        listed = finish("p2c2g", "peers", "list", "--json", REDIS_URL=url)
        peers = json.loads(listed.output)["peers"]
        assert {each["name"] for each in peers} == {"cpu.1", "cpu.2", "cpu.3"}
        assert {each["slots"] for each in peers} == {1}
        wanted = ("--wait-for=3", "--policy=weighted")
        figures = play(start, url, tmp_path / "report.json", *wanted, peers=3)
        assert len(figures["peers"]) == 3
        assert_end_in_order(roles)


def assert_end_in_order(roles: Command) -> None:
    """Send SIGTERM to every process at once, as hosts do; each has to end by itself."""
    runner = psutil.Process(roles.process.pid)
    ours = [each for each in roles.family() if "honcho" not in " ".join(words_of(each))]
    # It would send a second signal, by which a process ends at once, when the first has ended.
    runner.suspend()
    for process in ours:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(ours, timeout=PATIENCE)
    runner.resume()
    assert not left
    output, _ = roles.process.communicate(timeout=PATIENCE)
    ended = [line for line in output.splitlines() if "stopped (rc=" in line]
    assert ended
    assert all(line.endswith("(rc=0)") for line in ended), ended
    assert "Traceback" not in output


def test_the_worker_command_serves_the_queues_that_it_is_told(
    start: Any, broker: EmbeddedBroker
) -> None:
    worker: Command = start(
        *(
            str(BIN / "celery"),
            "-A",
            "p2c2g",
            "worker",
            "-Q",
            "spare,cpu",
            "-n",
            "both@test",
            "-l",
            "info",
        ),
        P2C2G_BROKER_URL=broker.url,
    )
    worker.line_with(" ready.")
    answer = finish(
        str(BIN / "celery"),
        # It waits for no longer than until that one has answered.
        *("-A", "p2c2g", "inspect", "active_queues", "-d", "both@test", "--json"),
        "--timeout=60",
        P2C2G_BROKER_URL=broker.url,
    )
    assert answer.code == 0, answer
    queues = json.loads(answer.output)["both@test"]
    assert {queue["name"] for queue in queues} == {"spare", "cpu", "both@test.dq2"}


def test_a_worker_for_a_gpu_says_what_to_do_where_there_is_none(broker: EmbeddedBroker) -> None:
    if HAS_GPU:
        return  # Then it would simply work: the first test sees that.
    refused = finish(
        str(BIN / "celery"), *("-A", "p2c2g", "worker", "-Q", "gpu"), P2C2G_BROKER_URL=broker.url
    )
    assert refused.code == 2, refused
    assert refused.errors.splitlines()[-1] == (
        "Error: This machine cannot serve the queue gpu: looked for CUDA, OpenCL and Metal and "
        "found no GPU. Give --cpu-fallback or -Q cpu to serve the queue cpu."
    )


def test_a_worker_is_drained_by_name(start: Any, broker: EmbeddedBroker) -> None:
    worker: Command = start(
        str(BIN / "celery"),
        *("-A", "p2c2g", "worker", "-Q", "cpu", "-n", "one@test", "-l", "info"),
        P2C2G_BROKER_URL=broker.url,
    )
    waiting = {"Enrolled as one@test, for cpu.", "one@test ready."}  # In either order.
    while waiting:
        line = worker.line_with("one@test")
        waiting -= {text for text in waiting if text in line}
    answer = finish(
        str(BIN / "celery"),
        *("-A", "p2c2g", "control", "drain", "-d", "one@test", "--timeout=60"),
        P2C2G_BROKER_URL=broker.url,
    )
    assert answer.code == 0, answer
    assert "draining" in answer.output
    assert worker.process.wait(PATIENCE) == 0


def test_flower_is_not_open_to_others_without_a_login(broker: EmbeddedBroker) -> None:
    asked = ("celery", "-A", "p2c2g", "flower", "--address=0.0.0.0", "--port=0")
    done = finish(*asked, P2C2G_BROKER_URL=broker.url)
    assert done.code == 1
    assert "set FLOWER_BASIC_AUTH=USER:PASSWORD" in done.errors
    assert "Traceback" not in done.errors
