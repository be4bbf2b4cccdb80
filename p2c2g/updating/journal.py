"""What a peer has tried of releases, and what follows from it.  Pure, but for reading and writing.

It is written before each step that it speaks of, so that a peer that is ended anywhere knows
afterwards what it did.  ``current`` is switched after a version has worked, and before that is
noted: :meth:`Journal.restarted` tells the two apart by what is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from p2c2g.errors import UnavailableError
from p2c2g.system.files import write_whole
from p2c2g.text import plain
from p2c2g.updating.acceptance import Trusted
from p2c2g.updating.manifest import MAX_TEXT, Manifest, Report, Result

#: How often a release may end without having worked or failed before it counts as failed.
MOST_TRIES: Final = 3
#: Seconds after the switch for which a version that falls over is left again.
PROBATION: Final = 600.0
#: So often it may fall over, and its keeper may start, in that time.
MOST_FALLS: Final = 3
MOST_STARTS: Final = 8
#: Wheels that did not work, and reports that could not be brought yet, that are remembered.
_MOST_FAILED: Final = 16
_MOST_REPORTS: Final = 8
#: Bytes of the file at most.
_MOST: Final = 262_144

Count = Annotated[int, Field(ge=0)]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Trying(_Kept):
    """A release that is being tried, and the version that is left for it."""

    serial: int
    version: str
    wheel: str
    previous: str


class Probation(_Kept):
    """A release that works, and might fall over yet.

    Args:
        tried: what it is.
        until: it is watched, in seconds since 1970.
        falls: how often its worker has ended by itself.
        starts: how often its keeper has started.
    """

    tried: Trying
    until: float
    falls: Count = 0
    starts: Count = 0


class Journal(_Kept):
    """All that a peer remembers of releases.

    Args:
        trusted: what signs them, and the highest serial; None before it joined a pool that has any.
        trying: the release that is being tried; None where none is.
        wheel: SHA-256 of the one that was tried last, and ``tries`` how often.
        failed: SHA-256 of the wheels that did not work here.
        probation: the release that is used since a short while.
        reports: what the coordinator has still to be told.
        said: the last that there was to say, for people.
        at: when that was, in seconds since 1970.
        checked: when the coordinator was last asked.
    """

    trusted: Trusted | None = None
    trying: Trying | None = None
    wheel: str = ""
    tries: Count = 0
    failed: tuple[str, ...] = ()
    probation: Probation | None = None
    reports: tuple[Report, ...] = ()
    said: str = ""
    at: float = 0.0
    checked: float = 0.0

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what is in a file; an empty one where it is not there or none of ours.

        Raises:
            UnavailableError: it is there and cannot be read.
        """
        try:
            with path.open("rb") as file:
                return cls.model_validate_json(file.read(_MOST))
        except (FileNotFoundError, ValidationError):
            return cls()
        except OSError as error:
            raise UnavailableError(f"{path} cannot be read ({error.strerror}).") from error

    def write(self, path: Path) -> None:
        """Write it whole, so that it outlives a power cut.

        Raises:
            UnavailableError: it cannot be written; the earlier one is there.
        """
        try:
            write_whole(path, self.model_dump_json(indent=1) + "\n", private=True)
        except OSError as error:
            raise UnavailableError(
                f"{path} cannot be written ({error.strerror}): look at the room on the disk."
            ) from error

    # -- what happens -------------------------------------------------------------------------

    def noted(self, said: str, now: float) -> Journal:
        """Say something to people."""
        return self._with(said=plain(said, MAX_TEXT), at=now)

    def begun(self, manifest: Manifest, previous: str, now: float) -> Journal:
        """Begin to try a release."""
        wheel = manifest.main.sha256
        trying = Trying(
            serial=manifest.serial, version=manifest.version, wheel=wheel, previous=previous
        )
        tries = self.tries + 1 if self.wheel == wheel else 1
        return self._with(trying=trying, wheel=wheel, tries=tries).noted(
            f"{manifest.version} is being installed.", now
        )

    def unable(self, why: str, now: float) -> Journal:
        """End a try for a reason that is not the release's: it is tried again."""
        tried = self.trying
        if tried is None:
            return self
        ended = self._with(trying=None, tries=max(0, self.tries - 1))
        return ended._telling(tried, Result.UNABLE, why).noted(
            f"{tried.version} could not be tried: {why}", now
        )

    def unsure(self, why: str, now: float) -> Journal:
        """End a try for a reason that may be the release's: it is tried again, but not for ever."""
        tried = self.trying
        if tried is None:
            return self
        if self.tries >= MOST_TRIES:
            return self.did_not_work(f"{self.tries} tries ended so: {why}", now)
        return self._with(trying=None).noted(f"{tried.version} is tried again later: {why}", now)

    def did_not_work(self, why: str, now: float) -> Journal:
        """End a try of a release that does not work: it is not tried again."""
        tried = self.trying
        if tried is None:
            return self
        return self._with(trying=None)._failing(tried, why, now)

    def worked(self, now: float) -> Journal:
        """A release has worked, and is used from now on."""
        tried = self.trying
        if tried is None:
            return self
        probation = Probation(tried=tried, until=now + PROBATION)
        used = self._with(trying=None, tries=0, probation=probation)
        return used._telling(tried, Result.GOOD, "").noted(
            f"{tried.version} works, and is used instead of {tried.previous}.", now
        )

    def went_back(self, why: str, now: float) -> Journal:
        """A release that had worked was left again."""
        if self.probation is None:
            return self
        return self._with(probation=None)._failing(self.probation.tried, why, now)

    def fell(self, now: float) -> Journal:
        """The worker has ended by itself."""
        probation = self._watched(now)
        if probation is not None:
            probation = probation.model_copy(update={"falls": probation.falls + 1})
        return self._with(probation=probation)

    def restarted(self, current: str, now: float) -> Journal:
        """The keeper starts.

        Args:
            current: the version that is used, whatever was noted of it.
            now: seconds since 1970.
        """
        told = self
        if told.trying is not None:
            if current == told.trying.version:
                told = told.worked(now)
            else:
                told = told.unsure("it was interrupted.", now)
        elif told.probation is not None and current == told.probation.tried.previous:
            told = told.went_back("it fell over again and again.", now)
        probation = told._watched(now)
        if probation is not None:
            probation = probation.model_copy(update={"starts": probation.starts + 1})
        return told._with(probation=probation)

    def delivered(self, report: Report) -> Journal:
        """The coordinator has taken a report."""
        return self._with(reports=tuple(each for each in self.reports if each != report))

    def must_go_back(self, now: float) -> str | None:
        """Return the version to go back to, where the one that is used does not hold; else None."""
        probation = self._watched(now)
        if probation is None:
            return None
        if probation.falls >= MOST_FALLS or probation.starts >= MOST_STARTS:
            return probation.tried.previous
        return None

    # -- inside -------------------------------------------------------------------------------

    def _watched(self, now: float) -> Probation | None:
        """Return what is on probation yet; nothing is where the clock was set back, either."""
        probation = self.probation
        if probation is None or not probation.until - PROBATION <= now < probation.until:
            return None
        return probation

    def _failing(self, tried: Trying, why: str, now: float) -> Journal:
        failed = (*(each for each in self.failed if each != tried.wheel), tried.wheel)
        return (
            self._with(failed=failed[-_MOST_FAILED:], tries=0)
            ._telling(tried, Result.FAILED, why)
            .noted(f"{tried.version} did not work here: {why}", now)
        )

    def _telling(self, tried: Trying, result: Result, why: str) -> Journal:
        report = Report(
            serial=tried.serial, version=tried.version, result=result, why=plain(why, MAX_TEXT)
        )
        others = tuple(each for each in self.reports if each.serial != tried.serial)
        return self._with(reports=(*others, report)[-_MOST_REPORTS:])

    def _with(self, **changes: object) -> Journal:
        return self.model_copy(update=changes)
