"""Environment to settings of the router."""

from pydantic import Field

from cashier_common.settings import KeyedSettings


class RouterSettings(KeyedSettings):
    """Settings of the router beyond those of every service."""

    risk_target: str = Field(default="", description="Where risk listens: host:port[,host:port…].")
    rails: str = Field(
        default="",
        description="Rails and where they listen: `gateway=host:port,crypto=host:port`; "
        "an address without a name is one more replica of the rail before it.",
    )
    doubt_schedule_s: str = Field(
        default="5,30,120,600,3600,21600,86400",
        description="Seconds between questions about an operation in doubt; after the last one "
        "it goes to MANUAL_REVIEW.",
    )

    @property
    def rail_targets(self) -> dict[str, str]:
        """Target of each rail."""
        targets: dict[str, str] = {}
        name = ""
        for part in filter(None, (part.strip() for part in self.rails.split(","))):
            before, equals, after = part.partition("=")
            if equals:
                name, targets[before] = before, after
            elif name:
                targets[name] += f",{part}"
        return targets

    @property
    def doubt_schedule(self) -> tuple[int, ...]:
        """The schedule as whole seconds."""
        return tuple(int(part) for part in self.doubt_schedule_s.split(","))
