"""Who is in an open pool, and what the broker has to be told of that.

Pure: it is told how principals stand by the database and what was written at the broker, and says
what is left to write.  Whatever fails is left to write still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from p2c2g.peers.standing import MAX_GAMERS, PeerStanding, Verdict, Voucher
from p2c2g.settings.principal import Principal, Role


@dataclass(frozen=True, slots=True)
class Known:
    """How one principal stands, by the database.

    ``digest`` is the SHA-256 of its password at the broker; None where it may have no login now.
    ``voucher`` is a peer's.
    """

    principal: Principal
    digest: str | None
    verdict: Verdict = Verdict.OK
    reason: str = ""
    wanted: str = ""
    voucher: Voucher | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be written at the broker, in this order; None takes back what was said."""

    revoke: tuple[Principal, ...] = ()
    vouchers: Mapping[str, str | None] = field(default_factory=dict)
    gamers_here: frozenset[str] = frozenset()
    gamers_gone: frozenset[str] = frozenset()
    grant: Mapping[Principal, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(
            self.revoke or self.vouchers or self.gamers_here or self.gamers_gone or self.grant
        )


class Roll:
    """The pool's principals, wanted and written.  Belongs to one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Principal, Known] = {}
        self._logins: dict[Principal, str] = {}
        self._vouchers: dict[str, str] = {}
        self._gamers: frozenset[str] = frozenset()
        self._standings: dict[str, str] = {}

    # -- what should be ----------------------------------------------------------------------

    def know(self, known: Iterable[Known], gone: Iterable[Principal] = ()) -> None:
        """Note how some principals stand now, and who is here no more."""
        for each in known:
            self._known[each.principal] = each
        for principal in gone:
            self._known.pop(principal, None)

    def know_all(self, known: Iterable[Known]) -> None:
        """Note how all stand: there are no others."""
        self._known = {each.principal: each for each in known}

    def ids(self, role: Role) -> frozenset[str]:
        """Return the ids of all who should have a login."""
        return frozenset(
            principal.id
            for principal, known in self._known.items()
            if principal.role is role and known.digest is not None
        )

    # -- what is -----------------------------------------------------------------------------

    def lacks(self, logins: Iterable[Principal]) -> bool:
        """Tell whether a broker lost logins that were made there, by what it has."""
        return not self._logins.keys() <= set(logins)

    def begin(
        self, logins: Iterable[Principal], peers: Iterable[str], gamers: Iterable[str]
    ) -> None:
        """Note what a broker has that nobody vouches for: one that is new, or that others wrote to.

        Args:
            logins: who has one; under which password is not known, so they are made again.
            peers: who is vouched for.
            gamers: who is named.
        """
        self._logins = dict.fromkeys(logins, "")
        self._vouchers = dict.fromkeys(peers, "")
        self._gamers = frozenset(gamers)
        self._standings = {}

    def changes(self) -> Changes:
        """Return what is to be written, but for standings."""
        wanted = {
            principal: known.digest
            for principal, known in self._known.items()
            if known.digest is not None
        }
        vouchers = {
            principal.id: self._known[principal].voucher
            for principal in wanted
            if principal.role is Role.PEER
        }
        texts = {peer: voucher.model_dump_json() for peer, voucher in vouchers.items() if voucher}
        gamers = self.ids(Role.GAMER)
        return Changes(
            revoke=tuple(each for each in self._logins if each not in wanted),
            vouchers={
                **{peer: None for peer in self._vouchers if peer not in texts},
                **{p: text for p, text in texts.items() if self._vouchers.get(p) != text},
            },
            gamers_here=gamers - self._gamers,
            gamers_gone=self._gamers - gamers,
            grant={
                each: (digest,)
                for each, digest in wanted.items()
                if self._logins.get(each) != digest
            },
        )

    def wrote(self, changes: Changes) -> None:
        """Note that changes were written."""
        for principal in changes.revoke:
            self._logins.pop(principal, None)
        for principal, digests in changes.grant.items():
            self._logins[principal] = digests[0]
        for peer, text in changes.vouchers.items():
            if text is None:
                self._vouchers.pop(peer, None)
            else:
                self._vouchers[peer] = text
        self._gamers = (self._gamers | changes.gamers_here) - changes.gamers_gone

    # -- standings ---------------------------------------------------------------------------

    def standings(self) -> dict[str, str | None]:
        """Return what is to be said to peers: all at once where a gamer came or went.

        A peer that is out is still told so, for as long as the database knows it.
        """
        gamers = tuple(sorted(self.ids(Role.GAMER)))[:MAX_GAMERS]
        # A thousand peers stand alike, so their text is made once.
        made: dict[tuple[Verdict, str, str], str] = {}
        wanted: dict[str, str] = {}
        for principal, known in self._known.items():
            if principal.role is not Role.PEER:
                continue
            alike = (known.verdict, known.reason, known.wanted)
            if alike not in made:
                serves = known.verdict is not Verdict.BANNED
                made[alike] = PeerStanding(
                    verdict=known.verdict,
                    reason=known.reason,
                    gamers=gamers if serves else (),
                    wanted=known.wanted,
                ).model_dump_json()
            wanted[principal.id] = made[alike]
        return {
            **{peer: None for peer in self._standings if peer not in wanted},
            **{p: text for p, text in wanted.items() if self._standings.get(p) != text},
        }

    def told(self, standings: Mapping[str, str | None]) -> None:
        """Note that standings were written."""
        for peer, text in standings.items():
            if text is None:
                self._standings.pop(peer, None)
            else:
                self._standings[peer] = text
