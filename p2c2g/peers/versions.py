"""Which versions each side speaks: peers say it when they enrol, sessions every five seconds.

Peers and sessions of other versions cannot work together, and both are told so.
"""

from __future__ import annotations

import json
import re
from typing import Any

from p2c2g.media import wire
from p2c2g.messaging import envelope, names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.messaging.labels import is_name
from p2c2g.peers import messages

#: Seconds for which it is known what a session speaks, which tells it every five.
LIFETIME = 30
_SPEAKS = r"[0-9.]{1,32}"


def spoken() -> str:
    """Return the versions that this side speaks: of chunks, of envelopes, of peers' messages."""
    return f"{wire.VERSION}.{envelope.VERSION}.{messages.VERSION}"


def other_version(enrolment: bytes) -> str:
    """Return what a peer of another version speaks, by its enrolment; nothing of one of ours.

    Who does not say is believed to be of ours, and so is what is no enrolment of any version.
    """
    try:
        told = json.loads(enrolment) if len(enrolment) <= messages.MAX_ENROLMENT else None
    except (ValueError, RecursionError):
        return ""
    if not isinstance(told, dict):
        return ""
    version, speaks = told.get("v"), told.get("speaks")
    if not isinstance(speaks, str) or re.fullmatch(_SPEAKS, speaks) is None:
        speaks = ""
    if type(version) is int and 0 < version < 1 << 16 and version != messages.VERSION:
        return speaks if speaks not in ("", spoken()) else f"?.?.{version}"
    return speaks if speaks != spoken() else ""


def left_out(peer: str, version: str) -> str:
    """Return the sentence about a peer of another version."""
    return (
        f"Peer {peer} is of another version and gets no work: it speaks {version}, this side "
        f"{spoken()}. Update the older of the two."
    )


class Versions:
    """What the broker knows of versions.

    Every method raises :class:`~p2c2g.errors.BrokerUnavailableError` where the broker does not
    answer.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def of_a_session(self) -> str:
        """Return what a session speaks that is there; nothing where none is."""
        with translated():
            told: Any = self._client.get(names.spoken())
        text = told.decode(errors="replace") if isinstance(told, bytes) else ""
        return text if re.fullmatch(_SPEAKS, text) else ""

    def others(self) -> dict[str, str]:
        """Return what each living peer speaks that is of another version, by its id."""
        with translated():
            rows: Any = self._client.hgetall(names.peers())
            found = {
                key.decode(): version
                for key, data in sorted(rows.items())
                if (version := other_version(data)) and is_name(key.decode(errors="replace"))
            }
            if not found:
                return {}
            beats: Any = self._client.mget([names.beat(peer) for peer in found])
        return {
            peer: version
            for (peer, version), beat in zip(found.items(), beats, strict=True)
            if beat is not None
        }
