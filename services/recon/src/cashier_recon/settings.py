"""Environment to settings of recon."""

from pydantic import Field

from cashier_common.settings import KeyedSettings


class ReconSettings(KeyedSettings):
    """Settings of recon beyond those of every service."""

    listen: str = Field("127.0.0.1:7405", description="Address to serve on, `host:port`.")
    router_target: str = Field(
        "", description="Where the router listens: host:port[,host:port…]; `work` reads its events."
    )
