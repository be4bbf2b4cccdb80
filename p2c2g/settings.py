"""What can be set from outside, by environment variables that begin with ``P2C2G_``.

An entry point builds one :class:`Settings` and passes it on; nothing reads the environment
at import.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from p2c2g.errors import UsageError

SCHEMES = ("redis", "rediss", "sentinel")


class BrokerSettings(BaseSettings):
    """Where the broker is, and how far it is trusted."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_BROKER_")

    url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="The broker: redis://, rediss:// (TLS) or sentinel://, with password.",
    )
    ca: Path | None = Field(
        default=None,
        description="File of the certificates that sign the broker's; the system's where none.",
    )
    verify: bool = Field(
        default=True,
        description="Whether rediss:// checks the broker's certificate and name.",
    )
    sentinel_master: str = Field(
        default="mymaster", description="The name of the master that Sentinel watches."
    )

    def checked_url(self) -> str:
        """Return the URL without its query.

        Raises:
            UsageError: its scheme is none of ours, or it names no host.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in SCHEMES or not (parts.hostname or parts.scheme == "sentinel"):
            raise UsageError(
                f"{redacted(self.url)!r} is not a broker's URL: give redis://, rediss:// or "
                "sentinel:// with a host, such as redis://127.0.0.1:6379/0."
            )
        return urlunsplit(parts._replace(query=""))

    def tls(self) -> dict[str, Any] | None:
        """Return redis-py's TLS arguments, or None for a broker without TLS."""
        parts = urlsplit(self.url)
        if parts.scheme != "rediss":
            return None
        asked = parse_qs(parts.query).get("ssl_cert_reqs", [""])[0].lower()
        verify = self.verify and asked not in {"none", "cert_none"}
        arguments: dict[str, Any] = {
            "ssl_cert_reqs": ssl.CERT_REQUIRED if verify else ssl.CERT_NONE,
            "ssl_check_hostname": verify,
        }
        if self.ca is not None:
            arguments["ssl_ca_certs"] = str(self.ca)
        return arguments


class WorkerSettings(BaseSettings):
    """How a peer's worker uses its machine."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_WORKER_")

    opencv_threads: int = Field(
        default=1,
        ge=0,
        description="Threads that OpenCV may use inside one chunk; Celery's -c runs several "
        "chunks at once, so more than one seldom helps.",
    )
    result_lifetime: int = Field(
        default=60, ge=1, description="Seconds that AsyncResult can tell a chunk's state."
    )


class SessionSettings(BaseSettings):
    """How a session treats its frames."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_SESSION_")

    deadline_ms: float = Field(
        default=100.0,
        gt=0,
        description="Milliseconds after its capture at which a frame is shown, whatever came "
        "back.",
    )
    quality: int = Field(default=85, ge=1, le=100, description="Quality of lossy codecs.")
    queue: str = Field(default="cpu", description="The queue that chunks are sent to.")


class Settings(BaseSettings):
    """All settings, in groups."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_")

    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    session: SessionSettings = Field(default_factory=SessionSettings)


def load() -> Settings:
    """Read the settings from the environment.

    Raises:
        UsageError: a variable holds what it may not; the sentence names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise UsageError(
            f"A P2C2G_ variable cannot be used ({error.title} {name}): {first['msg']}."
        ) from error


def redacted(url: str) -> str:
    """Return a URL without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))
