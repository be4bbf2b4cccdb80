"""What the coordinator of an open pool is told from outside, by ``P2C2G_COORDINATOR_*``."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

#: Names the database where no variable of ours does; hosts of applications set it.
DATABASE_VARIABLE = "DATABASE_URL"


def _networks(text: str) -> str:
    for each in split(text):
        ip_network(each)
    return text


def split(text: str) -> tuple[str, ...]:
    """Return the parts of a list that is written with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


class CoordinatorSettings(BaseSettings):
    """Where the coordinator listens, what it keeps, and how much anyone may ask of it."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_COORDINATOR_", env_ignore_empty=True)

    listen_host: str = Field(default="127.0.0.1", description="The address that it listens on.")
    # Kubernetes puts P2C2G_COORDINATOR_PORT into everybody's environment, with a URL.
    listen_port: int = Field(
        default=8770, ge=0, le=65_535, description="Its port; 0 takes any free one."
    )
    pool: Literal["open", "own"] = Field(
        default="open",
        description="open: it lets strangers in, each with a login of its own; own: machines share "
        "the broker's password, and it shows who is there and Flower, behind its sign-in.",
    )
    development: bool = Field(
        default=False,
        description="Whether weak secrets and plain HTTP off the machine are let pass.",
    )
    data: Path = Field(
        default_factory=lambda: user_data_path("p2c2g") / "coordinator",
        description="Folder of what it keeps: the secret, and the database where that is SQLite.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql:// or sqlite:///; DATABASE_URL where it is not set, else SQLite "
        "in the folder of its data.",
    )
    database_url_file: Path | None = Field(
        default=None, description="A file that holds the database's URL instead."
    )
    secret: SecretStr | None = Field(
        default=None,
        description="What hashes and cookies are keyed with: 32 random bytes or more, in hex or "
        "base64; made and kept in the folder of its data where it is not set.",
    )
    secret_file: Path | None = Field(default=None, description="A file that holds it instead.")
    tls_cert: Path | None = Field(default=None, description="Its certificates, in PEM.")
    tls_key: Path | None = Field(default=None, description="The key of the first, in PEM.")
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = Field(
        default="",
        description="Addresses or networks, with commas, of proxies that end TLS in front of it "
        "and whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )
    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="The folder under which a proxy shows it, such as /pool.",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~-]+)*)?$",
        description="Its address as people have it, such as https://pool.example/p2c2g.",
    )
    broker_url: str = Field(
        default="",
        description="The broker as members reach it, without a login, such as "
        "rediss://pool.example:6390/0; the coordinator's own where it is not set.",
    )
    broker_ca: Path | None = Field(
        default=None,
        description="File of certificates that sign the broker's, which members are given; they "
        "trust their system's where it is not set.",
    )
    lease: float = Field(
        default=300.0,
        ge=2,
        le=86_400,
        description="Seconds for which a gamer's login lasts unless it is renewed, which it is at "
        "half time.",
    )
    allow_origins: str = Field(
        default="",
        description="Pages of other sites, with commas, that may ask its API from a browser, such "
        "as https://play.example.",
    )
    requests_per_minute: int = Field(
        default=600, ge=1, description="Requests of one key or of one address a minute."
    )
    logins_per_minute: int = Field(
        default=10, ge=1, description="Wrong keys of one address a minute."
    )
    joins_per_minute: int = Field(
        default=30, ge=1, description="Peers and gamers that one key or address lets in a minute."
    )
    evidence_per_minute: int = Field(
        default=6, ge=1, description="Pieces of evidence that one account shows a minute."
    )
    sessions_per_account: int = Field(
        default=8, ge=1, description="Gamers and peers of one account that have a login at once."
    )
    max_body: int = Field(
        default=65_536, ge=1_024, le=2**20, description="Bytes of a request's body."
    )
    max_connections: int = Field(
        default=512, ge=1, description="Connections at once, of all together."
    )
    watchers_per_session: int = Field(
        default=32,
        ge=1,
        description="Viewers of one session at once; all viewers together, and the sessions that "
        "are watched, are at most half of all connections.",
    )
    watched_megabits: float = Field(
        default=200.0,
        gt=0,
        description="Megabits a second that one session may send for its viewers.",
    )
    login_hours: float = Field(
        default=12.0, gt=0, le=24 * 31, description="Hours after which a browser signs in again."
    )
