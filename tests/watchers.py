"""Viewers without a screen, and pictures for them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import simplejpeg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from p2c2g.display.hub import Hub
from p2c2g.display.web import ViewerServer
from p2c2g.media.frame import Size
from p2c2g.media.picture import Picture
from p2c2g.media.residual import USUAL_FORM, Form
from p2c2g_capture.sources.pattern import PatternSource
from tests.pictures import shown_picture
from tests.viewed import some_residual, viewed_picture

SOURCE, OUTPUT = Size(320, 180), Size(640, 360)
SMALL, LARGE = PatternSource(SOURCE), PatternSource(OUTPUT)
STATS = {"fps": 59.9, "latency_ms": {"p50": None}, "frames": {"complete": 3}, "peers": []}
#: Long enough for a busy machine; nothing here waits as long where all is well.
PATIENCE = 60


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
        address, patience = self.websocket_url, PATIENCE
        with connect(address, proxy=None, open_timeout=patience, **options) as connection:
            client = Client(connection)
            client.wish(draws=draws, base=base)
            yield client
