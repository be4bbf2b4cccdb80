"""Pictures that no encoder of ours writes, and that cost a decoder more than they show."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from p2c2g.media.codecs import codec
from p2c2g.media.frame import Size
from tests.hard_pictures import picture

SIZE = Size(64, 48)


def saved(kind: str, mode: str = "RGB", size: Size = SIZE, **options: Any) -> bytes:
    """Return a soft picture, written by Pillow."""
    stream = io.BytesIO()
    image = Image.fromarray(picture(size, 1, "soft")).convert(mode)
    if mode == "RGBA":
        image.putalpha(100)
    image.save(stream, kind, **options)
    return stream.getvalue()


def moving(kind: str, **options: Any) -> bytes:
    """Return two pictures, one after the other."""
    other = Image.fromarray(picture(SIZE, 2, "soft"))
    return saved(kind, save_all=True, append_images=[other], **options)


# -- jpeg


def parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the segments of a JPEG: the kind, and all bytes until the next one."""
    begin = 2
    while begin < len(data):
        end = begin + 2
        if data[begin + 1] not in (0xD9, 0xD8):
            end += struct.unpack_from(">H", data, begin + 2)[0]
        while end < len(data) and not (
            data[end] == 0xFF and data[end + 1] not in (0, *range(0xD0, 0xD8))
        ):
            end += 1
        yield data[begin + 1], data[begin:end]
        begin = end


def part(data: bytes, kind: int) -> bytes:
    """Return the first segment of a kind."""
    return next(found for each, found in parts(data) if each == kind)


def joined(*segments: bytes) -> bytes:
    """Return a JPEG of segments."""
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xd9"


def segment(kind: int, body: bytes) -> bytes:
    """Return one segment of a JPEG."""
    return bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body


def scan_bomb(size: Size = SIZE, components: int = 3) -> bytes:
    """Return a black progressive JPEG with as many scans as the standard allows.

    Each is a dozen bytes and one bit of one coefficient of all blocks, at most 32,767: a decoder
    goes over the picture 882 times for each component, and finds nothing wrong.
    """
    names = range(1, components + 1)
    blocks = -(-size.width // 8) * -(-size.height // 8)
    run = blocks.bit_length() - 1
    frame = struct.pack(">BHHB", 8, size.height, size.width, components)
    frame += b"".join(bytes([name, 0x11, 0]) for name in names)
    one_code = bytes([1]) + bytes(15)
    # The one code of the first table is "no change", that of the other "nothing in so many blocks".
    tables = b"\0" + one_code + b"\0" + b"\x10" + one_code + bytes([run << 4])
    empty = bytes(-(-blocks * components // 8))
    nothing = (f"0{blocks - (1 << run):0{run}b}" if run else "0").ljust(16, "1")
    scans = []
    for bit in range(13, -1, -1):
        before = 0 if bit == 13 else bit + 1
        chosen = bytes([components]) + b"".join(bytes([name, 0]) for name in names)
        scans += [segment(0xDA, chosen + bytes([0, 0, before << 4 | bit])), empty]
        for name in names:
            for place in range(1, 64):
                head = bytes([1, name, 0, place, place, before << 4 | bit])
                scans += [segment(0xDA, head), int(nothing, 2).to_bytes(2, "big")]
    head = segment(0xDB, bytes([0]) + bytes([1]) * 64)
    return joined(head, segment(0xC2, frame), segment(0xC4, tables), *scans)


def with_part(data: bytes, kind: int, new: bytes) -> bytes:
    """Return a JPEG with another segment in the place of its first one of a kind."""
    return data.replace(part(data, kind), new, 1)


def with_byte(data: bytes, kind: int, at: int, value: int) -> bytes:
    """Return a JPEG with another byte in the body of its first segment of a kind."""
    found = bytearray(part(data, kind))
    found[4 + at] = value
    return with_part(data, kind, bytes(found))


def before_frame(data: bytes, *segments: bytes) -> bytes:
    """Return a JPEG with more segments before its frame's."""
    found = []
    for kind, one in parts(data):
        found += [*segments, one] if kind == 0xC0 else [one]
    return b"\xff\xd8" + b"".join(found)


def apart(data: bytes) -> bytes:
    """Return a JPEG in colour that says it has a scan for its first component alone."""
    return with_part(data, 0xDA, segment(0xDA, b"\1\1\0\0\x3f\0") + b"\0" * 200)


JPEG = codec("jpeg").encode(picture(SIZE, 1, "soft"), 80)
FORGED_JPEGS = {
    "repeated scans": scan_bomb(),
    "progressive": saved("JPEG", progressive=True),
    "a scan of one component": apart(JPEG),
    "a scan of some coefficients": with_byte(JPEG, 0xDA, 8, 5),
    "a scan of some bits": with_byte(JPEG, 0xDA, 9, 1),
    "two scans": JPEG[:-2] + part(JPEG, 0xDA) + JPEG[-2:],
    "two pictures": before_frame(JPEG, part(JPEG, 0xC0)),
    "one JPEG after another": JPEG + JPEG,
    "junk after it": JPEG + bytes(1000),
    "a marker in its scan": JPEG[:-2] + b"\xff\xfe\0\4ab" + JPEG[-2:],
    "restarts out of place": JPEG[:-2] + b"\xff\xd0" * 500 + JPEG[-2:],
    "a long comment": before_frame(JPEG, segment(0xFE, bytes(60_000))),
    "a profile": before_frame(JPEG, segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(3000))),
    "another colour space": before_frame(JPEG, segment(0xEE, b"Adobe\0d\0\0\0\0\0")),
    "four components": saved("JPEG", "CMYK"),
    "12 bits": with_byte(JPEG, 0xC0, 0, 12),
    "no height": with_byte(with_byte(JPEG, 0xC0, 1, 0), 0xC0, 2, 0),
    "wrong sampling": with_byte(JPEG, 0xC0, 7, 0x44),
    "sampled colours": with_byte(JPEG, 0xC0, 10, 0x22),
    "a table that is missing": with_part(JPEG, 0xC4, b""),
    "a quantiser of nothing": with_byte(JPEG, 0xDB, 5, 0),
    "tables twice": before_frame(JPEG, part(JPEG, 0xDB)),
    "more codes than there are": with_byte(JPEG, 0xC4, 1, 3),
    "many segments": before_frame(JPEG, *([segment(0xFE, b"")] * 500)),
    "more bytes than it can need": JPEG[:-2] + b"\x55" * (64 * 48 * 6) + JPEG[-2:],
    "another process": JPEG.replace(b"\xff\xc0", b"\xff\xc9", 1),
    "no losses": JPEG.replace(b"\xff\xc0", b"\xff\xc3", 1),
}  # fmt: skip


# -- webp, avif, png, raw


def riff(*chunks: bytes) -> bytes:
    """Return a WebP of chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def of_riff(kind: bytes, body: bytes) -> bytes:
    """Return one chunk of a WebP."""
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


WEBP = codec("webp").encode(picture(SIZE, 1, "soft"), 80)
CANVAS = of_riff(b"VP8X", bytes([4, 0, 0, 0, SIZE.width - 1, 0, 0, SIZE.height - 1, 0, 0]))
FORGED_WEBPS = {
    "an animation": moving("WEBP"),
    "no losses": saved("WEBP", lossless=True),
    "transparency": saved("WEBP", "RGBA"),
    "a profile": saved("WEBP", icc_profile=bytes(500)),
    "metadata": riff(CANVAS, WEBP[12:], of_riff(b"EXIF", bytes(500))),
    "more behind it": riff(WEBP[12:], of_riff(b"JUNK", bytes(500))),
    "junk after it": WEBP + bytes(500),
    "to be scaled": WEBP[:27] + bytes([WEBP[27] | 0x40]) + WEBP[28:],
    "more bytes than it can need": riff(of_riff(b"VP8 ", WEBP[20:] + bytes(64 * 48 * 5))),
}  # fmt: skip

AVIF = codec("avif").encode(picture(SIZE, 1, "soft"), 80)


def avif_with(more: bytes) -> bytes:
    """Return an AVIF with more units after its frame."""
    data = bytearray(AVIF + more)
    for mark, skip in ((b"mdat", -4), (b"iloc", 22)):
        place = data.index(mark) + skip
        (length,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, length + len(more))
    return bytes(data)


FORGED_AVIFS = {
    "a sequence": moving("AVIF"),
    "transparency": saved("AVIF", "RGBA"),
    "metadata": saved("AVIF", exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0"),
    "a profile": saved("AVIF", icc_profile=bytes(500)),
    "4:4:4": saved("AVIF", subsampling="4:4:4"),
    "junk after it": AVIF + bytes(500),
    "a unit of metadata": avif_with(b"\x2a\x02\x01\x80"),
    "padding": avif_with(b"\x7a\x64" + bytes(100)),
    "a second frame": avif_with(AVIF[AVIF.index(b"\x32", AVIF.index(b"mdat")) :]),
    "more bytes than it can need": avif_with(b"\x7a\x80\x80\x02" + bytes(1 << 15)),
}


def png_part(kind: bytes, body: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*between: bytes, kind: bytes = b"\x08\x02\0\0\0", pieces: int = 1) -> bytes:
    """Return a PNG with more chunks before its pixels, which come in so many pieces."""
    pixels = zlib.compress(bytes(SIZE.height * (3 * SIZE.width + 1)), 0)
    head = png_part(b"IHDR", struct.pack(">II", SIZE.width, SIZE.height) + kind)
    each = -(-len(pixels) // pieces)
    cut = [pixels[at : at + each] for at in range(0, len(pixels), each)]
    data = b"".join(png_part(b"IDAT", piece) for piece in cut)
    return b"".join((b"\x89PNG\r\n\x1a\n", head, *between, data, png_part(b"IEND", b"")))


def slow_png(size: Size) -> bytes:
    """Return a black PNG with as many empty blocks of deflate as its length allows."""
    pixels = bytes(size.height * (3 * size.width + 1))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    picture = packer.compress(pixels) + packer.flush()
    # Each has tables of its own and holds nothing: eight of them are 90 bytes.
    one = "0" + "01" + "00000" + "00000" + "0111"
    one += "".join("100" if at in (2, 17) else "000" for at in range(18))
    one += "1" + f"{127:07b}"[::-1] + "1" + f"{107:07b}"[::-1] + "0" + "0" + "0"
    bits = np.array([int(bit) for bit in one * 8], np.uint8)
    empty = np.packbits(bits, bitorder="little").tobytes()
    stream = b"\x78\x01" + empty * ((len(pixels) - len(picture) - 100) // len(empty)) + picture
    stream += struct.pack(">I", zlib.adler32(pixels))
    head = png_part(b"IHDR", struct.pack(">II", size.width, size.height) + b"\x08\x02\0\0\0")
    return b"".join((b"\x89PNG\r\n\x1a\n", head, png_part(b"IDAT", stream), png_part(b"IEND", b"")))


SQUEEZED = zlib.compress(bytes(1 << 20))
FORGED_PNGS = {
    "an animation": moving("PNG"),
    "interlacing": png(kind=b"\x08\x02\0\0\1"),
    "16 bits": png(kind=b"\x10\x02\0\0\0"),
    "a palette": saved("PNG", "P"),
    "transparency": saved("PNG", "RGBA"),
    "a text": png(png_part(b"zTXt", b"a\0\0" + SQUEEZED)),
    "an international text": png(png_part(b"iTXt", b"a\0\1\0\0\0" + SQUEEZED)),
    "a profile": png(png_part(b"iCCP", b"a\0\0" + SQUEEZED)),
    "a brightness": png(png_part(b"gAMA", b"\0\0\xb1\x8f")),
    "many pieces": png(pieces=1000),
    "junk after it": png() + bytes(500),
    "more bytes than it can need": png(png_part(b"IDAT", bytes(1 << 16))),
}
RAW = codec("raw").encode(picture(SIZE, 1, "noise"), 80)
FORGED_RAWS = {"more bytes than it can need": RAW + bytes(1000)}

#: Of each codec, by what is wrong with them; all for colour.
FORGED: dict[str, dict[str, bytes]] = {
    "jpeg": FORGED_JPEGS,
    "webp": FORGED_WEBPS,
    "avif": FORGED_AVIFS,
    "png": FORGED_PNGS,
    "raw": FORGED_RAWS,
}
