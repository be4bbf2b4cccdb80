"""The viewer's server, through real sockets: messages, pace, endings and who is refused."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pytest
import simplejpeg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from p2c2g.display import packer
from p2c2g.display.connection import WINDOW
from p2c2g.display.guard import allowed_name, is_near, why_refused
from p2c2g.display.hub import Hub
from p2c2g.display.terms import terms
from p2c2g.display.web import MAX_VIEWERS, ViewerServer
from p2c2g.errors import UsageError
from p2c2g.media.frame import Size
from p2c2g.media.picture import Picture, Tile
from p2c2g.media.residual import USUAL_FORM, Form
from p2c2g_capture.sources.pattern import PatternSource, read_numbers
from tests.pictures import shown_picture
from tests.viewed import some_residual, viewed_picture

SOURCE, OUTPUT = Size(320, 180), Size(640, 360)
SMALL, LARGE = PatternSource(SOURCE), PatternSource(OUTPUT)
STATS = {"fps": 59.9, "latency_ms": {"p50": None}, "frames": {"complete": 3}, "peers": []}
#: Long enough for a busy machine; nothing here waits as long where all is well.
PATIENCE = 30


def picture(number: int) -> Picture:
    """Return a picture whose numbers can be read."""
    return shown_picture(
        number, LARGE.grab(number), source=SOURCE, captured_at=10.0, ready_at=10.02
    )


def drawable(number: int, form: Form = USUAL_FORM, late: int | None = None) -> Picture:
    """Return a picture in two tiles that a browser can make by itself."""
    residual = some_residual(OUTPUT, number, planes=3 if form.in_colour else 1)
    return viewed_picture(number, SMALL.grab(number), residual, form, late=late)


@dataclass
class Message:
    header: dict
    payloads: bytes

    @property
    def number(self) -> int:
        return self.header["number"]

    def payload(self, part: list[int]) -> bytes:
        offset, length = part
        return self.payloads[offset : offset + length]

    def image(self, part: list[int]) -> np.ndarray:
        return simplejpeg.decode_jpeg(self.payload(part), "BGR")


class Client:
    """A viewer without a screen."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def next(self) -> Message | dict:
        data = self.connection.recv(timeout=PATIENCE)
        if isinstance(data, str):
            return json.loads(data)
        (length,) = struct.unpack_from("<I", data)
        return Message(json.loads(data[4 : 4 + length]), data[4 + length :])

    def next_picture(self) -> Message:
        while not isinstance(message := self.next(), Message):
            pass
        return message

    def next_stats(self) -> dict:
        while isinstance(message := self.next(), Message):
            pass
        return message

    def next_terms(self) -> dict:
        while isinstance(message := self.next(), Message) or "terms" not in message:
            pass
        return message["terms"]

    def wish(self, *, draws: bool = False, base: bool = False) -> None:
        self.connection.send(json.dumps({"draws": draws, "base": base}))

    def answer(self, number: int, word: str = "shown") -> None:
        self.connection.send(json.dumps({word: number}))

    def closing(self) -> ConnectionClosed:
        """Read to the end, and return how it ended."""
        while True:
            try:
                self.connection.recv(timeout=PATIENCE)
            except ConnectionClosed as closed:
                return closed


@dataclass
class Serving:
    hub: Hub
    viewer: ViewerServer
    url: str

    @property
    def websocket_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}ws"

    @contextmanager
    def client(self, *, draws: bool = False, base: bool = False, **options) -> Iterator[Client]:
        with connect(self.websocket_url, proxy=None, **options) as connection:
            client = Client(connection)
            client.wish(draws=draws, base=base)
            yield client


@pytest.fixture
def serving() -> Iterator[Serving]:
    hub = Hub()
    viewer = ViewerServer(hub, lambda: STATS, clock=lambda: 10.05)
    url = viewer.start()
    yield Serving(hub, viewer, url)
    viewer.close()


def test_a_viewer_that_does_not_draw_gets_the_composed_picture(serving):
    with serving.client() as client:
        client.next_stats()
        serving.hub.publish(picture(77))
        message = client.next_picture()
    header = dict(message.header)
    assert read_numbers(message.image(header.pop("picture"))) == [77] * 16
    assert header == {
        "number": 77,
        "state": "complete",
        "output": [640, 360],
        "age_ms": 50.0,
        "media_type": "image/jpeg",
        "base": None,
    }


def test_the_base_comes_along_where_it_is_shown_also_of_a_picture_that_was_sent(serving):
    shown = replace(drawable(1), compose=lambda base: LARGE.grab(5))
    serving.hub.publish(shown)
    with serving.client() as client:
        assert client.next_picture().header["base"] is None
        client.wish(base=True)
        message = client.next_picture()
        assert message.number == 1
        assert read_numbers(message.image(message.header["picture"])) == [5] * 16
        assert cv2.absdiff(message.image(message.header["base"]), shown.base).mean() < 6


def test_a_viewer_that_draws_gets_terms_once_and_what_came_as_it_came(serving):
    sent = drawable(7, late=1)
    with serving.client(draws=True) as client:
        serving.hub.publish(sent)
        told = client.next_terms()
        message = client.next_picture()
        client.answer(7)
        serving.hub.publish(drawable(8))
        while not isinstance(again := client.next(), Message):
            assert "terms" not in again
    assert told == terms(SOURCE, OUTPUT, Fraction(2), Fraction(2), 1)
    header = message.header
    assert (header["number"], header["state"]) == (7, "degraded")
    assert header["media_type"] == "rgba"
    own = np.frombuffer(message.payload(header["own"]), np.uint8).reshape(180, 320, 4)
    assert (own[:, :, 2::-1] == sent.frame).all()
    (only,) = header["residuals"]
    assert (only["target"], only["media_type"]) == ([0, 0, 640, 180], "image/jpeg")
    assert message.payload(only["payload"]) == sent.tiles[0].residual


def test_new_terms_are_told_before_the_picture_that_they_are_of(serving):
    small = viewed_picture(2, SMALL.grab(2)[:90], some_residual(Size(640, 180)), USUAL_FORM)
    with serving.client(draws=True) as client:
        for shown, height in ((drawable(1), 360), (small, 180), (drawable(3), 360)):
            serving.hub.publish(shown)
            assert client.next_terms()["output"] == [640, height]
            assert client.next_picture().header["output"] == [640, height]
            client.answer(shown.number)


def test_a_viewer_that_is_elsewhere_gets_a_jpeg_of_the_own_pixels(serving):
    sent = drawable(7)
    serving.hub.publish(sent)
    with serving.client(draws=True, origin="http://localhost:9000") as client:
        message = client.next_picture()
    assert message.header["media_type"] == "image/jpeg"
    off = cv2.absdiff(message.image(message.header["own"]), np.ascontiguousarray(sent.frame))
    assert off.mean() < 4  # it is noisy


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


def test_a_fourth_channel_of_a_frame_is_left_out(serving):
    sent = drawable(1)
    noise = np.full((180, 320, 1), 7, np.uint8)
    serving.hub.publish(replace(sent, frame=np.concatenate([sent.frame, noise], axis=2)))
    with serving.client(draws=True) as client:
        message = client.next_picture()
    own = np.frombuffer(message.payload(message.header["own"]), np.uint8).reshape(180, 320, 4)
    assert (own[:, :, 2::-1] == sent.frame).all()


@pytest.mark.parametrize("strength", [8, 200])
def test_residuals_that_no_browser_reads_are_sent_as_png_and_lose_nothing(serving, strength):
    residual = some_residual(OUTPUT, 1, strength)
    serving.hub.publish(viewed_picture(1, SMALL.grab(1), residual, Form("raw", 100), late=0))
    with serving.client(draws=True) as client:
        message = client.next_picture()
    (only,) = message.header["residuals"]
    assert only["media_type"] == "image/png"
    data = message.payload(only["payload"])
    assert (Form("png", 100).decode(data, Size(640, 180)) == residual[180:]).all()


def test_residuals_in_colour_are_composed_by_the_session_also_for_a_viewer_that_draws(serving):
    sent = drawable(1, Form("jpeg", 75, in_colour=True))
    serving.hub.publish(sent)
    with serving.client(draws=True, base=True) as client:
        message = client.next_picture()
    assert cv2.absdiff(message.image(message.header["picture"]), sent.pixels).mean() < 6
    assert message.header["base"] is not None


def test_nothing_is_sent_before_a_viewer_says_what_it_wants(serving):
    serving.hub.publish(picture(1))
    with connect(serving.websocket_url, proxy=None) as connection:
        client = Client(connection)
        assert [client.next() for _ in range(3)] == [STATS] * 3
        client.wish()
        assert client.next_picture().number == 1


def test_what_viewers_want_is_made_once_for_all_of_them(serving, monkeypatch):
    made: Counter[str] = Counter()

    def counting(name: str, make: Callable[[Picture], object]) -> Callable[[Picture], object]:
        def makes(picture: Picture) -> object:
            made[name] += 1
            assert threading.current_thread().name.startswith("viewer-packer")
            return make(picture)

        return makes

    makers = {name: counting(name, make) for name, make in packer._MAKERS.items()}
    monkeypatch.setattr(packer, "_MAKERS", makers)
    with ExitStack() as stack:
        for kind in ({"draws": True}, {}, {"base": True}) * 3:
            stack.enter_context(serving.client(**kind)).next_stats()
        clients = [stack.enter_context(serving.client(**kind)) for kind in ({"draws": True}, {})]
        serving.hub.publish(drawable(1))
        for client in clients:
            assert client.next_picture().number == 1
    assert {name: count for name, count in made.items() if count != 1} == {}


def test_a_slow_composition_holds_up_neither_those_who_draw_nor_makes_an_old_picture(
    serving, monkeypatch
):
    begun, go_on, composed = threading.Event(), threading.Event(), []

    def slow(picture: Picture) -> bytes:
        composed.append(picture.number)
        begun.set()
        assert go_on.wait(PATIENCE)
        return simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8))

    monkeypatch.setattr(packer, "_MAKERS", {**packer._MAKERS, "composed": slow})
    with (
        serving.client(draws=True) as drawing,
        serving.client() as first,
        serving.client() as second,
        serving.client() as third,
    ):
        serving.hub.publish(drawable(0))
        assert begun.wait(PATIENCE)
        for number in range(1, 30):
            assert drawing.next_picture().number == number - 1
            drawing.answer(number - 1)
            serving.hub.publish(drawable(number))
        first.connection.ping().wait(PATIENCE)  # the loop answers meanwhile
        go_on.set()
        for client in (first, second, third):
            seen = [client.next_picture().number]
            while seen[-1] != 29:
                client.answer(seen[-1])
                seen.append(client.next_picture().number)
            assert seen in ([0, 29], [29])
    assert composed == [0, 29]


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
        heavy = tuple(Tile(tile.chunk, bytes(24 << 20)) for tile in drawable(0).tiles[:1])
        for number in range(5):
            serving.hub.publish(replace(drawable(number), tiles=heavy))
            assert client.next_picture().number == number
            client.answer(number)
        assert serving.viewer.connected == 2
        serving.viewer.close()
        assert client.closing().rcvd is not None
    serving.viewer.close()
    with pytest.raises(OSError, match="refused"):
        connect(serving.websocket_url, proxy=None)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_viewers_are_counted_and_limited(serving):
    with ExitStack() as stack:
        for _ in range(MAX_VIEWERS):
            stack.enter_context(serving.client()).next_stats()
        assert serving.viewer.connected == MAX_VIEWERS
        refused = stack.enter_context(connect(serving.websocket_url, proxy=None))
        closed = Client(refused).closing()
        assert closed.rcvd is not None
        assert closed.rcvd.code == 1013


def test_the_page_and_its_parts_come_with_strict_headers(serving):
    with httpx.Client(base_url=serving.url, trust_env=False) as http:
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
    with httpx.Client(base_url=serving.url, trust_env=False) as http:
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


@pytest.mark.parametrize("folder", ["", "game/", "a/deep/folder/"])
def test_a_proxy_may_have_it_in_a_folder_and_pass_that_on(serving, folder):
    with httpx.Client(base_url=f"{serving.url}{folder}", trust_env=False) as http:
        assert "<!doctype html>" in http.get("").text
        assert http.get("viewer.js").headers["content-type"].startswith("text/javascript")
        assert http.get("nothing.js").status_code == 404
    with connect(f"ws{serving.url.removeprefix('http')}{folder}ws", proxy=None) as connection:
        assert Client(connection).next_stats() == STATS


def test_a_page_whose_socket_failed_can_ask_why(serving):
    def ask(**headers: str) -> httpx.Response:
        with httpx.Client(base_url=serving.url, trust_env=False) as http:
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
        httpx.Client(base_url=viewer.start(), trust_env=False) as http,
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
        connect(serving.websocket_url, origin=origin, proxy=None),
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
    with httpx.Client(base_url=serving.url, trust_env=False) as http:
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
