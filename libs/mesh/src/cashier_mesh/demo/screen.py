"""Shows a run while it goes on: a live picture on a terminal, plain lines anywhere else."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cashier_mesh.demo.tally import Tally

REFRESH_PER_S = 8
PLAIN_PERIOD_S = 5.0  # between two lines where nothing can be redrawn
BAR_WIDTH = 40


class Screen:
    """One run on one console; `show` may be called as often as one likes."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._phase = "starting"
        self._tally = Tally()
        self._outage = ""
        self._answered = 0
        self._began = time.monotonic()
        self._rate = 0.0
        self._said_at = 0.0
        self._said = ""
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                self._picture(),
                console=self._console,
                refresh_per_second=REFRESH_PER_S,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    @property
    def rate(self) -> float:
        """Payments per second from the first to the last answer."""
        return self._rate

    def say(self, sentence: str) -> None:
        """Say something that stays on the screen."""
        self._console.print(f"[bold]demo[/]          │ {escape(sentence)}", soft_wrap=True)

    def phase(self, name: str) -> None:
        """Begin a phase."""
        self._phase = name
        self._began = time.monotonic()
        self.say(name)
        self._draw()

    def outage(self, account: str) -> None:
        """An account is away from now on; empty: all are back."""
        self._outage = account
        self._draw()

    def show(self, tally: Tally, *, answered: int | None = None) -> None:
        """Show how things stand; `answered` rows of all count towards the rate."""
        self._tally = tally
        if answered is not None:
            self._answered = answered
            self._rate = answered / max(time.monotonic() - self._began, 0.001)
        self._draw()

    def _draw(self) -> None:
        if self._live:
            self._live.update(self._picture())
        elif self._answered and time.monotonic() - self._said_at > PLAIN_PERIOD_S:
            self._said_at = time.monotonic()
            sentence = (
                f"{self._answered} of {self._total} rows, {self._rate:.0f} a second, "
                f"{self._tally.in_doubt} in doubt"
            )
            if sentence != self._said:
                self.say(sentence)
            self._said = sentence

    def _picture(self) -> RenderableType:
        head = Text.assemble(
            (f" {self._phase} ", "bold reverse"),
            f"  {self._answered} of {self._total} rows  ",
            (f"{self._rate:.0f} payments/s", "bold cyan"),
            f"  {self._tally.saved} saved by failover",
            (f"  {self._outage} IS AWAY" if self._outage else "", "bold red"),
        )
        bar = ProgressBar(total=max(self._total, 1), completed=self._answered, width=BAR_WIDTH)
        return Group(head, bar, accounts_table(self._tally, away=self._outage))


def accounts_table(tally: Tally, *, away: str = "") -> Table:
    """What each processor account answered."""
    table = Table(box=None, padding=(0, 2))
    for name in ("processor account", "sent", "succeeded", "declined", "not sent", "in doubt"):
        table.add_column(name, justify="left" if name == "processor account" else "right")
    for name, account in sorted(tally.accounts.items()):
        table.add_row(
            f"{name} (away)" if name == away else name,
            str(account.sent),
            f"[green]{account.succeeded}[/]",
            str(account.declined),
            str(account.unsent),
            f"[yellow]{account.in_doubt}[/]" if account.in_doubt else "0",
            style="red" if name == away else None,
        )
    return table
