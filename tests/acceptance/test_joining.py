"""An open pool by its commands: an operator, a lender and a gamer, over TLS alone."""

from __future__ import annotations

import json
import re
import signal
import ssl
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import redis
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from p2c2g.errors import PoolUnavailableError
from p2c2g.joining.address import PoolAddress
from p2c2g.joining.lease import play
from p2c2g.joining.peer import renewed
from p2c2g.messaging import open_names
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.peers.standing import PeerStanding
from p2c2g.settings import membership
from tests.brokers import OpenRedis, free_port
from tests.watchers import PATIENCE, Client

from .conftest import AMPLE_DEADLINE, Command, finish_quickly

pytestmark = pytest.mark.needs("redis-server")

RUN = (
    "p2c2g-capture", "run", "--source=pattern", "--size=320x180", "--fps=15", "--seconds=5",
    "--where=peers", "--headless", "--wait-for=1",
)  # fmt: skip


class Pool:
    """A coordinator and its broker, as a user's commands start and reach them.

    A gamer's login lasts for ``lease`` seconds, unless it is renewed.
    """

    def __init__(self, start: Any, broker: OpenRedis, folder: Path, lease: int = 600) -> None:
        self._start = start
        self.folder = folder
        self.logs = folder / "logs"
        #: The operator's variables, and everybody else's.
        self.own = {
            "P2C2G_BROKER_URL": broker.url,
            "P2C2G_BROKER_CA": str(broker.ca),
            "P2C2G_COORDINATOR_DATA": str(folder / "data"),
            "P2C2G_COORDINATOR_LEASE": str(lease),
            "P2C2G_LOG_DIR": str(self.logs),
            "PYTHONUNBUFFERED": "1",
        }
        self.theirs = {
            "P2C2G_POOL_CA": str(broker.ca),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "P2C2G_LOG_DIR": str(self.logs),
            "PYTHONUNBUFFERED": "1",
        }
        self._certificates = (
            *("--cert", str(broker.folder / "coordinator.crt")),
            *("--key", str(broker.folder / "coordinator.key")),
        )
        self._redis = broker
        self.secrets = [broker.password]
        # One that it finds again when it is started again: nobody is given it meanwhile.
        self._port = str(free_port())
        self.run()

    def run(self) -> None:
        """Start the coordinator."""
        self.coordinator: Command = self._start(
            "p2c2g", "coordinator", "run", "--port", self._port, *self._certificates, **self.own
        )
        self.url = self.coordinator.line_with("The coordinator is at").split()[-1]

    def key(self, account: str, role: str, *more: str) -> str:
        made = finish_quickly(
            "p2c2g", "keys", "create", account, f"--role={role}", *more, **self.own
        )
        assert made.code == 0, made
        self.secrets.append(made.output.strip())
        return made.output.strip()

    def peer(self, **env: str) -> Command:
        """Start a peer and wait until it takes work."""
        started: Command = self._start(
            "p2c2g", "peer", "run", "--name=attic", "--slots=1", "--join", self.url,
            **self.theirs, **env,
        )  # fmt: skip
        started.line_with(" ready.")
        return started

    def wait_for_a_gamer(self) -> None:
        """Wait until the peer is told of one: from then on neither needs the operator."""
        pause, ca = Event(), str(self._redis.ca)
        told = open_names.standing(json.loads(self.membership().read_text())["id"])
        with redis.Redis.from_url(self._redis.url, ssl_ca_certs=ca) as client:
            while not PeerStanding.model_validate_json(client.get(told) or "{}").gamers:
                pause.wait(0.05)

    def membership(self) -> Path:
        (path,) = (self.folder / "config").rglob("peer-*.json")
        return path

    def command_lines(self) -> str:
        """Return how every process of this machine was started, as anybody can read."""
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.append(path.read_bytes().decode(errors="replace"))
            except OSError:
                continue  # It has ended.
        return "\n".join(lines)


@pytest.fixture
def pool(start: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pool]:
    lease = getattr(request, "param", 600)
    with ExitStack() as stack:
        (tmp_path / "redis").mkdir()
        yield Pool(start, OpenRedis(stack, tmp_path / "redis"), tmp_path, lease)


# A session asks anew after three seconds, when the coordinator has gone.
@pytest.mark.parametrize("pool", [6], indirect=True)
def test_a_lender_joins_and_a_gamer_plays(
    pool: Pool, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = pool.key("anna", "peer", "--uses=1", "--days=1")
    key = pool.key("ben", "gamer")
    peer = pool.peer(P2C2G_JOIN_TOKEN=token)
    kept = json.loads(pool.membership().read_text())
    assert stat.S_IMODE(pool.membership().stat().st_mode) == 0o600
    pool.secrets += [kept[name] for name in ("password", "token", "signing_key")]

    # Meanwhile the coordinator goes: who is there plays and works on, though no lease is renewed.
    report = pool.folder / "report.json"
    session: Command = start(
        *(each for each in RUN if not each.startswith("--seconds")), "--pool", pool.url,
        f"--report={report}", P2C2G_KEY=key, **AMPLE_DEADLINE, **pool.theirs,
    )  # fmt: skip
    pool.wait_for_a_gamer()
    ended = pool.coordinator.end()
    lines = pool.command_lines()
    session.line_with("The session goes on")
    # That may be said before anything is played.
    while not re.search(r"\b[1-9]\d* complete", session.line_with(" FPS ")):
        pass
    played = session.end(signal.SIGINT)
    output = played.output
    assert played.code == 0, output
    figures = json.loads(report.read_text())
    assert figures["frames"]["complete"] > 0, figures

    # Who comes back needs no coordinator either, and no token; who is new does.
    first = peer.end()
    second = pool.peer().end()
    assert "goes on with the membership that it has" in second.output
    refused = finish_quickly(*RUN, "--pool", pool.url, P2C2G_KEY=key, **pool.theirs)
    assert (refused.code, refused.errors.count("\n")) == (1, 1)
    assert "does not answer" in refused.errors

    # It comes again, and the peer leaves for good.
    pool.run()
    with pytest.raises(PoolUnavailableError, match="not trusted"):
        play(PoolAddress.parse(pool.url), "desk", key)
    monkeypatch.setenv("P2C2G_POOL_CA", pool.theirs["P2C2G_POOL_CA"])
    assert renewed(membership.read(pool.membership()), pytest.fail).id == kept["id"]
    left = finish_quickly(
        "p2c2g", "peer", "leave", "--name=attic", "--join", pool.url, **pool.theirs
    )
    assert (left.code, left.output) == (0, "attic has left the pool.\n"), left
    assert not list((pool.folder / "config").rglob("peer-*.json"))
    again = finish_quickly(
        "p2c2g", "peer", "run", "--name=attic", "--join", pool.url, **pool.theirs
    )
    assert (again.code, "set P2C2G_JOIN_TOKEN" in again.errors) == (2, True), again

    outputs = [first, second, ended, refused, left, again]
    said = "\n".join(
        [lines, output, report.read_text()]
        + [each.output + each.errors for each in outputs]
        + [path.read_text() for path in pool.logs.iterdir()]
    )
    assert "p2c2g-capture" in lines
    for secret in pool.secrets:
        assert secret not in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("p2c2g", "peer", "run", "--join=http://pool.example"), "give https://pool.example"),
        (("p2c2g", "peer", "run", "--join=pool.example"), "no pool's address"),
        (("p2c2g", "peer", "run", "--join=https://127.0.0.1:1"), "does not answer"),
        (("p2c2g", "peer", "run", "--join=x", "--broker=redis://x"), "name two pools"),
        (("p2c2g", "peer", "leave", "--join=https://127.0.0.1:1"), "No peer called peer"),
        ((*RUN, "--pool=http://pool.example"), "give https://pool.example"),
        ((*RUN, "--pool=https://127.0.0.1:1"), "does not answer"),
        ((*RUN, "--pool=https://127.0.0.1:1", "--key-file=gone"), "--key-file names 'gone'"),
        ((*RUN, "--pool=https://x", "--broker=redis://x"), "name two pools"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    secrets = {"P2C2G_JOIN_TOKEN": "p2c2g_hunter2", "P2C2G_KEY": "p2c2g_hunter2"}
    done = finish_quickly(*words, XDG_CONFIG_HOME=str(tmp_path), **secrets)
    assert done.code in (1, 2)
    assert sentence in done.errors
    assert len(done.errors.splitlines()) == 1
    assert "hunter2" not in done.errors


def test_a_token_in_the_address_is_warned_of(tmp_path: Path) -> None:
    done = finish_quickly(
        "p2c2g", "peer", "run", "--join=https://127.0.0.1:1#hunter2", XDG_CONFIG_HOME=str(tmp_path)
    )
    assert "everybody on this machine can read" in done.errors
    assert "hunter2" not in done.errors


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"BROKER_URL": "redis://10.1.2.3:6379/0"}, "reach the broker at redis://10.1.2.3:6379/0"),
        (
            {"COORDINATOR_BROKER_URL": "redis://:hunter2@pool.example"},
            "without TLS: give rediss://",
        ),
        ({"COORDINATOR_BROKER_URL": "https://pool.example"}, "is no broker's URL"),
        ({"COORDINATOR_BROKER_CA": __file__}, "has to hold certificates in PEM"),
        ({"COORDINATOR_BROKER_CA": "gone.pem"}, "'gone.pem', which cannot be read"),
    ],
)
def test_a_coordinator_does_not_start_where_members_could_be_heard(
    tmp_path: Path, env: dict[str, str], sentence: str
) -> None:
    variables = {f"P2C2G_{name}": value for name, value in env.items()}
    done = finish_quickly(
        *("p2c2g", "coordinator", "run", "--port=0"),
        **{"P2C2G_COORDINATOR_DATA": str(tmp_path), **variables},
    )
    assert done.code == 2
    assert sentence in done.errors
    assert len(done.errors.splitlines()) == 1
    assert "hunter2" not in done.errors


def test_a_broker_that_refuses_the_operator_ends_the_start(tmp_path: Path) -> None:
    with EmbeddedBroker() as broker:
        done = finish_quickly(
            *("p2c2g", "coordinator", "run", "--port=0"),
            P2C2G_COORDINATOR_DATA=str(tmp_path),
            P2C2G_BROKER_URL=f"redis://:hunter2@127.0.0.1:{broker.port}/0",
        )
    assert (done.code, "refuses the password" in done.errors) == (1, True), done
    assert "hunter2" not in done.errors


def test_a_session_is_watched_from_elsewhere_by_tls_alone(pool: Pool, start: Any) -> None:
    key = pool.key("ben", "gamer")
    session: Command = start(
        *RUN[:5], "--headless", "--where=peers", "--watchable", "--pool", pool.url, P2C2G_KEY=key,
        **pool.theirs,
    )  # fmt: skip
    link = session.line_with("Others watch at").split()[-1]
    assert link.startswith(f"{pool.url}/s/")
    session.line_with("those who run it can see them")
    page, _, token = link.partition("?token=")
    trusted = ssl.create_default_context(cafile=pool.theirs["P2C2G_POOL_CA"])
    address = f"{page.replace('https', 'wss', 1)}ws?token={token}"
    pause = Event()
    while True:  # The session connects meanwhile.
        try:
            with connect(
                address, ssl=trusted, proxy=None, max_size=None, open_timeout=PATIENCE
            ) as connection:
                client = Client(connection)
                client.wish(draws=True)
                assert client.next_picture().header["output"] == [640, 360]
                break
        except (ConnectionClosed, InvalidStatus):
            pause.wait(0.2)
    ended = session.end(signal.SIGINT)
    assert ended.code == 0, ended
    # The link is printed for who plays, and is nowhere else.
    logs = [path.read_text() for path in pool.logs.iterdir()]
    assert not any(token in each for each in [*logs, pool.coordinator.end().output])
