"""Where the broker is, as people write it: one URL, or several of one Sentinel group.

A password may be written as it is or percent-encoded: the login ends at the *last* ``@``, and a
``%`` that is not followed by two hexadecimal digits stands for itself.  What goes to libraries is
encoded, so that none of them trips over a ``;`` or a ``#``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote, unquote

from p2c2g.settings.addresses import is_loopback

#: Each scheme, and the port that it has where none is given.
SCHEMES: Final = {"redis": 6379, "rediss": 6379, "sentinel": 26379, "sentinels": 26379}

#: What a URL may show of itself, beside what is no secret in any place: schemes that people write,
#: a query's names and the one value of ours, a machine's name with a port and a database's number.
_SHOWN_SCHEMES = {*SCHEMES, "http", "https", "amqp", "tcp", "unix", "valkey", "redis+socket"}
_PASSWORD = re.compile(r"(?i)[?&][^=&]*password=")
_VALUE = re.compile(
    r"(?<=^)(?![\w.-]{1,40}=).+|(?<==)(?!((cert_)?(none|optional|required)|\d{1,2})$).+"
)
_MACHINE = re.compile(
    r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?(?:/\d*)?"
)
_HIDDEN = "***"
_NEXT = re.compile(r";(?=\w+://)")
_PLACE = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.%-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[0-9]{0,9})?(?:\?(?P<query>[^#]*))?",
)


@dataclass(frozen=True, slots=True)
class Place:
    """One host of a broker's URL; no port where none was written."""

    host: str
    port: int | None

    @property
    def text(self) -> str:
        """Return host and port as a URL has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """A broker's URL, taken apart.

    ``places`` is the server, or the Sentinels; login and database are the server's.  ``path`` is
    as it was written, the slash included, and so is ``query``, without its question mark.
    """

    scheme: str
    places: tuple[Place, ...]
    user: str | None
    password: str | None
    path: str
    query: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Take a URL apart; None where it is no broker's."""
        found = [_parse(part) for part in _NEXT.split(text)]
        urls = [url for url in found if url is not None]
        first = urls[0] if urls else None
        if first is None or len(urls) < len(found):
            return None
        if any(url.scheme != first.scheme for url in urls):
            return None
        if len(urls) > 1 and not first.is_sentinel:
            return None
        # Each Sentinel's URL may have them; they are the same server's.
        login = next((url for url in urls if url.password or url.user), first)
        return cls(
            first.scheme,
            tuple(place for url in urls for place in url.places),
            login.user,
            login.password,
            next((url.path for url in urls if url.path.strip("/")), first.path),
            next((url.query for url in urls if url.query), ""),
        )

    @property
    def is_sentinel(self) -> bool:
        """Tell whether Sentinels are asked for the server."""
        return self.scheme.startswith("sentinel")

    @property
    def has_tls(self) -> bool:
        """Tell whether it is reached by TLS: the Sentinels too."""
        return self.scheme in ("rediss", "sentinels")

    @property
    def database(self) -> int:
        """Return the database's number."""
        return int(self.path.strip("/") or 0)

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """Return hosts and ports."""
        return [(place.host, place.port or SCHEMES[self.scheme]) for place in self.places]

    @property
    def is_confidential(self) -> bool:
        """Tell whether nobody on the way can read along: by TLS, or since it is this machine."""
        return self.has_tls or all(is_loopback(host) for host, _ in self.hosts)

    @property
    def text(self) -> str:
        """Return the URL with an encoded login and without its query."""
        return self._join(_encoded(self.user), _encoded(self.password))

    @property
    def shown(self) -> str:
        """Return the URL for people: without its password, or what may be one."""
        if self.password is None:
            return self._join(self.user and _HIDDEN, None)
        return self._join(_encoded(self.user), _HIDDEN)

    def sentinels(self) -> list[str]:
        """Return a URL for each Sentinel, as kombu and Celery know them: ports given, no TLS."""
        login = self._login(_encoded(self.user), _encoded(self.password))
        places = (Place(host, port) for host, port in self.hosts)
        return [f"sentinel://{login}{place.text}{self.path}" for place in places]

    def _join(self, user: str | None, password: str | None) -> str:
        login = self._login(user, password)
        return ";".join(f"{self.scheme}://{login}{place.text}{self.path}" for place in self.places)

    @staticmethod
    def _login(user: str | None, password: str | None) -> str:
        if user is None and password is None:
            return ""
        return f"{user or ''}@" if password is None else f"{user or ''}:{password}@"


def redacted(url: str) -> str:
    """Return a URL, or what was meant to be one, without its passwords."""
    return ";".join(_redacted(part) for part in _NEXT.split(url))


def cert_reqs(query: str) -> str | None:
    """Return what a URL's query asks of the certificate; None where it asks anything else."""
    match = re.fullmatch(r"ssl_cert_reqs=(?:cert_)?(none|optional|required)", query.lower())
    return match[1] if match else None


def _parse(text: str) -> BrokerUrl | None:
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    login, at, place = rest.rpartition("@")
    match = _PLACE.fullmatch(place)
    if not separator or scheme not in SCHEMES or match is None:
        return None
    port = None if match["port"] is None else int(match["port"])
    user, colon, password = login.partition(":")
    # Without a colon it is a user, or an @ that stands elsewhere: in a query, perhaps.
    if port == 0 or (port or 0) > 65_535 or (not colon and re.search(r"[/?#]", user)):
        return None
    return BrokerUrl(
        scheme,
        (Place(match["host"].strip("[]"), port),),
        (unquote(user) or None) if at else None,
        unquote(password) if colon else None,
        match["path"] or "",
        match["query"] or "",
    )


def _redacted(url: str) -> str:
    """Return one URL without whatever may be a password in it.

    By the last ``@``, not by the URL's grammar: a password with a ``#`` or a ``/`` breaks that.
    Where there is none, it may have been forgotten, and whatever is not a machine's is hidden.
    """
    scheme, separator, rest = url.partition("://")
    if separator:
        scheme = scheme if scheme.lower() in _SHOWN_SCHEMES else _HIDDEN
    elif "@" in url:
        scheme, rest = "", url
    else:
        return url if not url or _MACHINE.fullmatch(url) else _HIDDEN
    login, at, place = rest.rpartition("@")
    in_query = _PASSWORD.search(login)
    if in_query and "@" not in login[: in_query.start()]:
        login, at, place = "", "", rest  # The @ is in a password that stands in the query.
    if at:
        user, colon, _ = login.partition(":")
        # A user alone is most often a password whose colon was forgotten.
        login = f"{user}:{_HIDDEN}" if colon else _HIDDEN
    return f"{scheme}{separator}{login}{at}{_place(place, follows_login=bool(at))}"


def _place(text: str, *, follows_login: bool) -> str:
    """Return host, port and what follows, as far as they cannot be a password."""
    place, mark, query = text.partition("?")
    if not place or _PLACE.fullmatch(place):
        parts = (_VALUE.sub(_HIDDEN, part) for part in query.split("&"))
        return f"{place}?{'&'.join(parts)}" if mark else place
    host, colon, _ = place.partition(":")
    if _PLACE.fullmatch(host) is None:
        return _HIDDEN
    # Behind a login it is the host; without one, it may be a user with a password.
    if colon:
        return f"{host}:{_HIDDEN}"
    return f"{host}/{_HIDDEN}" if follows_login else _HIDDEN


def _encoded(text: str | None) -> str | None:
    return None if text is None else quote(text, safe="", errors="surrogateescape")
