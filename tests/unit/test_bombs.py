"""Bombs: small inputs that claim, or hide, far more than they may.

Each is let off in a process of its own, whose largest memory is read afterwards.
"""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from p2c2g.media.codecs import CODECS
from tests.forged_pictures import png_part, riff

#: What every bomb may take, in MiB; what it would take is more, by its header or inside.
MOST = 32
SMALL = {name: each.encode(np.zeros((64, 64, 3), np.uint8), 80) for name, each in CODECS.items()}


def png(width: int, height: int, body: bytes, *extra: bytes) -> bytes:
    head = png_part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = png_part(b"IDAT", body)
    return b"".join((b"\x89PNG\r\n\x1a\n", head, *extra, data, png_part(b"IEND", b"")))


def patched(data: bytes, mark: bytes, skip: int, new: bytes) -> bytes:
    """Return data with ``new`` written ``skip`` bytes after the first ``mark``."""
    place = data.index(mark) + skip
    return data[:place] + new + data[place + len(new) :]


def saved(kind: str, edge: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (edge, edge)).save(stream, kind)
    return stream.getvalue()


def pictures() -> dict[str, tuple[str, bytes]]:
    squeezed = zlib.compress(bytes(128 << 20))
    lines = zlib.compress(bytes(64 * 193))
    huge = struct.pack(">HH", 65_535, 65_535)
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + bytes([63, 0, 0, 63, 0, 0])
    webp, avif = saved("WEBP", 6000), saved("AVIF", 4000)
    packed = b"\x1f\0\0\0" + b"\xff" * (1 << 20)
    return {
        "png claims 65535x65535": ("png", png(65_535, 65_535, squeezed)),
        "png holds more than it claims": ("png", png(64, 64, squeezed)),
        "png with a text": ("png", png(64, 64, lines, png_part(b"zTXt", b"a\0\0" + squeezed))),
        "png with a profile": ("png", png(64, 64, lines, png_part(b"iCCP", b"a\0\0" + squeezed))),
        "jpeg claims 65535x65535": ("jpeg", patched(SMALL["jpeg"], b"\xff\xc0", 5, huge)),
        "jpeg is large": ("jpeg", saved("JPEG", 8000)),
        "webp claims 16383x16383": (
            "webp", patched(SMALL["webp"], b"\x9d\x01\x2a", 3, b"\xff\x3f\xff\x3f"),
        ),
        "webp is large": ("webp", webp),
        "webp holds more than it claims": ("webp", riff(canvas, webp[12:])),
        "avif claims 65535x65535": (
            "avif", patched(SMALL["avif"], b"ispe", 8, struct.pack(">II", 65_535, 65_535)),
        ),
        "avif is large": ("avif", avif),
        "avif holds more than it claims": (
            "avif", patched(avif, b"ispe", 8, struct.pack(">II", 64, 64)),
        ),
        "raw claims 65535x65535": ("raw", b"p2r\x01" + huge + packed),
        "raw holds more than it claims": (
            "raw", b"p2r\x01" + struct.pack(">HH", 64, 64) + packed,
        ),
    }  # fmt: skip


def headers() -> dict[str, tuple[str, bytes]]:
    lengths = {
        "a huge array": b"\xdd\xff\xff\xff\xff",
        "a huge mapping": b"\xdf\xff\xff\xff\xff",
        "a huge text": b"\xdb\xff\xff\xff\xff",
        "huge bytes": b"\xc6\xff\xff\xff\xff",
        "a huge extension": b"\xc9\xff\xff\xff\xff\x01",
        "arrays in arrays": b"\xdd\x00\x00\x1f\x00" * 1600,
        "mappings in mappings": b"\xdf\x00\x00\x0f\x00" * 1600,
        "many mappings": b"\xdc\x1f\xf0" + b"\x80" * 0x1FF0,
    }
    kinds = ("chunk header", "result header", "envelope")
    return {f"{kind} of {what}": (kind, data) for kind in kinds for what, data in lengths.items()}


#: Reads bombs, and lets each off in a child: its name, what came of it, and KiB that it took.
LET_OFF = """
import os, pickle, resource, struct, sys, traceback
import numpy as np
from p2c2g.errors import ChunkError
from p2c2g.media.codecs import CODECS, codec
from p2c2g.media.frame import Size
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.messaging import envelope

def envelope_of(data):
    return envelope.unpack(struct.pack(">4sBI", b"P2CG", 1, len(data)) + data)

DOORS = {"chunk header": ChunkHeader.unpack, "result header": ResultHeader.unpack,
         "envelope": envelope_of}

def door(kind):
    if kind in DOORS:
        return DOORS[kind]
    return lambda data: codec(kind).decode(data, limit=Size(64, 64))

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def let_off(kind, data):
    try:
        door(kind)(data)
    except ChunkError as error:
        return "MemoryError" if isinstance(error.__cause__, MemoryError) else "refused"
    except BaseException:
        traceback.print_exc()
        return "wrong"
    return "taken"

with open(sys.argv[1], "rb") as file:
    bombs = pickle.load(file)
for each in CODECS.values():  # what libraries take for their first picture
    each.decode(each.encode(np.zeros((64, 64, 3), np.uint8), 80))
for name, (kind, data) in bombs.items():
    child = os.fork()
    if child == 0:
        before = peak()
        outcome = let_off(kind, data)
        print(name, outcome, peak() - before, sep="\\t", flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(name, "died", 0, sep="\\t", flush=True)
"""


def let_off(bombs: dict[str, tuple[str, bytes]], folder: Path) -> dict[str, tuple[str, int]]:
    """Return what came of each bomb, and how many MiB it took."""
    path = folder / "bombs"
    path.write_bytes(pickle.dumps(bombs))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LET_OFF, str(path)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    found = {name: (outcome, int(taken) // 1024) for name, outcome, taken in lines}
    assert found.keys() == bombs.keys(), done.stderr
    return found


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads ru_maxrss as Linux has it")


def test_pictures_that_are_bombs_take_no_memory(tmp_path: Path) -> None:
    found = let_off(pictures(), tmp_path)
    #: Sound pictures of 64x64, with more behind them that is never unpacked.
    harmless = {"png holds more than it claims", "png with a text", "png with a profile"}
    assert {name for name, (outcome, _) in found.items() if outcome == "taken"} <= harmless
    assert {outcome for outcome, _ in found.values()} <= {"refused", "taken"}, found
    assert {name: taken for name, (_, taken) in found.items() if taken > MOST} == {}


def test_headers_that_are_bombs_take_no_memory(tmp_path: Path) -> None:
    found = let_off(headers(), tmp_path)
    assert {outcome for outcome, _ in found.values()} == {"refused"}, found
    assert {name: taken for name, (_, taken) in found.items() if taken > MOST} == {}


def test_the_measure_would_see_a_bomb_go_off(tmp_path: Path) -> None:
    """The same picture without a limit: what the tests above would show of a broken check."""
    path = tmp_path / "bombs"
    path.write_bytes(pickle.dumps({"large": ("jpeg", saved("JPEG", 8000))}))
    done = subprocess.run(
        [sys.executable, "-c", LET_OFF.replace(", limit=Size(64, 64)", ""), str(path)],
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    name, outcome, taken = done.stdout.split("\t")
    assert (name, outcome) == ("large", "taken")
    assert int(taken) // 1024 > 5 * MOST
