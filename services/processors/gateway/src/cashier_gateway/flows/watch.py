"""Health of the processor accounts: every exchange passes here, whatever the adapter."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from cashier_common.health.monitor import Monitor
from cashier_common.health.ward import Exchange as Watched
from cashier_gateway.domain.account import ProcessorAccount
from cashier_gateway.domain.call import Call
from cashier_gateway.domain.health import may_stop, refusal, result_of, segment_of
from cashier_gateway.domain.outcome import Answer
from cashier_gateway.flows.ports import Exchange


@dataclass(frozen=True, slots=True)
class AccountWatch:
    """`flows.ports.Watch` of one account, on the monitor that all accounts share."""

    account: ProcessorAccount
    monitor: Monitor

    def exchange(self, call: Call) -> AbstractContextManager[Exchange]:
        return self._exchange(call)

    @contextmanager
    def _exchange(self, call: Call) -> Iterator[Exchange]:
        name = self.account.account_id
        watched = self.monitor.exchange(
            name, segment_of(call), limit=self.account.concurrency_max, is_new=may_stop(call)
        )
        with watched:
            yield _Exchange(call, name, watched)


@dataclass(frozen=True, slots=True)
class _Exchange:
    call: Call
    account: str
    watched: Watched

    @property
    def refusal(self) -> str:
        stop = self.watched.stop
        return refusal(self.account, stop) if stop is not None else ""

    def tell(self, answer: Answer) -> None:
        result = result_of(self.call, answer)
        if result is not None:
            self.watched.tell(result)
