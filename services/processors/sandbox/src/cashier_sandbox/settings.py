"""The environment as typed settings."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

CONTROL_TOKEN_MIN_CHARS = 16
CONTROL_TOKEN_FILE = "control.token"  # noqa: S105  a file name


class Settings(BaseSettings):
    """Everything that can be set, each as `CASHIER_SANDBOX_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="CASHIER_SANDBOX_", extra="ignore")

    host: str = "127.0.0.1"
    control_port: int = Field(default=7410, ge=0, le=65_535)
    control_token: str | None = Field(default=None, min_length=CONTROL_TOKEN_MIN_CHARS, repr=False)
    accounts: Path | None = None
    data_dir: Path
    seed: int = 1
    fsync: bool = False
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")


def control_token(settings: Settings) -> str:
    """Return the control API's token; without one in the environment, the data folder keeps one."""
    if settings.control_token:
        return settings.control_token
    path = settings.data_dir / CONTROL_TOKEN_FILE
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        token = secrets.token_urlsafe(32)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as out:
            out.write(token + "\n")
        return token
