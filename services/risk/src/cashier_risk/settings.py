"""What risk reads from the environment beside what every service reads."""

from pathlib import Path

from pydantic import Field

from cashier_common.settings import ServiceSettings


class RiskSettings(ServiceSettings):
    """The settings of the risk service."""

    listen: str = Field("127.0.0.1:7402", description="Address to serve on, `host:port`.")
    rule_set: Path | None = Field(
        None, description="Rule document (YAML) that decides; the shipped one when unset."
    )
