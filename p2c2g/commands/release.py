"""``p2c2g release``: what an operator has peers install, signed on a machine of the operator's own.

``key`` and ``sign`` need no coordinator; ``pin`` and ``publish`` are done on its machine, ``show``
and ``stop`` from afar too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
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
from p2c2g.errors import UsageError
from p2c2g.text import plain

if TYPE_CHECKING:
    from p2c2g.coordinator.releases import Releases
    from p2c2g.coordinator.update_api import ShownRelease

app = typer.Typer(
    help="Newer versions for an open pool's peers: signed, in stages, and stopped.",
    no_args_is_help=True,
)

#: Names the passphrase of a key that signs.
PASSPHRASE = "P2C2G_RELEASE_PASSPHRASE"  # noqa: S105 - its name
#: Bytes of a signed file at most.
_MOST = 1 << 20

PassphraseFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help=f"Holds the key's passphrase; else {PASSPHRASE}, or it is asked for."
    ),
]
NoPassphraseOption = Annotated[
    bool, typer.Option("--no-passphrase", help="The key's file is not sealed with one.")
]


@app.command()
def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of the new private key.")],
    *,
    replaces: Annotated[
        Path | None,
        typer.Option(metavar="OLD", help="The key before, which signs that this one follows it."),
    ] = None,
    number: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of that change: 1 for the first, and so on.")
    ] = 1,
    passphrase_file: PassphraseFileOption = None,
    no_passphrase: NoPassphraseOption = False,
) -> None:
    """Make the key that signs releases, and print its public half."""
    from p2c2g.system.files import write_whole
    from p2c2g.updating.manifest import KeyChange
    from p2c2g.updating.signing import ReleaseKey, signed

    passphrase = _passphrase(passphrase_file, no_passphrase)
    old = None if replaces is None else ReleaseKey.read(replaces, passphrase)
    new = ReleaseKey.generate()
    new.write(file, passphrase)
    if old is not None:
        said = KeyChange(number=number, before=old.public, after=new.public)
        change = file.with_name(f"{file.name}.change.json")
        write_whole(change, signed(said, old, new) + "\n")
        typer.echo(f"{change} says so to peers: p2c2g release publish {change}", err=True)
    typer.echo(new.public)


@app.command()
def pin(
    public: Annotated[
        str, typer.Argument(metavar="PUBLIC", help="As p2c2g release key has printed it.")
    ],
) -> None:
    """Have peers that join be told which key signs releases: on the coordinator's machine, once."""
    with _here() as releases:
        releases.pin(public, local_actor())
    typer.echo("Peers are told that key when they join or come back, and trust no other from then.")


@app.command()
def sign(
    wheels: Annotated[
        list[Path], typer.Argument(metavar="WHEEL…", help="P2C2G's, and others that it needs.")
    ],
    *,
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private key.")],
    share: Annotated[
        str, typer.Option(metavar="SHARE", help="Of all peers that are to have it, such as 10%.")
    ] = "100%",
    days: Annotated[
        float, typer.Option(metavar="N", min=0.01, max=3_660, help="Days until it counts no more.")
    ] = 90.0,
    serial: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Above that of the last; else seconds since 1970."),
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What is new, in a line.")] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Else VERSION.release.json beside it.")
    ] = None,
    passphrase_file: PassphraseFileOption = None,
    no_passphrase: NoPassphraseOption = False,
) -> None:
    """Sign a release; nobody has it before it is published."""
    from pydantic import ValidationError

    from p2c2g.commands.guest import parse_share
    from p2c2g.system.files import write_whole
    from p2c2g.updating.manifest import PROJECT, Manifest
    from p2c2g.updating.releasing import described, python_of
    from p2c2g.updating.signing import ReleaseKey, signed

    now = time()
    told = [described(path) for path in wheels]
    own = next((each for each in told if each.project == PROJECT), None)
    if own is None:
        raise UsageError(f"None of these is {PROJECT}'s wheel: make one by python -m build.")
    main = wheels[told.index(own)]
    try:
        said = Manifest(
            serial=serial or int(now),
            version=str(own.version),
            wheels=tuple(told),
            share=parse_share(share),
            python=python_of(main),
            issued=now,
            expires=now + days * 86_400,
            note=note,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(f"That cannot be signed: {first['msg']}.") from error
    signer = ReleaseKey.read(key, _passphrase(passphrase_file, no_passphrase))
    out = out or main.with_name(f"{said.version}.release.json")
    try:
        write_whole(out, signed(said, signer) + "\n")
    except OSError as error:
        raise UsageError(f"{str(out)!r} cannot be written ({error.strerror}).") from error
    typer.echo(f"{out} is release {said.serial}, {said.version}, for {100 * said.share:g} %.")


@app.command()
def publish(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What p2c2g release sign or key has written.")
    ],
    wheels: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[WHEEL…]", help="Its wheels; else those beside it."),
    ] = None,
) -> None:
    """Offer a release to the pool's peers: on the coordinator's machine."""
    from p2c2g.updating.releasing import said_by, wheels_of

    text = _read(file)
    manifest = said_by(text)
    with _here() as releases:
        if manifest is None:
            public = releases.change_key(text, local_actor())
            typer.echo(f"From now on releases are signed by {public}.")
            return
        found = wheels_of(manifest, wheels or [], file.parent)
        releases.publish(text, found, local_actor())
    typer.echo(
        f"Release {manifest.serial}, {manifest.version}, is offered to {100 * manifest.share:g} % "
        "of the peers."
    )


@app.command()
def show(
    *, as_json: JsonOption = False, at: AtOption = None, key_file: KeyFileOption = None
) -> None:
    """Show the releases, and what peers have reported of each, the newest first."""
    from rich.table import Table
    from rich.text import Text

    from p2c2g.commands.console import new_table_console

    rows = _shown(at, key_file)
    if as_json:
        typer.echo(json.dumps([row.model_dump() for row in rows], indent=1))
        return
    table = Table(
        "release", "version", "for", "published", "good", "failed", "unable", "state", box=None
    )
    for row in rows:
        cells = (
            str(row.serial), row.version, f"{100 * row.share:g} %", day(row.published),
            str(row.good), str(row.failed), str(row.unable), _state(row, rows[0].serial),
        )  # fmt: skip
        table.add_row(*(Text(plain(cell)) for cell in cells))
    console = new_table_console()
    console.print(table)
    for row in rows[:1]:
        for why in row.why:
            console.print(Text(plain(f"{row.version}: {why}")))


@app.command()
def stop(
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, in a sentence.")],
    serial: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Which; else the newest.")
    ] = None,
    at: AtOption = None,
    key_file: KeyFileOption = None,
) -> None:
    """Offer a release no more, at once; who has it keeps it."""
    from p2c2g.coordinator.problems import checked
    from p2c2g.coordinator.update_api import Stop
    from p2c2g.updating.manifest import RELEASES, Noted

    rows = _shown(at, key_file)
    if not rows:
        raise UsageError("There is no release to stop.")
    number = serial or rows[0].serial
    why = checked(Stop, {"reason": reason})
    afar = Afar.find(at, key_file)
    if afar is not None:
        with afar.client() as client:
            client.post(f"{RELEASES}/{number}/stop", afar.key, why, Noted)
    else:
        with _here() as releases:
            releases.stop(number, why.reason, local_actor())
    typer.echo(f"Release {number} is offered no more.")


# -- inside ---------------------------------------------------------------------------------


@contextmanager
def _here() -> Iterator[Releases]:
    from p2c2g.coordinator.releases import Releases

    with here() as services:
        yield Releases(services.database, services.audit, services.clock)


def _shown(at: str | None, key_file: Path | None) -> list[ShownRelease]:
    from p2c2g.coordinator.update_api import ShownRelease, ShownReleases
    from p2c2g.updating.manifest import RELEASES

    afar = Afar.find(at, key_file)
    if afar is not None:
        with afar.client() as client:
            return client.get(RELEASES, afar.key, ShownReleases, most=_MOST).root
    with _here() as releases:
        return [ShownRelease.of(each) for each in releases.list()]


def _passphrase(file: Path | None, none: bool) -> str:
    """Return the passphrase of a key's file; "" where it has none.

    Raises:
        UsageError: it is nowhere.
    """
    from p2c2g.system.secrets import find_secret

    if none:
        if file is not None:
            raise UsageError("--no-passphrase and --passphrase-file: leave one of them out.")
        return ""
    return find_secret("Passphrase", PASSPHRASE, "--passphrase-file", file)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MOST + 1)
    except OSError as error:
        raise UsageError(f"{str(file)!r} cannot be read ({error.strerror}).") from error
    if len(data) > _MOST:
        raise UsageError(f"{str(file)!r} is nothing that p2c2g release sign has written.")
    return data.decode(errors="replace")


def _state(row: ShownRelease, newest: int) -> str:
    if row.stopped is not None:
        return f"stopped {day(row.stopped)}: {row.stop_reason}"
    if row.serial != newest:
        return "followed by a newer one"
    return f"offered until {day(row.expires)}"
