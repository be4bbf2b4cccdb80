"""What a task's message may be: what our own senders write, and nothing else.

Celery does what a message asks for: it sends callbacks, chains and chords to any queue with the
worker's own rights, runs whichever task is named, holds in memory what is to begin in a year.  A
message of a queue is a chunk, or an order to train, and so says no more than one.

=====================  ==========================================================
queue                  task
=====================  ==========================================================
``train``              ``p2c2g.train``
any other, such as     ``p2c2g.enhance``, whose id names the session that its own
``cpu`` or a peer's    header names: there its result goes
=====================  ==========================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgpack

from p2c2g.errors import WireError
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging import names
from p2c2g.messaging.dispatcher import parse_task_id, task_id
from p2c2g.messaging.labels import MAX_NAME, is_name, is_short
from p2c2g.messaging.limits import MAX_BODY, MAX_SHOWN

#: What a task's arguments have to be.  Returns the session that waits for its result, nothing
#: where none does; raises WireError.
Check = Callable[[str, list[Any], dict[str, Any]], str]

#: Elements of any list or mapping in a body: each has a few.  msgpack makes a list as long as it
#: claims to be, before it reads the elements.
_MAX_LIST: Final = 16
#: Letters of a text in one: of an order to train.
_MAX_TEXT: Final = 1 << 15
_ORDER = re.compile(r"[0-9a-f]{32}\.[0-9]{1,9}")


def enhance(name: str, arguments: list[Any], keywords: dict[str, Any]) -> str:
    """Check a chunk's arguments: its header, and its picture.

    Raises:
        WireError: they are no chunk's, or another's than its id says.
    """
    if keywords or len(arguments) != 2 or not isinstance(arguments[1], bytes):
        raise WireError("its arguments are not a header and a picture")
    header, picture = arguments
    if len(picture) > MAX_BODY:
        raise WireError(f"its picture has {len(picture)} bytes, where at most {MAX_BODY} may be")
    chunk = ChunkHeader.unpack(header)
    due = task_id(chunk.session, chunk.frame, chunk.chunk)
    if name != due or parse_task_id(name) is None or not is_name(name):
        raise WireError(f"its id is {name!r:.80}, and its header says {due!r:.80}")
    return chunk.session


def train(name: str, arguments: list[Any], keywords: dict[str, Any]) -> str:
    """Check an order's arguments: a text, and the number of the attempt.

    Raises:
        WireError: they are no order's.
    """
    if keywords or [type(each) for each in arguments] != [str, int] or not _ORDER.fullmatch(name):
        raise WireError("its id and arguments are not those of an order to train")
    return ""


#: The tasks of the queue for orders to train, and those of all others.
TRAINING: Final[dict[str, Check]] = {names.TRAIN_TASK: train}
TASKS: Final[dict[str, Check]] = {names.ENHANCE_TASK: enhance}


def read(message: Any, queue: str) -> tuple[list[Any], str]:
    """Return a message's body, decoded, and the session that waits for its result, if any.

    Args:
        message: kombu's.
        queue: the one that it came from.

    Raises:
        WireError: it is not what this queue carries; says what is wrong.
    """
    headers = message.headers
    task, name = _named(headers)
    carried = TRAINING if queue == names.TRAIN_QUEUE else TASKS
    if task not in carried:
        raise WireError(f"its task is {task!r:.80}, where {' or '.join(carried)} is carried")
    for header, value in headers.items():
        if header not in _HEADERS or not _HEADERS[header](value):
            raise WireError(f"its header {header!r:.80} asks for what no message may")
    if message.properties.get("correlation_id", name) != name:
        raise WireError("it has two ids")
    body = _decoded(message)
    if not isinstance(body, list | tuple) or len(body) != 3:
        raise WireError("its body does not have the three parts of a task")
    arguments, keywords, embedded = body
    if not (
        isinstance(arguments, list | tuple)
        and isinstance(keywords, dict)
        and isinstance(embedded, dict | None)
    ):
        raise WireError("its body is not a list and two mappings")
    for part, value in (embedded or {}).items():
        if part not in _EMBEDDED or value is not None:
            raise WireError(f"its {part!r:.80} asks for another task, which none may")
    return list(body), carried[task](name, list(arguments), keywords)


def _named(headers: Mapping[Any, Any]) -> tuple[str, str]:
    task, name = headers.get("task"), headers.get("id")
    if not isinstance(task, str) or not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise WireError("its headers name no task, or no id")
    return task, name


def _decoded(message: Any) -> Any:
    if message.content_type == "application/x-msgpack":
        try:
            return msgpack.unpackb(
                message.body,
                raw=False,
                max_array_len=_MAX_LIST,
                max_map_len=_MAX_LIST,
                max_str_len=_MAX_TEXT,
                max_ext_len=0,
            )
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise WireError(f"its body cannot be read: {error}") from error
    try:
        # JSON, no longer than any message in it: see the channel.
        return message.decode()
    except Exception as error:  # kombu's reader raises whatever a hook of its raises
        raise WireError(f"its body cannot be read: {type(error).__name__}") from error


def _is_shown(value: object) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= MAX_SHOWN)


def _is_flag(value: object) -> bool:
    return value is None or isinstance(value, bool)


def _is_nothing(value: object) -> bool:
    return value is None or value in (0, "", [], {})


def _is_no_limit(value: object) -> bool:
    return value is None or value in ([None, None], (None, None))


#: What Celery says of a task, and what each may be.
_HEADERS: Final[dict[str, Callable[[object], bool]]] = {
    "lang": is_short,
    "task": is_short,
    "id": is_short,
    "root_id": is_short,
    "parent_id": is_short,
    "origin": is_short,
    "argsrepr": _is_shown,
    "kwargsrepr": _is_shown,
    "ignore_result": _is_flag,
    "redelivered": _is_flag,
    "shadow": _is_nothing,
    "eta": _is_nothing,
    "expires": _is_nothing,
    "group": _is_nothing,
    "group_index": _is_nothing,
    "retries": _is_nothing,
    "timelimit": _is_no_limit,
    "replaced_task_nesting": _is_nothing,
    "stamped_headers": _is_nothing,
    "stamps": _is_nothing,
}
_EMBEDDED: Final = ("callbacks", "errbacks", "chain", "chord")
