"""What was measured, remembered in the user's folder for caches.

One small file, and one for each interface of graphics cards.  A broken or unknown file counts as
none; where one cannot be written, the next start measures again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from p2c2g.peers.messages import Rate, Text
from p2c2g.system.files import write_whole
from p2c2g_workers.engine import Kind

logger = logging.getLogger(__name__)

#: Version of the file's form and of how things are measured.
VERSION = 2
#: Bytes of the file at most.
_MOST = 65_536


class Measured(BaseModel):
    """Megapixels a second, by processor and by codec."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speeds: Annotated[dict[Text, Rate], Field(max_length=256)] = {}
    codecs: Annotated[dict[Text, Rate], Field(max_length=64)] = {}


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    measured: Measured


def path(kind: Kind = "cpu") -> Path:
    """Return where it is for an engine's kind."""
    name = "probe.json" if kind == "cpu" else f"probe-{kind}.json"
    return Path(platformdirs.user_cache_dir("p2c2g", appauthor=False)) / name


def key(*parts: object) -> str:
    """Return one key for everything that the figures depend on."""
    text = json.dumps([VERSION, *parts], sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()


def load(key: str, kind: Kind = "cpu") -> Measured | None:
    """Return what is remembered under a key; None where there is nothing."""
    file = _read(kind)
    return file.measured if file is not None and file.key == key else None


def latest(kind: Kind = "cpu") -> Measured:
    """Return what was measured last, whatever it depended on: a rough guide, without a look."""
    file = _read(kind)
    return Measured() if file is None else file.measured


def _read(kind: Kind) -> _File | None:
    try:
        with path(kind).open("rb") as stream:
            data = stream.read(_MOST)
        return _File.model_validate_json(data)
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        logger.info("What was measured before cannot be read: %s", error)
        return None


def save(key: str, measured: Measured, kind: Kind = "cpu") -> None:
    """Remember, replacing what was there for that kind; written whole or not at all."""
    target = path(kind)
    data = _File(key=key, measured=measured).model_dump_json(indent=1)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data, durable=False)
    except OSError as error:
        logger.warning("What was measured cannot be remembered in %s: %s", target, error)
