"""How secrets come into a process, and where they lie."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from p2c2g.errors import UsageError
from p2c2g.system.secrets import find_secret, write_private


def found(file: Path | None = None, typed: str | None = None) -> str:
    ask = None if typed is None else lambda _: typed
    return find_secret("Join token", "P2C2G_JOIN_TOKEN", "--join-token-file", file, ask)


def test_a_private_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "new" / "secret"
        write_private(path, "first")
        write_private(path, b"second")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_private_file_takes_no_permissions_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o644)
    write_private(path, "hidden")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_file_before_environment_before_keyboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    write_private(file, "from the file\n")
    assert found(typed=" typed ") == "typed"
    monkeypatch.setenv("P2C2G_JOIN_TOKEN", "from the environment")
    assert found(typed="typed") == "from the environment"
    assert "P2C2G_JOIN_TOKEN" not in os.environ
    assert found(file) == "from the file"


@pytest.mark.parametrize(
    ("data", "mode", "said"),
    [
        (b"secret", 0o644, "others may read"),
        (b"", 0o600, "holds no secret"),
        (b"\xff\xfe", 0o600, "holds no secret"),
        (b"two\nlines", 0o600, "holds no secret"),
        (b"x" * 5000, 0o600, "holds no secret"),
        (None, 0o600, "cannot be read"),
    ],
)
def test_a_file_that_holds_none_is_one_sentence(
    tmp_path: Path, data: bytes | None, mode: int, said: str
) -> None:
    file = tmp_path / "token"
    if data is not None:
        file.write_bytes(data)
        file.chmod(mode)
    with pytest.raises(UsageError, match=said):
        found(file)


def test_where_it_is_nowhere_the_sentence_names_the_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("P2C2G_JOIN_TOKEN", raising=False)
    with pytest.raises(UsageError, match="set P2C2G_JOIN_TOKEN, give --join-token-file FILE"):
        found(typed="")
