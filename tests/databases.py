"""A PostgreSQL of the tests' own, in a folder of theirs, run by a user without rights."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg

#: Where Debian keeps what only postgresql-common's wrappers call.
_DEBIAN = Path("/usr/lib/postgresql")
#: Seconds in which a server is up, on a busy machine.
_PATIENCE = 60


def find_program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs, the newest version's."""
    versions = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(versions[-1]) if versions else shutil.which(name)


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server on a socket in a folder of its own; yield the URL of its first database.

    PostgreSQL will not run as root: then it runs as ``nobody``.
    """
    as_user = _unprivileged()
    with tempfile.TemporaryDirectory(prefix="p2c2g-pg-") as name:
        folder = Path(name)
        if as_user:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        data, log = folder / "data", folder / "log"
        _run(as_user, "initdb", "-D", str(data), "-U", "p2c2g", "-A", "trust", "-N", "-E", "UTF8")
        # No TCP port, and nothing that makes a test wait for the disk.
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        control = ("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-t", str(_PATIENCE))
        _run(as_user, *control, "-o", options, "start")
        try:
            yield f"postgresql://p2c2g@/postgres?host={quote(str(folder))}"
        finally:
            _run(as_user, *control, "-m", "immediate", "stop")


def empty(url: str) -> None:
    """Take everything out of a database: ten times as fast as a new one."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


@contextmanager
def fresh_database(server: str, name: str) -> Iterator[str]:
    """Make an empty database on a server, and drop it afterwards; yield its URL."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield server.replace("/postgres?", f"/{name}?")
        finally:
            with suppress(psycopg.Error):
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _unprivileged() -> Sequence[str]:
    if os.geteuid() != 0:
        return ()
    return ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def _run(as_user: Sequence[str], program: str, *arguments: str) -> None:
    path = find_program(program)
    assert path is not None
    subprocess.run(
        [*as_user, path, *arguments], check=True, timeout=_PATIENCE + 10, cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
