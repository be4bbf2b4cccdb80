"""The viewer's server, through real sockets: pace, endings and what is served."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from p2c2g.display.connection import WINDOW
from p2c2g.display.hub import Hub
from p2c2g.display.web import MAX_VIEWERS, ViewerServer
from p2c2g.errors import UsageError
from p2c2g.media.picture import Tile
from tests.watchers import (
    PATIENCE,
    STATS,
    Client,
    Message,
    drawable,
    picture,
)


def test_a_new_viewer_is_shown_the_latest_picture_at_once_and_once_only(serving):
    serving.hub.publish(picture(1))
    serving.hub.publish(picture(2))
    with serving.client() as client:
        assert client.next_picture().number == 2
        client.answer(2)
        serving.hub.publish(picture(3))
        assert client.next_picture().number == 3


def test_the_statistics_come_by_themselves_again_and_again(serving):
    with serving.client() as client:
        assert [client.next_stats() for _ in range(3)] == [STATS] * 3


def test_a_viewer_that_stops_reading_is_owed_two_pictures_and_then_the_newest(serving):
    with serving.client() as slow, serving.client() as quick:
        for number in range(100):
            serving.hub.publish(picture(number))
            assert quick.next_picture().number == number
            quick.answer(number)
        quick_and_slow = serving.viewer.dropped
        assert slow.next_picture().number == 0
        assert slow.next_picture().number == 1
        # Three more statistics: time enough for a third picture, had it been sent.
        assert all(not isinstance(slow.next(), Message) for _ in range(3))
        slow.answer(1)
        assert slow.next_picture().number == 99
    assert quick_and_slow == 97


def test_one_answer_counts_for_what_came_before_it_and_a_failure_is_an_answer(serving):
    with serving.client() as client:
        client.next_stats()
        number = 0
        for word in ("shown", "failed") * 3:
            first = number
            for _ in range(WINDOW):
                serving.hub.publish(picture(number))
                assert client.next_picture().number == number
                number += 1
            assert number == first + WINDOW
            client.answer(number - 1, word)


@pytest.mark.parametrize(
    "answer",
    ["shown", "{}", '{"shown": "1"}', '{"shown": true}', '{"draws": 1, "base": true}', "[" * 4000],
)
def test_an_answer_that_is_none_ends_the_connection_with_a_sentence(serving, answer):
    with serving.client() as client:
        client.connection.send(answer)
        closed = client.closing()
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1008
    assert "shown" in closed.rcvd.reason


def test_a_session_that_ends_says_so(serving):
    with serving.client() as client:
        client.next_stats()
        serving.hub.close()
        closed = client.closing()
    assert closed.rcvd is not None
    assert (closed.rcvd.code, closed.rcvd.reason) == (1001, "The session has ended.")


def test_closing_does_not_wait_for_a_viewer_that_left_its_socket_full(serving, caplog):
    address = urlsplit(serving.url)
    with (
        serving.client(draws=True, max_size=None) as client,
        socket.create_connection((address.hostname, address.port)) as stuck,
    ):
        stuck.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert stuck.recv(12) == b"HTTP/1.1 101"
        wish = b'{"draws":true,"base":false}'
        stuck.sendall(bytes((0x81, 0x80 | len(wish), 0, 0, 0, 0)) + wish)
        # More than the kernel keeps for a socket that nobody reads.
        heavy = tuple(
            Tile(tile.chunk, bytes(24 << 20), tile.form) for tile in drawable(0).tiles[:1]
        )
        for number in range(5):
            serving.hub.publish(replace(drawable(number), tiles=heavy))
            assert client.next_picture().number == number
            client.answer(number)
        assert serving.viewer.connected == 2
        serving.viewer.close()
        assert client.closing().rcvd is not None
    serving.viewer.close()
    with pytest.raises(OSError, match="refused"):
        connect(serving.websocket_url, proxy=None, open_timeout=PATIENCE)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_viewers_are_counted_and_limited(serving):
    with ExitStack() as stack:
        for _ in range(MAX_VIEWERS):
            stack.enter_context(serving.client()).next_stats()
        assert serving.viewer.connected == MAX_VIEWERS
        refused = stack.enter_context(
            connect(serving.websocket_url, proxy=None, open_timeout=PATIENCE)
        )
        closed = Client(refused).closing()
        assert closed.rcvd is not None
        assert closed.rcvd.code == 1013


def test_the_page_and_its_parts_come_with_strict_headers(serving):
    with httpx.Client(base_url=serving.url, trust_env=False, timeout=PATIENCE) as http:
        page = http.get("/")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        parts = ["viewer.css", "check.js", "viewer.js", "favicon.svg"]
        for part in parts:
            assert f'"{part}"' in page.text
            assert http.get(f"/{part}").status_code == 200
        assert http.get("/viewer.js").headers["content-type"].startswith("text/javascript")
        missing = http.get("/../web.py")
        assert missing.status_code == 404
        for answer in (page, missing):
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"


def test_every_module_that_the_page_imports_is_served(serving):
    with httpx.Client(base_url=serving.url, trust_env=False, timeout=PATIENCE) as http:
        waiting, seen = {"viewer.js"}, set()
        while waiting:
            name = waiting.pop()
            seen.add(name)
            answer = http.get(f"/{name}")
            assert answer.status_code == 200, name
            for line in answer.text.splitlines():
                if line.startswith("import ") and ' from "./' in line:
                    waiting |= {line.split('"./')[1].split('"')[0]} - seen
    assert len(seen) > 3


def test_a_port_in_use_is_said_in_one_sentence(serving):
    port = urlsplit(serving.url).port
    with pytest.raises(UsageError, match=f"^Port {port} is in use: choose another"):
        ViewerServer(Hub(), dict, port=port).start()


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("127.0.0.1", 70_000, "70000 is not a port"),
        ("127.0.0.1", -1, "-1 is not a port"),
        ("192.0.2.1", 0, "cannot listen on '192.0.2.1'"),
        ("no such host", 0, "cannot listen on 'no such host'"),
    ],
)
def test_where_it_cannot_listen_is_said(host, port, sentence):
    with pytest.raises(UsageError, match=sentence):
        ViewerServer(Hub(), dict, host=host, port=port).start()


def test_no_thread_is_left_behind():
    with ViewerServer(Hub(), dict):
        assert "viewer" in {thread.name for thread in threading.enumerate()}
    assert "viewer" not in {thread.name for thread in threading.enumerate()}
