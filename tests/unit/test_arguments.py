"""A password on the command line is gone from the list of processes, and that is said."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from p2c2g.commands.options import use_broker
from p2c2g.settings import Settings
from p2c2g.system.arguments import hide

SEEN = """
import sys
from pathlib import Path
from p2c2g.commands.options import use_broker
from p2c2g.settings import Settings
settings = Settings()
use_broker(settings, sys.argv[1].removeprefix("--broker="))
assert settings.broker.url.endswith("@host/0")
print(Path("/proc/self/cmdline").read_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no way to it")
@pytest.mark.parametrize("prefix", ["", "--broker="])
def test_others_cannot_read_it_from_then_on(prefix: str) -> None:
    argument = f"{prefix}redis://:Gehe;im€@host/0"
    done = subprocess.run(
        [sys.executable, "-c", SEEN, argument, "--seconds=1"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Gehe" not in done.stdout
    assert "--seconds=1" in done.stdout
    assert "name the broker by P2C2G_BROKER_URL or P2C2G_BROKER_URL_FILE" in done.stderr
    assert "Gehe" not in done.stderr


def test_what_is_not_there_is_not_hidden() -> None:
    assert not hide("no such argument anywhere")
    assert not hide("")


def test_a_url_without_a_login_is_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings()
    with caplog.at_level(logging.WARNING):
        use_broker(settings, "redis://host/0")
        use_broker(settings, None)
    assert settings.broker.url == "redis://host/0"
    assert caplog.records == []
