"""Where one chunk of each frame comes and goes nothing is asked for, for a while."""

from __future__ import annotations

from p2c2g.session.resting import FLICKERS_FOR, REST, REST_MOST, Resting

TICK = 0.1


def flicker(resting: Resting, now: float, seconds: float, *looks: bool) -> float:
    """Look ten times a second until it rests; what is seen goes round.  Return when that ended."""
    for number in range(round(seconds / TICK)):
        now += TICK
        if now < resting.until:
            break
        resting.look(now, flickers=looks[number % len(looks)])
    return now


def test_what_flickers_for_a_second_is_not_asked_for_any_more() -> None:
    resting = Resting()
    now = flicker(resting, 0.0, FLICKERS_FOR / 2, True)
    assert resting.until < now
    now = flicker(resting, now, FLICKERS_FOR, True)
    assert now < resting.until <= now + REST


def test_now_and_then_is_no_flicker_but_every_other_time_is() -> None:
    seldom, often = Resting(), Resting()
    assert flicker(seldom, 0.0, 30.0, True, *[False] * 5) > seldom.until
    flicker(often, 0.0, 30.0, True, False)
    assert often.until > 0


def test_what_is_in_vain_waits_for_longer_and_what_worked_for_a_while_does_not() -> None:
    resting, rests = Resting(), []
    now = 0.0
    for _ in range(6):
        now = flicker(resting, now, 2 * FLICKERS_FOR, True)
        rests.append(resting.until - now)
        now = resting.until
    assert rests == sorted(rests)
    assert REST_MOST - 2 * FLICKERS_FOR <= rests[-1] <= REST_MOST
    now = flicker(resting, now, 2 * REST_MOST, False)
    now = flicker(resting, now, 2 * FLICKERS_FOR, True)
    assert resting.until - now <= REST


def test_where_more_is_asked_for_it_is_forgotten() -> None:
    resting = Resting()
    now = flicker(resting, 0.0, FLICKERS_FOR / 3, True)
    resting.forget()
    assert flicker(resting, now, FLICKERS_FOR / 3, True) > resting.until
