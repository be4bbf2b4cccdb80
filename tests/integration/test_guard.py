"""Who may talk to the viewer's server: hosts, origins, folders and proxies."""

from __future__ import annotations

import socket
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from p2c2g.display.guard import allowed_name, is_near, why_refused
from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from p2c2g.errors import UsageError
from tests.watchers import PATIENCE, STATS, Client


@pytest.mark.parametrize(
    ("client", "host", "origin", "near"),
    [
        ("127.0.0.1", "127.0.0.1:8777", "http://127.0.0.1:8777", True),
        ("127.0.0.1", "localhost:8777", "http://localhost:8777", True),
        ("::1", "[::1]:8777", "http://[::1]:8777", True),
        ("127.0.0.1", "127.0.0.1:8777", None, True),
        ("192.0.2.7", "127.0.0.1:8777", "http://127.0.0.1:8777", False),
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:9000", False),  # behind a proxy
        ("127.0.0.1", "127.0.0.1:8777", "https://play.test", False),
        ("127.0.0.1", "play.test:8777", "http://play.test:8777", False),
        ("127.0.0.1", "localhost:9000", "http://localhost:9000", False),  # through a tunnel
        ("127.0.0.1", "127.0.0.1:x", "http://[", False),
    ],
)
def test_who_is_near(client, host, origin, near):
    headers = [(b"host", host.encode())]
    if origin:
        headers.append((b"origin", origin.encode()))
    scope = {
        "type": "websocket", "client": (client, 4711), "server": ("127.0.0.1", 8777),
        "headers": headers,
    }  # fmt: skip
    assert is_near(scope) == near


@pytest.mark.parametrize("folder", ["", "game/", "a/deep/folder/"])
def test_a_proxy_may_have_it_in_a_folder_and_pass_that_on(serving, folder):
    with httpx.Client(base_url=f"{serving.url}{folder}", trust_env=False, timeout=PATIENCE) as http:
        assert "<!doctype html>" in http.get("").text
        assert http.get("viewer.js").headers["content-type"].startswith("text/javascript")
        assert http.get("nothing.js").status_code == 404
    address = f"ws{serving.url.removeprefix('http')}{folder}ws"
    with connect(address, proxy=None, open_timeout=PATIENCE) as connection:
        assert Client(connection).next_stats() == STATS


def test_a_page_whose_socket_failed_can_ask_why(serving):
    def ask(**headers: str) -> httpx.Response:
        with httpx.Client(base_url=serving.url, trust_env=False, timeout=PATIENCE) as http:
            return http.post("check", headers=headers)

    assert ask(Origin=serving.url.rstrip("/")).text == "Welcome.\n"
    foreign = ask(Origin="https://play.test:9000")
    assert foreign.status_code == 403
    assert foreign.text == (
        "This viewer answers only to its own page, and this one is of 'play.test'. If that is "
        "your own proxy or name, start the session with --allow-host play.test.\n"
    )
    unknown = ask(Host="play.test:9000")
    assert unknown.status_code == 403
    assert unknown.text == (
        "This viewer does not answer to 'play.test', only to names of its own machine. If that is "
        "your own proxy or name, start the session with --allow-host play.test.\n"
    )
    assert unknown.headers["x-content-type-options"] == "nosniff"


def test_a_name_that_was_allowed_is_welcome_whatever_the_proxy_makes_of_host():
    allowed = ["Play.Test", "[2001:db8::1]"]
    with (
        closing(ViewerServer(Hub(), lambda: STATS, allowed=allowed)) as viewer,
        httpx.Client(base_url=viewer.start(), trust_env=False, timeout=PATIENCE) as http,
    ):
        for host in ("play.test", "PLAY.test:9000", "play.test.", "127.0.0.1:1", "[2001:db8::1]:8"):
            for origin in ("https://play.test", "http://play.test:9000", "http://[2001:db8::1]:9"):
                answer = http.post("check", headers={"Host": host, "Origin": origin})
                assert answer.status_code == 200, (host, origin)
                policy = answer.headers["content-security-policy"]
                assert "wss://play.test:*" in policy
        for host, origin in (("other.test", None), ("play.test", "http://other.test")):
            headers = {"Host": host, **({"Origin": origin} if origin else {})}
            assert http.post("check", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "text", ["", "http://play.test", "play.test:80", "play.test/game", "*", "a b", "-", "x" * 300]
)
def test_what_is_no_name_cannot_be_allowed(text):
    with pytest.raises(UsageError, match="give the name alone"):
        ViewerServer(Hub(), dict, allowed=[text])


@pytest.mark.parametrize(
    ("text", "name"), [(" Play.Example.org. ", "play.example.org"), ("[::1]", "::1"), ("a", "a")]
)
def test_names_are_allowed_as_people_write_them(text, name):
    assert allowed_name(text) == name


@pytest.mark.parametrize("origin", ["http://example.org", "null", "http://[broken", "file://"])
def test_a_page_of_another_site_gets_no_websocket(serving, origin):
    with (
        pytest.raises(InvalidStatus) as info,
        connect(serving.websocket_url, origin=origin, proxy=None, open_timeout=PATIENCE),
    ):
        pass
    assert info.value.response.status_code == 403
    assert serving.viewer.connected == 0


def test_its_own_page_gets_a_websocket(serving):
    origin = serving.url.rstrip("/")
    with serving.client(origin=origin) as client:
        assert client.next_stats() == STATS


def test_a_name_that_was_pointed_here_is_refused(serving):
    port = urlsplit(serving.url).port
    with httpx.Client(base_url=serving.url, trust_env=False, timeout=PATIENCE) as http:
        for host in (f"example.org:{port}", "example.org", f"127.0.0.1.example.org:{port}", "["):
            answer = http.get("/", headers={"Host": host})
            assert answer.status_code == 403, host
        assert http.get("/", headers={"Host": f"localhost:{port}"}).status_code == 200


@pytest.mark.parametrize(
    ("bound", "host", "origin", "welcome"),
    [
        ("127.0.0.1", "127.0.0.1:80", None, True),
        ("127.0.0.1", "localhost:9000", "http://localhost:9000", True),  # through a tunnel
        ("127.0.0.1", "[::1]:80", "http://[::1]:80", True),
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:9000", True),  # behind nginx, by $host
        ("127.0.0.1", "127.0.0.1:8777", "http://localhost:9000", True),  # by $proxy_host
        ("127.0.0.1", "127.0.0.1:8777", "https://play.test", False),
        ("127.0.0.1", "127.0.0.1:8777", "http://192.0.2.7", False),
        ("127.0.0.1", "127.0.0.1", "chrome-extension://127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1.", "http://127.0.0.1.:9000", True),
        ("127.0.0.1", "192.0.2.7:80", None, False),
        ("127.0.0.1", "0.0.0.0:80", None, False),
        ("127.0.0.1", "", None, False),
        ("0.0.0.0", "192.0.2.7:80", "http://192.0.2.7:80", True),
        ("0.0.0.0", f"{socket.gethostname()}:80", None, True),
        ("0.0.0.0", "example.org:80", None, False),
        ("192.0.2.7", "192.0.2.7:80", "https://192.0.2.7:81", True),
        ("192.0.2.7", "192.0.2.7:80", "https://192.0.2.8:80", False),
        ("0.0.0.0", "[fe80::1%25x]", None, False),
        ("viewer.test", "viewer.test", "http://viewer.test", True),
    ],
)
def test_who_is_welcome(bound, host, origin, welcome):
    assert (why_refused(bound, host, origin) is None) == welcome
