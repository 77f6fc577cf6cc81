"""What the gateway reads from the environment besides what every service reads."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from cashier_common.settings import PREFIX, Environment, ServiceSettings, split_address


class GatewaySettings(ServiceSettings):
    """Settings of `python -m cashier_gateway`."""

    listen: str = Field("127.0.0.1:7403", description="Address to serve on, `host:port`.")
    processor_accounts: Path | None = Field(
        None,
        description="YAML file of processor accounts; in development our own sandbox by default.",
    )

    webhook_listen: str = Field(
        "",
        description="Address for webhooks, `host:port`, plain HTTP behind a proxy; empty: off.",
    )

    @field_validator("webhook_listen")
    @classmethod
    def _is_an_address_or_off(cls, value: str) -> str:
        if value:
            split_address(value)
        return value

    @model_validator(mode="after")
    def _names_its_accounts(self) -> Self:
        if self.processor_accounts is None and self.environment is Environment.PRODUCTION:
            raise ValueError(
                f"{PREFIX}PROCESSOR_ACCOUNTS is not set: name the YAML file of processor accounts "
                f"(or set {PREFIX}ENVIRONMENT=development for the accounts of the sandbox)"
            )
        return self
