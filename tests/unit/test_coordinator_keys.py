"""API keys: their shape, their checksum, and what is kept of them."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2c2g.coordinator import keys, server_secret
from p2c2g.coordinator.keys import SCOPES, ApiKey, KeyRole, Scope
from p2c2g.errors import UsageError
from p2c2g.settings.coordinator import CoordinatorSettings


def test_a_key_is_found_by_its_shape_and_read_again() -> None:
    key = ApiKey.new()
    assert re.fullmatch(r"p2c2g_[0-9A-Za-z]{61}", key.text)
    assert ApiKey.parse(key.text) == key
    assert key.secret not in repr(key)


@given(at=st.integers(6, 66), letter=st.sampled_from("0Az9"))
def test_one_wrong_letter_is_seen_without_a_database(at: int, letter: str) -> None:
    text = ApiKey.new().text
    wrong = text[:at] + letter + text[at + 1 :]
    assert (ApiKey.parse(wrong) is None) == (wrong != text)


@given(st.text(max_size=100))
def test_other_text_is_no_key(text: str) -> None:
    assert ApiKey.parse(text) is None


def test_nothing_of_a_key_can_be_had_from_what_is_kept() -> None:
    key, pepper = ApiKey.new(), bytes(range(32))
    kept = keys.digest(pepper, key.text)
    assert keys.matches(pepper, key.text, kept)
    assert not keys.matches(bytes(32), key.text, kept)
    assert not keys.matches(pepper, ApiKey.new().text, kept)


def test_every_scope_is_some_roles_and_only_operators_change_the_pool() -> None:
    assert set().union(*SCOPES.values()) == set(Scope)
    others = SCOPES[KeyRole.PEER] | SCOPES[KeyRole.GAMER]
    assert others == {Scope.JOIN_PEER, Scope.JOIN_GAMER, Scope.OWN}


# -- the coordinator's own secret -----------------------------------------------------------------


def settings(folder: Path, **fields: object) -> CoordinatorSettings:
    return CoordinatorSettings.model_validate({"data": folder, **fields})


def test_a_secret_is_made_once_and_kept_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = server_secret.read(settings(folder))
    assert len(first.value) == 32
    assert server_secret.read(settings(folder)) == first
    assert stat.S_IMODE((folder / "secret").stat().st_mode) == 0o600
    assert first.key("keys") != first.key("audit")
    assert first.value.hex() not in repr(first)


@pytest.mark.parametrize(
    "weak", ["changeme", "secret", "0" * 64, "ab" * 40, "p2c2g-development-secret"]
)
def test_a_weak_secret_is_refused_outside_of_development(tmp_path: Path, weak: str) -> None:
    with pytest.raises(UsageError, match="weak: it needs 32 random bytes"):
        server_secret.read(settings(tmp_path, secret=weak))
    assert server_secret.read(settings(tmp_path, secret=weak, development=True)).value


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "given"
    file.write_text(bytes(range(32)).hex() + "\n")
    assert server_secret.read(settings(tmp_path, secret_file=file)).value == bytes(range(32))
    with pytest.raises(UsageError, match="both set"):
        server_secret.read(settings(tmp_path, secret_file=file, secret="x"))
    with pytest.raises(UsageError, match=r"SECRET_FILE names .*, which cannot be read"):
        server_secret.read(settings(tmp_path, secret_file=tmp_path / "gone"))


def test_a_kept_secret_that_others_may_read_or_that_is_empty_is_refused(tmp_path: Path) -> None:
    server_secret.read(settings(tmp_path))
    (tmp_path / "secret").chmod(0o640)
    with pytest.raises(UsageError, match="others may read: it holds a secret; chmod 600"):
        server_secret.read(settings(tmp_path))
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "secret").write_text("")
    with pytest.raises(UsageError, match="holds no secret"):
        server_secret.read(settings(tmp_path))
