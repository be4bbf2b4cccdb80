"""Reading what strangers wrote of themselves: what is wrong is left out, and logged once."""

from __future__ import annotations

import logging
from typing import TypeVar

from p2c2g.errors import WireError
from p2c2g.messaging.labels import is_name
from p2c2g.peers.messages import Beat, Enrolment, parse
from p2c2g.peers.versions import left_out, other_version

logger = logging.getLogger("p2c2g.peers.registry")

#: Letters of what is no name that are told.
MAX_SHOWN = 200
#: Peers whose nonsense has been logged; a further one is logged again and again.
MAX_COMPLAINTS = 1_000

T = TypeVar("T", Enrolment, Beat)


class Reader:
    """Reads enrolments, beats and ids on behalf of a registry."""

    def __init__(self) -> None:
        self._complaints: set[tuple[str, str]] = set()

    def read_enrolments(self, rows: dict[str, bytes | int | None]) -> dict[str, Enrolment]:
        """Return what peers told when they enrolled, by their ids; what is wrong is left out."""
        read: dict[str, Enrolment] = {}
        for peer, data in rows.items():
            if isinstance(data, bytes) and (version := other_version(data)):
                self.complain("version", peer, left_out(peer, version))
                continue
            enrolment = self.parse(Enrolment, peer, data)
            if enrolment is None:
                continue
            if enrolment.id != peer:
                self.complain(
                    "enrolment", peer,
                    f"Left out the enrolment of peer {peer}: it is called {enrolment.id} inside.",
                )  # fmt: skip
                continue
            read[peer] = enrolment
        return read

    def parse(self, kind: type[T], peer: str, data: bytes | int | None) -> T | None:
        """Return what a peer told; of what is too long there may be its length alone."""
        if data is None:
            return None
        try:
            return parse(kind, data)
        except WireError as error:
            what = kind.__name__.lower()
            self.complain(what, peer, f"Left out the {what} of peer {peer}: {error}")
            return None

    def id_of(self, key: bytes) -> str | None:
        """Return a peer's id; None where it is no name."""
        try:
            name = key.decode()
        except UnicodeDecodeError:
            name = ""
        if is_name(name):
            return name
        shown = repr(key[:MAX_SHOWN])
        self.complain("id", shown, f"Left out the id of peer {shown}: it is no name.")
        return None

    def complain(self, what: str, peer: str, sentence: str) -> None:
        """Log what is wrong with a peer.

        Args:
            what: the kind of it.
            peer: whose.
            sentence: what is said.
        """
        # Sessions look every second: once is enough.
        if (what, peer) in self._complaints:
            return
        if len(self._complaints) < MAX_COMPLAINTS:
            self._complaints.add((what, peer))
        logger.warning("%s", sentence)
