"""Settings come from the environment, are checked once at the start, and complain in sentences."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "CASHIER_"
PORT_MAX = 65_535
ADDRESS = re.compile(r"^(?P<host>\[[0-9a-fA-F:]+\]|[^\s:\[\],]+):(?P<port>[0-9]{1,5})$")
CALLER = re.compile(r"^spiffe://cashier\.local/(service|client)/[a-z0-9][a-z0-9-]{0,62}$")

Settings = TypeVar("Settings", bound="ServiceSettings")


class SettingsRefused(Exception):
    """One or more settings cannot be used; the text is one sentence per line."""


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Tls:
    """Where this process keeps its own certificate and the mesh's authority: paths of PEM files."""

    certificate: Path
    private_key: Path
    authority: Path


KEY_LIFE_MIN_DAYS: Final = 30
"""A replay is answered for at least this long (money-safety §1.5)."""
KEY_LIFE_MAX_DAYS: Final = 3_650


class ServiceSettings(BaseSettings):
    """What every process of the mesh reads; a service adds its own fields in a subclass."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
    )

    environment: Environment = Field(
        Environment.PRODUCTION, description="`development` allows fail points; else `production`."
    )
    listen: str = Field("127.0.0.1:7401", description="Address to serve on, `host:port`.")
    database_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL as the application's role."
    )
    database_owner_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL as the owner's role; only `migrate` reads it."
    )
    redis_url: SecretStr = Field(
        SecretStr(""), description="Redis or Valkey for hints; may be empty."
    )
    tls_certificate: Path | None = Field(None, description="This process's certificate, PEM.")
    tls_private_key: Path | None = Field(None, description="Its private key, PEM.")
    tls_authority: Path | None = Field(
        None, description="Certificate of the mesh's authority, PEM."
    )
    plaintext: bool = Field(
        default=False, description="Serve without TLS; allowed on loopback only."
    )
    plaintext_caller: str = Field(
        "spiffe://cashier.local/client/development",
        description="Who every caller is taken for under `PLAINTEXT`.",
    )
    access_policy: Path | None = Field(
        None, description="YAML file: which caller may use which methods and merchants."
    )
    page_token_key: SecretStr = Field(
        SecretStr(""), description="Signs page tokens; made from `DATABASE_URL` when empty."
    )
    otlp_endpoint: str = Field("", description="OTLP gRPC endpoint for spans, `http://host:4317`.")
    trace_file: Path | None = Field(
        None, description="File that spans are appended to as JSON lines, for development."
    )
    trace_sample_ratio: float = Field(
        0.05, ge=0, le=1, description="Share of new traces that is recorded, 0 to 1."
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    failpoints: str = Field(
        "", description="Faults to inject, `name:kill` and so on; refused outside development."
    )

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        split_address(value)
        return value

    @field_validator("log_level")
    @classmethod
    def _is_a_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError(f"it is {value}, and must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @field_validator("plaintext_caller")
    @classmethod
    def _is_a_caller(cls, value: str) -> str:
        if not CALLER.match(value):
            raise ValueError(
                f"it is {value}, and must look like spiffe://cashier.local/client/demo"
            )
        return value

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.plaintext and not is_loopback(split_address(self.listen)[0]):
            raise ValueError(
                f"{PREFIX}PLAINTEXT is set while {PREFIX}LISTEN is {self.listen}: without TLS only "
                f"a loopback address may be served, so listen on 127.0.0.1 or set "
                f"{PREFIX}TLS_CERTIFICATE, {PREFIX}TLS_PRIVATE_KEY and {PREFIX}TLS_AUTHORITY"
            )
        if self.failpoints and self.environment is not Environment.DEVELOPMENT:
            raise ValueError(
                f"{PREFIX}FAILPOINTS is set while {PREFIX}ENVIRONMENT is {self.environment}: "
                "faults are injected in development only, so unset it or set "
                f"{PREFIX}ENVIRONMENT=development"
            )
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        return split_address(self.listen)

    def tls(self) -> Tls | None:
        """The certificate files, None under `plaintext`; SettingsRefused names what is missing."""
        if self.plaintext:
            return None
        files = {
            "TLS_CERTIFICATE": self.tls_certificate,
            "TLS_PRIVATE_KEY": self.tls_private_key,
            "TLS_AUTHORITY": self.tls_authority,
        }
        missing = [f"{PREFIX}{name} is not set" for name, path in files.items() if path is None]
        missing += [
            f"{PREFIX}{name} is {path}, and there is no such file"
            for name, path in files.items()
            if path is not None and not path.is_file()
        ]
        if missing:
            raise SettingsRefused(
                f"{'; '.join(missing)}: the mesh speaks mutual TLS, so name the three PEM files "
                f"(or set {PREFIX}PLAINTEXT=true on a loopback address)"
            )
        return Tls(*(path for path in files.values() if path is not None))

    def need(self, name: str) -> str:
        """The text of a setting that this role needs; SettingsRefused when it is empty."""
        value = getattr(self, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
        if not text:
            meaning = type(self).model_fields[name].description or ""
            raise SettingsRefused(f"{variable(name)} is not set: {meaning}")
        return text

    @classmethod
    def describe(cls) -> str:
        """The README's table of settings, as Markdown."""
        rows = [
            f"| `{variable(name)}` | {_default(field)} | {field.description or ''} |"
            for name, field in cls.model_fields.items()
        ]
        return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


class KeyedSettings(ServiceSettings):
    """For a service that keeps idempotency keys."""

    idempotency_key_life_days: int = Field(
        KEY_LIFE_MIN_DAYS,
        ge=KEY_LIFE_MIN_DAYS,
        le=KEY_LIFE_MAX_DAYS,
        description="How long a repeated call is answered with what the first one made, 30 or more "
        "days; `work` forgets older keys.",
    )


def load(kind: type[Settings]) -> Settings:
    """Read the environment; SettingsRefused says everything that is wrong with it at once."""
    try:
        return kind()
    except ValidationError as error:
        raise SettingsRefused("\n".join(_sentences(error))) from None


def variable(name: str) -> str:
    """The environment variable of a field."""
    return f"{PREFIX}{name.upper()}"


def split_address(value: str) -> tuple[str, int]:
    """Host and port; ValueError when it is not `host:port`."""
    match = ADDRESS.match(value)
    if match is None or int(match["port"]) > PORT_MAX:
        raise ValueError(f"it is {value}, and must be host:port with a port from 0 to {PORT_MAX}")
    return match["host"].strip("[]"), int(match["port"])


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _sentences(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_input=False):
        text = fault["msg"].removeprefix("Value error, ")
        if not fault["loc"]:
            yield text
            continue
        name = "_".join(str(part) for part in fault["loc"])
        if fault["type"] == "missing":
            yield f"{variable(name)} is not set and has no default"
        else:
            yield f"{variable(name)} cannot be used: {text[:1].lower()}{text[1:]}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, SecretStr) or value is None or value == "":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
