"""A whole session of an open pool: real workers, each with its own login, and nothing denied."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2c2g.media.chunker import Grid
from p2c2g.messaging import open_names
from p2c2g.settings.principal import Principal, Role
from tests.gamer import Gamer
from tests.open_pool import SERVERS, OpenPool, OpenWorker, until_at_a_stop, working

ATTIC, CELLAR, ALICE, BOB = "pattic", "pcellar", "galice", "gbobby"


#: Of a test that every server has to pass; the others use one.
on_each = pytest.mark.parametrize(
    "pool",
    [
        pytest.param(each, marks=[pytest.mark.needs(each)] if each == "redis-server" else [])
        for each in SERVERS
    ],
    indirect=True,
)


@pytest.fixture
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenPool]:
    with OpenPool(getattr(request, "param", "valkey"), tmp_path) as opened:
        yield opened
        assert opened.denials() == []


@pytest.fixture
def workers(pool: OpenPool, tmp_path: Path) -> Iterator[dict[str, OpenWorker]]:
    with working(pool, tmp_path, ATTIC, CELLAR) as made:
        yield made


def play(pool: OpenPool, gamer: str, **plan: Any) -> Gamer:
    membership = pool.memberships[Principal(Role.GAMER, gamer)]
    return Gamer(pool.settings(membership), **{"policy": "predictive", **plan})


def lasting(pool: OpenPool, *patterns: str) -> list[str]:
    """Return the keys that will not be gone in seconds, as chunks are that nobody read."""
    left = {key: pool.operator.pttl(key) for each in patterns for key in pool.keys(each)}
    # One that is over since it was listed has -2, and one that will never be has -1.
    return sorted(key for key, ms in left.items() if ms == -1 or ms > 3000)


@on_each
def test_a_session_from_its_begin_to_its_end(
    pool: OpenPool, workers: dict[str, OpenWorker]
) -> None:
    pool.join(Role.GAMER, ALICE)
    with play(pool, ALICE) as gamer:
        gamer.play_complete()
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {ATTIC, CELLAR}, "both work")
    assert lasting(pool, f"*{ALICE}.*", f"*:g:{ALICE}:own:*", f"*:in:{ALICE}", "*recall*") == []


@on_each
def test_gamers_come_and_go(pool: OpenPool, workers: dict[str, OpenWorker]) -> None:
    pool.join(Role.GAMER, ALICE)
    with play(pool, ALICE) as alice:
        alice.play_complete()
        pool.join(Role.GAMER, BOB)
        with play(pool, BOB) as bob:
            bob.play_complete()
            alice.play_complete()
    pool.leave(Principal(Role.GAMER, ALICE))
    with play(pool, BOB) as bob:
        bob.play_complete()


def test_a_peer_that_is_killed_costs_no_picture(
    pool: OpenPool, workers: dict[str, OpenWorker]
) -> None:
    pool.join(Role.GAMER, ALICE)
    with play(pool, ALICE) as gamer:
        gamer.play_complete()
        workers[ATTIC].kill()
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {CELLAR}, "one is gone")
        gamer.play_complete()
        workers[ATTIC].start()
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {ATTIC, CELLAR}, "it is back")
        gamer.play_complete()


def test_the_only_peer_is_asked_again_after_it_stood_still(pool: OpenPool, tmp_path: Path) -> None:
    """What was sent to it at first is all late, and nobody else is there who could be better."""
    with working(pool, tmp_path, ATTIC) as workers:
        pool.join(Role.GAMER, ALICE)
        made = play(pool, ALICE)
        workers[ATTIC].signal(signal.SIGSTOP)
        # Its last beat lasts until the session has sent something, on any machine.
        beat = open_names.beat(ATTIC)
        pool.operator.pexpire(beat, 60_000)
        with made as gamer:
            gamer.until(lambda: gamer.session.figures()["bytes"]["up"]["total"] > 0, "it is sent")
            pool.operator.pexpire(beat, 1)
            gamer.until(lambda: not gamer.session.routing()["pool"], "it is out of reach")
            workers[ATTIC].signal(signal.SIGCONT)
            gamer.play_complete()


@pytest.mark.parametrize(
    ("verdict", "code", "said"),
    [
        ("banned", 1, "This peer, pattic, is banned: it lied."),
        ("drain", 0, "This peer, pattic, is to leave, as its pool's operator says: it lied."),
    ],
)
def test_an_operator_ends_a_peer_at_work(
    pool: OpenPool, workers: dict[str, OpenWorker], verdict: str, code: int, said: str
) -> None:
    pool.join(Role.GAMER, ALICE)
    with play(pool, ALICE) as gamer:
        gamer.play_complete()
        pool.tell(ATTIC, wanted="9.9")
        gamer.until(lambda: "wants version 9.9 of p2c2g" in workers[ATTIC].log(), "it is told")
        pool.tell(ATTIC, verdict=verdict, reason="it lied", wanted="9.9")
        assert workers[ATTIC].wait() == code
        assert said in workers[ATTIC].log()
        assert workers[ATTIC].log().count("wants version 9.9") == 1
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {CELLAR}, "one is gone")
        gamer.play_complete()
    assert lasting(pool, f"*:p:{ATTIC}:*") == []


def test_what_waits_at_a_peer_that_stands_still_goes_to_another(
    pool: OpenPool, workers: dict[str, OpenWorker]
) -> None:
    pool.join(Role.GAMER, ALICE)
    # More chunks than a peer reads ahead: of a few none would wait.
    with play(pool, ALICE, deadline=0.5, grid=Grid(4, 4)) as gamer:
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {ATTIC, CELLAR}, "both work")
        until_at_a_stop(
            gamer,
            {ATTIC: workers[ATTIC]},
            lambda: gamer.session.routing()["stolen"] > 0,
            "chunks are moved",
        )
        # Of so many a busy machine seldom has all back in time for long.
        gamer.play_complete(1)


def test_a_second_worker_of_one_membership_is_refused(pool: OpenPool, tmp_path: Path) -> None:
    # The first must not be taken for dead where it stands still for a while.
    calm = {"P2C2G_WORKER_BEAT_INTERVAL": "5"}
    with working(pool, tmp_path, ATTIC, environment=calm) as workers:
        membership = pool.memberships[Principal(Role.PEER, ATTIC)]
        second = OpenWorker(pool, membership, tmp_path / "second.log", "-c", "1")
        second.launch()
        assert second.wait() == 2
        assert f"Another worker has the membership of {ATTIC}" in second.log()
        workers[ATTIC].wait_until_ready()


def test_a_peer_whose_login_ends_says_so_and_ends(
    pool: OpenPool, workers: dict[str, OpenWorker]
) -> None:
    pool.join(Role.GAMER, ALICE)
    with play(pool, ALICE) as gamer:
        gamer.play_complete()
        pool.leave(Principal(Role.PEER, ATTIC))
        assert workers[ATTIC].wait() == 1
        assert f"The membership of {ATTIC} is at its end" in workers[ATTIC].log()
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {CELLAR}, "one is gone")
        gamer.play_complete()
    # It was denied to log in, and nothing else.
    assert all("b'auth'" in each for each in pool.denials())
    pool.command("ACL", "LOG", "RESET")


def test_a_gamer_whose_login_ends_is_told_why_and_waits_for_nobody(
    pool: OpenPool, workers: dict[str, OpenWorker]
) -> None:
    pool.join(Role.GAMER, ALICE)
    with play(pool, ALICE) as gamer:
        gamer.play_complete()
        pool.leave(Principal(Role.GAMER, ALICE))
        said = "This pool has ended your login"
        gamer.until(lambda: said in str(gamer.session.figures()["notices"]), "it is told why")
        gamer.play_degraded(3)
    assert all("b'auth'" in each for each in pool.denials())
    pool.command("ACL", "LOG", "RESET")


def test_a_broker_that_was_started_again_finds_all_of_them(
    pool: OpenPool, workers: dict[str, OpenWorker]
) -> None:
    """It knows nobody until its coordinator has given the logins back, a moment later."""
    pool.join(Role.GAMER, ALICE)
    with play(pool, ALICE) as gamer:
        gamer.play_complete()
        pool.broker.kill()
        gamer.play_degraded(10)
        # From here on peers are refused, which they bear for some seconds and no longer.
        pool.restart()
        gamer.until(
            lambda: any("b'auth'" in each for each in pool.denials()), "they ask to be let in"
        )
        pool.come_back()
        gamer.until(lambda: set(gamer.session.routing()["pool"]) == {ATTIC, CELLAR}, "all are back")
        gamer.play_complete()
    assert all(each.is_running for each in workers.values())
    assert all("b'auth'" in each for each in pool.denials())
    pool.command("ACL", "LOG", "RESET")


@pytest.mark.parametrize(
    ("role", "options", "said"),
    [
        (Role.GAMER, ("-Q", "cpu"), "is a gamer's, which lends nothing"),
        (Role.PEER, ("-Q", "train"), "An open pool's peers enhance, and do nothing else"),
    ],
)
def test_a_worker_that_cannot_be_one_is_refused(
    pool: OpenPool, tmp_path: Path, role: Role, options: tuple[str, ...], said: str
) -> None:
    worker = OpenWorker(pool, pool.join(role, "pwrong"), tmp_path / "w.log", *options)
    worker.launch()
    assert worker.wait() == 2
    assert said in worker.log()
