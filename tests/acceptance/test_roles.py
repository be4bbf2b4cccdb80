"""The Procfile's roles against one broker, Flower over them, and a gamer who joins."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.settings import load
from p2c2g_workers import probe
from p2c2g_workers.engine.choosing import open_engine

from .conftest import BIN, PATIENCE, Command, finish

ROOT = Path(__file__).parents[2]
HAS_GPU = open_engine(load().worker, probe.gpus()).gpu is not None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as embedded:
        yield embedded


def ask(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return json.load(answer)


def test_the_procfile_gives_a_gamer_a_picture_and_flower_shows_it(
    start: Any, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    client = redis.Redis.from_url(broker.url)
    # As many as a small plan has, and this one.
    client.config_set("maxclients", 21)
    port = free_port()
    roles: Command = start(
        *(sys.executable, "-m", "honcho", "start", "-f", str(ROOT / "Procfile"), "-d", str(ROOT)),
        P2C2G_BROKER_URL=broker.url,
        PORT=str(port),
        PYTHONUNBUFFERED="1",
        FLOWER_UNAUTHENTICATED_API="true",
    )
    waiting = {"cpu.1", "gpu.1"}
    while waiting:
        line = roles.line_with(" ready.")
        waiting -= {name for name in waiting if name in line}

    report = tmp_path / "report.json"
    played = finish(
        "p2c2g-capture",
        *("run", "--source=pattern", "--size=320x180", "--fps=15", "--seconds=4", "--headless"),
        *("--wait-for=2", f"--report={report}"),
        P2C2G_BROKER_URL=broker.url,
    )
    assert played.code == 0, played
    figures = json.loads(report.read_text())
    assert figures["frames"]["complete"] > 0
    assert figures["order_violations"] == 0
    served = {(peer["id"].partition("@")[0], peer["queue"]) for peer in figures["peers"]}
    if HAS_GPU:
        assert served == {("cpu", "cpu")}
        on_gpu = finish(
            "p2c2g-capture",
            *("run", "--source=pattern", "--size=320x180", "--fps=15", "--seconds=2"),
            *("--headless", "--queue=gpu", f"--report={report}"),
            P2C2G_BROKER_URL=broker.url,
        )
        assert on_gpu.code == 0, on_gpu
        (peer,) = json.loads(report.read_text())["peers"]
        assert (peer["id"].partition("@")[0], peer["queue"]) == ("gpu", "gpu")
    else:
        # The role for a GPU helps out where there is none.
        assert {queue for _, queue in served} == {"cpu"}
        assert {role for role, _ in served} <= {"cpu", "gpu"}
        assert any("serving the queue cpu in place of gpu" in line for line in roles.lines)

    host = os.uname().nodename
    connections: Any = client.client_list()
    assert len(connections) <= 15, connections
    workers = ask(port, "/api/workers?refresh=true")
    assert {f"cpu@{host}", f"gpu@{host}"} <= set(workers)
    seen = {each["hostname"]: each["status"] for each in ask(port, "/workers?json=1")["data"]}
    assert seen == {f"cpu@{host}": True, f"gpu@{host}": True}
    tasks = ask(port, "/api/tasks?limit=5&taskname=p2c2g.enhance")
    assert len(tasks) == 5
    for task in tasks.values():
        assert task["name"] == "p2c2g.enhance"
        assert "frame" in task["args"]
        assert len(json.dumps(task)) < 4000, "a picture's repr travels in the events"
    queues = ask(port, "/api/queues/length")["active_queues"]
    assert {queue["name"] for queue in queues} >= {"cpu", "gpu" if HAS_GPU else "cpu"}
    assert not any("max number of clients" in line for line in roles.lines)
    client.close()


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
        *("-A", "p2c2g", "inspect", "active_queues", "--json", "--timeout=5"),
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
        *("-A", "p2c2g", "control", "drain", "-d", "one@test", "--timeout=5"),
        P2C2G_BROKER_URL=broker.url,
    )
    assert answer.code == 0, answer
    assert "draining" in answer.output
    assert worker.process.wait(PATIENCE) == 0
