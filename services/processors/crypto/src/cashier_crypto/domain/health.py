"""The health of accounts, from that of the nodes which they need."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cashier_common.health.reading import Reading


def of_accounts(accounts: Iterable[str], nodes: Sequence[Reading]) -> list[Reading]:
    """Every account as well as its worst node: a deposit is final when all of them show it."""
    if not nodes:
        return []
    worst = min(nodes, key=lambda reading: (reading.weight_ppm, reading.scope))
    return [replace(worst, scope=account) for account in accounts]
