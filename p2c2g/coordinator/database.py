"""The coordinator's database: SQLite, or PostgreSQL where that is outgrown.

Blocks that only read and blocks that write are told apart, since SQLite must be told: one that
begins to write after it has read may find that another was faster, and would have to begin again.
What the database itself says reaches others as :class:`DatabaseUnavailableError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session, sessionmaker

from p2c2g.coordinator import server_secret
from p2c2g.errors import UnavailableError, UsageError
from p2c2g.settings.coordinator import CoordinatorSettings

#: Seconds that a block waits for the database, and for another one's writing.
_PATIENCE = 5
#: As many as there are threads that answer requests.
_CONNECTIONS = 40


class DatabaseUnavailableError(UnavailableError):
    """The coordinator's database does not answer."""


class Database:
    """One database, for many threads.

    Args:
        url: as SQLAlchemy has it.
    """

    def __init__(self, url: str) -> None:
        try:
            address = make_url(_with_driver(url))
            self.is_sqlite = address.get_backend_name() == "sqlite"
            if not self.is_sqlite and address.get_backend_name() != "postgresql":
                raise ArgumentError("another kind")
        except ArgumentError as error:
            raise UsageError(
                "The coordinator's database is none that it knows: give postgresql://… or "
                "sqlite:///FILE."
            ) from error
        patience = "timeout" if self.is_sqlite else "connect_timeout"
        self.engine = create_engine(
            address,
            pool_size=_CONNECTIONS // 4,
            max_overflow=_CONNECTIONS - _CONNECTIONS // 4,
            pool_timeout=_PATIENCE,
            pool_pre_ping=not self.is_sqlite,
            connect_args={patience: _PATIENCE},
        )
        if self.is_sqlite:
            _prepare_sqlite(self.engine)
        self._writer = self.engine.execution_options(p2c2g_writes=True)

    @classmethod
    def of(cls, settings: CoordinatorSettings) -> Database:
        """Return the database that the settings name.

        Raises:
            UsageError: it is none that is known, or its folder cannot be made.
        """
        given = settings.database_url.get_secret_value() if settings.database_url else None
        url = server_secret.given_as("DATABASE_URL", given, settings.database_url_file)
        if url is None:
            server_secret.private_folder(settings.data)
            file = settings.data / "coordinator.db"
            # What SQLite puts beside it has the same rights.
            file.touch(mode=0o600)
            url = f"sqlite:///{file}"
        return cls(url)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a block that reads one state of the database.

        Raises:
            DatabaseUnavailableError: it does not answer.
        """
        with _translated(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a block that is written as a whole where it ends, or not at all.

        Raises:
            DatabaseUnavailableError: it does not answer.
        """
        maker = sessionmaker(self._writer, expire_on_commit=False)
        with _translated(), maker.begin() as session:
            yield session

    def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            DatabaseUnavailableError: there is none.
        """
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def migrate(self) -> None:
        """Bring the tables to what this version needs.

        Raises:
            DatabaseUnavailableError: it does not answer.
        """
        with _translated(), self._writer.begin() as connection, _config(connection) as config:
            if not self.is_sqlite:
                # Two that start at once: the second finds nothing left to do.
                connection.execute(text("SELECT pg_advisory_xact_lock(7226042)"))
            command.upgrade(config, "head")

    def check(self) -> None:
        """Check that the tables are what this version needs.

        Raises:
            UsageError: they are not; the sentence says what to do.
            DatabaseUnavailableError: it does not answer.
        """
        with _translated(), self.engine.connect() as connection, _config(connection) as config:
            found = MigrationContext.configure(connection).get_current_revision()
            script = ScriptDirectory.from_config(config)
            if found == script.get_current_head():
                return
            known = {each.revision for each in script.walk_revisions()}
        if found is not None and found not in known:
            raise UsageError(
                "The coordinator's database is of a newer version: update this machine's P2C2G."
            )
        raise UsageError(
            "The coordinator's database is of an earlier version, or empty: run p2c2g coordinator "
            "migrate."
        )

    def close(self) -> None:
        """Hang up."""
        self.engine.dispose()


def _with_driver(url: str) -> str:
    """Return a URL with the driver that we bring; hosts write postgres:// too."""
    scheme, found, rest = url.partition("://")
    if found and scheme in ("postgres", "postgresql"):
        return f"postgresql+psycopg://{rest}"
    return url


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # We say BEGIN.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begins(connection: Connection) -> None:
        writes = connection.get_execution_options().get("p2c2g_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, NoConnectionError) as error:
        raise DatabaseUnavailableError("The coordinator's database does not answer.") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise DatabaseUnavailableError("The coordinator's database has hung up.") from error


@contextmanager
def _config(connection: Connection) -> Iterator[Config]:
    with as_file(files("p2c2g.coordinator") / "migrations") as folder:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        yield config
