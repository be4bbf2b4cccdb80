"""Where a pool's coordinator is, as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Self
from urllib.parse import parse_qs, urlsplit

from p2c2g.errors import UsageError
from p2c2g.settings.addresses import is_loopback

_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]{1,100}){0,8}/?")


@dataclass(frozen=True, slots=True)
class PoolAddress:
    """A coordinator's address.

    ``url`` is without a slash at its end, and holds no secret; ``token`` is one that was written
    into it, which is no place for it.
    """

    url: str
    token: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            UsageError: it is none, or others on the way could read what is sent there.
        """
        try:
            parts = urlsplit(text.strip())
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        shown = _without_secrets(text)
        if (
            parts.scheme not in ("https", "http")
            or not _HOST.fullmatch(host)
            or not _PATH.fullmatch(parts.path)
        ):
            raise UsageError(
                f"{shown!r} is no pool's address: give its coordinator's, such as "
                "https://pool.example.org."
            )
        place = f"[{host}]" if ":" in host else host
        if port is not None:
            place += f":{port}"
        if parts.scheme == "http" and not is_loopback(host):
            raise UsageError(
                f"{shown!r} has no TLS, so everybody on the way could read keys and logins: give "
                f"https://{place}."
            )
        written = parse_qs(parts.query).get("token") or [parts.fragment.removeprefix("token=")]
        return cls(f"{parts.scheme}://{place}{parts.path.rstrip('/')}", written[0])

    @property
    def has_tls(self) -> bool:
        """Tell whether it is asked by TLS; else it is on this machine."""
        return self.url.startswith("https:")

    @property
    def folder(self) -> str:
        """Return a name for a folder of this pool's files: readable, and no other pool's."""
        place = re.sub(r"[^A-Za-z0-9.-]+", "-", urlsplit(self.url).netloc)[:60].strip("-.")
        return f"{place}-{sha256(self.url.encode()).hexdigest()[:8]}"


def _without_secrets(text: str) -> str:
    """Return what was meant to be an address, without what might be a token or a login."""
    text = re.split(r"[?#]", text, maxsplit=1)[0]
    scheme, separator, rest = text.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"[:200] if separator else text[:200]
