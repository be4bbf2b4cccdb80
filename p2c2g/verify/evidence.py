"""What a gamer can show an operator of a peer that was caught, and what an operator sees in it.

A peer signs each of its answers together with what it was asked (:mod:`p2c2g.sealing.signing`), so
nobody can put an answer into its mouth, or another question before it.  The picture and the
residual need not be shown for that: their hashes do.  With them, an operator checks again what the
session checked; without them, that the check said so is the gamer's word.

Pure.  A gamer is a stranger to the operator: every length has bounds, and pictures are decoded
behind the same guards as any stranger's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from p2c2g.errors import CheckError, CodecError, UsageError, WireError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Chunk, Pixels, Rect, Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.sealing.agreement import Ends
from p2c2g.sealing.identity import SIGNATURE_BYTES, key_of, text_of
from p2c2g.sealing.signing import Answer, Asked
from p2c2g.verify.agreement import same_residual
from p2c2g.verify.checks import Checker

#: Bytes of one piece of evidence as JSON, at most.
MAX_EVIDENCE = 4 << 20
#: Letters of what a session found.
MAX_SAID = 500
#: Pixels of a picture that is looked at again, at most, and of a residual.
MAX_PIXELS = 1 << 24
_HEADER, _PICTURE = 16_384, 1 << 20

Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, Field(max_length=200)]


class Finding(Enum):
    """What can be seen in a piece of evidence whose signatures are right."""

    REFUSED = "refused"  # the check refuses the answer here too
    DIFFERENT = "different"  # two peers have answered one picture differently: one of them is wrong
    PASSES = "passes"  # what was caught cannot be seen here
    SIGNED = "signed"  # the peer has said this; what is wrong with it is the gamer's word


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Statement(_Shown):
    """What one peer was asked and has answered, signed by it.

    ``chunk`` and ``result`` are packed headers in base64, ``picture`` and ``residual`` SHA-256 of
    the encoded ones; ``shown`` is the encoded residual in base64, where it may be shown.
    """

    peer: Id
    chunk: Annotated[Base64, Field(max_length=_HEADER)]
    picture: Hash
    result: Annotated[Base64, Field(max_length=_HEADER)]
    residual: Hash
    signature: Annotated[Base64, Field(max_length=88)]
    shown: Annotated[Base64, Field(max_length=_PICTURE)] = ""


class Evidence(_Shown):
    """One answer by which a peer was caught.

    ``at`` is when, by the gamer's clock; ``said`` what the session found; ``other`` another peer's
    answer to the same picture, where the two were compared; ``shown`` the encoded picture in
    base64, where the gamer lets it be shown.
    """

    v: Literal[1] = 1
    pool: Id
    gamer: Id
    at: Annotated[str, Field(max_length=40)]
    said: Annotated[str, Field(max_length=MAX_SAID)]
    statement: Statement
    other: Statement | None = None
    shown: Annotated[Base64, Field(max_length=_PICTURE)] = ""


class Report(_Shown):
    """What a session's report says of it; the rest of that is nothing to us."""

    evidence: Annotated[tuple[Evidence, ...], Field(max_length=1024)]


def statement(peer: str, answer: Answer, residual: bytes = b"") -> Statement:
    """Return what an answer says; the residual is shown where it is given."""
    return Statement(
        peer=peer,
        chunk=text_of(answer.asked.header),
        picture=answer.asked.picture.hex(),
        result=text_of(answer.header),
        residual=answer.residual.hex(),
        signature=text_of(answer.signature),
        shown=text_of(residual),
    )


def parse(data: bytes) -> Evidence:
    """Read a piece of evidence.

    Raises:
        WireError: it is too long, or none.
    """
    if len(data) > MAX_EVIDENCE:
        raise WireError(f"evidence has {len(data)} bytes, where {MAX_EVIDENCE} are the most.")
    try:
        return Evidence.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise WireError(f"evidence cannot be read: {where}: {first['msg']}.") from error


def examine(evidence: Evidence, keys: Mapping[str, bytes]) -> Finding:
    """Say what a piece of evidence shows, of the peer that its first statement is of.

    Args:
        evidence: as a gamer gave it.
        keys: the public signing keys that the operator vouches for, by the peer's id.

    Raises:
        WireError: a signature is wrong, or it contradicts itself: it shows nothing, but perhaps of
            the gamer.
    """
    first, other = evidence.statement, evidence.other
    header = _check_signed(evidence, first, keys)
    if other is not None:
        _check_signed(evidence, other, keys)
        if other.picture != first.picture or other.peer == first.peer:
            raise WireError("its two statements are not two peers' of one picture.")
    picture, residual = (
        _bytes_of(evidence.shown, first.picture),
        _bytes_of(first.shown, first.residual),
    )
    if not residual:
        return Finding.SIGNED
    plan = _plan(header)
    try:
        found = header.form.decode(residual, header.crop.size)
        if picture:
            frame = _frame(header, picture)
            Checker(header.form, plan).check(frame, _chunk(header, plan), found)
    except (CheckError, CodecError):
        return Finding.REFUSED
    against = b"" if other is None else _bytes_of(other.shown, other.residual)
    if not against:
        return Finding.PASSES if picture and other is None else Finding.SIGNED
    try:
        same = same_residual(found, header.form.decode(against, header.crop.size))
    except CodecError:
        same = False
    return Finding.PASSES if same else Finding.DIFFERENT


def _check_signed(evidence: Evidence, said: Statement, keys: Mapping[str, bytes]) -> ChunkHeader:
    """Check one statement's signature, and return the header of what was asked.

    Raises:
        WireError: it is not signed, or its headers are not of one run.
    """
    key = keys.get(said.peer)
    if key is None:
        raise WireError(f"nobody vouches for a key of peer {said.peer!r}.")
    asked, answered = _bytes(said.chunk), _bytes(said.result)
    ends = Ends(evidence.pool, said.peer, evidence.gamer)
    Answer(
        Asked(ends, asked, bytes.fromhex(said.picture)),
        answered,
        bytes.fromhex(said.residual),
        key_of(said.signature, SIGNATURE_BYTES),
    ).check(key)
    header, result = ChunkHeader.unpack(asked), ResultHeader.unpack(answered)
    run = (header.frame, header.chunk, header.attempt)
    if run != (result.frame, result.chunk, result.attempt):
        raise WireError("its answer is to another run than was asked for.")
    return header


def _plan(header: ChunkHeader) -> Plan:
    """Return what was asked for.

    Raises:
        WireError: it cannot be, or is more than is looked at again.
    """
    for size in (header.padded.size, header.crop.size):
        if size.width * size.height > MAX_PIXELS:
            raise WireError(f"it is of {size} pixels, where {MAX_PIXELS} in all are the most.")
    try:
        plan = Pipeline.parse(header.operations).resolve(header.frame_size)
        Checker(header.form, plan)
    except UsageError as error:
        raise WireError(f"its header asks for what cannot be: {error}") from error
    return plan


def _frame(header: ChunkHeader, picture: bytes) -> Pixels:
    """Return what was sent, which is all of the frame that there is here.

    Raises:
        WireError: it is no picture of what was asked for.
    """
    size = header.padded.size
    try:
        frame = codec(header.codec).decode(picture, limit=size)
    except (CodecError, UsageError) as error:
        raise WireError(f"the picture that it shows is none: {error}") from error
    if Size.of(frame) != size:
        raise WireError("the picture that it shows has another size than was asked for.")
    return frame


def _chunk(header: ChunkHeader, plan: Plan) -> Chunk:
    """Return the chunk where what was sent is all that there is of the frame."""
    width, height = header.padded.width, header.padded.height
    x = min(int(header.crop.x / plan.scale_x), width - 1)
    y = min(int(header.crop.y / plan.scale_y), height - 1)
    rect = Rect(
        x, y,
        max(1, min(width - x, round(header.crop.width / plan.scale_x))),
        max(1, min(height - y, round(header.crop.height / plan.scale_y))),
    )  # fmt: skip
    return Chunk(header.chunk, rect, Rect(0, 0, width, height), header.crop, header.crop)


def _bytes_of(text: str, digest: str) -> bytes:
    """Return what is shown; nothing where it is not.

    Raises:
        WireError: it is something else than what the digest is of.
    """
    data = _bytes(text)
    if data and sha256(data).hexdigest() != digest:
        raise WireError("it shows something else than was sent.")
    return data


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("evidence holds what is no base64.") from error
