"""``p2c2g peer``, as a person calls it, on a real broker."""

from __future__ import annotations

import json
import os
import pty
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.peers.messages import Capabilities, PeerState
from p2c2g.peers.registry import Registry
from p2c2g.session.config import SessionConfig
from p2c2g.system import processes
from p2c2g.testing.delay_process import EARLY
from p2c2g.testing.delay_proxy import DelayProxy
from p2c2g_workers.probe import line
from tests import forks
from tests.lane import PATIENCE, ROOT, Lane, by_port, settings
from tests.pool import environment as environment_of
from tests.sessions import Player

MAIN = "from p2c2g.commands.main import main; main()"
COMMAND = ["-c", MAIN, "peer"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for what is measured, so that it is measured once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(cache: Path) -> dict[str, str]:
    return environment_of(None, {"XDG_CACHE_HOME": str(cache), "COLUMNS": "100"})


def finish(environment: dict[str, str], *arguments: str) -> forks.Finished:
    return forks.finish([*COMMAND, *arguments], env=environment)


def test_a_probe_as_json_is_what_a_peer_tells(
    environment: dict[str, str], broker: EmbeddedBroker, lane: Lane
) -> None:
    done = subprocess.run(
        [sys.executable, *COMMAND, "probe", "--json", "--broker", broker.url],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    told = Capabilities.model_validate(json.loads(done.stdout))
    assert told.speeds["upscale:bicubic"] > 0
    assert told.codecs["jpeg"] > 0
    assert min(told.rtt, told.up, told.down) > 0
    assert lane.client.keys("p2c2g.probe.*") == []


def test_a_probe_for_people_has_its_figures_in_a_table(environment: dict[str, str]) -> None:
    environment["P2C2G_BROKER_URL"] = f"redis://{HOST}:1/0"
    done = finish(environment, "probe")
    assert done.code == 0, done.errors
    for word in ("Machine", "GiB", "upscale:bicubic", "jpeg", "Megapixels/s", "does not answer"):
        assert word in done.output


def test_a_probe_of_memory_has_a_table_more(environment: dict[str, str], tmp_path: Path) -> None:
    environment |= {"P2C2G_BROKER_URL": f"redis://{HOST}:1/0", "XDG_CACHE_HOME": str(tmp_path)}
    # By the largest net it is ten seconds of a machine that nobody else uses, and so are the
    # speeds, which the test above has.
    plain = (
        "from p2c2g_workers.probe import peaks, speeds; speeds.known = lambda: (); "
        "speeds.CODECS = {}; peaks.heaviest = lambda _: 'upscale:2:bicubic'"
    )
    done = forks.finish(["-c", f"{plain}; {MAIN}", "peer", "probe", "--memory"], env=environment)
    assert done.code == 0, done.errors
    for word in ("MiB at most", "1 at once", "8 at once", "1280x720, upscale:2"):
        assert word in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["probe", "--json", "--memory"], 2, "leave out --json"),
        (["probe", "--broker", "nonsense"], 2, "is not a broker's URL"),
        (["probe", "--broker", f"redis://:secret@{HOST}:1/0"], 1, "does not answer"),
        (["run", "--hours", "7"], 2, "22-7"),
        (["run", "--max-cpu", "0"], 2, "50%"),
        (["run", "--max-mbps", "fast"], 2, "megabits"),
        (["run", "--queues", "a b"], 2, "cpu,gpu"),
        (["run", "--queues", "cpu,foo"], 2, "Nobody sends work to 'foo'"),
        (["run", "--name", " "], 2, "is no name"),
        (["run", "--slots", "0"], 2, "--slots"),
        (["run", "--broker", "http://host"], 2, "is not a broker's URL"),
    ],
)
def test_what_is_asked_wrongly_is_one_sentence(
    environment: dict[str, str], arguments: list[str], code: int, words: str
) -> None:
    done = finish(environment, *arguments)
    assert done.code == code, done
    assert words in done.errors
    assert "secret" not in done.errors
    lines = done.errors.strip().splitlines()
    if any(":secret@" in each for each in arguments):
        assert "P2C2G_BROKER_URL_FILE" in lines.pop(0)
    assert len(lines) == 1
    assert done.output == ""


def test_a_run_becomes_a_worker_that_enrols_as_it_was_told(
    environment: dict[str, str], broker: EmbeddedBroker, lane: Lane, tmp_path: Path
) -> None:
    secret = urlsplit(broker.url).password
    assert secret
    wishes = ["--name", "Old Attic", "--region", "berlin", "--slots", "3", "--hours", "0-23:59"]
    log = tmp_path / "peer.log"
    with log.open("wb") as output:
        process = processes.start(
            [sys.executable, *COMMAND, "run", *wishes, "--max-cpu", "90%", "--broker", broker.url],
            env=environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        registry = Registry(lane.client)
        deadline = time.monotonic() + PATIENCE
        # On a busy machine one beat may be over before the next.
        while not (records := registry.records()) or records[0].beat is None:
            lane.look(50)
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
        enrolment, beat = records[0].enrolment, records[0].beat
        assert enrolment.id.startswith("Old-Attic@")
        assert (enrolment.name, enrolment.region) == ("Old Attic", "berlin")
        assert (enrolment.slots, enrolment.queues) == (3, ("cpu",))
        assert beat.state in {PeerState.STARTING, PeerState.READY, PeerState.PAUSED}
        if sys.platform == "linux":
            # It is the very process, and its command line has no address and no password.
            words = Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
            assert "celery" in words
            assert not any("redis:" in word or secret in word for word in words)
        assert secret not in log.read_text()
        process.terminate()
        assert process.wait(PATIENCE) == 0, log.read_text()
    finally:
        processes.stop(process)
    assert registry.records() == []


class Terminal:
    """A terminal, and what somebody reads there."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        self.seen = ""

    def read_until(self, text: str) -> None:
        """Read on until a text is there, or the program has left and all is read."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            there, _, _ = select.select([self._ours], [], [], deadline - time.monotonic())
            assert there, self.seen
            self.seen += os.read(self._ours, 65536).decode(errors="replace")

    def close(self) -> None:
        for each in (self._ours, self.theirs):
            os.close(each)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


def test_a_lenders_terminal_has_one_line_that_says_what_the_peer_does(
    environment: dict[str, str], broker: EmbeddedBroker, lane: Lane, terminal: Terminal
) -> None:
    # However long this machine's name is: what does not fit is cut off.
    environment["COLUMNS"] = "300"
    process = subprocess.Popen(
        [sys.executable, *COMMAND, "run", "--name", "attic", "--broker", broker.url],
        env=environment, cwd=ROOT, stdin=terminal.theirs, stdout=terminal.theirs,
        stderr=terminal.theirs,
    )  # fmt: skip
    try:
        terminal.read_until("Enrolled as attic@")
        terminal.read_until("ready, nobody sends work now; 0 chunks so far")
        config = SessionConfig(
            size=Size(160, 90), operations=Pipeline.parse("upscale:2"), grid=Grid(2, 1),
            deadline=PATIENCE, paced=False, reuse=False,
            steady=False,  # Else a busy machine is asked for less, and six chunks are not sent.
        )  # fmt: skip
        with Player(settings(broker.url), config) as player:
            for _ in range(3):
                player.play(np.zeros((90, 160, 3), np.uint8))
            terminal.read_until("a second; 6 chunks so far")
        assert "Task p2c2g.enhance" not in terminal.seen
        assert "celery@" not in terminal.seen
        done = forks.finish(
            ["-c", MAIN, "peers", "drain", "attic", "--broker", broker.url], env=environment
        )
        assert done.code == 0, done
        terminal.read_until(f"@{socket.gethostname()} asked; 6 chunks in all.")
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_a_wrong_password_ends_it_with_a_sentence(
    environment: dict[str, str], broker: EmbeddedBroker
) -> None:
    wrong = f"redis://:wrong@{HOST}:{broker.port}/0"
    done = forks.finish([*COMMAND, "run", "--broker", wrong], env=environment)
    assert done.code == 1, done
    assert "The broker refuses the password" in done.errors
    assert "Traceback" not in done.errors
    assert "wrong" not in done.errors


# -- the way to the broker


@pytest.fixture
def proxy(broker: EmbeddedBroker) -> Iterator[DelayProxy]:
    with DelayProxy(HOST, broker.port, rtt_ms=20.0, bandwidth_bps=20e6) as opened:
        yield opened


def measured(proxy: DelayProxy, broker: EmbeddedBroker, least: float, most: float) -> line.Line:
    """Return what is measured of the proxy's line: between these bits a second, both ways.

    Never more.  It may be less, as a tenth of a second in which the machine did something else
    passes for the line: then it is measured once more.
    """
    deadline = time.monotonic() + PATIENCE
    with redis_client(settings(by_port(broker.url, proxy.port))) as client:
        while True:
            way = line.measure(client)
            assert max(way.up, way.down) < most
            if min(way.up, way.down) > least:
                return way
            assert time.monotonic() < deadline, way


def test_a_slow_line_is_measured(proxy: DelayProxy, broker: EmbeddedBroker, lane: Lane) -> None:
    way = measured(proxy, broker, 4e6, 30e6)
    assert 0.020 - 2 * EARLY <= way.rtt < 0.1
    assert lane.client.keys("p2c2g.probe.*") == []


def test_a_line_too_slow_for_the_largest_is_measured_by_what_it_carries(
    proxy: DelayProxy, broker: EmbeddedBroker
) -> None:
    proxy.bandwidth_bps = 1e6
    measured(proxy, broker, 0.2e6, 2e6)


def test_a_broker_that_refuses_is_no_line(caplog: pytest.LogCaptureFixture) -> None:
    with redis_client(settings(f"redis://{HOST}:1/0")) as client:
        assert line.measure(client) == line.Line()
    assert "Could not measure" in caplog.text
