"""Tells a person what came of a run, and where to look."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cashier.payments.v1 import payment_admin_service_pb2, payment_pb2
from cashier.recon.v1 import ledger_service_pb2, recon_service_pb2
from cashier_mesh.demo.agreement import Evidence, say
from cashier_mesh.demo.callers import Harvest
from cashier_mesh.demo.ground import Ground
from cashier_mesh.demo.screen import accounts_table
from cashier_mesh.demo.settle import Reconciled
from cashier_mesh.demo.tally import O, count

PROBLEMS_MAX = 20  # sentences; more would hide the first ones
LINES = (
    ("SUCCEEDED", "authorized and captured", "green"),
    ("AUTHORIZED", "authorized, not captured", "green"),
    ("FAILED", "declined", "red"),
    ("REJECTED", "rejected by risk, never sent", "red"),
    ("IN_REVIEW", "in review: a person has to decide", "yellow"),
    ("ACTION_REQUIRED", "waiting for the customer", "yellow"),
    ("PROCESSING", "under way", "yellow"),
    ("CANCELED", "canceled", "red"),
)


class Report:
    """Prints one part after the other."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def payments(self, harvest: Harvest) -> None:
        """How the payments ended."""
        tally = count(harvest.payments.values())
        table = _table("", "payments")
        for state, words, style in LINES:
            if tally.states[state]:
                table.add_row(words, str(tally.states[state]), style=style)
        table.add_row("saved by failover", str(tally.saved), style="bold cyan")
        table.add_row("in doubt", str(tally.in_doubt), style="yellow" if tally.in_doubt else None)
        table.add_section()
        for why, times in tally.failures.most_common():
            table.add_row(f"  because {why.replace('_', ' ').lower()}", str(times), style="dim")
        table.add_section()
        table.add_row("requests repeated under the same key, no new payment", str(harvest.repeated))
        for reason, rows in sorted(harvest.refused.items()):
            table.add_row(f"requests refused: {reason}", str(len(rows)))
        self._part("What became of the payments", table)
        self._part("What the processors answered", accounts_table(tally))

    def money(self, evidence: Evidence, summary: recon_service_pb2.GetSummaryResponse) -> None:
        """What was taken, as each side says it."""
        settled = {
            (line.processor_account, line.asset_code): line.settled_minor for line in summary.lines
        }
        table = _table("account", "at the processor", "in our books", "settled by file", "")
        for cell in sorted({*evidence.reported, *evidence.booked}):
            account, asset = cell
            there, here = evidence.reported.get(cell, 0), evidence.booked.get(cell, 0)
            table.add_row(
                account,
                say(there, asset),
                say(here, asset),
                say(settled.get(cell, 0), asset),
                "[green]agree[/]" if there == here else "[bold red]DIFFER[/]",
            )
        self._part(
            "Money: what the processors say beside what our books say (all runs in this folder)",
            table,
        )

    def exceptions(self, reconciled: Reconciled) -> None:
        """What reconciliation found, with the next step."""
        table = _table("exception", "", "what it says, and the next step")
        types = Counter(one.type for one in reconciled.found)
        for kind, times in types.most_common():
            first = next(one for one in reconciled.found if one.type == kind)
            table.add_row(kind, str(times), escape(first.detail))
        self._part(
            f"Reconciliation: {reconciled.matched} lines matched, {len(reconciled.found)} "
            f"exceptions ({len(reconciled.made)} mistakes were put into the files)",
            table,
        )

    def timeline(
        self,
        payment: payment_pb2.Payment,
        events: Sequence[payment_admin_service_pb2.PaymentEvent],
        entries: Sequence[ledger_service_pb2.Entry],
    ) -> None:
        """The way of one payment, from the audit record and the ledger."""
        amount = say(payment.amount.minor, payment.amount.asset_code)
        table = _table("time (UTC)", "what", "where", "after")
        for event in events:
            operation = event.operation
            where = f"{operation.processor_account} ({operation.name.rpartition('/')[2]})"
            state = O.State.Name(operation.state).removeprefix("STATE_")
            table.add_row(
                _clock(event.step.record_time.ToDatetime(UTC)),
                event.step.action,
                where if operation.name else "",
                f"{state} → payment {_state(event.payment)}"
                if operation.name
                else _state(event.payment),
            )
        for entry in entries:
            table.add_row(
                _clock(entry.book_time.ToDatetime(UTC)),
                entry.cause,
                f"{entry.account} of {entry.owner}",
                say(entry.amount.minor, entry.amount.asset_code),
                style="dim",
            )
        self._part(f"One payment's way: {payment.name}, {amount}", table)

    def look(self, ground: Ground, payment: payment_pb2.Payment | None, *, stays: bool) -> None:
        """Where to point grpcurl and buf curl."""
        operator = ground.credentials("operator")
        # grpcurl and buf speak to one server: the first replica.
        router, recon = (ground.targets[name].split(",")[0] for name in ("router", "recon"))
        files = (operator.authority, operator.certificate, operator.private_key)
        grpcurl = ".venv/bin/grpcurl -cacert {} -cert {} -key {}".format(*files)
        buf = ".venv/bin/buf curl --protocol grpc --cacert {} --cert {} --key {}".format(*files)
        method = "cashier.payments.v1.PaymentService/GetPayment"
        when = "" if stays else " (while a mesh runs: `make up`, or this command with --keep)"
        self._console.print(f"[bold]Look for yourself[/]{when}")
        lines = [f"{grpcurl} {router} list"]
        if payment is not None:
            data = f'{{"merchant":"{payment.merchant}","name":"{payment.name}"}}'
            lines.append(f"{grpcurl} -d '{data}' {router} {method}")
            lines.append(f"{buf} -d '{data}' https://{router}/{method}")
        lines.append(f"{grpcurl} -d '{{}}' {recon} cashier.recon.v1.ReconService/ListExceptions")
        for line in lines:
            self._console.print(f"  {escape(line)}", soft_wrap=True)
        self._console.print()

    def _part(self, title: str, table: Table) -> None:
        self._console.print(f"[bold]{escape(title)}[/]", soft_wrap=True)
        self._console.print(table, "")

    def verdict(self, problems: Sequence[str], *, elapsed_s: float) -> None:
        """The last words."""
        for problem in problems[:PROBLEMS_MAX]:
            self._console.print(f"[bold red]✗[/] {escape(problem)}", soft_wrap=True)
        if len(problems) > PROBLEMS_MAX:
            self._console.print(f"[bold red]✗[/] and {len(problems) - PROBLEMS_MAX} more")
        if problems:
            self._console.print("[bold red]the books do not agree with the processors[/]")
        else:
            self._console.print(
                f"[bold green]✓ the books agree with the processors[/] ({elapsed_s:.0f} s)"
            )


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for number, name in enumerate(columns):
        right = name in {"payments", "at the processor", "in our books", "settled by file"}
        table.add_column(name, justify="right" if right else "left", no_wrap=right or number == 0)
    return table


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def _state(payment: payment_pb2.Payment) -> str:
    doubt = " (in doubt)" if payment.in_doubt else ""
    return payment_pb2.Payment.State.Name(payment.state).removeprefix("STATE_") + doubt
