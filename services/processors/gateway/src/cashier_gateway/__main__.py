"""`python -m cashier_gateway serve|work|migrate|accounts|disputes|notices|returns|adapter-gaps`."""

import typer

from cashier_common.service import cli
from cashier_gateway import (
    accounts_command,
    disputes_command,
    notices_command,
    returns_command,
)
from cashier_gateway.settings import GatewaySettings

main = cli("gateway", settings=GatewaySettings)
main.add_typer(accounts_command.commands, name="accounts")
main.add_typer(notices_command.commands, name="notices")
main.add_typer(returns_command.commands, name="returns")
main.add_typer(disputes_command.commands, name="disputes")


@main.command("adapter-gaps")
def adapter_gaps(name: str) -> None:
    """List what the adapter of a processor still lacks; status 1 where it lacks something."""
    # It brings every adapter with it, which `migrate` and `settings` need not wait for.
    from cashier_gateway.adapter_gaps import gaps  # noqa: PLC0415

    found = gaps(name)
    for gap in found:
        typer.echo(gap)
    if found:
        raise typer.Exit(1)
    typer.echo(f"{name} lacks nothing that can be counted")


if __name__ == "__main__":
    main()
