"""Who is sent which picture: pace, seats and what is wanted; no sockets."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from p2c2g.coordinator.relaying import Relayed, Seat, Show, Shows
from p2c2g.display.message import Wish
from p2c2g.display.pace import LEAST, MOST, Pace
from p2c2g.joining.watching import digest_of

DRAWS, COMPOSED, BASE = Wish(True, False), Wish(False, False), Wish(False, True)


def nothing() -> None:
    pass


def relayed(number: int, *to: str, size: int = 10) -> Relayed:
    return Relayed(number, frozenset(to or ("drawn",)), bytes(size), at=float(number))


@pytest.fixture
def show() -> Show:
    return Show("s", digest_of("t"), nothing)


def seat(show: Show, wish: Wish = DRAWS) -> Seat:
    made = show.sit(nothing)
    made.wants(wish)
    return made


# -- pace -----------------------------------------------------------------------------------------


def play(seconds_there: float, of_one: float, fps: float, pictures: int = 600) -> Pace:
    """Send pictures over a way that is so long, and takes so long for each."""
    pace, now, line = Pace(), 0.0, 0.0
    coming: list[tuple[float, int]] = []
    for number in range(pictures):
        now += 1 / fps
        while coming and coming[0][0] <= now:
            at, which = coming.pop(0)
            pace.answered(which, at)
        if pace.is_free:
            pace.sent(number, now)
            line = max(line, now) + of_one
            coming.append((line + seconds_there, number))
    return pace


def test_who_does_not_answer_is_owed_two() -> None:
    pace = Pace()
    for number in range(LEAST):
        assert pace.is_free
        pace.sent(number, 0.0)
    assert not pace.is_free
    assert pace.answered(0, 0.1) == pytest.approx(0.1)
    assert pace.is_free


def test_a_long_way_is_kept_full() -> None:
    """200 ms and back, at 30 FPS, are six pictures on their way."""
    assert 6 <= play(0.2, 0.001, 30).window <= 10


def test_a_narrow_way_gets_no_queue() -> None:
    """Five pictures a second fit through: one on its way, and one to follow."""
    assert play(0.0, 0.2, 30).window <= LEAST + 2


def test_a_way_without_end_is_bounded() -> None:
    assert play(30.0, 0.0, 60, 6_000).window <= MOST


def test_an_answer_counts_for_all_before_it_and_one_to_nothing_for_none() -> None:
    pace = Pace()
    pace.sent(1, 0.0)
    pace.sent(2, 1.0)
    assert pace.answered(0, 2.0) is None
    assert not pace.is_free
    assert pace.answered(2, 2.0) == pytest.approx(1.0)
    assert pace.answered(2, 3.0) is None
    assert pace.shortest == pytest.approx(1.0)


def test_who_answers_for_more_than_it_was_sent_gains_nothing() -> None:
    pace = Pace()
    for now in range(5):
        pace.sent(now, float(now))
        assert pace.answered(10**9, now + 0.5) is None
        assert (pace.window, pace.is_free) == (LEAST, True)


# -- seats ----------------------------------------------------------------------------------------


def test_a_picture_too_many_takes_the_place_of_the_one_that_waits(show: Show) -> None:
    slow, fast = seat(show), seat(show)
    for number in range(10):
        show.picture(relayed(number))
        taken = fast.take(float(number))
        assert taken is not None
        fast.answered(taken.number, float(number), 0.0, shown=True)
        slow.take(float(number))
    assert (fast.sent, fast.shown, fast.skipped) == (10, 10, 0)
    assert (slow.sent, slow.shown, slow.skipped) == (2, 0, 7)
    slow.answered(1, 10.0, 0.0, shown=True)
    newest = slow.take(10.0)
    assert newest is not None
    assert newest.number == 9


def test_each_is_sent_what_it_wants_and_nothing_before_it_has_said_so(show: Show) -> None:
    silent, draws, composed = show.sit(nothing), seat(show), seat(show, COMPOSED)
    for number, to in enumerate(("drawn", "composed")):
        show.picture(relayed(number, to))
    taken = [each.take(0.0) for each in (silent, draws, composed)]
    assert [each and each.number for each in taken] == [None, 0, 1]


def test_a_newcomer_gets_the_newest_at_once(show: Show) -> None:
    seat(show)
    show.picture(relayed(7))
    taken = seat(show).take(0.0)
    assert taken is not None
    assert taken.number == 7
    assert seat(show, COMPOSED).take(0.0) is None


def test_who_changes_its_mind_is_sent_nothing_older(show: Show) -> None:
    one, _ = seat(show), seat(show, COMPOSED)
    show.picture(relayed(3, "composed"))
    show.picture(relayed(4, "drawn"))
    assert one.take(0.0) is not None
    one.wants(COMPOSED)
    assert one.take(0.0) is None
    show.picture(relayed(5, "composed"))
    assert one.take(0.0) is not None


@pytest.mark.parametrize(
    ("wishes", "kinds"),
    [
        ([], set()),
        ([None], set()),
        ([DRAWS], {"drawn"}),
        ([COMPOSED, BASE], {"composed", "base"}),
        ([DRAWS, BASE, None], {"drawn", "composed", "base"}),
    ],
)
def test_a_session_is_told_what_any_of_them_wants(
    show: Show, wishes: list[Any], kinds: set[str]
) -> None:
    for wish in wishes:
        made = show.sit(nothing)
        if wish is not None:
            made.wants(wish)
    told = show.wanted()
    assert (told.viewers, told.kinds) == (len(wishes), kinds)


def test_what_nobody_wants_any_more_is_forgotten(show: Show) -> None:
    one = seat(show)
    show.picture(relayed(1))
    assert show.wanted().kinds == {"drawn"}
    assert show.latest
    show.leave(one)
    assert show.wanted().kinds == frozenset()
    assert show.latest == {}


def test_stalled_viewers_hold_no_pictures_but_the_newest(show: Show) -> None:
    stalled = [seat(show) for _ in range(20)]
    alive: weakref.WeakSet[Relayed] = weakref.WeakSet()
    for number in range(100):
        picture = relayed(number)
        alive.add(picture)
        show.picture(picture)
        for each in stalled:
            each.take(0.0)
    del picture
    gc.collect()
    assert {each.number for each in alive} == {99}


def test_figures_are_of_answers_alone(show: Show) -> None:
    one = seat(show)
    assert one.figures(None)["delay_ms"] is None
    show.picture(relayed(1))
    one.take(1.0)
    one.answered(1, 1.25, 0.05, shown=True)
    one.answered(1, 9.0, 0.0, shown=True)
    one.answered(99, 9.0, 0.0, shown=True)
    assert one.figures(0.03) == {
        "viewers": 1, "sent": 1, "shown": 1, "skipped": 0, "delay_ms": (250.0, 250.0),
        "way_ms": 230.0,
    }  # fmt: skip
    assert show.wanted().figures.shown == 1


# -- all sessions ---------------------------------------------------------------------------------


def test_a_token_opens_its_session_also_when_that_has_ended() -> None:
    shows = Shows(2, 10)
    one = Show("a", digest_of("right"), nothing)
    shows.begin(one)
    for _ in range(2):
        assert shows.opens("a", "right")
        assert not shows.opens("a", "wrong")
        assert not shows.opens("b", "right")
        shows.end(one, said=True, why="over")
    assert shows.find("a") is None


def test_what_is_remembered_is_bounded_and_of_who_is_there_never_lost() -> None:
    shows = Shows(2, 10_000)
    here = Show("here", digest_of("right"), nothing)
    shows.begin(here)
    for number in range(1_000):
        each = Show(f"s{number}", digest_of("x"), nothing)
        shows.begin(each)
        shows.end(each, said=True, why="over")
    assert shows.opens("here", "right")
    assert not shows.opens("s1", "x")
    assert len(shows._digests) <= 256


def test_a_session_that_connects_again_takes_the_place_of_its_former_connection() -> None:
    shows = Shows(2, 10)
    before, after = (Show("a", digest_of("t"), nothing) for _ in range(2))
    shows.begin(before)
    shows.begin(after)
    assert before.over is not None
    shows.end(before, said=False, why="lost")
    assert shows.find("a") is after


def test_there_is_room_for_so_many() -> None:
    shows = Shows(2, 4)
    one, other = (Show(name, digest_of("t"), nothing) for name in "ab")
    shows.begin(one)
    for _ in range(2):
        assert shows.refusal(one) == ""
        one.sit(nothing)
    assert "2 viewers watch this session" in shows.refusal(one)
    assert shows.refusal(one, by_token=False) == ""  # those who have the token keep no owner out
    shows.begin(other)
    assert "As many as" in shows.refusal(other)
    assert "As many as" in shows.refusal()
