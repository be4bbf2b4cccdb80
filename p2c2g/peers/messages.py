"""What a peer tells of itself: who it is, what it can do, and how it is right now.

Strangers write these and everybody reads them, so each number has bounds and each text a
length; what breaks one is no peer.  JSON, so that an operator can read them at the broker.

An :class:`Enrolment` is told when a peer joins, a :class:`Beat` every second or so after that.
Times are spans on the peer's own clock, never moments: nobody trusts a stranger's clock.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from p2c2g.errors import WireError
from p2c2g.messaging.labels import MAX_NAME, MAX_REGION, Name

#: Of both messages; what is of another version is refused.
VERSION: Literal[2] = 2
#: Bytes of one message at most.
MAX_ENROLMENT = 16_384
MAX_BEAT = 2_048

_BASE64 = r"^[A-Za-z0-9+/]*={0,2}$"
Text = Annotated[str, Field(max_length=MAX_NAME)]
Count = Annotated[int, Field(ge=0, le=2**40)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class PeerState(Enum):
    """What a peer is doing."""

    STARTING = "starting"  # not yet asked for chunks
    READY = "ready"  # works
    PAUSED = "paused"  # a guest whose host needs the machine; comes back by itself
    DRAINING = "draining"  # finishes what it has, and leaves


class _Told(BaseModel):
    """Frozen, and deaf to fields that a newer peer may add."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=False)


class Gpu(_Told):
    """One GPU.

    ``kind`` is the interface by which it was found; ``memory`` in bytes, 0 where unknown.
    """

    name: Text
    kind: Literal["cuda", "opencl", "metal"]
    memory: Count = 0


class Capabilities(_Told):
    """What a peer's machine can do, measured by the probe on that machine.

    ``speeds`` are megapixels made a second by one slot, by processor, such as
    ``{"upscale:bicubic": 310.0}``; ``codecs`` megapixels a second of encoding and decoding
    together, by codec.  ``memory`` is in bytes; ``up`` and ``down`` in bits a second to and
    from the broker, 0 where not measured; ``rtt`` in seconds.  ``queues`` are those that the
    peer may serve.
    """

    cpu: Text = ""
    cores: Annotated[int, Field(ge=1, le=4096)] = 1
    memory: Count = 0
    gpus: Annotated[tuple[Gpu, ...], Field(max_length=64)] = ()
    speeds: Annotated[dict[Text, Rate], Field(max_length=256)] = {}
    codecs: Annotated[dict[Text, Rate], Field(max_length=64)] = {}
    up: Rate = 0.0
    down: Rate = 0.0
    rtt: Seconds = 0.0
    queues: Annotated[tuple[Name, ...], Field(max_length=64)] = ("cpu",)
    versions: Annotated[dict[Text, Text], Field(max_length=64)] = {}


class Enrolment(_Told):
    """Who joins.

    ``id`` is the worker's node name, which also names its own queue; ``name`` what people
    call it; ``instance`` tells two workers of one name apart; ``slots`` is how many chunks it
    works on at once; ``queues`` what it serves now; ``interval`` the seconds between beats;
    ``speaks`` the versions of what it reads and writes (:mod:`p2c2g.peers.versions`), nothing
    where it does not say.  In an open pool ``exchange`` is the public key (X25519, base64 of 32
    bytes) that its chunks are sealed for, and ``exchange_signature`` the peer's (Ed25519, base64
    of 64 bytes) that it is: :mod:`p2c2g.peers.vouching`.
    """

    v: Literal[2] = VERSION
    id: Name
    name: Text = ""
    region: Annotated[str, Field(max_length=MAX_REGION)] = ""
    instance: Name
    slots: Annotated[int, Field(ge=1, le=4096)] = 1
    queues: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    interval: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    capabilities: Capabilities = Capabilities()
    speaks: Annotated[str, Field(max_length=32, pattern=r"^[0-9.]*$")] = ""
    exchange: Annotated[str, Field(max_length=44, pattern=_BASE64)] = ""
    exchange_signature: Annotated[str, Field(max_length=88, pattern=_BASE64)] = ""


class Beat(_Told):
    """How a peer is.

    ``load`` is the machine's CPU in use by anybody; ``in_flight`` chunks received and not
    ended; ``served`` chunks ended since the last beat, ``seconds_per_chunk`` and
    ``seconds_per_chunk_p95`` what each took, mean and 95th percentile (0 where none ended);
    ``rtt`` the least seconds to the broker and back of late, and ``rise`` those that a ping takes
    beyond that as a rule; ``uptime`` in seconds; ``reason`` says why it is paused; ``sessions`` for
    how many it works, alike (:mod:`p2c2g.peers.sharing`), 0 where it does not say.
    """

    v: Literal[2] = VERSION
    instance: Name
    state: PeerState
    load: Share = 0.0
    in_flight: Count = 0
    served: Count = 0
    seconds_per_chunk: Seconds = 0.0
    seconds_per_chunk_p95: Seconds = 0.0
    rtt: Seconds = 0.0
    rise: Seconds = 0.0
    uptime: Seconds = 0.0
    reason: Text = ""
    sessions: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0


M = TypeVar("M", Enrolment, Beat)


def parse(kind: type[M], data: bytes | int) -> M:
    """Read what a peer told; where it was too long to be read at all, its length is given.

    Raises:
        WireError: it is longer than allowed, or not what it should be.
    """
    most = MAX_ENROLMENT if issubclass(kind, Enrolment) else MAX_BEAT
    what = kind.__name__.lower()
    length = data if isinstance(data, int) else len(data)
    if isinstance(data, int) or length > most:
        raise WireError(f"a peer's {what} has {length} bytes, where {most} are the most.")
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise WireError(f"a peer's {what} cannot be read: {where}: {first['msg']}.") from error
