"""What the gateway reads from the environment besides what every service reads."""

from pathlib import Path

from pydantic import Field, field_validator

from cashier_common.settings import KeyedSettings, split_address


class GatewaySettings(KeyedSettings):
    """Settings of `python -m cashier_gateway`."""

    listen: str = Field("127.0.0.1:7403", description="Address to serve on, `host:port`.")
    processor_accounts: Path | None = Field(
        None,
        description="YAML file of processor accounts that a start applies; empty: the table's, "
        "and in development the sandbox's where the table is empty.",
    )

    webhook_listen: str = Field(
        "",
        description="Address for webhooks, `host:port`, plain HTTP behind a proxy; empty: off.",
    )

    payer_key: Path | None = Field(
        None,
        description="File with 64 hexadecimal digits that seal payers' names and documents in "
        "the rows of calls under way; without it they are not kept, and a call that a crash "
        "interrupted is not sent again.",
    )

    @field_validator("webhook_listen")
    @classmethod
    def _is_an_address_or_off(cls, value: str) -> str:
        if value:
            split_address(value)
        return value
