"""``--game``: the nets that were made for a game are used where it is played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.nets.store import NetStore, OwnNet
from p2c2g_workers import nets
from p2c2g_workers.processors import network
from tests.nets import nudged

from .conftest import Command, finish_quickly

needs_net = pytest.mark.skipif(network.MISSING, reason="needs onnx: pip install 'p2c2g[ml]'")


def sentence(errors: str) -> str:
    assert "Traceback" not in errors
    (line,) = errors.strip().splitlines()
    return line


def own_net(home: Path) -> OwnNet:
    """Have a net for a game, as ``p2c2g train`` would."""
    store = NetStore(home / "p2c2g" / "nets")
    store.put("a-game", "ml-tiny", nudged(nets.shipped("ml-tiny").model, 3), {"gain": 1.0})
    (net,) = store.find("a-game")
    return net


def test_a_game_without_a_net_exits_with_2(tmp_path: Path) -> None:
    done = finish_quickly(
        "p2c2g-capture", "run", "--game=doom", "--headless", XDG_DATA_HOME=str(tmp_path)
    )
    assert done.code == 2, done
    said = sentence(done.errors)
    assert "There is no net of doom: train one with p2c2g train --game doom" in said
    assert "there are none of any game yet" in said


@pytest.mark.parametrize("game", ["", "../x"])
def test_what_is_no_game_s_name_exits_with_2(tmp_path: Path, game: str) -> None:
    done = finish_quickly(
        "p2c2g-capture", "run", f"--game={game}", "--headless", XDG_DATA_HOME=str(tmp_path)
    )
    assert done.code == 2, done
    assert "letters, digits, dots and dashes" in sentence(done.errors)


@needs_net
def test_a_size_that_the_game_has_not_exits_with_2(tmp_path: Path) -> None:
    own_net(tmp_path)
    done = finish_quickly(
        "p2c2g-capture", "run", "--game=a-game", "--ops=upscale:2:ml-large", "--headless",
        XDG_DATA_HOME=str(tmp_path),
    )  # fmt: skip
    assert done.code == 2, done
    assert "a-game has no net for upscale:2:ml-large: it has ml-tiny." in sentence(done.errors)


@needs_net
def test_a_session_of_the_game_is_made_by_its_net(start: Any, tmp_path: Path) -> None:
    net, report = own_net(tmp_path), tmp_path / "report.json"
    with EmbeddedBroker() as broker:
        environment = {
            "P2C2G_BROKER_URL": broker.url,
            "XDG_DATA_HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        worker: Command = start(
            "celery", "-A", "p2c2g", "worker", "-Q", "cpu", "-c", "1", "-l", "debug", **environment
        )
        worker.line_with(" ready.")
        session: Command = start(
            "p2c2g-capture", "run", "--game=a-game", "--source=pattern", "--size=320x180",
            "--fps=4", "--deadline=5000", "--headless", "--wait-for=1", f"--report={report}",
            **environment,
        )  # fmt: skip
        # It is played until the peer has the net, however long that takes, and has used it.
        worker.line_with(f"Fetched the net {net.name}")
        for _ in range(16):
            worker.line_with(" succeeded in ")
        done = session.end()
    assert done.code == 0, done
    figures = json.loads(report.read_text())
    assert figures["settings"]["ops"] == f"upscale:2:ml@{net.name}"
    assert figures["settings"]["game"] == "a-game"
    assert f"upscale:2:ml-tiny@{net.name}" in figures["ran"]
