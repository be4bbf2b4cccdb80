"""Flower is open to this machine alone, or asks for a login."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from p2c2g.commands.flower_guard import safe_address

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("address", "has_login", "safe"),
    [
        ("", False, "127.0.0.1"),
        ("127.0.0.1", False, "127.0.0.1"),
        ("::1", False, "::1"),
        ("localhost", False, "localhost"),
        ("", True, ""),
        ("0.0.0.0", True, "0.0.0.0"),
    ],
)
def test_where_flower_listens(address: str, has_login: bool, safe: str) -> None:
    assert safe_address(address, has_login=has_login) == safe


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "web"])
def test_without_a_login_it_is_not_open_to_others(address: str) -> None:
    with pytest.raises(click.ClickException, match="set FLOWER_BASIC_AUTH=USER:PASSWORD"):
        safe_address(address, has_login=False)


def test_the_procfile_has_it_behind_the_coordinators_sign_in() -> None:
    procfile = (ROOT / "Procfile").read_text()
    assert "flower" not in procfile
    assert "web: exec p2c2g coordinator run --own-pool\n" in procfile
