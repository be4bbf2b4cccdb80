"""One target for each format that a stranger writes.

A target takes any bytes and returns; it raises where the format's promise is broken: where
something other than an error of ours is raised, or the result is not valid.  ``SEEDS`` are valid
inputs to begin with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from p2c2g.errors import ChunkError, CodecError, ProcessorError, WireError
from p2c2g.media.codecs import CODECS, codec
from p2c2g.media.frame import Rect, Size
from p2c2g.media.residual import Form
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.messaging import envelope
from p2c2g.messaging.channel import Channel
from p2c2g.messaging.inbox import _arrival
from p2c2g_workers import nets
from p2c2g_workers.processors.network import Network
from p2c2g_workers.tasks import EnhancedChunk, enhance

Target = Callable[[bytes], None]

#: Larger than the seeds, small enough that a decompression bomb is noticed.
_LIMIT = Size(256, 256)
_SIZE = Size(48, 32)
_PICTURE = np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8)


def _codec_target(name: str) -> Target:
    each = codec(name)

    def decode(data: bytes) -> None:
        try:
            pixels = each.decode(data, limit=_LIMIT)
        except CodecError:
            return
        if Size.of(pixels) != each.inspect(data) or pixels.shape[2] != 3:
            raise AssertionError(f"{name} gave pixels of the shape {pixels.shape}")

    return decode


def _chunk_header(data: bytes) -> None:
    try:
        header = ChunkHeader.unpack(data)
    except WireError:
        return
    if ChunkHeader.unpack(header.pack()) != header:
        raise AssertionError("a chunk header does not come out as it went in")


def _result_header(data: bytes) -> None:
    try:
        header = ResultHeader.unpack(data)
    except WireError:
        return
    if ResultHeader.unpack(header.pack()) != header:
        raise AssertionError("a result header does not come out as it went in")


def _envelope(data: bytes) -> None:
    try:
        envelope.check(envelope.unpack(data))
    except WireError:
        return


def _queue(data: bytes) -> None:
    try:
        message = Channel._decode(data)
    except WireError:
        return
    if type(message["properties"]["delivery_tag"]) is not str:
        raise AssertionError("a message without a delivery tag was let pass")


def _stream(data: bytes) -> None:
    """Fields of an entry, separated by zero bytes: names and values in turn."""
    arrival = _arrival(data.split(b"\0"))
    kinds = {type(arrival.header), type(arrival.payload)}, {type(arrival.error)}
    if kinds != ({bytes}, {str}):
        raise AssertionError("an arrival's parts are of other kinds")
    if arrival.succeeded:
        _result_header(arrival.header)


def _task(data: bytes) -> None:
    """A header of as many bytes as the first two say, then a payload."""
    length = int.from_bytes(data[:2], "big")
    header, payload = data[2 : 2 + length], data[2 + length :]
    try:
        # A picture of megabytes is valid, but slow.
        if len(header) and _area(header) > _LIMIT.width * _LIMIT.height:
            return
        result = enhance.run(header, payload)
    except ChunkError:
        return
    if type(result) is not EnhancedChunk:
        raise AssertionError("a task gave something else than a chunk")


def _area(header: bytes) -> int:
    chunk = ChunkHeader.unpack(header)
    return max(
        chunk.padded.width * chunk.padded.height,
        chunk.frame_size.width * chunk.frame_size.height,
    )


def _net(data: bytes) -> None:
    """Changes to a valid file, four bytes each: what, where (two bytes), and a value.

    A whole file would be longer than an input may be, and nearly all of it would be weights.
    """
    _read_net(data)
    file = bytearray(_NET)
    for index in range(0, len(data) - 3, 4):
        what, value = data[index], data[index + 3]
        place = int.from_bytes(data[index + 1 : index + 3], "big")
        # Every second change hits the structure around the weights.
        place = _STRUCTURE[place % len(_STRUCTURE)] if what & 1 else place
        place %= max(1, len(file))
        change = what >> 1 & 3
        if change == 0 and file:
            file[place] = value
        elif change == 1:
            file[place:place] = bytes([value])
        elif change == 2:
            del file[place : place + value]
        else:
            file[place:place] = file[place - value : place]
    _read_net(bytes(file))


def _read_net(file: bytes) -> None:
    try:
        weights = nets.read(file)
    except ProcessorError:
        return
    for layer in weights.layers:
        sums = np.abs(layer.weight.astype(np.int64)).sum((1, 2, 3)) * 255
        if (sums + np.abs(layer.bias.astype(np.int64))).max() >= nets.SUM_LIMIT:
            raise AssertionError("a net was read whose sums are too large")
    if nets.read(nets.write(weights.layers)).method != weights.method:
        raise AssertionError("a net does not come out as it went in")
    if Network(weights).added(_PICTURE).shape != (64, 96):
        raise AssertionError("a net that was read gave a picture of another size")


def _structure(file: bytes) -> list[int]:
    """Return the places in a net's file that are not its large tensors' bytes."""
    places = np.ones(len(file), bool)
    for layer in nets.read(file).layers:
        for part in (layer.weight, layer.bias, layer.scale):
            at = file.index(part.tobytes())
            places[at : at + part.nbytes] = False
    return [int(place) for place in np.flatnonzero(places)]


_NET = nets.shipped("ml-tiny").model
_STRUCTURE = _structure(_NET)
_HEADER = ChunkHeader(
    "s",
    1,
    0,
    1,
    "raw",
    Form("raw", 100),
    "upscale:2",
    _SIZE,
    Rect(0, 0, 48, 32),
    Rect(0, 0, 96, 64),
    100_000,
).pack()
_RESULT = ResultHeader(1, 0, 1, "one@here", 10, 1, 1, 20).pack()
_MESSAGE = envelope.pack(
    {
        "body": b"picture",
        "content-type": "application/x-msgpack",
        "content-encoding": "binary",
        "headers": {"task": "p2c2g.enhance", "id": "s.1.0"},
        "properties": {
            "delivery_tag": "1",
            "delivery_info": {"exchange": "", "routing_key": "cpu"},
            "body_encoding": None,
        },
    }
)
_ENTRY = b"\0".join((b"id", b"s.1.0", b"state", b"SUCCESS", b"header", _RESULT, b"payload", b"x"))

TARGETS: dict[str, Target] = {
    **{name: _codec_target(name) for name in CODECS},
    "chunk-header": _chunk_header,
    "result-header": _result_header,
    "envelope": _envelope,
    "queue": _queue,
    "stream": _stream,
    "task": _task,
    "net": _net,
}

SEEDS: dict[str, list[bytes]] = {
    **{
        name: [each.encode(_PICTURE, 80), each.encode(_PICTURE[:1, :1], 30)]
        for name, each in CODECS.items()
    },
    "chunk-header": [_HEADER],
    "result-header": [_RESULT],
    "envelope": [_MESSAGE],
    "queue": [_MESSAGE, b'{"body": "", "headers": {}, "properties": {"delivery_tag": "1"}}'],
    "stream": [_ENTRY],
    "task": [
        len(_HEADER).to_bytes(2, "big") + _HEADER + codec("raw").encode(_PICTURE, 80),
    ],
    "net": [b"\1\0\1\0", bytes(range(64)), b"\0\x40\0\7\2\0\0\0\4\1\1\1\6\2\2\2"],
}
