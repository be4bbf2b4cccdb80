"""Small video files, made by PyAV: numbered pictures, coloured quarters, and their faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from p2c2g.media.frame import Pixels, Size
from p2c2g_capture.sources.video import VideoSource

#: Each bit of a number is a square of that many pixels.
_SQUARE, _BITS = 16, 12
NUMBERED = Size(_SQUARE * _BITS, 2 * _SQUARE)
#: Blue, green, red of the quarters: left and right above, left and right below.
RED, GREEN, BLUE, WHITE = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)
#: Pictures a second.
RATE = 25
#: A second in the time stamps of a film.
TICKS = 90_000

Setup = Callable[[VideoStream], None]


def numbered(number: int) -> Pixels:
    """Return a picture that carries a number in black and white squares."""
    bits = [(number >> bit & 1) * 255 for bit in range(_BITS)]
    row = np.repeat(np.array(bits, np.uint8), _SQUARE)
    return np.repeat(np.tile(row, (NUMBERED.height, 1))[:, :, np.newaxis], 3, axis=2)


def number_of(pixels: Pixels) -> int:
    """Read the number of a picture in any size."""
    small = cv2.resize(pixels, (NUMBERED.width, NUMBERED.height), interpolation=cv2.INTER_AREA)
    squares = small.reshape(NUMBERED.height, _BITS, _SQUARE, 3)[8:24, :, 4:12].mean((0, 2, 3))
    return sum(1 << bit for bit, grey in enumerate(squares) if grey > 128)


def quarters(size: Size) -> Pixels:
    """Return a picture with a colour in each corner: red, green, then blue, white."""
    pixels = np.zeros((size.height, size.width, 3), np.uint8)
    down, across = size.height // 2, size.width // 2
    pixels[:down, :across], pixels[:down, across:] = RED, GREEN
    pixels[down:, :across], pixels[down:, across:] = BLUE, WHITE
    return pixels


def corners(pixels: Pixels) -> list[str]:
    """Return the names of the corners' colours: left and right above, left and right below."""
    names = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE, "black": (0, 0, 0)}
    height, width = pixels.shape[:2]
    found = []
    for y in (height // 6, height * 5 // 6):
        for x in (width // 6, width * 5 // 6):
            here = pixels[y, x].astype(int)
            found.append(min(names, key=lambda name: int(np.abs(here - names[name]).sum())))
    return found


def write_film(
    path: Path,
    pictures: Iterable[Pixels],
    rate: int = RATE,
    *,
    times: Iterable[float] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    setup: Setup | None = None,
    tags: Mapping[str, str] | None = None,
    tags_in: str = "utf-8",
    muxer: Mapping[str, str] | None = None,
) -> Path:
    """Write a film; ``times`` are in seconds, else the rate's, and ``setup`` sees the stream."""
    moments = iter(times) if times is not None else None
    fast = {"preset": "ultrafast", "crf": "10"} if codec == "libx264" else {}
    with av.open(f"file:{path}", "w", options=muxer, metadata_encoding=tags_in) as container:
        container.metadata.update(tags or {})
        stream: Any = container.add_stream(codec, rate=rate, options={**fast, **(options or {})})
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, TICKS if moments else rate)
        for number, pixels in enumerate(pictures):
            if not number:
                stream.height, stream.width = pixels.shape[:2]
                if setup:
                    setup(stream)
            picture = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            picture.time_base = stream.codec_context.time_base
            picture.pts = round(next(moments) * TICKS) if moments else number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def shown(path: Path, ticks: Iterable[int], fps: float = RATE) -> list[int]:
    """Return the numbers that a film shows at these ticks, to who has all the time for them."""
    with VideoSource(path, None, fps, clock=lambda: 0.0) as source:
        return [number_of(source.grab(tick)) for tick in ticks]


def first_of(path: Path, size: Size | None = None) -> Pixels:
    """Return the first picture that a film shows."""
    with VideoSource(path, size) as source:
        first = source.grab(0)
        assert Size.of(first) == source.size
        return first


def write_numbers(path: Path, count: int, rate: int = RATE, first: int = 0, **more: Any) -> Path:
    """Write a film of so many numbered pictures."""
    return write_film(path, (numbered(first + n) for n in range(count)), rate, **more)


def damage(path: Path, where: float, length: int = 64) -> Path:
    """Overwrite some bytes at a place between 0 and 1 of a file, or of an MP4's pictures."""
    data = bytearray(path.read_bytes())
    start, size = pictures_of(data) if path.suffix == ".mp4" else (0, len(data))
    middle = start + int(size * where)
    data[middle : middle + length] = b"\xff" * length
    path.write_bytes(data)
    return path


def pictures_of(mp4: bytes | bytearray) -> tuple[int, int]:
    """Return where an MP4's pictures begin, and of how many bytes they are."""
    start = mp4.index(b"mdat") + 4
    return start, int.from_bytes(mp4[start - 8 : start - 4], "big") - 8


def _box(kind: bytes, data: bytes) -> bytes:
    return (8 + len(data)).to_bytes(4, "big") + kind + data


def _boxes(data: bytes) -> Iterable[tuple[bytes, bytes]]:
    while data:
        size = int.from_bytes(data[:4], "big")
        yield data[4:8], data[:size]
        data = data[size:]


def a_cover() -> bytes:
    """Return a red JPEG of 64x64."""
    ok, data = cv2.imencode(".jpg", np.full((64, 64, 3), RED, np.uint8))
    assert ok
    return data.tobytes()


def put_cover_first(film: Path) -> Path:
    """Put a cover into an MP4, before its film, as some taggers do."""
    cover = _box(b"covr", _box(b"data", bytes([0, 0, 0, 13, 0, 0, 0, 0]) + a_cover()))
    handler = _box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    udta = _box(b"udta", _box(b"meta", bytes(4) + handler + _box(b"ilst", cover)))
    whole = b""
    for kind, box in _boxes(film.read_bytes()):
        if kind == b"moov":  # the last of them: no offset moves
            head, *rest = [inner for name, inner in _boxes(box[8:]) if name != b"udta"]
            whole += _box(b"moov", head + udta + b"".join(rest))
        else:
            whole += box
    film.write_bytes(whole)
    return film


def write_song(path: Path) -> Path:
    """Write an MP3 of a tenth of a second of silence, with a cover."""
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream("libmp3lame", rate=44_100, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4_608), np.int16), "s16p", "mono")
        sound.sample_rate = 44_100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    picture = b"\0image/jpeg\0\x03\0" + a_cover()
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frame + path.read_bytes())
    return path
