"""What a keeper asks, says and remembers between two updates."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from p2c2g.errors import PoolRefusesError, PoolUnavailableError, UpdateError
from p2c2g.lending.home import Home
from p2c2g.updating.course import Keeping
from p2c2g.updating.fetching import Member
from p2c2g.updating.journal import Journal
from p2c2g.updating.keeper import Keeper
from p2c2g.updating.manifest import Manifest, Offer, Report, Result, Wheel
from tests.releases import NOW, manifest, offer, release_key


class Pool:
    """A coordinator, as the test says, and a machine that does nothing."""

    def __init__(self) -> None:
        self.key = release_key().public
        self.offered: Offer | Exception = offer(manifest())
        self.told: list[Report] = []
        self.answer: Exception | None = None
        self.prepared: list[str] = []
        self.is_automatic = True

    # -- the source

    def member(self) -> Member | None:
        return Member("pattic", self.key) if self.key != "gone" else None

    def offer(self) -> Offer:
        if isinstance(self.offered, Exception):
            raise self.offered
        return self.offered

    def fetch(self, wheel: Wheel, path: Path) -> None:
        raise AssertionError

    def report(self, report: Report) -> None:
        if self.answer is not None:
            raise self.answer
        self.told.append(report)

    # -- the course

    def prepare(self, wanted: Manifest) -> bool:
        self.prepared.append(wanted.version)
        return True

    # -- the machine

    def current(self) -> str:
        return "0.1.0"


def keeper(pool: Pool, folder: Path, journal: Journal | None = None) -> Keeper:
    machine: Any = pool
    made = Keeper(
        Home(folder), machine, Keeping(journal or Journal(), lambda _: None, lambda: NOW), pool,
        lambda: pool.is_automatic, 600.0, Event(),
    )  # fmt: skip
    made._course = machine
    return made


def said(made: Keeper) -> str:
    return made._keeping.journal.said


def test_what_is_wanted_is_made_ready(tmp_path: Path) -> None:
    pool = Pool()
    made = keeper(pool, tmp_path)
    made._ask(False)
    assert pool.prepared == ["0.2.0"]
    trusted = made._keeping.journal.trusted
    assert trusted is not None
    assert (trusted.key, trusted.serial) == (pool.key, 1)


def test_an_owner_who_wants_none_by_themselves_is_told_and_may_ask(tmp_path: Path) -> None:
    pool = Pool()
    pool.is_automatic = False
    made = keeper(pool, tmp_path)
    made._ask(False)
    assert not pool.prepared
    assert said(made) == "0.2.0 can be had: p2c2g peer update."
    made._ask(True)
    assert pool.prepared == ["0.2.0"]


def test_what_did_not_work_is_tried_again_where_somebody_asks(tmp_path: Path) -> None:
    pool = Pool()
    made = keeper(pool, tmp_path, Journal(failed=(manifest().main.sha256,)))
    made._ask(False)
    assert not pool.prepared
    made._ask(True)
    assert pool.prepared == ["0.2.0"]


@pytest.mark.parametrize("key", ["", "gone"])
def test_in_a_pool_that_offers_nothing_a_sentence_says_so(tmp_path: Path, key: str) -> None:
    pool = Pool()
    pool.key = key
    made = keeper(pool, tmp_path)
    with pytest.raises(UpdateError, match=r"install\.sh or pip"):
        made.look()


def test_who_joins_another_pool_goes_by_that_ones_key(tmp_path: Path) -> None:
    pool = Pool()
    pool.offered = offer(manifest(serial=9))
    made = keeper(pool, tmp_path)
    made.look()
    pool.offered = offer(manifest(serial=2), "another")
    with pytest.raises(UpdateError, match="not signed by the key"):
        made.look()
    pool.key = release_key("another").public
    assert made.look().wanted


def test_what_must_not_be_believed_is_said_and_remembered_for_nothing(tmp_path: Path) -> None:
    pool = Pool()
    pool.offered = offer(manifest(serial=9), "thief")
    made = keeper(pool, tmp_path)
    made._ask(False)
    assert "not signed by the key" in said(made)
    assert made._keeping.journal.trusted is None


def test_a_pool_that_is_away_is_asked_later_and_said_to_who_asks(tmp_path: Path) -> None:
    pool = Pool()
    pool.offered = PoolUnavailableError("It is away.")
    made = keeper(pool, tmp_path)
    made._ask(False)
    assert said(made) == ""
    made._ask(True)
    assert said(made) == "It is away."


def test_what_became_of_a_release_is_told_until_it_is_taken(tmp_path: Path) -> None:
    report = Report(serial=1, version="0.2.0", result=Result.GOOD)
    pool = Pool()
    pool.offered = Offer()
    made = keeper(pool, tmp_path, Journal(reports=(report,)))
    pool.answer = PoolUnavailableError("It is away.")
    made._ask(False)
    assert made._keeping.journal.reports == (report,)
    pool.answer = None
    made._ask(False)
    made._ask(False)
    assert pool.told == [report]
    assert made._keeping.journal.reports == ()


def test_what_is_refused_is_not_told_for_ever(tmp_path: Path) -> None:
    report = Report(serial=1, version="0.2.0", result=Result.GOOD)
    pool = Pool()
    pool.answer = PoolRefusesError("That release was not for this peer.")
    made = keeper(pool, tmp_path, Journal(reports=(report,)))
    made._ask(False)
    assert made._keeping.journal.reports == ()
    assert pool.prepared == ["0.2.0"]
