"""What can be set from outside, by environment variables that begin with ``P2C2G_``.

An entry point builds one :class:`Settings` and passes it on; nothing reads the environment
at import.  A variable that is set to nothing is not set.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from p2c2g.errors import UsageError
from p2c2g.settings import hosts, url_file
from p2c2g.settings import membership as memberships
from p2c2g.settings.broker_url import BrokerUrl, cert_reqs, redacted
from p2c2g.settings.coordinator import DATABASE_VARIABLE, CoordinatorSettings
from p2c2g.settings.hosts import Host
from p2c2g.settings.log import LogSettings
from p2c2g.settings.membership import Membership
from p2c2g.settings.unknown import refuse_unknown


class BrokerSettings(BaseSettings):
    """Where the broker is, and how far it is trusted."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_BROKER_", env_ignore_empty=True)

    url: str = Field(
        default="redis://127.0.0.1:6379/0",
        repr=False,
        description="The broker: redis:// or sentinel://, or rediss:// or sentinels:// for TLS, "
        "with password; REDIS_TLS_URL or REDIS_URL where it is not set.",
    )
    url_file: Path | None = Field(
        default=None,
        exclude=True,
        description="A file whose first line is the URL, where P2C2G_BROKER_URL is not set.",
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
    #: Certificates in PEM that sign the broker's, where a membership holds them.
    _ca_data: str = PrivateAttr(default="")

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

    def join(self, membership: Membership) -> None:
        """Take the broker of an open pool, and this principal's login there.

        Certificates are verified, whatever else is set: the login goes to strangers otherwise.

        Raises:
            UsageError: the membership names no broker, or one on the way to which others can read.
        """
        address = BrokerUrl.parse(membership.broker)
        if address is None:
            raise UsageError(
                f"The membership of {membership.pool} names {redacted(membership.broker)!r}, which "
                "is no broker's URL: join again."
            )
        if not address.is_confidential:
            raise UsageError(
                f"The membership of {membership.pool} names {redacted(membership.broker)!r}, which "
                "has no TLS: its operator has to give rediss:// (docs/pools.md), since everybody "
                "on the way could read the login."
            )
        password = membership.password.get_secret_value()
        login = replace(address, user=membership.user, password=password)
        self.use(login.text, memberships.VARIABLE)
        self.prefix, self._ca_data = membership.prefix, membership.ca
        self.verify = True

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
        elif self._ca_data:
            arguments["ssl_ca_data"] = self._ca_data
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
    remembered_mb: int = Field(
        default=32,
        ge=0,
        le=4096,
        description="Megabytes of residuals that a worker remembers, for sessions that ask for the "
        "same chunk again; 0 for none.",
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
    max_up_mbps: float | None = Field(
        default=None,
        ge=0.1,
        le=100_000,
        allow_inf_nan=False,
        description="Megabits a second that may go to the broker; no limit where not set.",
    )
    max_down_mbps: float | None = Field(
        default=None,
        ge=0.1,
        le=100_000,
        allow_inf_nan=False,
        description="Megabits a second that may come from it; no limit where not set.",
    )
    metered: bool = Field(
        default=False,
        description="Whether the line costs by what goes over it: then nothing does, unless both "
        "limits say how much may.",
    )
    show_evidence: bool = Field(
        default=False,
        description="Whether evidence against a peer of an open pool holds the chunk's picture and "
        "its result, by which an operator can check them again; their hashes alone otherwise.",
    )


class Settings(BaseModel):
    """All settings, in groups; each group reads its own variables."""

    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    session: SessionSettings = Field(default_factory=SessionSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    coordinator: CoordinatorSettings = Field(default_factory=CoordinatorSettings)
    host: Host = Field(
        default_factory=Host, exclude=True, description="What a host of applications says."
    )
    membership: Membership | None = Field(
        default=None,
        exclude=True,
        description="Who this process is in an open pool; None in a pool of one's own.",
    )


def load() -> Settings:
    """Read the settings from the environment.

    Where ``P2C2G_BROKER_URL`` does not name the broker, the file of ``P2C2G_BROKER_URL_FILE`` does,
    and else ``REDIS_TLS_URL`` or ``REDIS_URL``, which hosts of applications set.  A membership of
    an open pool names its broker.

    Raises:
        UsageError: a variable holds what it may not, or is none of its group's; the sentence
            names it.
    """
    refuse_unknown(os.environ, _variables().values())
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = str(first["loc"][0])
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise UsageError(
            f"{_variables()[error.title, field]} cannot be used: {message}."
        ) from error
    settings.host = hosts.found(os.environ)
    if settings.host.process:
        given = settings.log.model_fields_set
        settings.log.console = settings.log.console if "console" in given else "stdout"
        settings.log.one_line = settings.log.one_line or "one_line" not in given
    elsewhere = next((each for each in hosts.BROKER_VARIABLES if os.environ.get(each)), None)
    if "url" not in settings.broker.model_fields_set:
        if settings.broker.url_file is not None:
            settings.broker.use(url_file.read(settings.broker.url_file), url_file.VARIABLE)
        elif elsewhere:
            settings.broker.use(os.environ[elsewhere], elsewhere)
    database = os.environ.get(DATABASE_VARIABLE)
    if database and not settings.coordinator.database_url_file:
        settings.coordinator.database_url = settings.coordinator.database_url or SecretStr(database)
    file = os.environ.get(memberships.VARIABLE)
    if file:
        settings.membership = memberships.read(Path(file))
        settings.broker.join(settings.membership)
    return settings


_GROUPS = (BrokerSettings, WorkerSettings, SessionSettings, LogSettings, CoordinatorSettings)


def _variables() -> dict[tuple[str, str], str]:
    """Return the environment variable of each setting, by its class's name and its own."""
    return {
        (group.__name__, field): f"{group.model_config.get('env_prefix', '')}{field}".upper()
        for group in _GROUPS
        for field in group.model_fields
    }
