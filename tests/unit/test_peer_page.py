"""The peer's own page, as a browser and as strangers ask it."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from p2c2g.lending.state import State, Word
from p2c2g.messaging.metering import Meter
from p2c2g.peers.messages import PeerState
from p2c2g_workers.lent import Lent
from p2c2g_workers.page.done import KEPT, MOST_SERVED, SERVED, Done
from p2c2g_workers.page.kept_log import KeptLog
from p2c2g_workers.page.machine import MachineWatch
from p2c2g_workers.page.server import application_of
from p2c2g_workers.wishes import Spoken

TOKEN = "t" * 32
ADDRESS = "http://127.0.0.1:8779"
JSON, TEXT = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}


class Shown:
    def __init__(self) -> None:
        self.state = State(
            pid=1, version="0.1.0", word=Word.READY, page=f"{ADDRESS}/?token={TOKEN}"
        )
        self.machine = MachineWatch(Meter()).look()
        self.done = Done()
        self.wishes = Spoken()
        self.slots, self.cores = 1, 2
        self.is_kept = True
        self.log: list[dict[str, Any]] = []


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def stranger(shown: Shown) -> TestClient:
    return TestClient(application_of(shown, TOKEN), ADDRESS, follow_redirects=False)


@pytest.fixture
def owner(stranger: TestClient) -> TestClient:
    answer = stranger.get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "./")
    return stranger


def test_the_token_becomes_a_cookie_and_stays_in_no_address(owner: TestClient) -> None:
    assert "<title>This peer" in owner.get("/").text
    for part in ("peer.css", "peer.js", "limits.js", "favicon.svg"):
        assert owner.get(f"/{part}").status_code == 200
    told = owner.get("/state")
    assert told.json()["state"]["word"] == "ready"
    assert TOKEN not in told.text


def test_without_the_token_nothing_is_shown_and_nothing_changed(
    stranger: TestClient, shown: Shown
) -> None:
    page = stranger.get("/")
    assert page.status_code == 401
    assert "p2c2g peer status" in page.text
    assert stranger.get("/state").status_code == 401
    for path in ("/limits", "/pause", "/resume"):
        assert stranger.post(path, json={}).status_code == 401
        assert stranger.post(f"{path}?token={'x' * 32}", json={}).status_code == 401
    assert not shown.wishes.paused()


def test_another_sites_page_is_refused(owner: TestClient, shown: Shown) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        answer = owner.post("/pause", json={}, headers=headers)
        assert answer.status_code == 403
        assert "only to its own page" in answer.text
    # Of the same machine, by a form: a page elsewhere cannot send JSON without asking first.
    assert owner.post("/pause", data={"a": "b"}).status_code == 415
    assert (
        owner.post("/pause", content="{}", headers={"Content-Type": "text/plain"}).status_code
        == 415
    )
    assert owner.options("/pause").status_code == 405
    assert not shown.wishes.paused()


def test_the_owner_pauses_it_and_changes_what_it_may_use(owner: TestClient, shown: Shown) -> None:
    assert owner.post("/pause", json={}).json()["paused"] == "its owner has paused it"
    assert not owner.post("/resume", json={}).json()["paused"]
    limits = {"max_cpu": "25%", "hours": "22-7", "max_mbps": 2.5, "only_idle": True}
    assert owner.post("/limits", json=limits).json()["limits"] == limits
    assert shown.wishes.limits().max_cpu == 0.25


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"max_cpu": "200%"}', "limits.max_cpu is '200%': give a share of the CPU"),
        (b'{"max_cpu": 1}', "limits.max_cpu is 1: give a share of the CPU"),
        (b'{"speed": 1}', "limits.speed is no setting"),
        (b"[]", "Send an object in JSON."),
        (b"{", "Send an object in JSON."),
        (b"[" * 4000, "Send an object in JSON."),
        (b'{"max_mbps": 1e999}', "limits.max_mbps is inf: give megabits"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    owner: TestClient, shown: Shown, body: bytes, sentence: str
) -> None:
    answer = owner.post("/limits", content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(sentence)
    assert not shown.wishes.limits()


def test_more_than_anybody_has_to_say_is_not_read(owner: TestClient) -> None:
    answer = owner.post(
        "/limits", content=b" " * 5000, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413


def test_a_page_is_kept_from_other_sites_frames_and_scripts(owner: TestClient) -> None:
    headers = owner.get("/").headers
    assert headers["X-Frame-Options"] == "DENY"
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


class TestDone:
    @pytest.fixture
    def clock(self) -> SimpleNamespace:
        return SimpleNamespace(now=1000.0)

    @pytest.fixture
    def done(self, clock: SimpleNamespace) -> Done:
        return Done(lambda: clock.now)

    def test_its_memory_is_bounded(self, done: Done) -> None:
        for each in range(MOST_SERVED + 10):
            done.note(0.01, 100, str(each))
        assert done.gamers() == MOST_SERVED
        assert len(done.recent()) == KEPT
        assert done.recent()[0].whose == str(MOST_SERVED + 9)
        assert done.chunks == MOST_SERVED + 10

    def test_a_gamer_counts_for_a_minute(self, done: Done, clock: SimpleNamespace) -> None:
        done.note(0.01, 100, "ann")
        clock.now += SERVED / 2
        done.note(0.01, 100, "ben")
        assert done.gamers() == 2
        clock.now += SERVED / 2
        assert done.gamers() == 1

    def test_a_rate_is_of_the_last_looks(self, done: Done, clock: SimpleNamespace) -> None:
        for chunks, rate in ((10, 10.0), (10, 10.0), (0, 20 / 3), (0, 20 / 4), (0, 10 / 4)):
            for _ in range(chunks):
                done.note(0.01, 1, "")
            clock.now += 1
            assert done.look() == pytest.approx(rate)

    def test_a_state_goes_on_counting_where_the_last_process_ended(
        self, done: Done, clock: SimpleNamespace
    ) -> None:
        peer = SimpleNamespace(state=PeerState.STARTING, why="")
        before = State(pid=1, version="0", total=40, worked=2.0)
        lent = Lent(peer, "attic@host", "attic", done, before, lambda: clock.now)
        assert lent.look().word is Word.STARTING
        peer.state = PeerState.READY
        clock.now += 1
        assert lent.look().word is Word.READY
        done.note(0.5, 100, "ann")
        state = lent.look()
        assert (state.word, state.total, state.worked) == (Word.WORKING, 41, 2.5)
        assert state.since == clock.now
        peer.state, peer.why = PeerState.PAUSED, "night"
        assert (lent.look().word, lent.look().why) == (Word.PAUSED, "night")
        assert lent.look(ended=True).word is Word.ENDED


def test_a_shares_sum_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, line = SimpleNamespace(now=10.0), Meter()
    watch = MachineWatch(line, lambda: clock.now)
    line.went(1_250_000)
    line.came(125_000)
    clock.now += 2
    machine = watch.look()
    assert (machine.up, machine.down) == (5.0, 0.5)
    assert machine.memory
    for share in (machine.cpu, machine.own):
        assert share is None or 0 <= share <= 1


def test_the_kept_log_is_bounded_and_plain() -> None:
    log = KeptLog()
    for each in range(300):
        log.handle(logging.makeLogRecord({"msg": f"line {each}\nmore", "levelname": "INFO"}))
    log.handle(logging.makeLogRecord({"msg": "a \x1b[31m %s", "args": (), "levelname": "ERROR"}))
    lines = log.lines()
    assert len(lines) == 100
    assert lines[0].text == "a \\x1b[31m %s"
    assert lines[1].text == "line 299"
