"""What the crypto rail reads from the environment besides what every service reads."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from cashier_common.settings import PREFIX, Environment, ServiceSettings


class CryptoSettings(ServiceSettings):
    """Settings of `python -m cashier_crypto`."""

    listen: str = Field("127.0.0.1:7404", description="Address to serve on, `host:port`.")
    processor_accounts: Path | None = Field(
        None, description="YAML file of processor accounts; in development our own test token."
    )
    chain_url: str = Field(
        "", description="JSON-RPC of the node that is read; empty: accounts are disabled."
    )
    chain_witness_urls: str = Field(
        "",
        description="Further nodes, by commas, that must all show a deposit before it is final; "
        "in development the node itself.",
    )
    chain_poll_s: float = Field(
        0.5, gt=0, le=60, description="Seconds between two looks at a chain without news."
    )

    @model_validator(mode="after")
    def _names_what_production_needs(self) -> Self:
        if self.environment is not Environment.PRODUCTION:
            return self
        if self.processor_accounts is None:
            raise ValueError(
                f"{PREFIX}PROCESSOR_ACCOUNTS is not set: name the YAML file of processor accounts "
                f"(or set {PREFIX}ENVIRONMENT=development for the test token)"
            )
        if self.chain_url and not set(self.witnesses) - {self.chain_url}:
            raise ValueError(
                f"{PREFIX}CHAIN_WITNESS_URLS names no node but {PREFIX}CHAIN_URL: a deposit is "
                "final when a second node, of another operator, shows it too"
            )
        return self

    @property
    def witnesses(self) -> tuple[str, ...]:
        """URLs of the nodes that must agree besides the one that is read."""
        named = tuple(filter(None, (url.strip() for url in self.chain_witness_urls.split(","))))
        return named or ((self.chain_url,) if self.chain_url else ())
