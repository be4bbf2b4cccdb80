"""``p2c2g evidence``: what a session can show of peers that it caught, looked at again."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from p2c2g.errors import UnavailableError, UsageError, WireError

if TYPE_CHECKING:
    from p2c2g.settings import Settings
    from p2c2g.settings.membership import Membership
    from p2c2g.verify.evidence import Evidence

app = typer.Typer(help="What can be shown of peers that were caught.", no_args_is_help=True)

#: Bytes of a session's report at most.
MAX_REPORT = 64 << 20

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A session's report (--report), or one evidence.")
]


@app.callback()
def _group() -> None:
    """Stay a group while there is one command."""


@app.command()
def check(file: FileArgument) -> int:
    """Check signatures and pictures again; exits with 1 where anything shows nothing.

    Whose key is whose says the coordinator's database, on its machine; or what the operator has
    signed at the broker, where a gamer's membership is set.
    """
    from rich.text import Text

    from p2c2g.commands.console import new_console
    from p2c2g.settings import load
    from p2c2g.text import plain
    from p2c2g.verify.evidence import examine

    found = read(file)
    peers = {said.peer for each in found for said in (each.statement, each.other) if said}
    settings = load()
    keys = (
        _as_operator(settings, peers)
        if settings.membership is None
        else _as_gamer(settings, settings.membership, peers)
    )
    console, wrong = new_console(soft_wrap=True), 0
    for each in found:
        try:
            result = examine(each, keys).value
        except WireError as error:
            wrong += 1
            result = f"shows nothing: {error}"
        # A stranger's words are no markup.
        console.print(Text(plain(f"{each.statement.peer}  {each.at}  {result}  ({each.said})")))
    if not found:
        console.print("There is no evidence in it: nobody was caught.")
    return 1 if wrong else 0


def _as_operator(settings: Settings, peers: Collection[str]) -> dict[str, bytes]:
    """Return the signing keys of those of these peers that were ever let in."""
    from p2c2g.coordinator.models import PrincipalRow
    from p2c2g.coordinator.services import opened
    from p2c2g.sealing.identity import key_of

    with opened(settings) as services, services.database.reading() as session:
        rows = [session.get(PrincipalRow, peer) for peer in peers]
        return {row.id: key_of(row.public_key) for row in rows if row and row.public_key}


def _as_gamer(
    settings: Settings, membership: Membership, peers: Collection[str]
) -> dict[str, bytes]:
    """Return the signing keys of those of these peers that are in the pool now."""
    from p2c2g.messaging.broker import Broker
    from p2c2g.peers.open_registry import OpenRegistry
    from p2c2g.peers.vouching import check_admitted
    from p2c2g.sealing.identity import key_of

    with Broker(settings) as broker:
        broker.check()
        registry = OpenRegistry(broker.client, broker.gamer)
        registry.enrolments(registry.ids() & set(peers))
    keys, operator = {}, key_of(membership.operator_key)
    for peer in peers:
        voucher = registry.voucher(peer)
        if voucher is not None:
            with suppress(WireError):  # Then nobody vouches for it.
                check_admitted(operator, membership.prefix, peer, voucher)
                keys[peer] = key_of(voucher.key)
    return keys


def read(file: Path) -> list[Evidence]:
    """Read what is in a report, or one piece of evidence.

    Raises:
        UsageError: it is neither.
        UnavailableError: it cannot be read.
    """
    from pydantic import ValidationError

    from p2c2g.verify.evidence import Report, parse

    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_REPORT + 1)
    except OSError as error:
        raise UnavailableError(f"{str(file)!r} cannot be read: {error.strerror}.") from error
    try:
        if len(data) > MAX_REPORT:
            raise WireError("it is too long.")
        try:
            return list(Report.model_validate_json(data).evidence)
        except ValidationError:
            return [parse(data)]
    except WireError as error:
        raise UsageError(
            f"{str(file)!r} holds no evidence ({error}): give the report of a session of an open "
            "pool, as p2c2g-capture run --report writes it."
        ) from error
