"""The envelope of a task message: a few bytes of head, then the body as it is.

Stock kombu writes a message as JSON with its body in base64 twice: 1.79 times the body's
bytes.  This one costs some 700 bytes, whatever the body::

    offset  0      4         5              9            9 + n
            magic  version   length n       head         body
            b"P2CG"  uint8   uint32, big    msgpack      bytes

The head is ``[content type, content encoding, headers, properties]``.

kombu decompresses a body before anybody has chosen a task for it, and 466 bytes can become
gigabytes.  So a message says no more of itself than is known here, and is not compressed.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgpack

from p2c2g.errors import WireError
from p2c2g.messaging.labels import is_short
from p2c2g.messaging.limits import MAX_BODY, MAX_HEAD, MAX_SHOWN

MAGIC: Final = b"P2CG"
VERSION: Final = 1
_PREFIX: Final = struct.Struct(">4sBI")
_MAX_LIST: Final = 1024
#: What a body may be, and in what letters: what our applications accept.
_CONTENT: Final = (None, "application/x-msgpack", "application/json")
_LETTERS: Final = (None, "binary", "utf-8")


Payload = dict[str, Any]


def _is_text(value: object) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= MAX_SHOWN)


def _is_number(value: object) -> bool:
    return value is None or (type(value) is int and 0 <= value < 256)


#: What kombu and Celery say of a message beside its headers, and what each may be.
_PROPERTIES: Final[dict[str, Callable[[object], bool]]] = {
    "delivery_tag": lambda value: isinstance(value, str) and is_short(value),
    "correlation_id": is_short,
    "reply_to": is_short,
    # Celery puts these two here too, beside its headers.
    "argsrepr": _is_text,
    "kwargsrepr": _is_text,
    "delivery_mode": _is_number,
    "priority": _is_number,
    # These two have checks of their own.
    "body_encoding": lambda _: True,
    "delivery_info": lambda _: True,
}
_DELIVERY: Final[dict[str, Callable[[object], bool]]] = {
    "exchange": lambda value: isinstance(value, str) and is_short(value),
    "routing_key": lambda value: isinstance(value, str) and is_short(value),
    "priority": _is_number,
    "redelivered": lambda value: isinstance(value, bool),
}


def pack(payload: Payload) -> bytes:
    """Write kombu's message mapping, whose body must be bytes, as one envelope.

    Raises:
        WireError: no reader would take it.
    """
    try:
        head: bytes = msgpack.packb(
            [
                payload["content-type"],
                payload["content-encoding"],
                payload["headers"],
                payload["properties"],
            ],
            default=str,
        )
    except (ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"a message's headers cannot be written: {error}.") from error
    if len(head) > MAX_HEAD:
        raise WireError(
            f"a message's headers take {len(head)} bytes, where at most {MAX_HEAD} are allowed."
        )
    body: bytes = payload["body"]
    _read(head, body)
    return b"".join((_PREFIX.pack(MAGIC, VERSION, len(head)), head, body))


def is_envelope(data: bytes) -> bool:
    """Tell whether data begins as an envelope of any version."""
    return data[:4] == MAGIC


def unpack(data: bytes) -> Payload:
    """Read an envelope back into kombu's message mapping.

    Raises:
        WireError: it is cut short, of another version, or its head is not what a task
            message needs.
    """
    if len(data) < _PREFIX.size or data[:4] != MAGIC:
        raise WireError(f"a message of {len(data)} bytes is not a P2C2G envelope.")
    _, version, length = _PREFIX.unpack_from(data)
    if version != VERSION:
        raise WireError(
            f"a message came in envelope version {version}; this side speaks version "
            f"{VERSION}: update the older of the two."
        )
    end = _PREFIX.size + length
    if length > MAX_HEAD or end > len(data):
        raise WireError(f"an envelope's head of {length} bytes does not fit its message.")
    return _read(memoryview(data)[_PREFIX.size : end], data[end:])


def _read(data: bytes | memoryview, body: bytes) -> Payload:
    if len(body) > MAX_BODY + MAX_HEAD:  # Room for a chunk's own header and for msgpack's marks.
        raise WireError(
            f"a message's body has {len(body)} bytes, where at most {MAX_BODY} are allowed: send "
            "smaller chunks."
        )
    try:
        # Lists are made as long as they claim to be, before their elements are read: a hundred
        # in each other would take gigabytes.
        head = msgpack.unpackb(data, max_array_len=_MAX_LIST, max_map_len=_MAX_LIST)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise WireError(f"an envelope's head cannot be read: {error}.") from error
    if not isinstance(head, list) or len(head) != 4:
        raise WireError("an envelope's head is not a list of four.")
    content_type, content_encoding, headers, properties = head
    payload = {
        "body": body,
        "content-type": content_type,
        "content-encoding": content_encoding,
        "headers": headers,
        "properties": properties,
    }
    check(payload)
    return payload


def check(payload: object) -> None:
    """Refuse a mapping that kombu could not deliver, or that asks more of it than to deliver.

    kombu takes a ``KeyError`` for a lost connection, so one foreign message would
    send a worker into a reconnect loop.

    Raises:
        WireError: naming the part that is missing or of the wrong kind.
    """
    if not isinstance(payload, dict):
        raise WireError("a message is not a mapping.")
    properties = payload.get("properties")
    if not isinstance(payload.get("headers"), dict) or not isinstance(properties, dict):
        raise WireError("a message lacks its headers or its properties.")
    for part, known in (("content-type", _CONTENT), ("content-encoding", _LETTERS)):
        if payload.get(part) not in known:
            raise WireError(f"a message's {part} is none that is taken here.")
    if "compression" in payload["headers"]:
        raise WireError("a message is compressed, which none may be.")
    if not isinstance(properties.get("delivery_tag"), str):
        raise WireError("a message lacks its delivery tag.")
    delivery_info = properties.get("delivery_info")
    if not isinstance(delivery_info, dict) or not (
        isinstance(delivery_info.get("routing_key"), str)
        and isinstance(delivery_info.get("exchange"), str)
    ):
        raise WireError("a message lacks its exchange or its routing key.")
    _check_names("properties", properties, _PROPERTIES)
    _check_names("delivery", delivery_info, _DELIVERY)
    body, encoding = payload.get("body"), properties.get("body_encoding")
    if not isinstance(body, bytes | str):
        raise WireError("a message lacks its body.")
    if isinstance(body, str) and encoding == "base64":
        try:
            base64.b64decode(body)
        except ValueError as error:
            raise WireError(f"a message's body is not base64: {error}.") from error
    elif encoding not in (None, "", "utf-8"):
        raise WireError("a message's body is in an encoding that is not known here.")


def _check_names(
    what: str, told: dict[Any, Any], known: Mapping[str, Callable[[object], bool]]
) -> None:
    for name, value in told.items():
        if name not in known or not known[name](value):
            raise WireError(f"a message's {what} say {name!r:.80} as none of ours does.")
