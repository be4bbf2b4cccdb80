"""One update, step by step: what may be ended anywhere, and leaves a version in use that works.

Until a new version has worked, ``current`` names the old one, which is what a start of the machine
gives; after that one moment it names the new one.  Nothing else decides which is used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Protocol

from p2c2g.errors import P2C2GError, UnavailableError, UpdateError
from p2c2g.updating.journal import Journal
from p2c2g.updating.manifest import Manifest
from p2c2g.updating.trial import Judged, Verdict

logger = logging.getLogger(__name__)


class UnsureError(UpdateError):
    """A step failed, and it cannot be told whether by the release's fault."""


class Machine(Protocol):
    """What an update does to a machine.

    Each may raise UpdateError where the release is at fault, UnsureError where it may be, and
    UnavailableError where it is not.
    """

    def current(self) -> str:
        """Return the version that is used."""

    def fetch(self, manifest: Manifest) -> None:
        """Have its wheels here, each of the size and hash that was signed."""

    def build(self, manifest: Manifest) -> None:
        """Make an environment of it, beside the one that is used."""

    def probe(self, version: str) -> None:
        """See whether it can be started, and works on chunks of its own."""

    def try_out(self, version: str) -> Judged:
        """End the old version's worker in good order, and have the new one work for a while."""

    def switch(self, version: str) -> None:
        """Use a version from the next start on."""

    def tidy(self, *kept: str) -> None:
        """Delete what is left of others than these versions."""


class Keeping:
    """The journal, for threads: each change of it is written before it counts.

    Args:
        journal: what it was.
        write: keeps it.
        clock: seconds since 1970.
    """

    def __init__(
        self, journal: Journal, write: Callable[[Journal], None], clock: Callable[[], float]
    ) -> None:
        self._journal = journal
        self._write = write
        self._lock = Lock()
        self.clock = clock

    @property
    def journal(self) -> Journal:
        """Return it as it is."""
        return self._journal

    def change(self, how: Callable[[Journal], Journal]) -> Journal:
        """Change it, and return it.

        Raises:
            UnavailableError: it cannot be written; it is as it was.
        """
        with self._lock:
            changed = how(self._journal)
            if changed != self._journal:
                self._write(changed)
                self._journal = changed
            return changed


class Course:
    """Updates of one machine.

    Args:
        machine: what is done.
        keeping: what is remembered.
    """

    def __init__(self, machine: Machine, keeping: Keeping) -> None:
        self._machine = machine
        self._keeping = keeping

    def prepare(self, manifest: Manifest) -> bool:
        """Do all that leaves the old version at work; return whether the new one may be tried."""
        machine, previous = self._machine, self._machine.current()
        if manifest.version == previous:
            return False
        try:
            self._keeping.change(lambda old: old.begun(manifest, previous, self._keeping.clock()))
            machine.tidy(*self._used())
            machine.fetch(manifest)
            machine.build(manifest)
            machine.probe(manifest.version)
        except P2C2GError as error:
            self._ended(error)
            return False
        return True

    def try_out(self, manifest: Manifest) -> bool:
        """Have the new version work; return whether it is used from now on."""
        try:
            judged = self._machine.try_out(manifest.version)
            if judged.verdict is Verdict.FAILED:
                raise UpdateError(judged.why)
            if judged.verdict is Verdict.UNCLEAR:
                raise UnavailableError(judged.why)
            self._machine.switch(manifest.version)
        except P2C2GError as error:
            self._ended(error)
            return self._machine.current() == manifest.version
        # What is used has been decided; that it cannot be noted is found at the next start.
        with suppress(UnavailableError):
            self._keeping.change(lambda old: old.worked(self._keeping.clock()))
            self._machine.tidy(*self._used())
        return True

    def start(self) -> bool:
        """Look at what was, at the keeper's start; return whether another version is to be used."""
        current = self._machine.current()
        # A worker works on a full disk, too.
        with suppress(UnavailableError):
            self._keeping.change(lambda old: old.restarted(current, self._keeping.clock()))
        return self.go_back()

    def fell(self) -> bool:
        """Note that the worker ended by itself; return whether another version is to be used."""
        with suppress(UnavailableError):
            self._keeping.change(lambda old: old.fell(self._keeping.clock()))
        return self.go_back()

    def go_back(self) -> bool:
        """Leave a version that does not hold; return whether that was so."""
        now = self._keeping.clock()
        previous = self._keeping.journal.must_go_back(now)
        if previous is None:
            return False
        try:
            self._machine.switch(previous)
        except P2C2GError:
            logger.exception("The version before cannot be used again")
            return False
        why = "it fell over again and again."
        with suppress(UnavailableError):
            self._keeping.change(lambda old: old.went_back(why, now))
        return True

    def _ended(self, error: P2C2GError) -> None:
        """Note how a try ended without a new version."""
        why, now = str(error), self._keeping.clock()
        logger.warning("An update was given up: %s", why)
        kind = Journal.did_not_work
        if isinstance(error, UnsureError):
            kind = Journal.unsure
        elif not isinstance(error, UpdateError):
            kind = Journal.unable
        # First what takes up room: on a full disk nothing can be noted.
        with suppress(UnavailableError):
            self._machine.tidy(*self._used())
        with suppress(UnavailableError):
            self._keeping.change(lambda old: kind(old, why, now))

    def _used(self) -> set[str]:
        """Return the versions that are used, or may be again."""
        probation = self._keeping.journal.probation
        found = {self._machine.current()}
        return found if probation is None else found | {probation.tried.previous}
