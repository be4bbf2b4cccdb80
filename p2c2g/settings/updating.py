"""What a lent machine's keeper is told from outside, by ``P2C2G_UPDATE_*``."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class UpdateSettings(BaseSettings):
    """How often a keeper asks, and where what a release needs is installed from."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_UPDATE_", env_ignore_empty=True)

    every: float = Field(
        default=600.0, ge=1, le=86_400, description="Seconds between two looks at what is offered."
    )
    patience: float = Field(
        default=60.0,
        ge=1,
        le=3_600,
        description="Seconds in which a new version has to be at work.",
    )
    idle: float = Field(
        default=60.0,
        ge=0,
        le=3_600,
        description="Seconds for which a new version has to be ready, where nobody sends work.",
    )
    index: str = Field(
        default="",
        pattern=r"^(https://[^\s@]+|file:///[^\s]+)?$",
        description="The one index that libraries are installed from; those of pip's own "
        "configuration where it is not set.",
    )
