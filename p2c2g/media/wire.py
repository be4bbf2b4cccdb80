"""The headers of a chunk and of its result: versioned bytes, refused where not understood.

A header is a msgpack array whose first element is the version.  Pictures are sent beside it,
unchanged.  Every number is checked against bounds before it is used, since both ends are
strangers to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgpack

from p2c2g.errors import UsageError, WireError
from p2c2g.media.frame import MAX_EDGE, Rect, Size
from p2c2g.media.residual import MAX_GAIN, Form

VERSION: Final = 5
_MAX_HEADER: Final = 8192  # four texts in letters of four bytes, and the numbers
_MAX_TEXT: Final = 512
_MAX_LIST: Final = 16
_MAX_NUMBER: Final = 2**53


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """What a peer is told about one run of one chunk.

    ``codec`` is that of the picture beside it and ``form`` that of the residual which is wanted
    back.  ``frame_size`` is the whole source frame's, from which the peer resolves
    ``operations``; ``padded`` is the part of it that was sent and ``crop`` the part of the
    processed ``padded`` that is asked for.  ``budget_us`` is for how many microseconds after the
    chunk was sent its result is of use, the whole round trip included: a span, since clocks
    differ.
    """

    session: str
    frame: int
    chunk: int
    attempt: int
    codec: str
    form: Form
    operations: str
    frame_size: Size
    padded: Rect
    crop: Rect
    budget_us: int

    def __str__(self) -> str:
        return f"chunk {self.chunk} of frame {self.frame}, attempt {self.attempt}"

    def pack(self) -> bytes:
        """Write the header."""
        packed: bytes = msgpack.packb(
            [
                VERSION,
                self.session,
                self.frame,
                self.chunk,
                self.attempt,
                self.codec,
                [self.form.codec, self.form.quality, self.form.gain, int(self.form.in_colour)],
                self.operations,
                [self.frame_size.width, self.frame_size.height],
                _rect(self.padded),
                _rect(self.crop),
                self.budget_us,
            ]
        )
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> ChunkHeader:
        """Read a header.

        Raises:
            WireError: it is not a chunk header of this version, or a number in it is out
                of bounds.
        """
        fields = _Fields("chunk header", data, 12)
        header = cls(
            session=fields.text(),
            frame=fields.number(_MAX_NUMBER),
            chunk=fields.number(65_535),
            attempt=fields.number(255, least=1),
            codec=fields.text(),
            form=fields.form(),
            operations=fields.text(),
            frame_size=fields.size(),
            padded=fields.rect(),
            crop=fields.rect(),
            budget_us=fields.number(_MAX_NUMBER),
        )
        if (
            header.padded.right > header.frame_size.width
            or header.padded.bottom > header.frame_size.height
        ):
            raise WireError("a chunk header's rectangle lies outside its frame.")
        return header


@dataclass(frozen=True, slots=True)
class ResultHeader:
    """What a peer reports about one run.

    The times are the peer's: ``started_us`` and ``done_us`` on its own monotonic clock, in
    microseconds, comparable with no other clock; ``decode_us`` and ``process_us`` are spans
    between them, one after the other.  ``waited_us`` is how long before its start the peer had
    the chunk, and ``idle_us`` how long the slot that took it had done nothing by then: a chunk
    that came late to a slot with nothing to do was held up on its way.  ``ran`` is the pipeline
    that was run where it differs from the one that was asked for, else empty.
    """

    frame: int
    chunk: int
    attempt: int
    peer: str
    started_us: int
    decode_us: int
    process_us: int
    done_us: int
    ran: str = ""
    waited_us: int = 0
    idle_us: int = 0

    def pack(self) -> bytes:
        """Write the header; longer texts than 512 letters are cut off."""
        packed: bytes = msgpack.packb(
            [
                VERSION,
                self.frame,
                self.chunk,
                self.attempt,
                self.peer[:_MAX_TEXT],
                self.started_us,
                self.decode_us,
                self.process_us,
                self.done_us,
                self.waited_us,
                self.idle_us,
                self.ran[:_MAX_TEXT],
            ],
            unicode_errors="replace",  # a host's name or a file's may hold half a letter
        )
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> ResultHeader:
        """Read a header.

        Raises:
            WireError: it is not a result header of this version, a number in it is out of
                bounds, or its spans do not fit between its start and its end, or before its start.
        """
        fields = _Fields("result header", data, 12)
        header = cls(
            frame=fields.number(_MAX_NUMBER),
            chunk=fields.number(65_535),
            attempt=fields.number(255, least=1),
            peer=fields.text(),
            started_us=fields.number(_MAX_NUMBER),
            decode_us=fields.number(_MAX_NUMBER),
            process_us=fields.number(_MAX_NUMBER),
            done_us=fields.number(_MAX_NUMBER),
            waited_us=fields.number(_MAX_NUMBER),
            idle_us=fields.number(_MAX_NUMBER),
            ran=fields.text(),
        )
        if header.decode_us + header.process_us > header.done_us - header.started_us:
            raise WireError("a result header's spans do not fit between its start and its end.")
        if max(header.waited_us, header.idle_us) > header.started_us:
            raise WireError("a result header's waiting began before its clock did.")
        return header


def _rect(rect: Rect) -> list[int]:
    return [rect.x, rect.y, rect.width, rect.height]


def _shown(value: object) -> str:
    # Never a stranger's repr: that of lists a thousand deep is a RecursionError.
    return str(value) if type(value) is int else f"a {type(value).__name__}"


class _Fields:
    """The elements of one header, taken in order and checked."""

    def __init__(self, what: str, data: object, count: int) -> None:
        self._what = what
        if not isinstance(data, bytes) or len(data) > _MAX_HEADER:
            raise WireError(f"a {what} must be at most {_MAX_HEADER} bytes.")
        try:
            # msgpack makes a list as long as it claims to be before it reads the elements.
            values = msgpack.unpackb(data, max_array_len=_MAX_LIST, max_map_len=_MAX_LIST)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise WireError(f"a {what} cannot be read: {error}.") from error
        if not isinstance(values, list) or not values:
            raise WireError(f"a {what} is not a list that begins with its version.")
        version = values[0]
        if type(version) is not int or version != VERSION:
            raise WireError(
                f"a {what} is of version {_shown(version)}; this side speaks version {VERSION}: "
                "update the older of the two."
            )
        if len(values) != count:
            raise WireError(f"a {what} has {len(values)} fields in place of {count}.")
        self._values = iter(values[1:])

    def number(self, most: int, *, least: int = 0) -> int:
        return self._checked(next(self._values), least, most)

    def text(self) -> str:
        return self._text(next(self._values))

    def form(self) -> Form:
        values: Any = next(self._values)
        if not isinstance(values, list) or len(values) != 4:
            raise WireError(f"a {self._what} lacks the four values of a residual's form.")
        codec, quality, gain, in_colour = values
        try:
            return Form(
                self._text(codec),
                self._checked(quality, 1, 100),
                self._checked(gain, 1, MAX_GAIN),
                bool(self._checked(in_colour, 0, 1)),
            )
        except UsageError as error:
            # This side does not know the codec.
            raise WireError(f"a {self._what} asks for what cannot be: {error}") from error

    def _text(self, value: object) -> str:
        if not isinstance(value, str):
            raise WireError(f"a {self._what} has {_shown(value)} in place of text.")
        if len(value) > _MAX_TEXT:
            raise WireError(
                f"a {self._what} has a text of {len(value)} letters, where at most {_MAX_TEXT} "
                "are allowed."
            )
        return value

    def size(self) -> Size:
        width, height = self._numbers(2, least=1)
        return Size(width, height)

    def rect(self) -> Rect:
        x, y, width, height = self._numbers(4)
        if not width or not height:
            raise WireError(f"a {self._what} has an empty rectangle.")
        return Rect(x, y, width, height)

    def _numbers(self, count: int, *, least: int = 0) -> list[int]:
        values: Any = next(self._values)
        if not isinstance(values, list) or len(values) != count:
            raise WireError(f"a {self._what} lacks a list of {count} numbers.")
        return [self._checked(value, least, MAX_EDGE) for value in values]

    def _checked(self, value: object, least: int, most: int) -> int:
        if type(value) is not int or not least <= value <= most:
            raise WireError(
                f"a {self._what} has {_shown(value)} in place of a whole number from {least} "
                f"to {most}."
            )
        return value
