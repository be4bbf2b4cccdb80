"""Accounts, keys and the audit log over both databases that they may be in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from p2c2g.coordinator.accounts import NotAdmittedError, NotFoundError
from p2c2g.coordinator.audit import AuditError, Head
from p2c2g.coordinator.database import Database
from p2c2g.coordinator.keys import ApiKey, KeyRole, Scope
from p2c2g.coordinator.models import Base
from p2c2g.coordinator.services import Services
from p2c2g.errors import UsageError
from tests.coordinators import TESTER, coordinator_settings, opened_database


@pytest.fixture
def services(folder: Path, database_url: str | None) -> Iterator[Services]:
    with opened_database(coordinator_settings(folder, database_url)) as opened:
        yield opened


def test_the_migrations_make_what_the_models_say(services: Services) -> None:
    with services.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    services.database.check()
    services.database.migrate()  # A second time changes nothing.


def test_a_key_counts_until_it_is_revoked_or_expires(services: Services) -> None:
    accounts = services.accounts
    row, text_ = accounts.create_key("ada", KeyRole.GAMER, TESTER, lifetime=60.0)
    found = accounts.identify(text_)
    assert (found.account, found.role, found.key_id) == ("ada", KeyRole.GAMER, row.id)
    assert found.scopes == {Scope.JOIN_GAMER, Scope.OWN}
    services.clock.now += 60.0  # type: ignore[attr-defined]
    with pytest.raises(NotAdmittedError, match="expired"):
        accounts.identify(text_)
    other, other_text = accounts.create_key("ada", KeyRole.PEER, TESTER, scopes={Scope.OWN})
    assert accounts.identify(other_text).scopes == {Scope.OWN}
    accounts.revoke(other.id, TESTER)
    with pytest.raises(NotAdmittedError, match="revoked"):
        accounts.identify(other_text)
    assert [each.account.name for each in accounts.list_keys()] == ["ada", "ada"]
    assert accounts.list_keys(row.account_id)[0].digest not in (text_.encode(), other_text.encode())


@pytest.mark.parametrize(
    "text_",
    [
        "",
        "p2c2g_",
        "p2c2g_" + "0" * 61,
        pytest.param(ApiKey.new().text, id="nobody's"),
        "\x00" * 67,
        "ä" * 67,
    ],
)
def test_what_is_no_key_is_refused(services: Services, text_: str) -> None:
    with pytest.raises(NotAdmittedError):
        services.accounts.identify(text_)


def test_a_key_with_a_true_id_and_a_false_secret_is_refused(services: Services) -> None:
    row, _ = services.accounts.create_key("ada", KeyRole.GAMER, TESTER)
    with pytest.raises(NotAdmittedError, match="does not know"):
        services.accounts.identify(ApiKey(row.id, ApiKey.new().secret).text)


def test_an_account_that_is_shut_out_can_be_let_in_again(services: Services) -> None:
    row, text_ = services.accounts.create_key("ada", KeyRole.GAMER, TESTER)
    services.accounts.disable(row.account_id, True, TESTER)
    with pytest.raises(NotAdmittedError, match="shut out"):
        services.accounts.identify(text_)
    services.accounts.disable(row.account_id, False, TESTER)
    assert services.accounts.identify(text_).key_id == row.id
    with pytest.raises(NotFoundError):
        services.accounts.disable("nobody", True, TESTER)


def test_a_key_lets_in_as_many_machines_as_it_has_uses(services: Services) -> None:
    """Also where they come at once."""
    row, _ = services.accounts.create_key("ada", KeyRole.PEER, TESTER, uses=3)
    let_in: list[bool] = []

    def join() -> None:
        with services.database.writing() as session:
            let_in.append(services.accounts.spend(session, row.id))

    at_once(join, 8)
    assert sorted(let_in) == [False] * 5 + [True] * 3
    endless, _ = services.accounts.create_key("ada", KeyRole.PEER, TESTER)
    with services.database.writing() as session:
        assert services.accounts.spend(session, endless.id)
        assert not services.accounts.spend(session, "none")


def test_a_scope_of_another_role_cannot_be_had(services: Services) -> None:
    with pytest.raises(UsageError, match="gamers:join, own:read"):
        services.accounts.create_key("ada", KeyRole.GAMER, TESTER, scopes={Scope.KEYS_WRITE})


# -- the audit log --------------------------------------------------------------------------------


def test_the_audit_log_says_who_did_what_and_holds_no_secret(services: Services) -> None:
    row, text_ = services.accounts.create_key("ada", KeyRole.GAMER, TESTER)
    services.accounts.revoke(row.id, TESTER)
    with services.database.reading() as session:
        head = services.audit.verify(session)
        rows = session.execute(text("SELECT actor, action, subject, details FROM audit")).all()
    assert head.rows == 3
    assert [each.action for each in rows] == ["account.create", "key.create", "key.revoke"]
    assert {each.actor for each in rows} == {"local:tester"}
    assert not any(text_[18:50] in str(each) for each in rows)


def test_the_log_is_one_chain_also_where_many_write_at_once(services: Services) -> None:
    def write() -> None:
        with services.database.writing() as session:
            services.audit.record(session, TESTER, "test", "subject")

    at_once(write, 8)
    with services.database.reading() as session:
        assert services.audit.verify(session).rows == 8


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_change_the_log(services: Services, statement: str) -> None:
    services.accounts.create_key("ada", KeyRole.GAMER, TESTER)
    with (
        pytest.raises(sqlalchemy.exc.DBAPIError, match="only added to"),
        services.database.writing() as session,
    ):
        session.execute(text(statement))


def changed(statement: str) -> Callable[[Services], None]:
    def change(services: Services) -> None:
        with services.database.writing() as session:
            for trigger in ("audit_no_update", "audit_no_delete"):
                if services.database.is_sqlite:
                    session.execute(text(f"DROP TRIGGER {trigger}"))
            if not services.database.is_sqlite:
                session.execute(text("DROP TRIGGER audit_no_change ON audit"))
            session.execute(text(statement))

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (changed("UPDATE audit SET actor = 'key:else' WHERE n = 2"), "changed at row 2"),
        (changed("DELETE FROM audit WHERE n = 2"), "lacks row 2"),
        (changed("DELETE FROM audit WHERE n = 3"), "its end was cut off"),
        (changed("UPDATE audit SET hash = previous WHERE n = 3"), "changed at row 3"),
    ],
)
def test_who_changes_the_log_nevertheless_is_found_out(
    services: Services, change: Callable[[Services], None], sentence: str
) -> None:
    row, _ = services.accounts.create_key("ada", KeyRole.GAMER, TESTER)
    services.accounts.revoke(row.id, TESTER)
    with services.database.reading() as session:
        noted = services.audit.verify(session)
    change(services)
    with services.database.reading() as session, pytest.raises(AuditError, match=sentence):
        services.audit.verify(session, noted)


def test_a_log_that_was_written_anew_is_not_the_one_that_was_noted(services: Services) -> None:
    services.accounts.create_key("ada", KeyRole.GAMER, TESTER)
    wrong = pytest.raises(AuditError, match="not the one that was noted")
    with services.database.reading() as session, wrong:
        services.audit.verify(session, Head(1, "ab" * 32))


def test_a_database_of_another_version_is_refused(
    services: Services, database_url: str | None, tmp_path: Path
) -> None:
    with services.database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UsageError, match="newer version"):
        services.database.check()
    with services.database.writing() as session:
        session.execute(text("DELETE FROM alembic_version"))
    with pytest.raises(UsageError, match="coordinator migrate"):
        services.database.check()


def test_what_is_no_database_is_refused_without_its_password() -> None:
    with suppress(UsageError):
        Database("mysql://u:hunter2@host/db")
    with pytest.raises(UsageError) as caught:
        Database("mysql://u:hunter2@host/db")
    assert "hunter2" not in str(caught.value)


def at_once(what: Callable[[], None], times: int) -> None:
    threads = [threading.Thread(target=what) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
