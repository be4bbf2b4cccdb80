from __future__ import annotations

import logging
from pathlib import Path

import pytest

from p2c2g.commands.guest import Limits
from p2c2g.errors import UsageError
from p2c2g.lending import peer_config
from p2c2g.lending.home import Home
from p2c2g.lending.peer_settings import LimitsPart, PeerConfig
from p2c2g_workers.wishes import (
    LENT_VARIABLE,
    PAGE_VARIABLE,
    USUAL_REASON,
    Spoken,
    Wishes,
    Written,
    pause,
    resume,
    wishes_of_process,
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    peer_config.write(home.config, PeerConfig.of({"limits.max_cpu": "50%"}))
    return home


@pytest.fixture(params=["spoken", "written"])
def wishes(request: pytest.FixtureRequest, home: Home) -> Wishes:
    return Spoken(LimitsPart(max_cpu="50%")) if request.param == "spoken" else Written(home)


def test_what_is_changed_holds_at_once(wishes: Wishes) -> None:
    assert wishes.limits() == Limits(max_cpu=0.5)
    wishes.change({"limits.max_mbps": 5, "limits.only_idle": True})
    assert wishes.limits() == Limits(max_cpu=0.5, only_idle=True, max_mbps=5.0)
    wishes.change({"limits.max_cpu": "", "limits.only_idle": False, "limits.max_mbps": 0})
    assert not wishes.limits()
    assert wishes.part() == LimitsPart()


def test_what_is_wrong_changes_nothing(wishes: Wishes) -> None:
    for changes in ({"limits.max_cpu": "0%"}, {"limits.hours": "7-7"}, {"peer.name": "x"}):
        with pytest.raises(UsageError):
            wishes.change(changes)
    assert wishes.limits() == Limits(max_cpu=0.5)


def test_a_pause_has_a_reason_and_an_end(wishes: Wishes) -> None:
    assert not wishes.paused()
    wishes.pause("  a film\nis on ")
    assert wishes.paused() == "a film is on"
    wishes.pause()
    assert wishes.paused() == USUAL_REASON
    wishes.resume()
    wishes.resume()
    assert not wishes.paused()


def test_a_pause_outlasts_the_process(home: Home) -> None:
    pause(home, "a film")
    assert Written(home).paused() == "a film"
    resume(home)
    assert not Written(home).paused()


def test_an_editors_change_is_followed_and_a_slip_of_it_is_told_once(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    wishes = Written(home)
    home.config.write_text('[limits]\nhours = "22-7"\n')
    assert str(wishes.limits().hours) == "22-7"
    home.config.write_text('[limits]\nhours = "22 to 7, mostly"\n')
    with caplog.at_level(logging.WARNING):
        assert str(wishes.limits().hours) == "22-7"
        assert str(wishes.limits().hours) == "22-7"
    (told,) = caplog.messages
    assert "give two different times of the day" in told
    home.config.unlink()
    assert str(wishes.limits().hours) == "22-7"


def test_only_a_worker_with_a_home_or_a_page_follows_anybody(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wishes_of_process(LimitsPart()) is None
    monkeypatch.setenv(PAGE_VARIABLE, "8779")
    assert isinstance(wishes_of_process(LimitsPart()), Spoken)
    monkeypatch.setenv(LENT_VARIABLE, str(home.root))
    assert isinstance(wishes_of_process(LimitsPart()), Written)
