"""docs/pools.md as an operator, a lender and a gamer read it, in two networks of their own.

The commands are the page's, with an address in place of the name of the pool.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .conftest import AMPLE_DEADLINE, PATIENCE, Command, environment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pools.md").read_text()
OPERATOR, MEMBER = "10.213.77.1", "10.213.77.2"


def block(language: str, beginning: str) -> str:
    """Return the page's block of code that begins so."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (found,) = (each for each in blocks if each.startswith(beginning))
    return (
        str(found)
        .replace("https://pool.example.org", f"https://{OPERATOR}:8770")
        .replace("pool.example.org", OPERATOR)
    )


class Networks:
    """Two networks with a line between them, and nothing else: a pool's, and its members'."""

    def __init__(self, stack: ExitStack) -> None:
        mark = secrets.token_hex(3)
        self.pool, self.members = f"p2c2g-{mark}-a", f"p2c2g-{mark}-b"
        for name in (self.pool, self.members):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
        ends = f"p{mark}a", f"p{mark}b"
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for name, end, address in zip(
            (self.pool, self.members), ends, (OPERATOR, MEMBER), strict=True
        ):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "address", "add", f"{address}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=PATIENCE)


@pytest.fixture
def networks() -> Iterator[Networks]:
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("networks are made by root alone, with ip (iproute2)")
    with ExitStack() as stack:
        try:
            yield Networks(stack)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine makes no networks: {error.stderr.decode()}")


@pytest.mark.needs("redis-server")
def test_an_operator_a_lender_and_a_gamer_get_on_by_the_page_alone(
    networks: Networks, start: Any, tmp_path: Path
) -> None:
    folders = {name: tmp_path / name for name in ("operator", "lender", "gamer")}
    for folder in folders.values():
        folder.mkdir()

    def env(who: str, **more: str) -> dict[str, str]:
        own = {"HOME": str(folders[who]), "PYTHONUNBUFFERED": "1"}
        return own | {f"XDG_{name}_HOME": str(folders[who] / name) for name in (
            "CONFIG", "DATA", "CACHE",
        )} | more  # fmt: skip

    def shell(network: str, who: str, script: str) -> tuple[str, ...]:
        inside = ("ip", "netns", "exec", network, "bash", "-euc")
        return (*inside, f"cd {folders[who]}; {script}")

    def run(network: str, who: str, script: str, **more: str) -> str:
        done = subprocess.run(
            shell(network, who, script), env=environment(**env(who, **more)), capture_output=True,
            text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done
        return done.stdout

    # The operator.
    mine = folders["operator"]
    run(networks.pool, "operator", block("bash", "p2c2g certs dev"))
    run(networks.pool, "operator", block("bash", "umask 077"))
    conf = block("ini", "# Only by TLS").replace("/etc/p2c2g/users.acl", f"{mine}/users.acl")
    (mine / "redis.conf").write_text(conf.replace("/etc/p2c2g", f"{mine}/certs"))
    broker: Command = start(
        *shell(networks.pool, "operator", "exec redis-server redis.conf"), **env("operator")
    )
    broker.line_with("Ready to accept connections")
    coordinator: Command = start(
        *shell(networks.pool, "operator", block("bash", "export P2C2G_BROKER_URL")),
        **env("operator"),
    )
    coordinator.line_with("The coordinator is at")
    token, key = run(networks.pool, "operator", block("bash", "p2c2g keys create anna")).split()

    # A lender and a gamer, elsewhere, with what the operator gave them.
    ca = str(mine / "certs" / "ca.crt")
    peer: Command = start(
        *shell(networks.members, "lender", block("bash", "p2c2g peer run --join").strip()),
        **env("lender", P2C2G_JOIN_TOKEN=token, P2C2G_POOL_CA=ca),
    )
    peer.line_with(" ready.")
    play = block("bash", "p2c2g-capture run --pool").strip()
    how = "--source pattern --size 320x180 --fps 15 --seconds 4 --headless --where peers"
    run(
        networks.members, "gamer", f"{play} {how} --wait-for 1 --report report.json",
        P2C2G_KEY=key, P2C2G_POOL_CA=ca, **AMPLE_DEADLINE,
    )  # fmt: skip
    figures = json.loads((folders["gamer"] / "report.json").read_text())
    assert figures["frames"]["complete"] > 0, figures
