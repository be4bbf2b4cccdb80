"""``p2c2g peers`` as an operator runs it, on a real broker and with real workers."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from p2c2g.messaging import open_names
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.book import PeerBook
from p2c2g.peers.breaker import Change
from p2c2g.peers.health import Health
from p2c2g.peers.health_words import Snapshot
from p2c2g.peers.line_words import DirectionWord, LineWord
from p2c2g.peers.messages import Beat, Enrolment, PeerState
from p2c2g.peers.registry import Registry
from p2c2g.peers.shared_breakers import SharedBreakers
from p2c2g.peers.shared_health import SharedHealth
from p2c2g.peers.trust import Trust, TrustSnapshot
from p2c2g.peers.versions import spoken
from tests import forks
from tests.lane import PATIENCE, ROOT, Lane
from tests.pool import LASTING, MakeWorker, environment

COMMAND = ["-c", "from p2c2g.commands.main import main; main()", "peers"]
OPERATION = "upscale:2,sharpen:0.5"


#: Columns of a terminal.
NARROW = {"COLUMNS": "80"}

Run = Callable[..., forks.Finished]


@pytest.fixture
def run(broker: EmbeddedBroker) -> Run:
    """Run a command to its end: ``run("list", "--json")``."""

    def go(*arguments: str, url: str = broker.url, columns: str = "80") -> forks.Finished:
        words, wide = [*COMMAND, *arguments], {"COLUMNS": columns}
        return forks.finish(words, env=environment(url, wide), timeout=PATIENCE)

    return go


@contextmanager
def watching(url: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *COMMAND, *arguments, "--watch", "--json"],
        env=environment(url, NARROW),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ids(answer: Any) -> list[str]:
    return [peer["id"] for peer in answer["peers"]]


def enrol(lane: Lane, peer: str, **told: Any) -> None:
    """Write a peer that nobody is."""
    beat = {name: told.pop(name) for name in ("in_flight", "rtt", "reason") if name in told}
    state = told.pop("state", PeerState.READY)
    Registry(lane.client).enrol(
        # However late a busy machine looks: its beat lasts for three of these seconds.
        Enrolment(id=peer, instance="x", interval=60, **told),
        Beat(instance="x", state=state, served=120, seconds_per_chunk=0.02, load=0.4, **beat),
    )


def tell_of_lines(lane: Lane, peer: str) -> None:
    """Publish what two sessions have measured of a peer's line."""
    clear = DirectionWord(goodput=1e6, least=0.015, rise=0.001, state="normal")
    full = DirectionWord(goodput=500_000, target=425_000, least=0.012, rise=0.08, state="overuse")
    told = {"s": LineWord(up=clear, down=full), "t": LineWord(up=clear, down=full)}
    for session, word in told.items():
        SharedHealth(lane.client, session).sync(Snapshot(lines={peer: word}), TrustSnapshot())


def tell(lane: Lane, **services: float) -> None:
    """Publish what a session has seen: by peer, its seconds a megapixel."""
    book = PeerBook()
    health, trust = Health(book), Trust(random.Random(1), book)
    for peer, service in services.items():
        for _ in range(50):
            health.result(f"{peer}@x", OPERATION, 1.0, service, 0.01, on_time=True, now=1.0)
        for _ in range(12):
            trust.valid(f"{peer}@x")
    SharedHealth(lane.client, "s").sync(health.snapshot(), trust.snapshot())


def test_a_list_of_all_that_live(run: Run, lane: Lane) -> None:
    enrol(lane, "a@x", name="attic", region="eu", queues=("gpu", "cpu"), slots=4, in_flight=3)
    enrol(lane, "b@x", state=PeerState.PAUSED, reason="its owner plays")
    enrol(lane, "c@x")
    SharedBreakers(lane.client).sync([Change("b@x", 60.0), Change("c@x", -1.0)])
    tell(lane, a=0.01)
    done = run("list", "--json")
    assert done.code == 0, done.errors
    a, b, c = json.loads(done.output)["peers"]
    assert a == {
        "id": "a@x", "name": "attic", "region": "eu", "state": "ready", "reason": None,
        "queues": ["gpu", "cpu"], "slots": 4, "in_flight": 3, "waiting": 0, "load": 0.4,
        "chunks_per_second": 2.0, "ms_per_chunk": 20.0, "rtt_ms": 0.0, "score": a["score"],
        "moved": a["moved"], "breaker": "closed",
    }  # fmt: skip
    assert 50 < a["score"] <= 100
    assert (b["state"], b["reason"], b["breaker"], b["score"]) == (
        "paused", "its owner plays", "open", 0.0,
    )  # fmt: skip
    assert c["breaker"] == "half-open"


def test_a_table_fits_eighty_columns_and_obeys_no_stranger(run: Run, lane: Lane) -> None:
    enrol(lane, "cpu1@some-host", name="[red]me\x1b[2J", region="eu-west", slots=16)
    enrol(lane, "gpu1@other-host", queues=("gpu", "cpu"), state=PeerState.DRAINING)
    tell(lane, a=0.01)
    for command in ("list", "rank"):
        done = run(command)
        assert done.code == 0, done.errors
        assert max(map(len, done.output.splitlines())) <= 80
        assert "\x1b[2J" not in done.output
        for peer in ("cpu1@some-host", "gpu1@other-host"):
            assert peer in done.output
    assert "[red]me" in run("show", "cpu1@some-host").output
    listed = run("list").output
    assert "peers show PEER" in listed, "nothing says that columns were left out"
    wide = run("list", columns="120").output
    assert "[red]me" in wide
    assert "peers show PEER" not in wide


def test_a_peer_that_is_shut_out_does_not_look_ready(run: Run, lane: Lane) -> None:
    for peer in ("out@x", "trial@x", "well@x"):
        enrol(lane, peer)
    SharedBreakers(lane.client).sync([Change("out@x", 60.0), Change("trial@x", -1.0)])
    lines = {line.split()[0]: line for line in run("list").output.splitlines()[2:]}
    assert "shut out" in lines["out@x"]
    assert "ready" in lines["well@x"]
    assert "on trial" in lines["trial@x"]
    assert "ready" not in lines["out@x"] + lines["trial@x"]
    assert "shut out" in run("show", "out@x").output


def test_a_peer_is_known_by_its_name_too(run: Run, lane: Lane) -> None:
    enrol(lane, "a@x", name="attic")
    enrol(lane, "b@x", name="box")
    enrol(lane, "c@x", name="box")
    assert "attic" in run("show", "attic").output
    asked = run("drain", "attic")
    assert "a@x is enrolled and does not answer" in asked.errors
    several = run("drain", "box")
    assert several.code == 2
    assert "2 peers are called 'box': give the id, of b@x, c@x." in several.errors


def test_peers_of_other_versions_are_named_beside_the_list(run: Run, lane: Lane) -> None:
    enrol(lane, "ours@x", speaks=spoken())
    enrol(lane, "theirs@x", speaks="9.1.2")
    for command in ("list", "rank"):
        done = run(command)
        assert done.code == 0, done.errors
        flat = " ".join(done.output.split())
        assert "Peer theirs@x is of another version and gets no work: it speaks 9.1.2" in flat
    answer = json.loads(run("list", "--json").output)
    assert ids(answer) == ["ours@x"]
    assert answer["other_versions"] == {"theirs@x": "9.1.2"}


def test_the_ranking_says_what_costs_most(run: Run, lane: Lane) -> None:
    for peer in ("fast@x", "slow@x", "new@x"):
        enrol(lane, peer)
    tell(lane, fast=0.005, slow=0.8)
    ranking = json.loads(run("rank", "--json").output)
    assert ranking["operation"] == OPERATION
    assert ids(ranking) == ["fast@x", "new@x", "slow@x"]
    # The 95th percentile, which is right to 5 %.
    assert ranking["peers"][2]["moved"].startswith("slow: ")
    assert ranking["peers"][1]["moved"] == "new: 0 of 10 good comparisons in a row"
    assert OPERATION in run("rank").output


def test_everything_of_one_peer(run: Run, lane: Lane) -> None:
    enrol(lane, "fast@x", name="attic")
    tell(lane, fast=0.005)
    details = json.loads(run("show", "fast@x", "--json").output)
    assert details["operations"][OPERATION]["count"] == 50
    assert details["comparisons_in_a_row"] == 12
    assert details["enrolment"]["name"] == "attic"
    shown = run("show", "fast@x").output
    for words in ("attic", OPERATION, "12 comparisons in a row"):
        assert words in shown


def test_a_peers_line_as_sessions_measure_it(run: Run, lane: Lane) -> None:
    enrol(lane, "far@x")
    assert "Its line" not in run("show", "far@x").output
    tell_of_lines(lane, "far@x")
    line = json.loads(run("show", "far@x", "--json").output)["line"]
    assert line["to_it"] == {
        "sessions": 2, "goodput": 2e6, "target": 0.0, "least": 0.015, "rise": 0.001,
        "state": "normal",
    }  # fmt: skip
    assert line["from_it"] == {
        "sessions": 2, "goodput": 1e6, "target": 850_000, "least": 0.012, "rise": 0.08,
        "state": "overuse",
    }  # fmt: skip
    shown = run("show", "far@x").output
    there, back = (row.split() for row in shown.splitlines() if " it " in f" {row} "[:10])
    assert there == ["to", "it", "16.0", "–", "15.0", "1.0", "clear", "2"]
    assert back == ["from", "it", "8.0", "6.8", "12.0", "80.0", "full", "2"]


@pytest.mark.parametrize("command", ["show", "drain", "ban"])
def test_an_unknown_id_is_told_with_those_there_are(command: str, run: Run, lane: Lane) -> None:
    more = ("--reason", "x") if command == "ban" else ()
    done = run(command, "nobody@x", *more)
    assert (done.code, done.output) == (2, "")
    assert "'nobody@x' is no peer of this pool: there are none." in done.errors
    enrol(lane, "a@x")
    enrol(lane, "b@x")
    assert "there are a@x, b@x." in run(command, "nobody@x", *more).errors


@pytest.mark.parametrize("command", ["list", "rank", "unban"])
def test_no_broker_is_one_sentence_without_the_password(command: str, run: Run) -> None:
    arguments = ("x",) if command == "unban" else ()
    done = run(command, *arguments, url="redis://:secret@127.0.0.1:1/0")
    assert done.code == 1
    assert "No broker answers at redis://:***@127.0.0.1:1/0" in done.errors
    assert len(done.errors.strip().splitlines()) == 1
    assert "secret" not in done.errors


def test_an_empty_pool(run: Run, lane: Lane) -> None:
    assert run("list").output.strip() == "No peer is enrolled."
    assert json.loads(run("list", "--json").output) == {"peers": [], "banned": {}}
    assert "No peer is enrolled." in run("rank").output
    # An open pool's broker has other keys, and another command looks at them.
    lane.client.hset(open_names.peers(), "someone", "{}")
    for command in ("list", "rank"):
        assert "open pool's: p2c2g pool list says who" in run(command).output


def test_a_banned_one_is_shut_out_until_it_is_let_back_in(
    run: Run, lane: Lane, worker: MakeWorker
) -> None:
    made = worker()
    # It is told with a beat, and a busy machine may need more than the usual ten seconds.
    done = run("ban", made.name, "--reason", "it lied", "--timeout", f"{0.8 * PATIENCE:g}")
    assert (done.code, done.output) == (0, f"{made.name} is banned and has left.\n")
    made.wait()
    assert json.loads(run("list", "--json").output) == {
        "peers": [], "banned": {made.name: "it lied"},
    }  # fmt: skip
    assert f"Banned: {made.name} (it lied)" in run("list").output
    wrong = run("unban", "nobody@x")
    assert (wrong.code, made.name in wrong.errors) == (2, True)
    assert run("unban", made.name).code == 0
    assert json.loads(run("list", "--json").output)["banned"] == {}


def test_a_drained_one_finishes_what_it_has_and_leaves(
    run: Run, lane: Lane, worker: MakeWorker, broker: EmbeddedBroker
) -> None:
    made = worker("-c", "2", environment=LASTING)  # That it leaves it tells at once.
    sent = lane.send(task="lane.hold")
    lane.wait_started()
    waiting = subprocess.Popen(
        [sys.executable, *COMMAND, "drain", made.name],
        env=environment(broker.url, NARROW),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    registry = Registry(lane.client)

    def draining() -> bool:
        beat = registry.beats([made.name])[made.name].beat
        return beat is not None and beat.state is PeerState.DRAINING

    lane.wait_until(draining)
    assert waiting.poll() is None
    lane.release_held(1)
    output, _ = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 0
    assert output.endswith("and left.\n")
    lane.wait_for(sent)
    assert made.wait() == 0
    assert registry.ids() == frozenset()


def test_a_peer_that_does_not_answer_is_not_said_to_be_drained(run: Run, lane: Lane) -> None:
    enrol(lane, "ghost@x")
    done = run("drain", "ghost@x")
    assert done.code == 1
    assert "ghost@x is enrolled and does not answer, so it was not drained." in done.errors


def test_a_watch_sees_peers_come_and_go_until_ctrl_c(
    lane: Lane, worker: MakeWorker, broker: EmbeddedBroker
) -> None:
    with watching(broker.url, "list") as watch:
        assert watch.stdout is not None
        assert json.loads(watch.stdout.readline())["peers"] == []
        made = worker()
        while ids(json.loads(watch.stdout.readline())) != [made.name]:
            pass
        made.signal(signal.SIGKILL)
        while ids(json.loads(watch.stdout.readline())):
            pass
        # Swept: nothing of it is left at the broker.
        assert Registry(lane.client).ids() == frozenset()
        watch.send_signal(signal.SIGINT)
        assert watch.wait(PATIENCE) == 0
