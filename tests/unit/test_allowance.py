"""How much of the line may be used, as it is said on the command line and in the environment."""

from __future__ import annotations

import pytest

from p2c2g.errors import UsageError
from p2c2g.session.limits import Limits
from p2c2g.settings import SessionSettings
from p2c2g_capture.allowance import Allowance, allowance


def asked(
    up: str | None = None, down: str | None = None, *, metered: bool = False, **settings: object
) -> Allowance:
    return allowance(up, down, SessionSettings.model_validate(settings), metered=metered)


def test_there_is_no_limit_unless_one_is_given() -> None:
    assert asked() == Allowance()
    assert not asked().limits


def test_each_direction_has_its_own() -> None:
    assert asked("8", "0.8") == Allowance(Limits(1e6, 1e5))
    assert asked(down="16").limits == Limits(down=2e6)
    # The command line goes before the environment.
    assert asked("8", max_up_mbps=4, max_down_mbps=16).limits == Limits(1e6, 2e6)


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "a lot", "nan", "inf", "-inf", "1e400", "1e3", "5mbit", "5 Mbit/s", "5,5",
     "0x10", "１", "5_0", "0.05", "100001"],
)  # fmt: skip
def test_what_is_no_limit_is_refused(text: str) -> None:
    for given in ({"up": text}, {"down": text}):
        with pytest.raises(UsageError, match=r"megabits a second from 0\.1 to 100000, such as 20"):
            asked(**given)


def test_a_metered_line_carries_nothing_without_being_asked_to() -> None:
    assert asked(metered=True) == Allowance(is_nothing=True)
    assert asked(metered=True) == Allowance(is_nothing=True)
    assert asked("5", "20", metered=True) == Allowance(Limits(625_000, 2_500_000))


@pytest.mark.parametrize(("up", "down", "missing"), [("5", None, "down"), (None, "5", "up")])
def test_half_of_an_allowance_is_none(up: str | None, down: str | None, missing: str) -> None:
    with pytest.raises(UsageError, match=f"give --max-{missing}-mbps, too"):
        asked(up, down, metered=True)


def test_who_watches_elsewhere_is_held_by_no_limit() -> None:
    asked().refuse_watching()
    for given in (asked("5"), asked(metered=True)):
        with pytest.raises(UsageError, match="leave one of them out"):
            given.refuse_watching()
