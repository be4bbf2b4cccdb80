"""What gamers show of peers that they caught: checked when it comes, and kept within bounds.

A piece of evidence is signed by the peer itself, together with whom it answered
(:mod:`p2c2g.verify.evidence`), so that nobody brings another session's, or one that was made up.
It decides nothing: an operator reads it, and beside it of how many accounts there is any.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from hashlib import sha256
from threading import Lock
from typing import Final

from sqlalchemy import delete, func, select, true
from sqlalchemy.orm import Session

from p2c2g.coordinator.accounts import ForbiddenError
from p2c2g.coordinator.broker_rights import why_out
from p2c2g.coordinator.database import Database
from p2c2g.coordinator.models import EvidenceRow, PrincipalRow
from p2c2g.errors import UnavailableError, UsageError, WireError
from p2c2g.media.wire import ChunkHeader
from p2c2g.sealing.identity import key_of
from p2c2g.settings.principal import Role, is_principal_id
from p2c2g.text import plain
from p2c2g.verify.evidence import MAX_SAID, Evidence, Finding, examine

#: Pieces that are kept: of one peer by one account, of one peer, and in all; the oldest go.
PER_ACCOUNT: Final = 8
PER_PEER: Final = 128
IN_ALL: Final = 4_096
#: Seconds for which they are kept.
KEPT: Final = 90 * 86_400.0
#: Pixels of a picture that is looked at here, at most: that takes some tenths of a second.
MAX_PIXELS: Final = 1 << 22
#: Seconds that a piece waits while another is looked at.
_PATIENCE: Final = 2.0

#: What an operator reads, by what was found.
VERDICTS: Final = {
    Finding.REFUSED: "This peer signed an answer that the check refuses here too.",
    Finding.DIFFERENT: (
        "This peer and another signed different answers to one picture: one of them is wrong."
    ),
    Finding.PASSES: "This peer signed an answer in which nothing wrong can be seen here.",
    Finding.SIGNED: (
        "This peer signed an answer; what is wrong with it is the gamer's word, since no picture "
        "is shown."
    ),
}


class Dossier:
    """The evidence against an open pool's peers.  Any thread may call it.

    Every method may raise :class:`~p2c2g.coordinator.database.DatabaseUnavailableError`.

    Args:
        database: where it is kept.
        pool: the pool's name, as peers and gamers know it.
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, pool: str, clock: Callable[[], float]) -> None:
        self._database = database
        self._pool = pool
        self._clock = clock
        self._looking = Lock()

    def account_of(self, gamer: str) -> str:
        """Return the account of a gamer who plays.

        Raises:
            ForbiddenError: it is no gamer, or has no login now.
        """
        with self._database.reading() as session:
            row = session.get_one(PrincipalRow, gamer)
            if row.role != Role.GAMER.value:
                raise ForbiddenError("Only a gamer can show what a peer answered it.")
            if why_out(row):
                raise ForbiddenError("Only a session that is played shows evidence.")
            return row.account_id

    def take(self, gamer: str, evidence: Evidence) -> Finding:
        """Look at what a gamer shows, and keep it.

        One that was shown before stays as it was.

        Args:
            gamer: who shows it, by its id.
            evidence: against a peer that answered this gamer.

        Raises:
            UsageError: it shows nothing.
            ForbiddenError: it is another session's.
            UnavailableError: another's is looked at meanwhile.
        """
        account = self.account_of(gamer)
        if (evidence.pool, evidence.gamer) != (self._pool, gamer):
            raise ForbiddenError("That is the evidence of another session.")
        finding = self._look(evidence)
        text = evidence.model_dump_json(exclude_defaults=True)
        said = evidence.statement
        row = EvidenceRow(
            # A signature is over all of a statement; the words around it are nobody's.
            id=sha256(f"{said.peer} {said.signature}".encode()).hexdigest(),
            peer_id=said.peer,
            gamer_id=gamer,
            account_id=account,
            at=self._clock(),
            finding=finding.value,
            said=plain(evidence.said, MAX_SAID),
            text=text,
        )
        with self._database.writing() as session:
            if session.get(EvidenceRow, row.id) is None:
                session.add(row)
                session.flush()
                self._trim(session, row)
        return finding

    def of(self, peer: str) -> Sequence[EvidenceRow]:
        """Return what there is against a peer, the newest first."""
        wanted = select(EvidenceRow).where(EvidenceRow.peer_id == peer)
        with self._database.reading() as session:
            return session.scalars(wanted.order_by(*_NEWEST)).all()

    def accounts(self) -> dict[str, int]:
        """Return of how many accounts there is evidence, by the peer that it is against."""
        count = func.count(EvidenceRow.account_id.distinct())
        wanted = select(EvidenceRow.peer_id, count).group_by(EvidenceRow.peer_id)
        with self._database.reading() as session:
            return {row[0]: row[1] for row in session.execute(wanted)}

    def _look(self, evidence: Evidence) -> Finding:
        statements = [each for each in (evidence.statement, evidence.other) if each is not None]
        # Not every text is one that a database takes.
        peers = [each.peer for each in statements if is_principal_id(each.peer)]
        with self._database.reading() as session:
            rows = [session.get(PrincipalRow, peer) for peer in peers]
        keys = {row.id: key_of(row.public_key) for row in rows if row and row.public_key}
        if not self._looking.acquire(timeout=_PATIENCE):
            raise UnavailableError("Others' evidence is looked at now: come again later.")
        try:
            for each in statements:
                _check_size(each.chunk)
            return examine(evidence, keys)
        except WireError as error:
            raise UsageError(f"It shows nothing: {plain(str(error), MAX_SAID)}") from error
        finally:
            self._looking.release()

    def _trim(self, session: Session, new: EvidenceRow) -> None:
        """Delete what is too much or too old."""
        of_peer = EvidenceRow.peer_id == new.peer_id
        own = of_peer & (EvidenceRow.account_id == new.account_id)
        for scope, most in ((own, PER_ACCOUNT), (of_peer, PER_PEER), (true(), IN_ALL)):
            wanted = select(EvidenceRow.id).where(scope)
            surplus = session.scalars(wanted.order_by(*_NEWEST).offset(most)).all()
            if surplus:
                session.execute(delete(EvidenceRow).where(EvidenceRow.id.in_(surplus)))
        session.execute(delete(EvidenceRow).where(EvidenceRow.at < new.at - KEPT))


_NEWEST: Final = (EvidenceRow.at.desc(), EvidenceRow.id)


def _check_size(chunk: str) -> None:
    """Refuse what would take long to look at.

    Raises:
        WireError: it is too large, or no chunk's header.
    """
    try:
        header = ChunkHeader.unpack(base64.b64decode(chunk, validate=True))
    except ValueError as error:
        raise WireError("its header is no base64.") from error
    for size in (header.padded.size, header.crop.size):
        if size.width * size.height > MAX_PIXELS:
            raise WireError(f"it is of {size} pixels, where {MAX_PIXELS} in all are the most.")
