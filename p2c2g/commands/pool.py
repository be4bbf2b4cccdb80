"""``p2c2g pool``: who is in an open pool, and what its operator does about it.

A peer or gamer is given by its id, or by what people call it where only one is called that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from p2c2g.commands.operating import (
    Afar,
    AtOption,
    JsonOption,
    KeyFileOption,
    day,
    here,
    local_actor,
)
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.text import plain

if TYPE_CHECKING:
    from pydantic import BaseModel

    from p2c2g.coordinator.audit import Actor
    from p2c2g.coordinator.evidence_api import ShownEvidence
    from p2c2g.coordinator.models import PrincipalRow
    from p2c2g.coordinator.pool import Pool
    from p2c2g.coordinator.pool_api import ShownPrincipal

app = typer.Typer(
    help="Who is in an open pool: on the coordinator's machine, or from afar with --at.",
    no_args_is_help=True,
)

#: Bytes of an operator's list at most.
_MOST = 32 << 20

WhoArgument = Annotated[
    str, typer.Argument(metavar="WHO", help="A peer's or gamer's id, or its label.")
]


@app.command("list")
def list_principals(
    *,
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Only these: peer or gamer.")
    ] = None,
    as_json: JsonOption = False,
    at: AtOption = None,
    key_file: KeyFileOption = None,
) -> None:
    """List who is here or banned, the newest first."""
    from rich.table import Table
    from rich.text import Text

    from p2c2g.commands.console import new_table_console

    if role not in (None, "peer", "gamer"):
        raise UsageError(f"There is no role {role!r} in a pool: give peer or gamer.")
    rows = [each for each in _Pool(at, key_file).list() if role in (None, each.role.value)]
    if as_json:
        typer.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
        return
    table = Table("id", "role", "label", "account", "network", "since", "state", box=None)
    for row in rows:
        cells = (
            row.id, row.role.value, row.label, row.account, row.network, day(row.created),
            _state(row),
        )  # fmt: skip
        table.add_row(*(Text(plain(cell)) for cell in cells))
    new_table_console().print(table)


@app.command()
def evidence(
    who: WhoArgument,
    *,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all of it, for p2c2g evidence check."),
    ] = None,
    as_json: JsonOption = False,
    at: AtOption = None,
    key_file: KeyFileOption = None,
) -> None:
    """Show what gamers have shown of a peer, and what can be seen in it, the newest first."""
    from rich.text import Text

    from p2c2g.commands.console import new_console

    found = _Pool(at, key_file).evidence(who, whole=save is not None)
    if save is not None:
        _save(save, found)
    if as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in found], indent=1))
        return
    console = new_console(soft_wrap=True)
    for each in found:
        told = f"{day(each.at)}  {each.account}  {each.verdict}  ({each.said})"
        console.print(Text(plain(told)))
    accounts = len({each.account for each in found})
    console.print(
        f"{len(found)} by {accounts} account{'' if accounts == 1 else 's'}." if found
        else "Nobody has shown anything of it."
    )  # fmt: skip


@app.command()
def ban(
    who: WhoArgument,
    *,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why, in a sentence: the banned one is told.")
    ],
    evidence: Annotated[str, typer.Option(metavar="TEXT", help="For operators.")] = "",
    at: AtOption = None,
    key_file: KeyFileOption = None,
) -> None:
    """Shut a peer or gamer out at once: its login at the broker is deleted."""
    id_ = _Pool(at, key_file).ban(who, reason, evidence)
    typer.echo(f"{id_} is banned.")


@app.command()
def unban(who: WhoArgument, *, at: AtOption = None, key_file: KeyFileOption = None) -> None:
    """Let a banned one in again."""
    id_ = _Pool(at, key_file).change(who, "unban", lambda pool, id_, by: pool.unban(id_, by))
    typer.echo(f"{id_} may come in again.")


@app.command()
def drain(who: WhoArgument, *, at: AtOption = None, key_file: KeyFileOption = None) -> None:
    """Have a peer finish what it has, and leave."""
    id_ = _Pool(at, key_file).change(who, "drain", lambda pool, id_, by: pool.drain(id_, True, by))
    typer.echo(f"{id_} is to finish what it has and leave.")


@app.command()
def resume(who: WhoArgument, *, at: AtOption = None, key_file: KeyFileOption = None) -> None:
    """Have a drained peer work again."""
    id_ = _Pool(at, key_file).change(
        who, "resume", lambda pool, id_, by: pool.drain(id_, False, by)
    )
    typer.echo(f"{id_} may work again.")


# -- inside ---------------------------------------------------------------------------------

#: What is done to one principal, in the database of this machine.
Change = Callable[["Pool", str, "Actor"], "PrincipalRow"]


class _Pool:
    """An open pool's principals, wherever its coordinator is.

    Args:
        at: the coordinator's address; the database of this machine where None.
        key_file: holds an operator's key for that.
    """

    def __init__(self, at: str | None, key_file: Path | None) -> None:
        self._at = Afar.find(at, key_file)

    def list(self) -> Sequence[ShownPrincipal]:
        from p2c2g.coordinator.pool_api import ShownPrincipal, ShownPrincipals

        if self._at is not None:
            with self._at.client() as client:
                path = "/v1/principals"
                return client.get(path, self._at.key, ShownPrincipals, most=_MOST).root
        with here() as services:
            rows = services.pool.list_principals()
            return [ShownPrincipal.of(row, with_evidence=True) for row in rows]

    def evidence(self, who: str, *, whole: bool) -> Sequence[ShownEvidence]:
        from p2c2g.coordinator.evidence import Dossier
        from p2c2g.coordinator.evidence_api import ShownDossier, ShownEvidence

        id_ = self._id(who)
        if self._at is not None:
            with self._at.client() as client:
                path = f"/v1/principals/{id_}/evidence{'?whole=true' if whole else ''}"
                return client.get(path, self._at.key, ShownDossier, most=_MOST).root
        with here() as services:
            services.pool.principal(id_)
            dossier = Dossier(services.database, services.settings.broker.prefix, services.clock)
            return [ShownEvidence.of(row, whole=whole) for row in dossier.of(id_)]

    def ban(self, who: str, reason: str, evidence: str) -> str:
        from p2c2g.coordinator.pool_api import Ban
        from p2c2g.coordinator.problems import checked

        why = checked(Ban, {"reason": reason, "evidence": evidence})
        return self.change(
            who, "ban", lambda pool, id_, by: pool.ban(id_, why.reason, why.evidence, by), why
        )

    def change(self, who: str, verb: str, change: Change, said: BaseModel | None = None) -> str:
        """Do something to one; return its id."""
        from p2c2g.coordinator.pool_api import ShownPrincipal

        id_ = self._id(who)
        if self._at is not None:
            with self._at.client() as client:
                path = f"/v1/principals/{id_}/{verb}"
                return client.post(path, self._at.key, said, ShownPrincipal).id
        with here() as services:
            return services.settled(change(services.pool, id_, local_actor())).id

    def _id(self, who: str) -> str:
        """Return the id of one that is given by that, or by its label."""
        from p2c2g.settings.principal import is_principal_id

        rows = self.list()
        if who in (row.id for row in rows):
            return who
        found = [row.id for row in rows if row.label == who]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"{len(found)} are called {who!r}: give an id of {', '.join(found)}.")
        if is_principal_id(who):
            return who  # Of long ago, perhaps.
        raise UsageError(
            f"Nobody in the pool has the id or label {who!r}: p2c2g pool list shows who is there."
        )


def _save(file: Path, found: Sequence[ShownEvidence]) -> None:
    from p2c2g.system.secrets import write_private

    try:
        write_private(file, json.dumps({"evidence": [each.evidence for each in found]}, indent=1))
    except OSError as error:
        raise UnavailableError(f"{str(file)!r} cannot be written: {error.strerror}.") from error


def _state(row: ShownPrincipal) -> str:
    if row.banned is not None:
        return f"banned {day(row.banned)}: {row.ban_reason}"
    if not row.welcome:
        return "out"
    return "draining" if row.draining else "welcome"
