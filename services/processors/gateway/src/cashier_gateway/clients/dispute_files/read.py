"""Which file of disputes it is, and everything that it tells."""

from collections.abc import Sequence
from datetime import datetime

from cashier_gateway.clients.dispute_files import jpmorgan, stripe
from cashier_gateway.clients.dispute_files.table import FileRefused, read_lines, table
from cashier_gateway.domain.notice import Notice


def read_disputes(content: bytes, *, told_at: datetime | None = None) -> Sequence[Notice]:
    """Every notice of the file, or FileRefused; `told_at` is when the file was true.

    Rows that say the very same come once.
    """
    lines = read_lines(content)
    first = next(lines, None)
    if first is None:
        raise FileRefused("the file is empty")
    if first[1][0].startswith(jpmorgan.PREAMBLE):
        header, below = jpmorgan.body(lines, first)
        found = jpmorgan.notices(table(below, header, jpmorgan.NEEDED))
    elif {"id", "status"} <= {name.strip() for name in first[1]}:
        found = stripe.notices(table(lines, first, stripe.NEEDED), told_at)
    else:
        raise FileRefused(
            "is neither the header of Stripe's disputes nor J.P. Morgan's DisputeDetails",
            line=first[0],
        )
    once: dict[str, Notice] = {}
    for notice in found:
        if once.setdefault(notice.event_id, notice) != notice:
            raise FileRefused(f"the file tells {notice.event_id} twice, each time otherwise")
    return list(once.values())
