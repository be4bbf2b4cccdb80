"""Names at the broker: each stands once, and agrees with what Celery and kombu make of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from celery.utils.nodenames import worker_direct
from kombu.transport.redis import Channel

from p2c2g.celery import create_app
from p2c2g.messaging import names
from p2c2g.messaging.scripts import script
from p2c2g.settings import BrokerSettings, Settings

ROOT = Path(__file__).parents[2]
PACKAGES = ("p2c2g", "workers/p2c2g_workers", "capture/p2c2g_capture", "training/p2c2g_training")
SOURCES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
#: What is a key of ours, or begins as one.
KEY = re.compile(r"p2c2g\.(peers$|beat|banned|breakers|health|results|blob|training|probe)(\.|$)")


def test_a_peers_own_queue_is_the_one_that_celery_would_give_it() -> None:
    assert names.own_queue("cpu1@host") == worker_direct("cpu1@host").name


def test_the_bindings_are_kombus() -> None:
    bindings = Channel.keyprefix_queue % "celery.pidbox"
    assert names.control_bindings() == names.celerys() + bindings
    assert names.control_binding("a@h").split(Channel.sep) == ["", "", "a@h.celery.pidbox"]


def test_each_key_begins_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [
        names.peers(), names.banned(), names.beat("p"), names.breakers(), names.sessions(),
        names.health("s"), names.results("s"), names.blob("b"),
        names.training("o"), names.measurement("m"),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert all(key.startswith("p2c2g.") for key in keys)
    monkeypatch.setattr(names, "_prefix", "other")
    assert names.beat("p") == "other.beat.p"
    assert names.queue_key("cpu") == "other:cpu"
    assert not names.is_results("p2c2g.results.s")
    assert names.is_results(names.results("s"))


def test_no_queue_has_the_key_of_something_else() -> None:
    assert names.queue_key("peers") != names.peers()
    assert not names.queue_key("x").startswith(names.ours())


def test_the_settings_prefix_is_in_front_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_prefix", names.DEFAULT_PREFIX)  # It is restored after the test.
    app = create_app(Settings(broker=BrokerSettings(prefix="games")))
    assert app.conf.broker_transport_options["global_keyprefix"] == "games:"
    assert app.backend.get_key_for_task("t").startswith(b"games:")
    assert names.peers() == "games.peers"
    assert names.queue_key("cpu") == "games:cpu"


def texts(path: Path) -> list[str]:
    """Return the texts in a module's code, which are neither documentation nor comments."""
    tree = ast.parse(path.read_text())
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documents
    ]


def test_no_module_but_one_makes_keys() -> None:
    makers = {path.name for path in SOURCES if any(map(KEY.match, texts(path)))}
    assert not makers


def test_no_script_of_the_brokers_is_in_a_module() -> None:
    assert not [path for path in SOURCES if re.search(r"redis\.p?call", path.read_text())]


def test_a_script_is_its_files_without_their_comments() -> None:
    text = script("whose", "enrol")
    assert text.index("local function whose") < text.index("local holder = whose(KEYS[2])")
    assert "--" not in text
    assert text is script("whose", "enrol")
