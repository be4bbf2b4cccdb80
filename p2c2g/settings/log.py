"""What is logged, and where to, by ``P2C2G_LOG_*``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class LogSettings(BaseSettings):
    """What is logged, and where to; errors are always told."""

    model_config = SettingsConfigDict(env_prefix="P2C2G_LOG_", env_ignore_empty=True)

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="WARNING", description="The least that is told."
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
    console: Literal["stderr", "stdout"] = Field(
        default="stderr",
        description="Where it is told; on standard output where a host of applications, or a "
        "runner of a Procfile, has started this.",
    )
    one_line: bool = Field(
        default=False,
        description="Whether each record is one line, tracebacks too; so it is where a host of "
        "applications, or a runner of a Procfile, has started this.",
    )

    @field_validator("level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value
