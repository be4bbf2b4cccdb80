"""An update, ended anywhere and failing anyhow: what is used is a version that has worked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.errors import P2C2GError, UnavailableError, UpdateError
from p2c2g.updating.course import Course, Keeping, UnsureError
from p2c2g.updating.journal import MOST_FALLS, MOST_STARTS, PROBATION, Journal
from p2c2g.updating.manifest import Manifest, Result
from p2c2g.updating.trial import Judged, Verdict
from tests.releases import NOW, manifest

STEPS = ("fetch", "build", "probe", "try_out", "switch", "tidy", "write")


class Killed(BaseException):
    """The process is ended at once, as by SIGKILL."""


class Disk:
    """What outlives the process, and what is to happen to it."""

    def __init__(self) -> None:
        self.now = NOW
        self.used = "0.1.0"
        self.worked = {"0.1.0"}
        self.there = {"0.1.0"}
        self.kept = Journal()
        self.judged = Judged(Verdict.GOOD)
        #: What happens at a step, and before or after it has been done; once.
        self.accident: tuple[str, bool, BaseException] | None = None
        self.done: list[str] = []

    def at(self, step: str, doing: Callable[[], Any]) -> Any:
        """Do a step, or what happens instead."""
        accident = self.accident
        if accident is None or accident[0] != step:
            self.done.append(step)
            return doing()
        self.accident = None
        if accident[1]:
            doing()
        raise accident[2]

    def write(self, journal: Journal) -> None:
        self.at("write", lambda: setattr(self, "kept", journal))


class Fake:
    """A machine without a disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def current(self) -> str:
        return self._disk.used

    def fetch(self, manifest: Manifest) -> None:
        self._disk.at("fetch", lambda: None)

    def build(self, manifest: Manifest) -> None:
        self._disk.at("build", lambda: self._disk.there.add(manifest.version))

    def probe(self, version: str) -> None:
        assert version in self._disk.there
        self._disk.at("probe", lambda: None)

    def try_out(self, version: str) -> Judged:
        def work() -> None:
            if self._disk.judged.verdict is Verdict.GOOD:
                self._disk.worked.add(version)

        self._disk.at("try_out", work)
        return self._disk.judged

    def switch(self, version: str) -> None:
        self._disk.at("switch", lambda: setattr(self._disk, "used", version))

    def tidy(self, *kept: str) -> None:
        self._disk.at("tidy", lambda: self._disk.there.intersection_update(kept))


def course(disk: Disk) -> Course:
    """Return the updates of a keeper that starts now."""
    return Course(Fake(disk), Keeping(disk.kept, disk.write, lambda: disk.now))


def update(disk: Disk, wanted: Manifest) -> bool:
    """Start a keeper and have it update; return whether another version is used."""
    started = course(disk)
    started.start()
    return started.prepare(wanted) and started.try_out(wanted)


def last(disk: Disk) -> Result:
    return disk.kept.reports[-1].result


def test_a_good_release_is_used_once_it_has_worked_and_is_told() -> None:
    disk = Disk()
    assert update(disk, manifest())
    assert disk.done.index("try_out") < disk.done.index("switch")
    assert (disk.used, last(disk)) == ("0.2.0", Result.GOOD)
    assert disk.there == {"0.1.0", "0.2.0"}  # The one before stays, to go back to.
    assert "works, and is used instead of 0.1.0" in disk.kept.said


@pytest.mark.parametrize(
    ("step", "error", "result", "again"),
    [
        ("probe", UpdateError("it cannot be imported."), Result.FAILED, False),
        ("fetch", UnavailableError("there is no room."), Result.UNABLE, True),
        ("switch", UnavailableError("there is no room."), Result.UNABLE, True),
    ],
)
def test_what_a_failure_says_of_a_release(
    step: str, error: P2C2GError, result: Result, again: bool
) -> None:
    disk = Disk()
    disk.accident = (step, False, error)
    assert not update(disk, manifest())
    assert (disk.used, last(disk)) == ("0.1.0", result)
    assert (manifest().main.sha256 not in disk.kept.failed) is again
    assert disk.there == {"0.1.0"}


def test_one_that_does_not_work_is_left_and_not_tried_again() -> None:
    disk = Disk()
    disk.judged = Judged(Verdict.FAILED, "it failed at each of 3 chunks.")
    assert not update(disk, manifest())
    assert (disk.used, last(disk)) == ("0.1.0", Result.FAILED)
    assert disk.kept.failed == (manifest().main.sha256,)
    assert "failed at each" in disk.kept.said


def test_what_may_be_the_releases_fault_is_tried_three_times() -> None:
    disk = Disk()
    for number in range(3):
        assert not disk.kept.failed, number
        disk.accident = ("build", False, UnsureError("pip found no room for it."))
        assert not update(disk, manifest())
    assert (disk.kept.failed, last(disk)) == ((manifest().main.sha256,), Result.FAILED)


def test_what_is_not_its_fault_is_tried_for_ever() -> None:
    disk = Disk()
    for _ in range(10):
        disk.judged = Judged(Verdict.UNCLEAR, "the pool is away.")
        assert not update(disk, manifest())
        assert not disk.kept.failed
    disk.judged = Judged(Verdict.GOOD)
    assert update(disk, manifest())


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_ended_at_any_step_it_is_whole_afterwards_and_done_again(step: str, after: bool) -> None:
    disk = Disk()
    disk.accident = (step, after, Killed())
    with pytest.raises(Killed):
        update(disk, manifest())
    assert disk.used in disk.worked & disk.there
    if disk.used == "0.1.0":
        assert update(disk, manifest())
    else:
        course(disk).start()
    assert (disk.used, last(disk)) == ("0.2.0", Result.GOOD)
    assert disk.kept.trying is None


def test_ended_again_and_again_in_the_middle_it_is_given_up() -> None:
    disk = Disk()
    for _ in range(3):
        disk.accident = ("try_out", False, Killed())
        with pytest.raises(Killed):
            update(disk, manifest())
    course(disk).start()
    assert disk.kept.failed == (manifest().main.sha256,)
    assert "interrupted" in disk.kept.said


@pytest.mark.parametrize("how", ["falls", "starts"])
def test_one_that_falls_over_soon_after_is_left_again(how: str) -> None:
    disk = Disk()
    assert update(disk, manifest())
    if how == "falls":
        used = course(disk)
        assert not used.start()
        assert [used.fell() for _ in range(MOST_FALLS)] == [False] * (MOST_FALLS - 1) + [True]
    else:
        assert any(course(disk).start() for _ in range(MOST_STARTS))
    assert (disk.used, last(disk)) == ("0.1.0", Result.FAILED)
    assert disk.kept.failed == (manifest().main.sha256,)


def test_one_that_falls_over_long_after_is_not() -> None:
    disk = Disk()
    assert update(disk, manifest())
    disk.now += PROBATION
    used = course(disk)
    assert not any([used.start(), *(used.fell() for _ in range(9))])
    assert disk.used == "0.2.0"


def test_ended_while_it_goes_back_it_knows_afterwards() -> None:
    disk = Disk()
    assert update(disk, manifest())
    used = course(disk)
    used.start()
    for _ in range(MOST_FALLS - 1):
        used.fell()
    disk.accident = ("switch", True, Killed())
    with pytest.raises(Killed):
        used.fell()
    course(disk).start()
    assert (disk.used, last(disk)) == ("0.1.0", Result.FAILED)
    assert disk.kept.failed == (manifest().main.sha256,)


def test_a_new_release_in_the_probation_keeps_what_to_go_back_to() -> None:
    disk = Disk()
    assert update(disk, manifest())
    assert update(disk, manifest("0.3.0", 2))
    assert disk.there == {"0.2.0", "0.3.0"}


ACCIDENTS = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(STEPS),
        st.booleans(),
        st.sampled_from([Killed, UpdateError, UnsureError, UnavailableError]),
    ),
)
HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(["update", "start", "fall"]),
        st.sampled_from(["0.0.9", "0.1.0", "0.2.0", "0.3.0"]),
        st.sampled_from(list(Verdict)),
        ACCIDENTS,
        st.sampled_from([0.0, 30.0, PROBATION, -PROBATION]),
    ),
    max_size=12,
)


@given(HAPPENINGS)
def test_whatever_happens_what_is_used_has_worked_and_is_there(happenings: list[Any]) -> None:
    disk = Disk()
    for serial, happening in enumerate(happenings, 1):
        what, version, verdict, accident, seconds = happening
        disk.now += seconds
        disk.judged = Judged(verdict, "so it is.")
        disk.accident = None if accident is None else (*accident[:2], accident[2]("so it happens."))
        try:
            if what == "update":
                update(disk, manifest(version, serial))
            else:
                used = course(disk)
                used.start()
                if what == "fall":
                    used.fell()
        except (Killed, UnavailableError, UpdateError):
            pass  # A journal that cannot be written ends the keeper at its start.
        assert disk.used in disk.worked & disk.there
        assert Journal.model_validate_json(disk.kept.model_dump_json()) == disk.kept
