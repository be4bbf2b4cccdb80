"""What can be set from outside, by environment variables that begin with ``P2C2G_``.

An entry point builds one :class:`Settings` and passes it on; nothing reads the environment
at import.  A variable that is set to nothing is not set.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from p2c2g.errors import UsageError
from p2c2g.settings.broker_url import BrokerUrl, cert_reqs, redacted

#: Variables that are no settings: options of ``celery worker`` read them
#: (:mod:`p2c2g.commands.worker_options`).
OPTION_VARIABLES = tuple(
    f"P2C2G_WORKER_{name}"
    for name in (
        "PEER_NAME", "REGION", "CPU_FALLBACK", "MAX_CPU", "ONLY_IDLE", "HOURS", "MAX_MBPS",
        "NO_TASK_EVENTS",
    )
)  # fmt: skip

#: Names the broker where none of our variables does.
HOSTS_VARIABLE = "REDIS_URL"
#: What Kubernetes and Docker put into everybody's environment for a service that is called
#: p2c2g-broker, or so.
_INJECTED = re.compile(
    r"_SERVICE_HOST=|_SERVICE_PORT(_\w+)?=|_PORT=\w+://|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?="
    r"|_NAME=/|_ENV_\w+="
)


class BrokerSettings(BaseSettings):
    """Where the broker is, and how far it is trusted."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_BROKER_", env_ignore_empty=True)

    url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="The broker: redis:// or sentinel://, or rediss:// or sentinels:// for TLS, "
        "with password; REDIS_URL where it is not set.",
    )
    ca: Path | None = Field(
        default=None,
        description="File of the certificates that sign the broker's; the system's where none.",
    )
    verify: bool = Field(
        default=True,
        description="Whether TLS checks the broker's certificate and name.",
    )
    sentinel_master: str = Field(
        default="mymaster", description="The name of the master that Sentinel watches."
    )
    prefix: str = Field(
        default="p2c2g",
        pattern=r"^[A-Za-z0-9_-]{1,40}$",
        description="What every key and queue at the broker begins with; another for each pool "
        "that shares a database.",
    )
    sentinel_password: str | None = Field(
        default=None, repr=False, description="The Sentinels' own password, where they have one."
    )

    #: Where the URL comes from, for sentences about it; nothing where that is ours.
    _named_by: str = PrivateAttr(default="")

    @property
    def named_by(self) -> str:
        """Return words that say which variable of somebody else's named the URL; often none."""
        return self._named_by

    def use(self, url: str, named_by: str = "") -> None:
        """Take another URL.

        Args:
            url: the broker's.
            named_by: the variable that named it, where it is none of ours.
        """
        self.url = url
        self._named_by = f" (from {named_by})" if named_by else ""

    def checked_url(self) -> str:
        """Return the URL without its query and with its login encoded.

        Raises:
            UsageError: it is not a broker's URL, or its query asks for what is not known.
        """
        return self.address().text

    def tls(self) -> dict[str, Any] | None:
        """Return redis-py's TLS arguments, or None for a broker without TLS.

        The broker is verified unless ``verify`` is off or the URL says
        ``?ssl_cert_reqs=none``.

        Raises:
            UsageError: as :meth:`checked_url`, or the certificates' file is not there.
        """
        address = self.address()
        if not address.has_tls:
            return None
        verify = self.verify and cert_reqs(address.query) != "none"
        arguments: dict[str, Any] = {
            "ssl_cert_reqs": ssl.CERT_REQUIRED if verify else ssl.CERT_NONE,
            "ssl_check_hostname": verify,
        }
        if self.ca is not None:
            if not self.ca.is_file():
                raise UsageError(
                    f"P2C2G_BROKER_CA names {str(self.ca)!r}, which is not a file: give one of "
                    "certificates in PEM."
                )
            arguments["ssl_ca_certs"] = str(self.ca)
        return arguments

    def address(self) -> BrokerUrl:
        """Return the URL, taken apart.

        Raises:
            UsageError: it is not a broker's URL, or its query asks for what is not known.
        """
        address = BrokerUrl.parse(self.url)
        named = f"{redacted(self.url)!r}{self.named_by}"
        if address is None:
            raise UsageError(
                f"{named} is not a broker's URL: give redis:// or sentinel://, or rediss:// or "
                "sentinels:// for TLS, with a host and, if need be, a login, a port and a "
                "database's number, such as redis://127.0.0.1:6379/0."
            )
        if address.query and cert_reqs(address.query) is None:
            raise UsageError(
                f"{named} asks for what is not known: only ssl_cert_reqs=none or "
                "ssl_cert_reqs=required may follow the question mark."
            )
        return address


class WorkerSettings(BaseSettings):
    """How a peer's worker uses its machine."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_WORKER_", env_ignore_empty=True)

    opencv_threads: int = Field(
        default=1,
        ge=0,
        description="Threads that OpenCV may use inside one chunk; Celery's -c runs several "
        "chunks at once, so more than one seldom helps.",
    )
    result_lifetime: int = Field(
        default=60, ge=1, description="Seconds that AsyncResult can tell a chunk's state."
    )
    gpu: int = Field(
        default=0, ge=0, le=63, description="Which graphics card a worker of the queue gpu uses."
    )
    gpu_memory_mb: int | None = Field(
        default=None,
        ge=64,
        description="Megabytes of the card that it may take; all where not set.",
    )
    gpu_batch: int = Field(
        default=8, ge=1, le=64, description="Chunks that a card works on at once, at most."
    )
    gpu_half: bool = Field(
        default=False,
        description="Whether nets run in half precision: faster on some cards, and up to one "
        "level off.",
    )
    beat_interval: float = Field(
        default=1.0,
        ge=0.1,
        le=60,
        description="Seconds between a peer's beats; one without any for three is dead.",
    )


class SessionSettings(BaseSettings):
    """How a session treats its frames."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_SESSION_", env_ignore_empty=True)

    deadline_ms: float = Field(
        default=100.0,
        gt=0,
        le=60_000,
        description="Milliseconds after its capture at which a frame is shown, whatever came "
        "back; the delay with which frames are shown adapts below it.",
    )
    quality: int = Field(
        default=80, ge=1, le=100, description="Quality of a lossy codec, of what is sent."
    )
    residual_quality: int = Field(
        default=75, ge=1, le=100, description="Quality of a lossy codec, of what comes back."
    )
    queue: str = Field(default="cpu", description="The queue that chunks are sent to.")
    policy: Literal["capability", "weighted", "predictive", "affinity"] = Field(
        default="predictive",
        description="Who gets a chunk: the peer that will have it back first, or the one that "
        "pulls first (capability), or another policy.",
    )


class LogSettings(BaseSettings):
    """What is logged, and where to; errors are always told on standard error."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_LOG_", env_ignore_empty=True)

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="WARNING", description="The least that is told on standard error."
    )
    dir: Path | None = Field(
        default=None, description="Folder for logs as JSON, for machines; none where not set."
    )
    megabytes: float = Field(
        default=8.0, ge=0.01, le=1024, description="Size at which a file of logs is rotated."
    )
    backups: int = Field(
        default=3, ge=1, le=100, description="Rotated files that a process keeps beside its own."
    )

    @field_validator("level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


class Settings(BaseModel):
    """All settings, in groups; each group reads its own variables."""

    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    session: SessionSettings = Field(default_factory=SessionSettings)
    log: LogSettings = Field(default_factory=LogSettings)


def load() -> Settings:
    """Read the settings from the environment.

    Where no variable of ours names the broker, ``REDIS_URL`` does, which hosts of applications
    set.

    Raises:
        UsageError: a variable holds what it may not, or is none of its group's; the sentence
            names it.
    """
    _refuse_unknown(os.environ)
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = str(first["loc"][0])
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise UsageError(
            f"{_variables()[error.title, field]} cannot be used: {message}."
        ) from error
    elsewhere = os.environ.get(HOSTS_VARIABLE)
    if elsewhere and "url" not in settings.broker.model_fields_set:
        settings.broker.use(elsewhere, HOSTS_VARIABLE)
    return settings


def _variables() -> dict[tuple[str, str], str]:
    """Return the environment variable of each setting, by its class's name and its own."""
    return {
        (group.__name__, field): f"{group.model_config.get('env_prefix', '')}{field}".upper()
        for group in (BrokerSettings, WorkerSettings, SessionSettings, LogSettings)
        for field in group.model_fields
    }


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = [*_variables().values(), *OPTION_VARIABLES]
    for name, value in sorted(environment.items()):
        upper = name.upper()
        group = re.match(r"P2C2G_(BROKER|WORKER|SESSION|LOG)(_|$)", upper)
        if group and upper not in known and not _INJECTED.search(f"{upper}={value}"):
            same = [each for each in known if each.startswith(group[0].rstrip("_") + "_")]
            raise UsageError(f"{name} is no setting: there are {', '.join(same)}.")
