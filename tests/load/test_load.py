"""A small load runs whole, and what it looks for at its end would be found.

No figure is judged: a busy machine must not fail the build.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from p2c2g.celery import create_app
from p2c2g.errors import UsageError
from p2c2g.media.picture import FrameState
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.messages import Beat, Enrolment, PeerState
from p2c2g.peers.registry import Registry
from p2c2g.session.registry_follower import promised
from p2c2g.session.session import Session
from p2c2g.settings import Settings
from tests import forks
from tests.lane import settings
from tests.load import tables, trial
from tests.load.broker import pending
from tests.load.peer import LightPeer
from tests.load.peers import capabilities_of, node_name
from tests.load.terms import REEL, Reel, Terms, honest_answers
from tests.pool import LASTING
from tests.sessions import Screen, now_captured

ROOT = Path(__file__).resolve().parents[2]
#: Long enough for any machine: only what never comes back runs into it.
PATIENCE_MS = 60_000.0
#: Frames that are sent at most until the peer is known.
FRAMES = 400


def test_twelve_peers_answer_every_chunk_and_leave_nothing() -> None:
    # Not paced: else each picture is shown when its time has come, which is long here.
    terms = Terms(peers=12, seconds=3.0, size="320x180", deadline_ms=PATIENCE_MS, paced=False)
    figures = trial.run(terms, LASTING)
    report = figures["report"]

    assert figures["pending"] == []
    assert figures["failures"] == []
    assert figures["strange"] == 0
    assert report["errors"] == {}
    assert report["order_violations"] == 0
    # Frames that were due while the machine was busy are dropped at the source, by design.
    assert report["submitted"] > 0
    frames, left_out = report["frames"], report["admission"]["refused"]
    assert frames["captured"] == 90
    assert frames["complete"] + frames["degraded"] == report["submitted"]
    # While a machine stands still for a moment, little is sent; all that is comes back.
    assert frames["complete"] > 0
    assert frames["degraded"] <= left_out
    assert figures["served"] >= 4 * report["submitted"] - left_out
    assert {peer["id"] for peer in report["peers"]} <= {node_name(index) for index in range(12)}
    # Who looked at the registry was there, and was counted.
    assert figures["registry"]["count"] > 0
    assert figures["registry"]["kib"] > 0
    json.dumps(figures)


@pytest.mark.parametrize("seconds_per_chunk", [0.004, 0.04])
def test_a_light_peer_promises_the_time_that_it_takes(seconds_per_chunk: float) -> None:
    terms = Terms()
    plan = terms.plan()
    found = promised(capabilities_of(terms, seconds_per_chunk), plan)
    assert found * plan.megapixels[0] == pytest.approx(seconds_per_chunk)


def test_service_times_go_from_the_fastest_to_the_slowest() -> None:
    terms = Terms(peers=3, fastest_ms=10, slowest_ms=40)
    assert [terms.seconds_per_chunk(index) for index in range(3)] == pytest.approx(
        [0.01, 0.02, 0.04]
    )
    assert Terms(peers=1, fastest_ms=10).seconds_per_chunk(0) == pytest.approx(0.01)


@pytest.mark.parametrize("peers", [1, 12, 50, 51, 200, 333])
def test_every_peer_is_in_one_process(peers: int) -> None:
    crowds = list(trial.crowds(peers))
    assert [index for first, count in crowds for index in range(first, first + count)] == list(
        range(peers)
    )
    assert max(count for _, count in crowds) <= trial.CROWD
    assert max(count for _, count in crowds) - min(count for _, count in crowds) <= 1


def test_the_answers_are_those_of_every_chunk_of_the_reel() -> None:
    terms = Terms(size="320x180")
    app = create_app(Settings())
    app.loader.import_default_modules()
    answers = honest_answers(app, terms)
    app.close()
    assert len(answers) == REEL * len(terms.plan().chunks)


def test_a_picture_that_nobody_has_enhanced_is_an_error_and_not_a_result() -> None:
    shown = Screen()
    terms = Terms(peers=1, size="320x180", deadline_ms=1000.0)
    plan = terms.plan()
    with EmbeddedBroker() as embedded, Broker(settings(embedded.url)) as broker:
        peer = LightPeer(
            broker.app, settings(embedded.url), node_name(0), "cpu", 0.001, {},
            capabilities_of(terms, 0.001),
        )  # fmt: skip
        peer.start()
        session, never = Session(broker, plan, shown), threading.Event()
        session.start()
        with Reel(plan.size) as source:
            # Nothing is sent before the peer is known.
            for number in range(FRAMES):
                session.submit(now_captured(number, source.grab(number)))
                picture = shown.next()
                # What the peer says of it is on its way for a moment.
                if session.tally.summary()["errors"]:
                    break
                never.wait(1 / 30)  # At the pace of a source.
        session.close(number + 1)
        peer.end()
        peer.join(60)
        left = pending(broker.client, plan.queue)
    assert picture.state is FrameState.DEGRADED
    assert peer.failure == ""
    assert peer.strange > 0
    assert peer.served == 0
    assert set(session.tally.summary()["errors"]) == {"WireError"}
    assert left == []


def test_what_is_left_is_told() -> None:
    with EmbeddedBroker() as broker:
        client = redis_client(settings(broker.url))
        assert pending(client, "cpu", 0.0) == []
        client.set("gone soon", "1", ex=60)
        assert pending(client, "cpu", 0.0) == []
        client.set("for good", "1")
        client.lpush("p2c2g:cpu", "a chunk")
        client.expire("p2c2g:cpu", 60)
        client.lpush("p2c2g:peer1@load.dq2", "a chunk")
        client.expire("p2c2g:peer1@load.dq2", 60)
        client.xadd("p2c2g.results.someone", {"id": "1"})
        Registry(client).enrol(
            Enrolment(id="peer1@load", instance="one"),
            Beat(instance="one", state=PeerState.READY),
        )
        found = pending(client, "cpu", 0.0)
        client.close()
    assert found == [
        "for good has no end",
        "p2c2g.peers is still there",
        "p2c2g.results.someone is still there",
        "p2c2g:cpu is still there",
        "p2c2g:peer1@load.dq2 is still there",
    ]


def run_of(peers: int, complete: int) -> dict[str, object]:
    return {
        "peers": peers,
        "policy": "capability",
        "frames": {"captured": 200, "complete": complete, "degraded": 200 - complete, "dropped": 0},
        "complete": complete / 200,
        "latency_ms": {"p50": 40.0, "p95": 50.0, "p99": 60.0},
        "cpu_percent": dict.fromkeys(
            ("broker", "broker_waits", "session", "sends", "collects", "shows", "keeps", "waits",
             "peers"), 1.0
        ),
        "memory_mib": {"broker": 10.0, "session": 140.0, "peers": 100.0},
        "registry": {"p50_ms": 5.0, "cpu_ms": 4.0, "kib": 30.0, "count": 40},
        "commands_per_s": {"all": 1500.0},
        "load": [0.5, 1.0],
    }  # fmt: skip


REPORT = {
    "cpus": 2,
    "terms": Terms().as_json(),
    "real_worker": {"start_s": 2.0, "rss_mib": 100.0, "own_mib": 70.0},
    "runs": [run_of(10, 100), run_of(100, 197), run_of(100, 198)],
}


def test_the_document_gets_the_tables_between_its_markers_and_nothing_else() -> None:
    document = "before\n<!-- load -->\nold\n<!-- end of load -->\nafter\n"
    filled = tables.fill(document, REPORT)
    assert filled.startswith("before\n<!-- load -->\n")
    assert filled.endswith("<!-- end of load -->\nafter\n")
    assert "old" not in filled
    assert "| 100 | capability | 98.50 | 197 | 3 | 0 | 40.0 | 60.0 |" in filled
    assert tables.fill(filled, REPORT) == filled
    assert "<!-- load -->" in (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(UsageError, match="is missing"):
        tables.fill("nothing here", REPORT)


def test_the_target_is_judged_at_a_hundred_peers_only() -> None:
    lines = tables.notes(REPORT).splitlines()[1:]
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["missed.", "met."]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--peers", "0"], "a number of peers from 1 to 1000"),
        (["--policy", "nobody"], "choose from"),
        (["--seconds", "soon"], "a time in seconds"),
        (["--json", "load.txt"], "ends in .json"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(arguments: list[str], expected: str) -> None:
    done = forks.finish(["-m", "tests.load", *arguments])
    assert done.code == 2
    assert expected in done.errors
    assert "Traceback" not in done.errors
