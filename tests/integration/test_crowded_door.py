"""The viewer's server among strangers: half-open requests, sockets that are not read, tokens."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from p2c2g.display.access import ASKS
from p2c2g.display.door import OWN_PLACES, Limits
from p2c2g.display.guard import network_behind, proxy_address
from p2c2g.display.hub import Hub
from p2c2g.display.web import MAX_VIEWERS, ViewerServer
from p2c2g.errors import UsageError
from p2c2g.media.picture import Tile
from tests.watchers import PATIENCE, STATS, Client, Serving, drawable

LIMITS = Limits(connections=32, of_a_network=16, own=8)


@contextlib.contextmanager
def served(**options) -> Iterator[Serving]:
    hub = Hub()
    with closing(ViewerServer(hub, lambda: STATS, **options)) as viewer:
        yield Serving(hub, viewer, viewer.start())


def half_open(url: str, begins: bytes = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n") -> socket.socket:
    address = urlsplit(url)
    made = socket.create_connection((address.hostname, address.port), PATIENCE)
    # Where this thread stands still here, it may be hung up on before it has said anything.
    with contextlib.suppress(ConnectionError):
        made.sendall(begins)
    return made


def wait_for_hang_ups(sockets: list[socket.socket], count: int) -> None:
    """Wait until so many of them were hung up on."""
    with selectors.DefaultSelector() as selector:
        for each in sockets:
            selector.register(each, selectors.EVENT_READ)
        while count > 0:
            events = selector.select(PATIENCE)
            assert events, f"{count} more were to be hung up on"
            for key, _ in events:
                selector.unregister(key.fileobj)
                count -= 1


def test_half_open_requests_take_few_files_and_the_page_still_comes():
    with served(limits=replace(LIMITS, request_seconds=600)) as serving, ExitStack() as stack:
        sockets = [stack.enter_context(half_open(serving.url)) for _ in range(150)]
        assert "<!doctype html>" in httpx.get(serving.url, trust_env=False, timeout=PATIENCE).text
        with serving.client() as client:
            assert client.next_stats() == STATS
        wait_for_hang_ups(sockets, 150 - LIMITS.connections)


@pytest.mark.parametrize(
    "begins",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",  # and then nothing
        b"POST /check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n1",
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n",
    ],
)
def test_a_request_has_to_come_in_time(begins):
    with (
        served(limits=replace(LIMITS, request_seconds=0.2)) as serving,
        half_open(serving.url, begins) as slow,
        contextlib.suppress(ConnectionResetError),
    ):
        while slow.recv(1 << 16):
            pass


def test_a_request_that_comes_byte_by_byte_is_hung_up_on():
    with (
        served(limits=replace(LIMITS, request_seconds=0.2)) as serving,
        half_open(serving.url) as slow,
        contextlib.suppress(ConnectionError),
    ):
        # Its headers never end, and never are too long.
        for _ in range(500):
            slow.sendall(b"X: y\r\n")
            # Which the time may be too short for on a busy machine, too.
            with contextlib.suppress(httpx.TransportError):
                httpx.get(serving.url, trust_env=False, timeout=PATIENCE)
        pytest.fail("it was never hung up on")


def test_a_viewer_keeps_its_connection_beyond_the_time_of_a_request():
    # Enough for a viewer to be let in on any machine.
    with served(limits=replace(LIMITS, request_seconds=2)) as serving, serving.client() as client:
        assert client.next_stats() == STATS
        with half_open(serving.url) as later:
            wait_for_hang_ups([later], 1)
        serving.hub.publish(drawable(1))
        assert client.next_picture().number == 1


def test_a_viewer_that_reads_nothing_loses_its_place():
    with (
        # The quick one, too, has to answer in time: on a machine that stands still for a while.
        served(limits=replace(LIMITS, ping_seconds=(0.1, 3.0))) as serving,
        serving.client() as quick,
    ):
        address = urlsplit(serving.url)
        wish = b'{"draws":true,"base":false}'
        with half_open(
            serving.url,
            f"GET /ws HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            + bytes((0x81, 0x80 | len(wish), 0, 0, 0, 0)) + wish,
        ) as stuck:  # fmt: skip
            assert stuck.recv(12) == b"HTTP/1.1 101"
            heavy = tuple(
                Tile(tile.chunk, bytes(24 << 20), tile.form) for tile in drawable(0).tiles[:1]
            )
            serving.hub.publish(replace(drawable(0), tiles=heavy))
            while serving.viewer.connected == 2:
                quick.next_stats()


def test_this_machine_has_places_that_others_cannot_take():
    with served(proxies=["127.0.0.1"], allowed=["play.test"]) as serving, ExitStack() as stack:

        def come(number: int) -> Client:
            connection = stack.enter_context(
                connect(
                    serving.websocket_url, proxy=None, origin="http://play.test",
                    additional_headers={"X-Forwarded-For": f"192.0.2.{number}"},
                )
            )  # fmt: skip
            return Client(connection)

        for number in range(MAX_VIEWERS - OWN_PLACES):
            assert come(number // 2).next_stats() == STATS
        closed = come(99).closing()
        assert closed.rcvd is not None
        assert closed.rcvd.code == 1013
        with serving.client() as mine:
            assert mine.next_stats() == STATS


@pytest.mark.parametrize(
    ("client", "told", "network"),
    [
        ("127.0.0.1", None, None),
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "198.51.100.9, 192.0.2.7", "192.0.2.7"),  # the first may be made up
        ("127.0.0.1", "192.0.2.7, 10.0.0.1", "192.0.2.7"),  # two proxies
        ("127.0.0.1", "nonsense", None),
        ("10.0.0.1", "2001:db8::7", "2001:db8::/64"),
        ("203.0.113.5", "192.0.2.7", "203.0.113.5"),  # not a proxy that is trusted
    ],
)
def test_for_whom_a_trusted_proxy_asks(client, told, network):
    proxies = frozenset(map(proxy_address, ["127.0.0.1", "10.0.0.1"]))
    headers = [(b"x-forwarded-for", told.encode())] if told else []
    scope = {"type": "websocket", "client": (client, 4711), "headers": headers}
    assert network_behind(scope, proxies) == network


@pytest.mark.parametrize("text", ["", "proxy.test", "10.0.0.0/8", "127.0.0.1:80"])
def test_what_is_no_address_of_a_proxy_is_refused(text):
    with pytest.raises(UsageError, match="no address of a proxy"):
        ViewerServer(Hub(), dict, proxies=[text])


@pytest.fixture
def locked() -> Iterator[Serving]:
    with served(host="0.0.0.0") as serving:
        yield serving


def split_token(url: str) -> tuple[str, str]:
    page, _, token = url.partition("?token=")
    assert len(token) >= 32
    return page, token


def test_the_token_of_the_address_becomes_a_cookie(locked):
    page, token = split_token(locked.url)
    with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
        answer = http.get(f"{page}game/?composer=off&token={token}")
        assert answer.status_code == 303
        assert answer.headers["location"] == "./?composer=off"
        assert answer.headers["referrer-policy"] == "no-referrer"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        for part in ("", "viewer.js"):
            assert http.get(page + part).status_code == 200
        assert http.post(f"{page}check").text == "Welcome.\n"
        name, value = next(iter(http.cookies.items()))
    socket_url = f"ws{page.removeprefix('http')}ws"
    for more, url in (
        ({"Cookie": f"{name}={value}"}, socket_url),
        ({}, f"{socket_url}?token={token}"),
    ):
        with connect(url, proxy=None, additional_headers=more) as connection:
            assert Client(connection).next_stats() == STATS


@pytest.mark.parametrize("given", ["", "?token=", "?token=wrong", "?token=%ff%00", "?token=é"])
def test_without_the_right_token_nothing_is_shown_but_what_to_do(locked, given):
    page, _ = split_token(locked.url)
    with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
        answer = http.get(page + given)
        assert answer.status_code == 401
        assert answer.headers["content-type"].startswith("text/html")
        assert ASKS in answer.text
        assert "set-cookie" not in answer.headers
        assert http.get(f"{page}viewer.css{given}").status_code == 200
        assert http.get(f"{page}viewer.js{given}").status_code == 401
        assert http.post(f"{page}check{given}").text == ASKS + "\n"
    with (
        pytest.raises(InvalidStatus) as info,
        connect(f"ws{page.removeprefix('http')}ws", proxy=None),
    ):
        pass
    assert info.value.response.status_code == 401
    assert locked.viewer.connected == 0


def test_on_this_machine_alone_no_token_is_asked_for_unless_one_wants_it(serving):
    assert "token" not in serving.url
    with served(asks=True) as asking:
        page, _ = split_token(asking.url)
        assert httpx.get(page, trust_env=False, timeout=PATIENCE).status_code == 401


def test_the_policy_comes_from_what_was_set_and_not_from_the_request(serving):
    for host in ("127.0.0.1", "127.5.5.5", "localhost"):
        answer = httpx.get(serving.url, headers={"Host": host}, trust_env=False, timeout=PATIENCE)
        assert answer.status_code == 200
        assert "127.5.5.5" not in answer.headers["content-security-policy"]
