"""``p2c2g coordinator run`` and the commands beside it, as an operator starts them."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from p2c2g.coordinator.keys_api import ShownKey
from p2c2g.messaging.embedded import EmbeddedBroker
from tests.forks import Finished

from .conftest import PATIENCE, Command, finish_quickly, words_of

KEY = re.compile(r"p2c2g_[0-9A-Za-z]{61}")

#: A key, as somebody might describe it who means no good.
STRANGE = {
    "id": "x", "account": "\x1b[2Jada", "account_id": "x", "role": "gamer", "scopes": [],
    "label": "[red]x[/y]", "created": 0.0, "created_by": "x",
}  # fmt: skip
#: What these commands import beside others.
IMPORTED = ("p2c2g.coordinator.server", "p2c2g.joining.client", "p2c2g.system.certificates")


def finish(*args: str, **env: str) -> Finished:
    """Run a command of ours to its end."""
    command, *words = args
    return finish_quickly(command, *words, imported=IMPORTED, **env)


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as embedded:
        yield embedded


def ask(address: str, path: str, key: str = "") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    return answer.status, said


def test_an_operator_starts_a_coordinator_makes_a_key_and_ends_it(
    start: Any, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    data, logs = tmp_path / "data", tmp_path / "logs"
    env = {
        "P2C2G_COORDINATOR_DATA": str(data),
        "P2C2G_BROKER_URL": broker.url,
        "P2C2G_LOG_DIR": str(logs),
        "PYTHONUNBUFFERED": "1",
    }
    server: Command = start("p2c2g", "coordinator", "run", "--port", "0", **env)
    address = server.line_with("The coordinator is at").partition("http://")[2].strip(" \n/")
    assert ask(address, "/healthz") == ask(address, "/readyz") == (200, {"status": "ok"})
    operator = (data / "operator.key").read_text().strip()
    assert ask(address, "/v1/me", operator)[1]["role"] == "operator"

    # From afar, with the key in a file; and on its own machine, without one.
    afar = ("--at", f"http://{address}", "--key-file", str(data / "operator.key"))
    made = finish("p2c2g", "keys", "create", "ada", "--role=gamer", *afar, **env)
    ada = made.output.strip()
    assert (made.code, KEY.fullmatch(ada) is not None) == (0, True), made
    assert ask(address, "/v1/me", ada)[1]["account"] == "ada"
    listed = json.loads(finish("p2c2g", "keys", "list", "--json", **env).output)
    (id_,) = (each["id"] for each in listed if each["account"] == "ada")
    assert finish("p2c2g", "keys", "revoke", id_, **env).code == 0
    assert ask(address, "/v1/me", ada)[0] == 401
    verified = finish("p2c2g", "audit", "verify", **env)
    assert re.fullmatch(r"\d+:[0-9a-f]{64}\n", verified.output), verified
    again = finish("p2c2g", "audit", "verify", "--noted", verified.output.strip(), **env)
    assert again.output == verified.output

    root = psutil.Process(server.process.pid)
    lines = [" ".join(words_of(each)) for each in (root, *root.children())]
    assert "coordinator run" in lines[0]

    # What was begun is answered, though it is told to end meanwhile.
    host, _, port = address.partition(":")
    begun = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    begun.putrequest("DELETE", f"/v1/keys/{id_}")
    begun.putheader("Authorization", f"Bearer {operator}")
    begun.putheader("Content-Length", "2")
    begun.endheaders()
    begun.send(b"{")
    assert ask(address, "/healthz")[0] == 200
    server.process.send_signal(signal.SIGTERM)
    begun.send(b"}")
    assert begun.getresponse().status == 204
    begun.close()
    rest, _ = server.process.communicate(timeout=PATIENCE)
    assert server.process.returncode == 0, rest

    told = "\n".join([*server.lines, rest, *lines, *(file.read_text() for file in logs.iterdir())])
    assert "DELETE /v1/keys/{key_id} 204" in told
    for key in (operator, ada):
        assert key[6:] not in told
        assert key[18:61] not in told


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        (
            {"LISTEN_HOST": "0.0.0.0"},
            "keys could be read on the way: set P2C2G_COORDINATOR_",
        ),
        ({"SECRET": "changeme"}, "secret is weak: it needs 32 random bytes"),
        ({"TLS_CERT": __file__}, "needs both P2C2G_COORDINATOR_TLS_CERT and"),
        ({"TLS_CERT": "gone.pem"}, "'gone.pem', which cannot be read"),
        ({"DATABASE_URL": "mysql://u:hunter2@host/db"}, "none that it knows: give postgresql://"),
        ({"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/db"}, "database does not answer"),
        ({"DATA": "/proc/nowhere"}, "to a folder that this user may write"),
        ({"PORT_": "1"}, "P2C2G_COORDINATOR_PORT_ is no setting"),
        ({"TRUSTED_PROXIES": "everyone"}, "P2C2G_COORDINATOR_TRUSTED_PROXIES cannot be used"),
    ],
)
def test_what_cannot_be_served_so_is_one_sentence(
    tmp_path: Path, env: dict[str, str], sentence: str
) -> None:
    variables = {"P2C2G_COORDINATOR_DATA": str(tmp_path)}
    variables |= {f"P2C2G_COORDINATOR_{name}": value for name, value in env.items()}
    done = finish("p2c2g", "coordinator", "run", "--port=0", **variables)
    assert done.code in (1, 2)
    assert sentence in done.errors
    assert len(done.errors.splitlines()) == 1
    assert "hunter2" not in done.errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("create", "<ada>", "--role=gamer"), "account cannot be used: give at most 64 letters"),
        (("create", "ada", "--role=king"), "role cannot be used: "),
        (("create", "ada", "--role=gamer", "--scope=keys:write"), "gamers:join, own:read"),
        (("create", "ada", "--role=gamer", "--days=-1"), "days cannot be used: "),
        (("revoke", "me"), "is 12 letters and digits"),
        (("revoke", "0" * 12), "There is no key '000000000000'"),
        (("list", "--key-file=x"), "--key-file is for --at"),
        (("list", "--at=http://pool.example"), "has no TLS"),
        (("list", "--at=http://127.0.0.1:1"), "does not answer"),
    ],
)
def test_wrong_words_about_keys_are_one_sentence(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    done = finish(
        "p2c2g", "keys", *words, P2C2G_COORDINATOR_DATA=str(tmp_path), P2C2G_OPERATOR_KEY="p2c2g_x"
    )
    assert done.code in (1, 2)
    assert sentence in done.errors
    assert "Traceback" not in done.errors


def test_tls_is_spoken_where_it_has_certificates(
    start: Any, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    made = finish("p2c2g", "certs", "dev", "--dir", str(tmp_path / "certs"))
    assert made.code == 0, made
    server: Command = start(
        *("p2c2g", "coordinator", "run", "--port=0", "--host=0.0.0.0"),
        *("--cert", str(tmp_path / "certs/coordinator.crt")),
        *("--key", str(tmp_path / "certs/coordinator.key")),
        P2C2G_COORDINATOR_DATA=str(tmp_path / "data"),
        P2C2G_BROKER_URL=broker.url,
        PYTHONUNBUFFERED="1",
    )
    address = server.line_with("The coordinator is at").split()[-1]
    assert address.startswith("https://127.0.0.1:")
    listed = finish(
        *("p2c2g", "keys", "list", "--json", "--at", address),
        *("--key-file", str(tmp_path / "data/operator.key")),
        P2C2G_POOL_CA=str(tmp_path / "certs/ca.crt"),
    )
    assert [each["role"] for each in json.loads(listed.output)] == ["operator"], listed


def test_half_open_requests_take_no_place_from_others(
    start: Any, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    server: Command = start(
        *("p2c2g", "coordinator", "run", "--port=0"),
        P2C2G_COORDINATOR_DATA=str(tmp_path),
        P2C2G_COORDINATOR_MAX_CONNECTIONS="32",
        P2C2G_BROKER_URL=broker.url,
        PYTHONUNBUFFERED="1",
    )
    address = server.line_with("The coordinator is at").partition("http://")[2].strip(" \n/")
    host, _, port = address.partition(":")
    with ExitStack() as stack:
        for _ in range(80):
            line = socket.create_connection((host, int(port)), timeout=PATIENCE)
            opened = stack.enter_context(line)
            opened.sendall(b"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert ask(address, "/healthz")[0] == 200


def test_what_a_strange_coordinator_says_stays_text(tmp_path: Path) -> None:
    """It might move the cursor, or make up a line."""
    said = json.dumps([dict.fromkeys(ShownKey.model_fields, None) | STRANGE]).encode()

    class Strange(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Strange) as server, ThreadPoolExecutor() as threads:
        asked = threads.submit(
            finish, "p2c2g", "keys", "list", "--at", f"http://127.0.0.1:{server.server_port}",
            P2C2G_OPERATOR_KEY="p2c2g_x",
        )  # fmt: skip
        server.handle_request()
        listed = asked.result()
    assert listed.code == 0, listed
    assert "\x1b" not in listed.output
    assert r"\x1b[2J" in listed.output
