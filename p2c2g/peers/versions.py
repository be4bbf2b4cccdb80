"""Which versions each side speaks: peers say it when they enrol, sessions every five seconds.

Peers and sessions of other versions cannot work together, and both are told so.
"""

from __future__ import annotations

import json
import re
from typing import Any

from p2c2g import sealing
from p2c2g.media import wire
from p2c2g.messaging import bounded, envelope, names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.messaging.labels import is_name
from p2c2g.peers import messages

#: Seconds for which it is known what a session speaks, which tells it every five.
LIFETIME = 30
#: Peers, and bans, that a reader of the registry heeds.
MAX_PEERS = 16_384
#: Letters of it at most.
MAX_SPEAKS = 32
_SPEAKS = rf"[0-9.]{{1,{MAX_SPEAKS}}}"


def spoken() -> str:
    """Return the versions that this side speaks.

    They are those of chunks, of envelopes, of peers' messages and of seals.
    """
    return f"{wire.VERSION}.{envelope.VERSION}.{messages.VERSION}.{sealing.VERSION}"


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
            said: Any = bounded.text(self._client, names.spoken(), MAX_SPEAKS)
        text = said.decode(errors="replace") if isinstance(said, bytes) else ""
        return text if re.fullmatch(_SPEAKS, text) else ""

    def others(self) -> dict[str, str]:
        """Return what each living peer speaks that is of another version, by its id."""
        with translated():
            keys: Any = bounded.members(self._client, names.peers(), MAX_PEERS)
            ids = [peer for key in sorted(keys) if is_name(peer := key.decode(errors="replace"))]
            rows = bounded.values(self._client, names.peers(), ids, messages.MAX_ENROLMENT)
            found = {
                peer: version
                for peer, data in rows.items()
                if isinstance(data, bytes) and (version := other_version(data))
            }
            if not found:
                return {}
            with self._client.pipeline(transaction=False) as pipe:
                for peer in found:
                    pipe.exists(names.beat(peer))
                lives = pipe.execute()
        return {
            peer: version
            for (peer, version), alive in zip(found.items(), lives, strict=True)
            if alive
        }
